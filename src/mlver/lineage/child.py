"""The command itself: started, signalled, waited for; its exit code is its own.

On a terminal the command stays in our process group, so that Ctrl-C, Ctrl-Z and reading work as
they do without us. Elsewhere it gets a group of its own, and a signal that we are sent goes to the
whole of it: a shell that is ended alone leaves its program at work. Imports nothing of mlver.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

NOT_FOUND, NOT_EXECUTABLE = 127, 126
_KERNEL = 0x80  # si_code of a signal that the terminal sent, to all of its group
_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCONT", "SIGWINCH")


class Ended(NamedTuple):
    """How a command ended: its exit code, 128 + signal where a signal ended it (then `signal`)."""

    exit_code: int
    signal: int = 0


class CannotStart(Exception):
    """The command could not be started; `exit_code` is what a shell would give."""

    def __init__(self, program: str, error: OSError) -> None:
        missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
        self.exit_code = NOT_FOUND if missing else NOT_EXECUTABLE
        what = "command not found" if missing else os.strerror(error.errno or errno.EACCES)
        super().__init__(f"{program}: {what}")


class Signals:
    """Signals that are the command's: blocked from `block` on, in every thread that is started
    later, so that `next` gives them to the main thread one by one."""

    def __init__(self) -> None:
        self.forwarded = {getattr(signal, name) for name in _FORWARDED if hasattr(signal, name)}
        self.before: set[signal.Signals | int] = set()
        self._is_blocked = False

    def block(self) -> None:
        """Before any thread is started."""
        if sys.platform != "win32" and not self._is_blocked:
            waited = self.forwarded | {signal.SIGCHLD}
            self.before = set(signal.pthread_sigmask(signal.SIG_BLOCK, waited))
            self._is_blocked = True

    def unblock(self) -> None:
        """Take them ourselves again: the command has ended."""
        if sys.platform != "win32" and self._is_blocked:
            signal.pthread_sigmask(signal.SIG_SETMASK, self.before)
            self._is_blocked = False

    def next(self) -> tuple[int, bool]:
        """(signal, whether the terminal sent it, to its whole group)."""
        waited = self.forwarded | {signal.SIGCHLD}
        if hasattr(signal, "sigwaitinfo"):
            info = signal.sigwaitinfo(waited)
            return info.si_signo, info.si_code == _KERNEL
        number = signal.sigwait(waited)  # macOS tells no more; Ctrl-C is what is sent most
        return number, number in (signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH)


class Child:
    """One command, with `signals` blocked."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        signals: Signals,
        stdout: int = 1,
        stderr: int = 2,
    ) -> None:
        """Start it. Raises CannotStart."""
        self._signals = signals
        self._is_ours = _on_terminal()
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None
        try:
            if sys.platform == "win32":
                self._process = subprocess.Popen(argv, env=env, stdout=stdout, stderr=stderr)
                self.pid = self._process.pid
            else:
                self.pid = self._spawn(list(argv), env, stdout, stderr)
        except OSError as error:
            raise CannotStart(argv[0], error) from error

    def _spawn(self, argv: list[str], env: Mapping[str, str], stdout: int, stderr: int) -> int:
        actions = [
            (os.POSIX_SPAWN_DUP2, source, target)
            for source, target in ((stdout, 1), (stderr, 2))
            if source != target
        ]
        options: dict[str, Any] = {
            "file_actions": actions,
            "setsigmask": self._signals.before,
            # Python ignores these; the command is to find them as we did.
            "setsigdef": [signal.SIGPIPE, signal.SIGXFSZ],
        }
        if not self._is_ours:
            options["setpgroup"] = 0
        program = found_program(argv[0], env)
        try:
            return os.posix_spawn(program, argv, env, **options)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
        return os.posix_spawn("/bin/sh", ["sh", program, *argv[1:]], env, **options)

    def wait(self, resized: Callable[[], None] = lambda: None) -> Ended:
        """Until it ends, passing on the signals that we are sent. `resized`: called when our
        terminal has another size."""
        if self._process is not None:
            return self._wait_windows(self._process)
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return _ended(status)
            number, from_terminal = self._signals.next()
            if number == getattr(signal, "SIGWINCH", None):
                resized()
            self._forward(number, from_terminal)

    def _wait_windows(self, process: subprocess.Popen[bytes]) -> Ended:
        while True:
            try:
                return Ended(process.wait())
            except KeyboardInterrupt:
                continue  # the console has told the command too

    def _forward(self, number: int, from_terminal: bool) -> None:
        if number == signal.SIGCHLD or (from_terminal and self._is_ours):
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._is_ours:
                os.kill(self.pid, number)
            else:
                os.killpg(self.pid, number)


def found_program(name: str, env: Mapping[str, str]) -> str:
    """The file that a command's first word means, as execvp finds it. Raises OSError."""
    if "/" in name:
        return _executable(name)
    refused: OSError | None = None
    for folder in env.get("PATH", os.defpath).split(os.pathsep):
        try:
            return _executable(os.path.join(folder or ".", name))
        except PermissionError as error:
            refused = refused or error
        except OSError:
            continue
    raise refused or FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def _executable(path: str) -> str:
    os.stat(path)
    if os.path.isdir(path) or not os.access(path, os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return path


def _on_terminal() -> bool:
    """True where we stand in the foreground of a terminal."""
    if sys.platform == "win32":
        return True
    for fd in (0, 1, 2):
        with contextlib.suppress(OSError):
            return os.tcgetpgrp(fd) == os.getpgrp()
    return False


def _ended(status: int) -> Ended:
    code = os.waitstatus_to_exitcode(status)
    return Ended(code) if code >= 0 else Ended(128 - code, -code)


def die_of(number: int) -> None:
    """End as the command did, so that whoever started us sees the same; returns where the signal
    does not end us."""
    if sys.platform == "win32":
        return
    import resource

    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the command has left its core, not we
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
