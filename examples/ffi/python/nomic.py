"""A Python binding of nomic-client, based on ctypes. `python3 nomic.py FILE` parses a document and lists the users.

    with nomic.Nomic.from_env() as client:
        version = client.upload("permit.pdf", progress=lambda sent, total: print(sent, total))
        task = client.parse(version)
        print(client.wait_parse(task))
        for user in client.users():
            print(user["email"])

Threads can share a client: ctypes releases the GIL during a call. Ctrl-C interrupts a wait, and an upload that has a
`progress` callback. Any other call completes first.

A forked process (`multiprocessing` with the start method `fork`) can use the client of its parent: it makes its own
connections. Fork only while no other thread uses a client, an interrupted wait included.
"""

import ctypes
import enum
import json
import os
import pathlib
import sys
import threading
from ctypes import POINTER, byref, c_bool, c_char_p, c_int, c_int64, c_uint16, c_uint64, c_void_p

_NAME = {"darwin": "libnomic.dylib", "win32": "nomic.dll"}.get(sys.platform, "libnomic.so")
_DEFAULT = pathlib.Path(__file__).resolve().parent.parent / "target" / "release" / _NAME
_path = os.environ.get("NOMIC_LIBRARY") or str(_DEFAULT)
try:
    _library = ctypes.CDLL(_path)
except OSError as error:
    _message = f"cannot load the nomic library ({error}): run `cargo build --release` in {_DEFAULT.parents[2]}, \
or set NOMIC_LIBRARY to its path"
    if __name__ == "__main__":
        sys.exit(_message)
    raise ImportError(_message) from None


class Code(enum.IntEnum):
    """The result of a call: `NomicCode` in nomic.h."""

    OK = 0
    ARGUMENT = 1
    DOCUMENT = 2
    CANCELLED = 3
    UNAUTHORIZED = 4
    FORBIDDEN = 5
    NOT_FOUND = 6
    RATE_LIMITED = 7
    API = 8
    ANSWER = 9
    TRANSPORT = 10
    TIMEOUT = 11
    JOB_FAILED = 12
    PANIC = 13


class _Error(ctypes.Structure):
    _fields_ = [
        ("code", c_int),
        ("status", c_uint16),
        ("transient", c_bool),
        ("may_have_been_executed", c_bool),
        ("retry_after_ms", c_int64),
        ("message", c_char_p),
    ]


class _User(ctypes.Structure):
    _fields_ = [
        ("id", c_char_p),
        ("email", c_char_p),
        ("name", c_char_p),
        ("json", c_char_p),
        ("disabled", c_bool),
    ]


_Progress = ctypes.CFUNCTYPE(c_int, c_uint64, c_uint64, c_void_p)

# The functions that can fail, with their arguments except the last, which receives the error.
_STRING, _STRING_OUT = c_char_p, POINTER(c_char_p)
for _name, _arguments in {
    "nomic_new": [_STRING, _STRING, POINTER(c_void_p)],
    "nomic_from_env": [POINTER(c_void_p)],
    "nomic_upload": [c_void_p, _STRING, _Progress, c_void_p, _STRING_OUT, _STRING_OUT],
    "nomic_parse": [c_void_p, _STRING, _STRING_OUT],
    "nomic_wait_parse": [c_void_p, _STRING, c_int64, _STRING_OUT, _STRING_OUT],
    "nomic_users": [c_void_p, _STRING, POINTER(c_void_p)],
    "nomic_users_next": [c_void_p, POINTER(POINTER(_User))],
    "nomic_call": [c_void_p, _STRING, _STRING, _STRING, _STRING, _STRING_OUT],
}.items():
    _function = getattr(_library, _name)
    _function.argtypes = [*_arguments, POINTER(POINTER(_Error))]
    _function.restype = c_int
for _name, _argument in {
    "nomic_free": c_void_p,
    "nomic_users_free": c_void_p,
    "nomic_string_free": c_char_p,
    "nomic_error_free": POINTER(_Error),
}.items():
    getattr(_library, _name).argtypes = [_argument]
    getattr(_library, _name).restype = None
_library.nomic_version.restype = c_char_p


class NomicError(Exception):
    """An error of the library: a message of one line, a code, and whether to retry."""

    def __init__(self, error):
        super().__init__(error.message.decode())
        is_known = error.code in Code.__members__.values()
        self.code = Code(error.code) if is_known else error.code
        self.status = error.status or None
        self.transient = error.transient
        self.may_have_been_executed = error.may_have_been_executed
        self.retry_after = None if error.retry_after_ms < 0 else error.retry_after_ms / 1000


def _call(name, *arguments):
    """Calls a function that can fail. Raises its error as an exception and frees it."""
    error = POINTER(_Error)()
    if getattr(_library, name)(*arguments, byref(error)) != Code.OK:
        try:
            raise NomicError(error.contents)
        finally:
            _library.nomic_error_free(error)


def _encode(value):
    """Encodes a string for the library. A NUL would truncate it."""
    if value is not None and "\0" in value:
        raise ValueError("the string contains a NUL")
    return None if value is None else value.encode()


def _decode(result):
    """Copies a string from the library and frees it."""
    try:
        return result.value.decode()
    finally:
        _library.nomic_string_free(result)


class _Client:
    """The library's client, freed with its last reference: a `Nomic`, or the thread of an interrupted wait."""

    def __init__(self):
        self._as_parameter_ = c_void_p()

    def __del__(self, free=_library.nomic_free):
        free(self._as_parameter_)


def version():
    """The version of the library."""
    return _library.nomic_version().decode()


class Nomic:
    """A client for one instance, with one API key."""

    def __init__(self, domain, key):
        self._client = _Client()
        _call("nomic_new", _encode(domain), _encode(key), byref(self._client._as_parameter_))

    @classmethod
    def from_env(cls):
        """Creates a client from `NOMIC_API_KEY`, and `NOMIC_DOMAIN` or `NOMIC_BASE_URL`."""
        client = cls.__new__(cls)
        client._client = _Client()
        _call("nomic_from_env", byref(client._client._as_parameter_))
        return client

    def close(self):
        """Frees the client after the calls in progress. Later calls raise an error."""
        self._client = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def upload(self, path, progress=None):
        """Uploads a file and returns the ID of its version. An exception in `progress(sent, total)` cancels the upload
        and is raised."""
        raised = []

        def on_progress(sent, total, _):
            try:
                progress(sent, total)
            except BaseException as error:  # No exception may unwind through the library.
                raised.append(error)
            return len(raised)

        callback = _Progress(on_progress) if progress else _Progress()
        result = c_char_p()
        try:
            _call("nomic_upload", self._client, _encode(os.fspath(path)), callback, None, byref(result), None)
        except NomicError as error:
            raise raised[0] if error.code == Code.CANCELLED else error
        return _decode(result)

    def parse(self, version_id):
        """Submits a file version to be parsed. Returns the task's ID, which can be stored."""
        result = c_char_p()
        _call("nomic_parse", self._client, _encode(version_id), byref(result))
        return _decode(result)

    def wait_parse(self, task_id, timeout=None):
        """Waits for a task and returns its text. `timeout` is in seconds and defaults to half an hour; 0 or less polls
        once. Ctrl-C interrupts the wait but not the task, which can be waited for again."""
        client, task_id = self._client, _encode(task_id)
        timeout_ms = -1 if timeout is None else min(max(int(timeout * 1000), 0), 2**63 - 1)
        outcome = []

        def wait():
            try:
                result = c_char_p()
                _call("nomic_wait_parse", client, task_id, timeout_ms, byref(result), None)
                outcome.append((_decode(result), None))
            except BaseException as error:  # Raised in the calling thread.
                outcome.append((None, error))

        # Python handles no signals during a call of the library, so the call runs in another thread. A single call, rather
        # than many short ones, keeps the polling interval and leaves time for a large result.
        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(0.2)
        text, error = outcome.pop()
        if error is not None:
            raise error
        return text

    def users(self, email=None):
        """Yields the users whose e-mail address contains `email`, as dictionaries."""
        users, user = c_void_p(), POINTER(_User)()
        _call("nomic_users", self._client, _encode(email), byref(users))
        try:
            while True:
                _call("nomic_users_next", users, byref(user))
                if not user:
                    return
                yield json.loads(user.contents.json)
        finally:
            _library.nomic_users_free(users)

    def call(self, method, path, query=None, body=None):
        """Calls any operation of the API and returns its response."""
        query, body = (None if value is None else json.dumps(value) for value in (query, body))
        result = c_char_p()
        _call("nomic_call", self._client, _encode(method), _encode(path), _encode(query), _encode(body), byref(result))
        return json.loads(_decode(result))


def main():
    """Parses a document, lists the users, and provokes an error."""
    if len(sys.argv) != 2:
        print("usage: python3 nomic.py FILE (parses a document, and lists the users)", file=sys.stderr)
        sys.exit(2)
    print("nomic", version())
    with Nomic.from_env() as client:
        version_id = client.upload(sys.argv[1], lambda sent, total: print(f"{sent} of {total} bytes", file=sys.stderr))
        task_id = client.parse(version_id)
        # After Ctrl-C, the task can be waited for again.
        print("task", task_id, file=sys.stderr)
        print(client.wait_parse(task_id))
        for user in client.users():
            print("user", user["email"])
    with Nomic(os.environ.get("NOMIC_BASE_URL") or os.environ["NOMIC_DOMAIN"], "npk_wrong") as unauthorized:
        try:
            unauthorized.call("GET", "/users", {"limit": 1})
        except NomicError as error:
            print(f"{error.code.name}, status {error.status}: {error}")


if __name__ == "__main__":
    try:
        main()
    except NomicError as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit(130)
