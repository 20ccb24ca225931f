"""git's filter out of a process that has imported ours already.

The filter is nine tenths of what git starts of ours in the tests, and its start is half of what
they cost. So git's settings in a sandbox name a launcher in place of Python: a shell script that
asks a process that is warm for a fork with its own files, folder, environment and limits, waits,
and exits as that one did. Whatever else it is asked for, and whatever a fork would do otherwise (a
tracer above, another locale, MLVER_TEST_COLD=1), it starts with the real Python.

That process runs nothing of ours before a fork.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import os
import resource
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import warm

_LAUNCHER = """\
#!/bin/sh
# python -P -E MAIN filter-process: as a fork of what listens at `ask`; all else by Python itself.
if [ "$4" = filter-process ] && [ -z "$MLVER_TEST_COLD$LD_PRELOAD" ] && [ "$LC_ALL" = C.UTF-8 ] &&
	mkfifo "{folder}/$$" 2>/dev/null; then
	(echo "$$" 1<>"{folder}/ask") # by another shell: this one's files are about to be taken over
	read -r code <"{folder}/$$"
	rm -f "{folder}/$$"
	[ "$code" = cold ] || exit "$code"
fi
exec {python} "$@"
"""
_SERVE = """\
import sys
sys.path.insert(0, sys.argv[1])
from tests.support import warm_filter
del sys.path[0]
warm_filter.serve(sys.argv[2])
"""


@functools.cache
def python() -> str:
    """What stands for Python in the settings of a sandbox's git."""
    if warm.not_here():
        return sys.executable
    folder = Path(tempfile.mkdtemp(prefix="warm-", dir=warm.in_memory()))
    os.mkfifo(folder / "ask")
    launcher = folder / "python3"
    launcher.write_text(_LAUNCHER.format(folder=folder, python=shlex.quote(sys.executable)))
    launcher.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-P", "-E", "-c", _SERVE, str(Path(__file__).parents[2]), str(folder)],
        stdin=subprocess.PIPE,  # when it closes, we have ended
        stdout=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    atexit.register(_end, process, folder)
    return str(launcher)


def _end(process: subprocess.Popen[bytes], folder: Path) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


# -- the process ---------------------------------------------------------------------------------


def _serve(folder: str) -> None:
    """Fork for whoever asks. A child returns from here when it is to run its command."""
    asked = os.open(f"{folder}/ask", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    ended, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    children: dict[int, str] = {}
    while True:
        ready, _, _ = select.select([0, asked, ended], [], [])
        if 0 in ready and not os.read(0, 1):
            os._exit(0)
        if ended in ready:
            os.read(ended, 1 << 16)
            _reap(children)
        if asked in ready:
            for pid in os.read(asked, 1 << 16).split():
                reply = f"{folder}/{int(pid)}"
                if not _may_be_forked(int(pid)):
                    _answer(reply, "cold")
                    continue
                child = os.fork()
                if child == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    signal.signal(signal.SIGINT, signal.default_int_handler)
                    _become(int(pid))
                    return
                children[child] = reply


def _reap(children: dict[int, str]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        code = os.waitstatus_to_exitcode(status)
        _answer(children.pop(pid), str(code if code >= 0 else 128 - code))


def _answer(reply: str, text: str) -> None:
    """Tell the launcher that waits there, or will: what is written is kept as long as somebody has
    the pipe open, so it stays open until the launcher has removed it."""
    with contextlib.suppress(OSError):
        fd = os.open(reply, os.O_RDWR | os.O_CLOEXEC)
        os.write(fd, f"{text}\n".encode())
        _told.append((fd, reply))
    for item in [item for item in _told if not os.path.exists(item[1])]:
        _told.remove(item)
        os.close(item[0])


_told: list[tuple[int, str]] = []


def _may_be_forked(pid: int) -> bool:
    """False beneath a tracer, who would not see the fork."""
    with contextlib.suppress(OSError):
        return "\nTracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_text()
    return False


def _become(pid: int) -> None:
    """Take over what the launcher `pid` was given by git."""
    there = f"/proc/{pid}"
    for number, flags in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        # Of a file it is another description: only where all append does none write over another.
        fd = os.open(f"{there}/fd/{number}", flags | os.O_APPEND)
        os.dup2(fd, number)
        os.close(fd)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(f"{there}/cwd")
    with open(f"{there}/environ", "rb") as file:
        pairs = (item.partition(b"=") for item in file.read().split(b"\0") if item)
        env = {name: value for name, _, value in pairs}
    os.environ.clear()
    os.environb.update(env)
    with open(f"{there}/cmdline", "rb") as file:
        words = file.read().split(b"\0")[:-1]
    sys.argv = ["git-mlver", *map(os.fsdecode, words[words.index(b"filter-process") :])]
    for name in ("AS", "CORE", "CPU", "DATA", "FSIZE", "NOFILE", "STACK"):
        limit = getattr(resource, f"RLIMIT_{name}")
        resource.setrlimit(limit, resource.prlimit(pid, limit))
    status = Path(f"{there}/status").read_text()
    os.umask(int(status.partition("\nUmask:\t")[2].split("\n")[0], 8))


def serve(folder: str) -> None:
    """All of the process's life; a child's ends with the filter's exit code."""
    warm.import_all()
    gc.freeze()
    _serve(folder)
    sys.executable = f"{folder}/python3"
    from mlver.cli.main import main

    main()
