"""Linux's inotify, by its three system calls: which files below some folders were opened, written,
created, moved. It needs no privilege, and tells of every program, but not which one it was.

Imports nothing of mlver.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator

ACCESS, MODIFY, CLOSE_WRITE, CLOSE_NOWRITE = 0x1, 0x2, 0x8, 0x10
OPEN, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x20, 0x40, 0x80, 0x100, 0x200
OVERFLOW, IGNORED, IS_FOLDER = 0x4000, 0x8000, 0x40000000
_ONLY_FOLDER, _NO_LINKS = 0x01000000, 0x02000000
_HEAD = struct.Struct("iIII")
_BUFFER = 1 << 20


def is_there() -> bool:
    """True where the system has inotify."""
    return sys.platform == "linux"


class Full(Exception):
    """The system gives no more watches."""


class Inotify:
    """One queue of events; `fd` becomes readable when there are some."""

    def __init__(self) -> None:
        """Raises OSError where the system gives none."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify")

    def add(self, path: bytes, mask: int) -> int | None:
        """Watch a folder; its number. None where it is gone, no folder, or may not be read.

        Raises Full.
        """
        number: int = self._libc.inotify_add_watch(self.fd, path, mask | _ONLY_FOLDER | _NO_LINKS)
        if number >= 0:
            return number
        if ctypes.get_errno() in (errno.ENOSPC, errno.ENOMEM):
            raise Full
        return None

    def events(self) -> Iterator[tuple[int, int, bytes]]:
        """(number of the folder, mask, name in it) of what has happened by now."""
        while True:
            try:
                data = os.read(self.fd, _BUFFER)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                number, mask, _, length = _HEAD.unpack_from(data, at)
                at += _HEAD.size
                yield number, mask, data[at : at + length].rstrip(b"\0")
                at += length

    def close(self) -> None:
        os.close(self.fd)
