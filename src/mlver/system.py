"""What differs between operating systems, in the few calls where it matters. Imports nothing of
mlver, so that every layer may use it."""

from __future__ import annotations

import os
import sys


def read_into(fd: int, view: memoryview) -> int:
    """Read once into `view`, without a copy where the system can; 0 only at the end."""
    if sys.platform != "win32":
        return os.readv(fd, [view])
    data = os.read(fd, len(view))
    view[: len(data)] = data
    return len(data)


def binary(*fds: int) -> None:
    """Have these descriptors pass bytes unchanged: Windows translates line ends otherwise."""
    if sys.platform == "win32":
        import msvcrt

        for fd in fds:
            msvcrt.setmode(fd, os.O_BINARY)
