/* Uploads a document with progress, parses it, lists the users, and handles errors. See ../README.md. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "nomic.h"

/* Prints the progress of the upload. `user_data` points to the size limit; a larger document is cancelled. */
static int show_progress(uint64_t sent, uint64_t total, void *user_data)
{
    const uint64_t *limit = user_data;
    fprintf(stderr, "%" PRIu64 " of %" PRIu64 " bytes\n", sent, total);
    return total > *limit;
}

/* Prints an error and frees it. */
static void report(NomicError *error)
{
    fprintf(stderr, "error %d, status %u: %s\n", (int)error->code, (unsigned)error->status, error->message);
    if (error->retry_after_ms >= 0) {
        fprintf(stderr, "try again in %" PRId64 " ms\n", error->retry_after_ms);
    }
    if (error->may_have_been_executed) {
        fprintf(stderr, "it may have been executed; check before you repeat it\n");
    }
    nomic_error_free(error);
}

/* Provokes an error: the service does not know this key. */
static NomicCode try_a_wrong_key(const char *domain)
{
    Nomic *nomic = NULL;
    NomicError *error = NULL;
    NomicCode code = nomic_new(domain, "npk_wrong", &nomic, &error);
    if (code == NOMIC_CODE_OK) {
        code = nomic_call(nomic, "GET", "/users", "{\"limit\": 1}", NULL, NULL, &error);
    }
    if (code != NOMIC_CODE_OK) {
        report(error);
    }
    nomic_free(nomic);
    return code;
}

int main(int argc, char **argv)
{
    uint64_t limit = argc > 2 ? strtoull(argv[2], NULL, 10) : UINT64_MAX;
    Nomic *nomic = NULL;
    char *version = NULL, *task = NULL, *text = NULL;
    NomicUsers *users = NULL;
    const NomicUser *user = NULL;
    NomicError *error = NULL;
    int status = EXIT_FAILURE;

    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE [LIMIT]\n", argv[0]);
        return EXIT_FAILURE;
    }
    printf("nomic %s\n", nomic_version());

    if (nomic_from_env(&nomic, &error) != NOMIC_CODE_OK) goto end;
    if (nomic_upload(nomic, argv[1], show_progress, &limit, &version, NULL, &error) != NOMIC_CODE_OK) goto end;
    printf("version %s\n", version);

    if (nomic_parse(nomic, version, &task, &error) != NOMIC_CODE_OK) goto end;
    printf("task %s\n", task); /* If it is stored, another process can wait for the task. */
    if (nomic_wait_parse(nomic, task, -1, &text, NULL, &error) != NOMIC_CODE_OK) goto end;
    printf("%s\n", text);

    if (nomic_users(nomic, NULL, &users, &error) != NOMIC_CODE_OK) goto end;
    for (;;) {
        if (nomic_users_next(users, &user, &error) != NOMIC_CODE_OK) goto end;
        if (user == NULL) break;
        printf("user %s, %s\n", user->email, user->name != NULL ? user->name : "no name");
    }

    const char *domain = getenv("NOMIC_BASE_URL") != NULL ? getenv("NOMIC_BASE_URL") : getenv("NOMIC_DOMAIN");
    if (try_a_wrong_key(domain) == NOMIC_CODE_UNAUTHORIZED) {
        status = EXIT_SUCCESS;
    }

end:
    if (error != NULL) {
        report(error);
    }
    nomic_users_free(users);
    nomic_string_free(text);
    nomic_string_free(task);
    nomic_string_free(version);
    nomic_free(nomic);
    return status;
}
