"""What differs between operating systems, in the few calls where it matters. Imports nothing of
mlver, so that every layer may use it."""

from __future__ import annotations

import errno
import os
import sys
import time

_RENAME_EXCHANGE = 2


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


def time_with_sleep() -> float:
    """Seconds on a clock that also goes on while the machine sleeps, for differences only."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.time()


def lock(fd: int, *, shared: bool = False, wait: bool = False) -> bool:
    """Lock an open file; True if it is ours now. The lock ends with the process, whatever ends it.

    Never a file whose mere existence means "locked": that one outlives a killed process.
    """
    if sys.platform == "win32":
        return _lock_windows(fd, wait)
    import fcntl

    mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    try:
        fcntl.flock(fd, mode)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            return True  # a file system without locks: one user at a time, as git itself there
        raise
    return True


def _lock_windows(fd: int, wait: bool) -> bool:
    import msvcrt

    os.lseek(fd, 0x7FFF0000, os.SEEK_SET)  # locks are mandatory there: take a byte nobody reads
    mode = msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK  # type: ignore[attr-defined]
    try:
        msvcrt.locking(fd, mode, 1)  # type: ignore[attr-defined]
    except OSError:
        return False
    return True


def exchange(first: bytes, second: bytes, folder: int | None) -> bool:
    """Swap two files' names in one step, below the open `folder`; False where the system cannot.

    ext4 starts writing a file's data out when it is renamed over another (0.5 s for 1 GiB), since
    the old content would be lost with it; not so when the two change places.
    """
    if sys.platform != "linux" or folder is None:
        return False
    import ctypes

    call = getattr(ctypes.CDLL(None), "renameat2", None)
    return call is not None and call(folder, first, folder, second, _RENAME_EXCHANGE) == 0
