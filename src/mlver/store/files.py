"""What the store asks of the file system: positioned reads, durable writes, locks that die with
their process, and errors in words. Nothing here knows packs."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator

from mlver.errors import BusyError, LocalIOError
from mlver.system import lock as lock

Path = bytes
"""Paths are bytes: names need not be text in any encoding."""

_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
READ = os.O_RDONLY | _BINARY
APPEND_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY
UPDATE = os.O_RDWR | _BINARY
LOCKFILE = os.O_RDWR | os.O_CREAT | _BINARY

_WORDS = {
    errno.ENOSPC: ("the disk is full", "free some space, then run the command again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, then run the command again"),
    errno.EROFS: ("the file system is read-only", "mount it writable, then run the command again"),
    errno.EACCES: ("permission denied", "check the owner and mode of the path"),
    errno.EPERM: ("operation not permitted", "check the owner and mode of the path"),
    errno.EIO: ("the disk reports an input/output error", "check the disk; then: git mlver fsck"),
    errno.EFBIG: ("the file would be larger than allowed", "raise the limit (ulimit -f)"),
    errno.EMFILE: ("too many open files", "raise the limit (ulimit -n)"),
}


def local_error(error: OSError, doing: str, path: Path | str | None = None) -> LocalIOError:
    """`error` as words: what was being done, where, why, and what helps."""
    where = os.fsdecode(path if path is not None else (error.filename or b""))
    cause, fix = _WORDS.get(error.errno or 0, (error.strerror or str(error), ""))
    return LocalIOError(f"{doing} failed" + (f": {where}" if where else ""), why=cause, fix=fix)


@contextlib.contextmanager
def disk_errors(doing: str, path: Path | str | None = None) -> Iterator[None]:
    """Turns an OSError inside the block into a LocalIOError that tells what was being done."""
    try:
        yield
    except OSError as error:
        raise local_error(error, doing, path) from error


def pread(fd: int, length: int, offset: int) -> bytes:
    """Up to `length` bytes at `offset`; short only at the end of the file."""
    if sys.platform == "win32":  # no pread there; the callers open one descriptor a thread
        os.lseek(fd, offset, os.SEEK_SET)
        return _read_full(fd, length)
    data = os.pread(fd, length, offset)
    while len(data) < length:  # a signal, or more than the kernel gives at once
        more = os.pread(fd, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def pread_into(fd: int, view: memoryview, offset: int) -> int:
    """As `pread`, into `view`; how many bytes came."""
    if not hasattr(os, "preadv"):
        data = pread(fd, len(view), offset)
        view[: len(data)] = data
        return len(data)
    done = 0
    while done < len(view) and (count := os.preadv(fd, [view[done:]], offset + done)):
        done += count
    return done


def _read_full(fd: int, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = os.read(fd, length - len(data))
        if not more:
            break
        data += more
    return data


def mark_used(fd: int) -> None:
    """Say that this file was used now: as its time of last access, whatever the mount says of
    those. Where it cannot be set, it is as if the file had not been used."""
    if os.utime in os.supports_fd:
        with contextlib.suppress(OSError):
            os.utime(fd, ns=(time.time_ns(), os.fstat(fd).st_mtime_ns))


_IOV_MAX = 512


def write_all(fd: int, parts: list[bytes | memoryview]) -> None:
    """Write every byte of `parts` at the descriptor's position, without joining copies."""
    if not hasattr(os, "writev"):
        for part in parts:
            _write_one(fd, memoryview(part))
        return
    for start in range(0, len(parts), _IOV_MAX):
        group = parts[start : start + _IOV_MAX]
        written = os.writev(fd, group)
        if written < sum(len(part) for part in group):
            for part in group:  # a short write: rare, so the plain way is good enough
                view = memoryview(part)
                skipped = min(written, len(view))
                written -= skipped
                _write_one(fd, view[skipped:])


def _write_one(fd: int, view: memoryview) -> None:
    while view:
        view = view[os.write(fd, view) :]


def fsync_folder(path: Path) -> None:
    """Make names created or removed in a folder durable (POSIX; elsewhere it cannot be asked)."""
    if sys.platform == "win32":
        return
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def free_space_or_error(folder: Path, needed: int, doing: str) -> None:
    """LocalIOError where `folder`'s file system has less than `needed` bytes free."""
    if not hasattr(os, "statvfs"):
        return
    stats = os.statvfs(folder)
    free = stats.f_bavail * stats.f_frsize
    if free < needed:
        raise LocalIOError(
            f"{doing} needs {needed:,} bytes, and {free:,} are free on this disk",
            why="nothing was written, so that no file is left half there",
            fix="free some space, then run the command again",
        )


def boot_id() -> str:
    """Names this boot of the machine; "" where the system does not tell.

    What was written and not fsynced may be gone after another boot, and only then.
    """
    try:
        if sys.platform == "linux":
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                return file.read().strip().replace("-", "")[:16]
        if sys.platform == "darwin":
            return _sysctl(b"kern.bootsessionuuid").replace("-", "").lower()[:16]
    except (OSError, ValueError):
        pass
    return ""


def _sysctl(name: bytes) -> str:
    import ctypes

    library = ctypes.CDLL(None)
    buffer, size = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
    if library.sysctlbyname(name, buffer, ctypes.byref(size), None, 0) != 0:
        return ""
    return buffer.value.decode("ascii")


def busy(what: str, fix: str) -> BusyError:
    """The error for a lock that another process holds."""
    return BusyError(what, why="another git-mlver process is at work there", fix=fix)
