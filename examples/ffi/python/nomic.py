"""The client from Python, by ctypes and the standard library alone. `python3 nomic.py FILE` does the main job.

    with nomic.Nomic.from_env() as client:
        version = client.upload("permit.pdf", progress=lambda sent, total: print(sent, total))
        task = client.parse(version)
        print(client.wait_parse(task))
        for user in client.users():
            print(user["email"])

A client may be shared between threads: ctypes lets other threads of Python run while a call is on its way. Ctrl-C is
heeded in a wait and, if it has a `progress`, in an upload; every other call ends first.
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
_BUILT = pathlib.Path(__file__).resolve().parent.parent / "target" / "release" / _NAME
_path = os.environ.get("NOMIC_LIBRARY") or str(_BUILT)
try:
    _library = ctypes.CDLL(_path)
except OSError as error:
    _words = f"the library of nomic cannot be loaded ({error}): `cargo build --release` in {_BUILT.parents[2]} makes it; \
if it lies elsewhere, say where in NOMIC_LIBRARY"
    if __name__ == "__main__":
        sys.exit(_words)
    raise ImportError(_words) from None


class Code(enum.IntEnum):
    """How a call ended: `NomicCode` of nomic.h."""

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

# Every function that can fail: its arguments but for the last, which is the place for the error.
_TEXT, _RESULT = c_char_p, POINTER(c_char_p)
for _name, _arguments in {
    "nomic_new": [_TEXT, _TEXT, POINTER(c_void_p)],
    "nomic_from_env": [POINTER(c_void_p)],
    "nomic_upload": [c_void_p, _TEXT, _Progress, c_void_p, _RESULT, _RESULT],
    "nomic_parse": [c_void_p, _TEXT, _RESULT],
    "nomic_wait_parse": [c_void_p, _TEXT, c_int64, _RESULT, _RESULT],
    "nomic_users": [c_void_p, _TEXT, POINTER(c_void_p)],
    "nomic_users_next": [c_void_p, POINTER(POINTER(_User))],
    "nomic_call": [c_void_p, _TEXT, _TEXT, _TEXT, _TEXT, _RESULT],
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
    """What went wrong, in one line, with what a program asks next."""

    def __init__(self, error):
        super().__init__(error.message.decode())
        known = error.code in Code.__members__.values()
        self.code = Code(error.code) if known else error.code
        self.status = error.status or None
        self.transient = error.transient
        self.may_have_been_executed = error.may_have_been_executed
        self.retry_after = None if error.retry_after_ms < 0 else error.retry_after_ms / 1000


def _call(name, *arguments):
    """Calls a function that can fail; its error becomes an exception, and is freed."""
    error = POINTER(_Error)()
    if getattr(_library, name)(*arguments, byref(error)) != Code.OK:
        try:
            raise NomicError(error.contents)
        finally:
            _library.nomic_error_free(error)


def _text(value):
    """A text for the library. A NUL in it would cut it short there."""
    if value is not None and "\0" in value:
        raise ValueError("the text holds a NUL")
    return None if value is None else value.encode()


def _take(result):
    """A text from the library, copied and freed."""
    try:
        return result.value.decode()
    finally:
        _library.nomic_string_free(result)


class _Client:
    """The library's client, freed when nobody holds it any more: neither a `Nomic` nor a wait that was left."""

    def __init__(self):
        self._as_parameter_ = c_void_p()

    def __del__(self, free=_library.nomic_free):
        free(self._as_parameter_)


def version():
    """The version of the library."""
    return _library.nomic_version().decode()


class Nomic:
    """A client of one instance, with one key."""

    def __init__(self, domain, key):
        self._client = _Client()
        _call("nomic_new", _text(domain), _text(key), byref(self._client._as_parameter_))

    @classmethod
    def from_env(cls):
        """As `NOMIC_API_KEY`, and `NOMIC_DOMAIN` or `NOMIC_BASE_URL`, say."""
        client = cls.__new__(cls)
        client._client = _Client()
        _call("nomic_from_env", byref(client._client._as_parameter_))
        return client

    def close(self):
        """Frees the client, after the last call that is under way. What is called later is refused."""
        self._client = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def upload(self, path, progress=None):
        """Uploads a file; gives its version's id. What `progress(sent, total)` raises cancels it and comes out."""
        raised = []

        def told(sent, total, _):
            try:
                progress(sent, total)
            except BaseException as error:  # Nothing may be thrown through the library.
                raised.append(error)
            return len(raised)

        callback = _Progress(told) if progress else _Progress()
        result = c_char_p()
        try:
            _call("nomic_upload", self._client, _text(os.fspath(path)), callback, None, byref(result), None)
        except NomicError as error:
            raise raised[0] if error.code == Code.CANCELLED else error
        return _take(result)

    def parse(self, version_id):
        """Has a file version parsed; gives the task's id, which may be stored."""
        result = c_char_p()
        _call("nomic_parse", self._client, _text(version_id), byref(result))
        return _take(result)

    def wait_parse(self, task_id, timeout=None):
        """Waits for a task, `timeout` seconds at the most, or half an hour without; gives the text. With 0 or less it
        asks once. Ctrl-C ends the wait but not the task, which can be waited for again."""
        client, task_id = self._client, _text(task_id)
        timeout_ms = -1 if timeout is None else min(max(int(timeout * 1000), 0), 2**63 - 1)
        outcome = []

        def wait():
            try:
                result = c_char_p()
                _call("nomic_wait_parse", client, task_id, timeout_ms, byref(result), None)
                outcome.append((_take(result), None))
            except BaseException as error:  # It is raised where it is waited for.
                outcome.append((None, error))

        # Python heeds no signal while it is in the library: so another thread is, and this one looks up now and then. One
        # call does all the asking, since only that keeps its rhythm and gives a large result the time that it takes.
        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(0.2)
        text, error = outcome.pop()
        if error is not None:
            raise error
        return text

    def users(self, email=None):
        """The users whose address holds `email`, one after the other, as dictionaries."""
        users, user = c_void_p(), POINTER(_User)()
        _call("nomic_users", self._client, _text(email), byref(users))
        try:
            while True:
                _call("nomic_users_next", users, byref(user))
                if not user:
                    return
                yield json.loads(user.contents.json)
        finally:
            _library.nomic_users_free(users)

    def call(self, method, path, query=None, body=None):
        """Calls any operation of the API; gives what it answers."""
        query, body = (None if value is None else json.dumps(value) for value in (query, body))
        result = c_char_p()
        _call("nomic_call", self._client, _text(method), _text(path), _text(query), _text(body), byref(result))
        return json.loads(_take(result))


def main():
    """The main job."""
    if len(sys.argv) != 2:
        print("usage: python3 nomic.py FILE (parses a document, and lists the users)", file=sys.stderr)
        sys.exit(2)
    print("nomic", version())
    with Nomic.from_env() as client:
        version_id = client.upload(sys.argv[1], lambda sent, total: print(f"{sent} of {total} bytes", file=sys.stderr))
        task_id = client.parse(version_id)
        # Whoever presses Ctrl-C now can wait for it later.
        print("task", task_id, file=sys.stderr)
        print(client.wait_parse(task_id))
        for user in client.users():
            print("user", user["email"])
    with Nomic(os.environ.get("NOMIC_BASE_URL") or os.environ["NOMIC_DOMAIN"], "npk_wrong") as stranger:
        try:
            stranger.call("GET", "/users", {"limit": 1})
        except NomicError as error:
            print(f"{error.code.name}, status {error.status}: {error}")


if __name__ == "__main__":
    try:
        main()
    except NomicError as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit(130)
