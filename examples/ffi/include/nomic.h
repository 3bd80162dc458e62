/*
 * nomic.h: the C interface of nomic-client. Made by cbindgen from examples/ffi/src; do not edit.
 *
 * Text      is UTF-8 and ends with a NUL. A NUL within a text from the service becomes U+FFFD.
 * Arguments must not be NULL, unless it is said that they may be. Pointers that a function takes are read while it
 *           runs and not kept; NULL and what is not UTF-8 come back as NOMIC_CODE_ARGUMENT.
 * Results   are written to places that you give, each of its own, which are set to NULL first: what a failed call left
 *           can be freed blindly.
 *           What was given out without `const` is yours, and has one function that frees it: nomic_free,
 *           nomic_string_free, nomic_users_free, nomic_error_free. Each takes NULL, and each thing only once.
 * Errors    are the returned code, and through the last argument, which may be NULL, a NomicError. It is set to NULL
 *           by a call that succeeds, and overwritten by one that fails: free the old one first.
 * Threads   may share a Nomic: all functions that take one may run at the same time, but for nomic_free. Everything
 *           else is used by one thread at a time, whichever that is.
 * Blocking  is what every function does that sends, and nothing cuts it short but the progress function of an upload:
 *           a call takes 10 minutes at the most, waiting for the rate limit and trying again included, an upload an
 *           hour, nomic_wait_parse as long as it is told. None of them unwinds.
 */

#ifndef NOMIC_H
#define NOMIC_H

#include <stdbool.h>
#include <stdint.h>

// How a call ended. A later version may know more of them.
typedef enum NomicCode {
  // Well.
  NOMIC_CODE_OK = 0,
  // An argument or a setting is wrong; nothing was sent.
  NOMIC_CODE_ARGUMENT = 1,
  // The document could not be read, or changed while it was sent; nothing was stored.
  NOMIC_CODE_DOCUMENT = 2,
  // The progress function said so; nothing was stored.
  NOMIC_CODE_CANCELLED = 3,
  // The key was not accepted.
  NOMIC_CODE_UNAUTHORIZED = 4,
  // The key lacks a scope, which the message names.
  NOMIC_CODE_FORBIDDEN = 5,
  // The thing does not exist, or is not visible to this key.
  NOMIC_CODE_NOT_FOUND = 6,
  // The rate limit stood in the way, or a user's spend limit.
  NOMIC_CODE_RATE_LIMITED = 7,
  // The service said no in another way: look at the status.
  NOMIC_CODE_API = 8,
  // Something answered, but not as the service does: a proxy, say, or a newer version of it.
  NOMIC_CODE_ANSWER = 9,
  // No answer: no connection, or one that broke.
  NOMIC_CODE_TRANSPORT = 10,
  // Time ran out. A task that was waited for goes on.
  NOMIC_CODE_TIMEOUT = 11,
  // The task failed on the server; waiting again is of no use.
  NOMIC_CODE_JOB_FAILED = 12,
  // A bug in this library, or in a progress function that is written in Rust.
  NOMIC_CODE_PANIC = 13,
} NomicCode;

// A client of one instance, with one key. Threads share it.
typedef struct Nomic Nomic;

// A list of users on its way, one page at a time. It outlives the client that it came from.
typedef struct NomicUsers NomicUsers;

// What went wrong. Free it with `nomic_error_free`. A later version may have more fields at the end.
typedef struct NomicError {
  // What the call returned too.
  enum NomicCode code;
  // The HTTP status of the answer; 0 if there was none.
  uint16_t status;
  // Whether the same call may succeed later as it is.
  bool transient;
  // Whether the service may have acted although the call failed: look before you repeat it.
  bool may_have_been_executed;
  // How long to wait before the next request, in milliseconds; -1 if that is not known.
  int64_t retry_after_ms;
  // One line that names the operation and the cause. It is freed with the error.
  const char *message;
} NomicError;

// Told how many bytes of the document were handed over so far, and of how many, on the thread that uploads. Returns 0
// to go on, anything else to cancel: nothing is stored then. It must return: an exception of C++ that leaves it ends
// the process.
typedef int (*NomicProgress)(uint64_t sent, uint64_t total, void *user_data);

// A user, as the list shows one. Its texts belong to the list. A later version may have more fields at the end.
typedef struct NomicUser {
  // The user's id.
  const char *id;
  // The address that the user signs in with.
  const char *email;
  // The name; NULL if there is none.
  const char *name;
  // All that the service said of the user, as JSON.
  const char *json;
  // Whether the user is shut out.
  bool disabled;
} NomicUser;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of this library, as `0.1.0`. It is never freed.
const char *nomic_version(void);

// Makes a client of the instance at `domain`, as `acme` or `https://acme.nomic.ai`; nothing is sent. Free it with
// `nomic_free`.
//
// # Safety
//
// `domain` and `key` are texts.
enum NomicCode nomic_new(const char *domain, const char *key, struct Nomic **nomic, struct NomicError **error);

// Makes a client as the environment says: `NOMIC_API_KEY`, and `NOMIC_DOMAIN` or `NOMIC_BASE_URL`; a proxy too. Free
// it with `nomic_free`.
enum NomicCode nomic_from_env(struct Nomic **nomic, struct NomicError **error);

// Frees a client that no thread uses any more.
void nomic_free(struct Nomic *nomic);

// Uploads the file at `path`, streamed. `progress` may be NULL; `user_data` is handed to it as it is. The results are
// what `nomic_parse` takes, and all that the service said of the file, as JSON; each may be NULL if it is not wanted,
// and is freed with `nomic_string_free`.
//
// # Safety
//
// `path` is a text. `progress` may be called with `user_data` until the function returns.
enum NomicCode nomic_upload(const struct Nomic *nomic,
                            const char *path,
                            NomicProgress progress,
                            void *user_data,
                            char **file_version_id,
                            char **file_json,
                            struct NomicError **error);

// Has a file version parsed. The result is the id of the task, to be waited for by this process or, stored, by
// another; free it with `nomic_string_free`.
//
// # Safety
//
// `file_version_id` is a text.
enum NomicCode nomic_parse(const struct Nomic *nomic,
                           const char *file_version_id,
                           char **task_id,
                           struct NomicError **error);

// Waits until a task has ended, `timeout_ms` and at most 5 seconds for a last answer: 0 asks once, a negative number
// waits for half an hour. After NOMIC_CODE_TIMEOUT the task goes on, and can be waited for again. The results are the
// text, and chunks and blocks as JSON; each may be NULL if it is not wanted, and is freed with `nomic_string_free`.
//
// The JSON is an object: `{"chunks": [{"content": "…", "embed": null, "blocks": [{"type": "Table", "content": "…",
// "bbox": {"page": 1, "left": 0.1, "top": 0.05, "width": 0.8, "height": 0.1}}]}], "blocks": []}`. Chunks come in reading
// order; pages count from 1, and edges are fractions of the page from its upper left corner; `embed`, `type`, `bbox`
// and `page` may be null; `blocks` beside the chunks is empty where they hold the blocks. Whatever else the service said
// stands beside these fields.
//
// # Safety
//
// `task_id` is a text.
enum NomicCode nomic_wait_parse(const struct Nomic *nomic,
                                const char *task_id,
                                int64_t timeout_ms,
                                char **document_text,
                                char **document_json,
                                struct NomicError **error);

// Lists the users whose address holds `email`, or all of them if it is NULL; nothing is sent before the first is asked
// for. Free the list with `nomic_users_free`.
//
// # Safety
//
// `email` is a text or NULL.
enum NomicCode nomic_users(const struct Nomic *nomic,
                           const char *email,
                           struct NomicUsers **users,
                           struct NomicError **error);

// Gives the next user, or NULL (and NOMIC_CODE_OK) at the end and from then on. The user belongs to the list, and is
// there until the next call with it. After an error the list is at its end.
enum NomicCode nomic_users_next(struct NomicUsers *users, const struct NomicUser **user, struct NomicError **error);

// Frees a list of users, at its end or before.
void nomic_users_free(struct NomicUsers *users);

// Calls any operation of the API, through the same key, pace and errors: `method` in upper case, as `POST`; `path` below
// the base URL, as `/agents`; `query` a JSON object, as `{"limit": 5}`; `body` any JSON. What is not plain in the path is
// encoded, `?` and `%` too: a query goes into its own argument, and nothing is encoded beforehand. The answer is JSON,
// `null` if the service sent nothing; free it with `nomic_string_free`. Query, body and answer may be NULL.
//
// # Safety
//
// `method` and `path` are texts, `query` and `body` are texts or NULL.
enum NomicCode nomic_call(const struct Nomic *nomic,
                          const char *method,
                          const char *path,
                          const char *query,
                          const char *body,
                          char **answer,
                          struct NomicError **error);

// Frees a text that a function of this library gave out.
//
// # Safety
//
// `text` came from this library and was not freed, or is NULL.
void nomic_string_free(char *text);

// Frees an error with its message.
void nomic_error_free(struct NomicError *error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* NOMIC_H */
