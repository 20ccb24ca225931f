"""Files below the worktree's top, written so that nothing outside can be touched.

Every folder on the way is opened without following links, and a file gets its name by a rename
of a finished temporary: a reader sees the old bytes or the new, whenever the writer dies. Hard
links are broken, not written through. Paths that git itself would refuse (`.git` in any
spelling) are refused.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable
from typing import TypeVar

from mlver.errors import RefusedError
from mlver.system import exchange

try:
    import fcntl
except ImportError:  # Windows: a temporary that a killed process left stays
    fcntl = None  # type: ignore[assignment]

T = TypeVar("T")

_O_DIR = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_IGNORABLE = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_TEMPORARY = re.compile(rb"\A\.mlver-[0-9a-f]{12}\Z")
_LARGE = 1024 * 1024
_HAS_DIR_FD = os.open in os.supports_dir_fd and os.rename in os.supports_dir_fd


def check_path(path: bytes) -> bytes:
    """`path` unchanged; RefusedError where it leaves the worktree or enters a .git folder."""
    parts = path.split(b"/")
    for part in parts:
        if part in (b"", b".", b"..") or _is_git(part) or (os.name == "nt" and b"\\" in part):
            raise RefusedError(
                f"the path {os.fsdecode(path)!r} is not written to",
                why="it leaves the worktree or names git's own folder",
            )
    return path


def _is_git(part: bytes) -> bool:
    """True for every name that some file system takes for `.git` (HFS+, NTFS)."""
    if part.isascii() and part[:1] not in b".gG":
        return False
    name = _IGNORABLE.sub("", part.decode("utf-8", "surrogateescape")).lower()
    name = name.split(":")[0].rstrip(". ")
    return name in (".git", "git~1")


class Worktree:
    """The files below `top`. Keeps the last folder open; not for several threads."""

    def __init__(self, top: bytes) -> None:
        self.top = top
        self._folder = b"\0"
        self._fd = -1
        self._swept: set[bytes] = set()
        self._checked = b""

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd, self._folder = -1, b"\0"

    def __enter__(self) -> Worktree:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open_folder(self, folder: bytes) -> int:
        """A descriptor of the folder; OSError (ELOOP, ENOTDIR) where a link is on the way."""
        if folder == self._folder:
            return self._fd
        self.close()
        fd = os.open(self.top, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        for part in folder.split(b"/") if folder else ():
            try:
                inner = os.open(part, _O_DIR, dir_fd=fd)
            finally:
                os.close(fd)
            fd = inner
        self._fd, self._folder = fd, folder
        return fd

    def at(self, path: bytes, use: Callable[[bytes, int | None], T]) -> T:
        """`use(name, dir_fd)` for the file at `path`; where the system has no dir_fd, a path."""
        if path != self._checked:  # a file is looked at several times, one after the other
            self._checked = check_path(path)
        folder, _, name = path.rpartition(b"/")
        if _HAS_DIR_FD:
            return use(name, self._open_folder(folder))
        self._refuse_links(folder)
        return use(os.path.join(self.top, *path.split(b"/")), None)

    def _refuse_links(self, folder: bytes) -> None:
        full = self.top
        for part in folder.split(b"/") if folder else ():
            full = os.path.join(full, part)
            if os.path.islink(full):
                raise RefusedError(f"{os.fsdecode(full)!r} is a link, and is not followed")

    def stat(self, path: bytes) -> os.stat_result | None:
        """lstat of the file; None where there is none (or a link stands on the way)."""
        try:
            return self.at(path, lambda name, fd: os.stat(name, dir_fd=fd, follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == 40:  # ELOOP
                return None
            raise

    def read_small(self, path: bytes, limit: int) -> bytes | None:
        """The content of an ordinary file shorter than `limit`; None for anything else."""
        info = self.stat(path)
        if info is None or not stat.S_ISREG(info.st_mode) or info.st_size >= limit:
            return None
        fd = self.open(path)
        try:
            return os.read(fd, limit)
        finally:
            os.close(fd)

    def open(self, path: bytes) -> int:
        """A descriptor to read the file from."""
        return self.at(path, lambda name, fd: os.open(name, _READ, dir_fd=fd))

    def replace(
        self, path: bytes, write: Callable[[int], None], *, mode: int, still: Callable[[], bool]
    ) -> os.stat_result | None:
        """Give `path` the content that `write` writes to a descriptor.

        `still` is asked just before the rename: False leaves the file as it is and returns None.
        On any error the temporary is removed and the file is as before. Returns the new stat.
        """

        def act(name: bytes, folder: int | None) -> os.stat_result | None:
            self._sweep_once(path.rpartition(b"/")[0], folder)
            temporary, out, guard = new_temporary(name, folder)
            try:
                try:
                    write(out)
                    if hasattr(os, "fchmod"):
                        os.fchmod(out, mode)
                    size = _backdate(out, temporary, folder)
                finally:
                    os.close(out)
                if not still():
                    os.unlink(temporary, dir_fd=folder)
                    return None
                _put(temporary, name, folder, size)
            except BaseException:
                _unlink_if_there(temporary, folder)
                raise
            finally:
                if guard is not None:
                    os.close(guard)
            return os.stat(name, dir_fd=folder, follow_symlinks=False)

        return self.at(path, act)

    def _sweep_once(self, path: bytes, folder: int | None) -> None:
        """Before the first write in a folder: remove what a killed writer left there. It would
        stand in `git status`, and `git add -A` would take it."""
        if folder is not None and path not in self._swept:
            self._swept.add(path)
            sweep(folder)


def sweep_folder(path: bytes) -> None:
    """As `sweep`, by the folder's path."""
    if fcntl is not None:
        folder = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            sweep(folder)
        finally:
            os.close(folder)


def sweep(folder: int) -> None:
    """Remove the temporaries in an open folder whose writers are gone."""
    if fcntl is not None:
        for name in filter(_TEMPORARY.match, map(os.fsencode, os.listdir(folder))):
            with contextlib.suppress(OSError):
                _remove_abandoned(name, folder)


def new_temporary(
    name: bytes, folder: int | None, mode: int = 0o600
) -> tuple[bytes, int, int | None]:
    """A new file beside `name`, a descriptor to write it by, and one that locks it until it is
    closed, so that nobody takes it for abandoned. Nobody can guess its name, and it is made anew:
    a link that a clone brings is not followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NOFOLLOW", 0)
    while True:
        temporary = os.path.join(os.path.dirname(name), b".mlver-" + os.urandom(6).hex().encode())
        out = os.open(temporary, flags, mode, dir_fd=folder)
        if fcntl is None:
            return temporary, out, None
        with contextlib.suppress(OSError):  # without locks there: nobody can take it for abandoned
            fcntl.flock(out, fcntl.LOCK_EX)
        if os.fstat(out).st_nlink:
            return temporary, out, os.dup(out)
        os.close(out)  # swept before the lock was ours


def _remove_abandoned(name: bytes, folder: int) -> None:
    """Remove a temporary whose writer is gone; one that is locked has a writer."""
    assert fcntl is not None
    fd = os.open(name, _READ, dir_fd=folder)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=folder)
    finally:
        os.close(fd)


def _backdate(out: int, name: bytes, folder: int | None) -> int:
    """Put the time of the file open at `out` into the second before; its size.

    Git takes an entry as young as the index for doubtful, and would read the whole file again. A
    later change still shows: it sets a new time.
    """
    info = os.fstat(out)
    before = info.st_mtime_ns // 1_000_000_000 * 1_000_000_000 - 1
    if os.utime in os.supports_fd:
        os.utime(out, ns=(info.st_atime_ns, before))
    else:
        os.utime(name, ns=(info.st_atime_ns, before), dir_fd=folder, follow_symlinks=False)
    return info.st_size


def _put(temporary: bytes, name: bytes, folder: int | None, size: int) -> None:
    """Rename over `name`; where the new file is large, by the way that does not wait for the disk.

    Killed between exchange and unlink, the old file is left as a temporary, which is swept.
    """
    if size >= _LARGE and exchange(temporary, name, folder):
        _unlink_if_there(temporary, folder)
    else:
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _unlink_if_there(name: bytes, folder: int | None) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
