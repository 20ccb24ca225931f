"""A command's two streams, passed on as they come, and kept without their secrets.

Each stream is a pipe, or a terminal of its own (pty) where ours is one: colours and progress bars
stay. What the user sees is untouched; what is written to the log has passed `RedactedStream`.
Where the user's side is closed (`| head`), the command's is closed too, as it would be without us.
Where the log cannot be written, the command goes on.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from typing import BinaryIO

from mlver.lineage.redact import RedactedStream, Redactor

_READ = 64 * 1024
MAX_LOG = 256 * 1024 * 1024
_GRACE = 1.0
"""Seconds without a word, after the command's end, for what it left behind with its output open."""


class _Stream:
    def __init__(self, name: str, target: int, log: BinaryIO, redactor: Redactor) -> None:
        self.name, self.target, self.log = name, target, log
        self.redacted = RedactedStream(redactor)
        self.written = 0
        self.lost = ""
        self.is_open = True
        if os.isatty(target) and sys.platform != "win32":
            self.source, self.for_child = _terminal(target)
        else:
            self.source, self.for_child = os.pipe()

    def pump(self) -> bool:
        """Pass on what there is; False at the end."""
        try:
            data = os.read(self.source, _READ)
        except OSError:  # EIO: a terminal whose other side is closed
            data = b""
        if not data:
            return False
        if not _write(self.target, data):
            return False  # nobody reads any more: the command's next write tells it so
        self._keep(self.redacted.feed(data))
        return True

    def _keep(self, data: bytes) -> None:
        if not data or self.lost:
            return
        if self.written + len(data) > MAX_LOG:
            self.lost = f"{self.name} beyond {MAX_LOG >> 20} MiB"
            return
        try:
            self.log.write(data)
            self.written += len(data)
        except OSError as error:
            self.lost = f"{self.name} from byte {self.written} on: {error.strerror}"

    def end(self) -> None:
        if self.is_open:
            self.is_open = False
            self._keep(self.redacted.close())
            os.close(self.source)
            with contextlib.suppress(OSError):
                self.log.close()


class Tee:
    """Both streams, on one thread. `stdout` and `stderr` are what the command is given."""

    def __init__(self, logs: tuple[BinaryIO, BinaryIO], redactor: Redactor) -> None:
        self._streams = [
            _Stream(name, target, log, redactor)
            for name, target, log in zip(("stdout", "stderr"), (1, 2), logs, strict=True)
        ]
        self.stdout, self.stderr = (stream.for_child for stream in self._streams)
        self._ended = threading.Event()
        self._left_open = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Once the command has its ends: close ours of them, and pass on."""
        self._close_childs()
        threads = [threading.Thread(target=self._run, name="mlver-tee", daemon=True)]
        self._thread = threads[0]
        self._thread.start()

    def _close_childs(self) -> None:
        for stream in self._streams:
            os.close(stream.for_child)

    def abandon(self) -> None:
        """No command was started."""
        self._close_childs()
        for stream in self._streams:
            stream.end()

    def finish(self) -> list[str]:
        """After the command's end: the rest; what was not kept, in words."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        lost = [stream.lost for stream in self._streams if stream.lost]
        if self._left_open:
            lost.append("what a process that the command left behind wrote after its end")
        return lost

    def resize(self) -> None:
        """Our terminal has another size now."""
        for stream in self._streams:
            if stream.is_open and os.isatty(stream.target):
                _copy_size(stream.target, stream.source)

    def _run(self) -> None:
        waiting = {stream.source: stream for stream in self._streams}
        quiet_since = 0.0
        while waiting:
            ready = _readable(list(waiting), 0.1 if self._ended.is_set() else 0.5)
            for fd in ready:
                if not waiting[fd].pump():
                    waiting.pop(fd).end()
            if ready or not self._ended.is_set():
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > _GRACE:
                self._left_open = True
                break
        for stream in waiting.values():
            stream.end()


def _readable(fds: list[int], seconds: float) -> list[int]:
    if sys.platform == "win32":  # no select on pipes there: one after the other
        return fds[:1]
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN | select.POLLHUP)
    return [fd for fd, _ in poll.poll(seconds * 1000)]


def _write(fd: int, data: bytes) -> bool:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [], 1.0)
        except OSError:
            return False
    return True


def _terminal(like: int) -> tuple[int, int]:
    """A terminal of the size of another, that changes no byte on its way."""
    import pty
    import termios

    ours, theirs = pty.openpty()
    with contextlib.suppress(termios.error):
        settings = termios.tcgetattr(theirs)
        settings[1] &= ~termios.OPOST  # ours makes line ends what they are there
        termios.tcsetattr(theirs, termios.TCSANOW, settings)
    _copy_size(like, ours)
    os.set_inheritable(theirs, False)
    return ours, theirs


def _copy_size(source: int, target: int) -> None:
    import fcntl
    import termios

    with contextlib.suppress(OSError):
        size = fcntl.ioctl(source, termios.TIOCGWINSZ, b"\0" * 8)
        fcntl.ioctl(target, termios.TIOCSWINSZ, size)
