"""`git mlver` out of a process that has imported it already, forked for each command.

The tests start thousands of our commands, and most of what each costs is Python's start and our
imports. A fork spares those and nothing else: it is a process of its own, with its own folder,
environment, files and exit. What git starts (hooks, drivers) is always started by git; of its
filter see warm_filter.

This file is also that process: it imports nothing of the tests, and runs nothing before a fork.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

Answer = tuple[int, bytes, bytes]
"""Exit code as subprocess gives it, standard output, standard error."""

_AT_START = ("LANG", "LC_", "PYTHON")
"""What Python reads when it starts, and a fork would not."""
_LARGEST = 1 << 18
_TIMEOUT = 120
forked: list[int] = []
"""The process ids of the commands so far."""
_LAZY = ("concurrent.futures.thread", "pyfastcdc", "shutil", "tomllib", "zstandard")
"""What ours imports within functions."""


def not_here() -> bool:
    """Whether commands are always started anew."""
    return sys.platform != "linux" or bool(os.environ.get("MLVER_TEST_COLD"))


def can_run(
    args: Sequence[str], given: Mapping[str, str], env: Mapping[str, str], launcher: str
) -> bool:
    """Whether this is a command of ours that may as well be forked.

    It is started where a fork would not be the same: with variables `given` that Python reads at
    its start, where another git-mlver than this `launcher` stands first on PATH, for the man page
    that git shows, and from a thread, which is to run beside others. MLVER_TEST_COLD=1: always.
    """
    if args[0] != "git-mlver" and (args[0] != "git" or [*args[1:2]] != ["mlver"]):
        return False
    if not_here() or threading.current_thread() is not threading.main_thread():
        return False
    if any(name == "PATH" or name.startswith(_AT_START) for name in given):
        return False
    program = Path(env["PATH"].partition(os.pathsep)[0], "git-mlver")
    usual = program.exists() and program.read_text() == launcher
    return usual and "--help" not in args[1:3]


def run(args: Sequence[str], cwd: Path, env: Mapping[str, str], input: bytes) -> Answer:
    """Run a command that `can_run`. Raises TimeoutError, when it has been killed."""
    words, path = args[1:], env["PATH"]
    if args[0] == "git":
        words, path = args[2:], f"{_exec_path()}{os.pathsep}{path}"
    request = json.dumps([list(words), str(cwd), {**env, "PATH": path}]).encode()
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile(dir=in_memory())) for _ in range(3)]
        files[0].write(input)
        for file in files:
            file.seek(0)
        for file in files[1:]:  # as warm_filter has it
            fcntl.fcntl(file, fcntl.F_SETFL, fcntl.fcntl(file, fcntl.F_GETFL) | os.O_APPEND)
        code = _asked(request, [file.fileno() for file in files])
        files[1].seek(0)
        files[2].seek(0)
        return code, files[1].read(), files[2].read()


def _asked(request: bytes, fds: Sequence[int]) -> int:
    server = _server()
    server.settimeout(_TIMEOUT)
    socket.send_fds(server, [request], list(fds))
    pid = int(_answer(server))
    forked.append(pid)
    try:
        return int(_answer(server))
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        _answer(server)
        raise


def _answer(server: socket.socket) -> bytes:
    data = server.recv(64)
    if not data:
        raise RuntimeError("the process that our commands are forked from has ended")
    return data


@functools.cache
def _exec_path() -> str:
    """The folder that git puts first on PATH before it starts a command of ours."""
    done = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@functools.cache
def in_memory() -> str | None:
    """In memory where that can be had."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@functools.cache
def _server() -> socket.socket:
    """A socket to the process to fork from; it ends when this one does. For its children Python is
    what `warm_filter` says, so that this stands in the settings that they write."""
    from tests.support import warm_filter

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-E", __file__, str(theirs.fileno()), warm_filter.python()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env={**os.environ, "LC_ALL": "C.UTF-8"},  # as in every sandbox
        )
    atexit.register(_end, ours, process)
    return ours


def _end(server: socket.socket, process: subprocess.Popen[bytes]) -> None:
    server.close()
    process.wait()  # so that its time is known to who started the tests


def _serve(control: socket.socket) -> None:
    """Fork for each request. A child returns from here when it is to run its command."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the tests' own process answers it
    while True:
        request, fds, _, _ = socket.recv_fds(control, _LARGEST, 3)
        if not request:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            control.close()
            _become(json.loads(request), fds)
            return
        for fd in fds:
            os.close(fd)
        control.send(b"%d" % pid)
        _, status = os.waitpid(pid, 0)
        control.send(b"%d" % os.waitstatus_to_exitcode(status))


def _become(request: tuple[list[str], str, dict[str, str]], fds: Sequence[int]) -> None:
    args, cwd, env = request
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["git-mlver", *args]


def import_all() -> None:
    """Import whatever ours may need."""
    import mlver

    for name in _LAZY:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(mlver.__path__, "mlver."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


if __name__ == "__main__":
    import_all()
    gc.freeze()
    python = sys.argv[2]
    _serve(socket.socket(fileno=int(sys.argv[1])))
    sys.executable = python
    from mlver.cli.main import main

    main()
