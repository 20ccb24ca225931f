"""One open folder of a directory remote: every child is named relative to it.

Who can write to a shared remote can plant a symlink in it, to have us read or write elsewhere
(CVE-2022-39253). So a path of several components is never handed to the system: each is opened
by itself, relative to the folder before it, with O_NOFOLLOW. Where the system cannot do that
(Windows) each component is looked at with lstat first.

Invariant: `publish` never replaces, and a reader sees the whole file under its name or none.
Raises OSError and `NotPlain` only; `directory` turns them into what a user reads.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Sequence
from types import TracebackType

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_DIR_FD = os.scandir in os.supports_fd and os.supports_dir_fd >= {
    os.link, os.mkdir, os.open, os.rename, os.stat, os.unlink,
}  # fmt: skip

_BINARY = getattr(os, "O_BINARY", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
# O_NONBLOCK: a FIFO planted in place of an object must not hang the open.
_READ = os.O_RDONLY | _BINARY | _NOFOLLOW | getattr(os, "O_NONBLOCK", 0)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY | _NOFOLLOW
_IOV_MAX = min(os.sysconf("SC_IOV_MAX"), 1024) if hasattr(os, "sysconf") else 1024
_WRITEV = getattr(os, "writev", None) is not None

# exFAT answers EPERM to link(2), SMB ENOTSUP, some FUSE ENOSYS, Android EACCES; renameat2 on NFS
# EINVAL. A true refusal comes back from the next way, so a wrong guess here costs nothing.
_NO_SUCH_WAY = {
    getattr(errno, name)
    for name in ("EACCES", "EINVAL", "EMLINK", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EPERM", "EXDEV")
    if hasattr(errno, name)
}


class NotPlain(Exception):
    """What stands at a name is neither a plain file nor a folder: a symlink, a FIFO, a device."""


class Folder:
    """An open folder; a context manager that closes it."""

    def __init__(self, path: str, fd: int | None) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def open_root(cls, path: str) -> Folder:
        """The folder at `path`, which the user named, and which may therefore be a symlink."""
        if _DIR_FD:
            return cls(path, os.open(path, _FOLDER))
        if not stat.S_ISDIR(os.stat(path).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return cls(path, None)

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def at(self, name: str) -> tuple[str, int | None]:
        """`name` and the `dir_fd` that the functions of `os` take beside it."""
        return (name, self._fd) if _DIR_FD else (os.path.join(self.path, name), None)

    def look(self, name: str) -> os.stat_result | None:
        """The file or folder at `name`, or None where nothing is. Raises NotPlain."""
        path, fd = self.at(name)
        try:
            found = os.stat(path, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        refuse_special(os.path.join(self.path, name), found.st_mode)
        return found

    def look_file(self, name: str) -> os.stat_result | None:
        """As `look`, but None for a folder: no object has that name."""
        found = self.look(name)
        return None if found is None or stat.S_ISDIR(found.st_mode) else found

    def enter(self, name: str) -> Folder | None:
        """The folder `name` in this one, or None where there is none."""
        found = self.look(name)
        if found is None or not stat.S_ISDIR(found.st_mode):
            return None
        inner, fd = self.at(name)
        child = os.open(inner, _FOLDER | _NOFOLLOW, dir_fd=fd) if _DIR_FD else None
        return Folder(os.path.join(self.path, name), child)

    def make(self, name: str) -> bool:
        """Make the folder `name`; False where something has that name already."""
        path, fd = self.at(name)
        try:
            os.mkdir(path, dir_fd=fd)
        except FileExistsError:
            return False
        mode = 0 if self._fd is None else stat.S_IMODE(os.fstat(self._fd).st_mode)
        if mode & stat.S_ISGID:
            # A folder shared by a group (setgid): who may add is said by its mode, not by the
            # umask of whoever pushes first; else nobody else could write into our tmp/.
            child = self.enter(name)
            if child is not None:
                with child:
                    os.chmod(child._fd if child._fd is not None else child.path, mode)
        return True

    def entries(self) -> list[tuple[str, os.stat_result]]:
        """Every name here with its lstat, in order; read to the end before anything is returned.

        Names of other programs' making may be among them. Gone while we look is gone.
        """
        rows = []
        with os.scandir(self.path if self._fd is None else self._fd) as scan:
            for entry in scan:
                try:
                    rows.append((entry.name, entry.stat(follow_symlinks=False)))
                except FileNotFoundError:
                    continue
        return sorted(rows, key=lambda row: row[0])

    def open_file(self, name: str) -> int:
        """A descriptor to read `name` from. Raises NotPlain where it was swapped since `look`."""
        path, fd = self.at(name)
        opened = os.open(path, _READ, dir_fd=fd)
        try:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise NotPlain(f"{os.path.join(self.path, name)} is no longer a plain file")
        except BaseException:
            os.close(opened)
            raise
        return opened

    def write_new(self, name: str, parts: Sequence[bytes | memoryview]) -> os.stat_result:
        """Write a file that is not there yet and make its bytes durable; nothing stays on error."""
        path, dir_fd = self.at(name)
        fd = os.open(path, _WRITE, 0o666, dir_fd=dir_fd)
        try:
            try:
                write_all(fd, parts)
                sync(fd)
                return os.fstat(fd)
            finally:
                os.close(fd)
        except BaseException:
            self.remove_quietly(name)
            raise

    def remove(self, name: str) -> None:
        """Remove the file; no error where there is none."""
        path, fd = self.at(name)
        try:
            os.unlink(path, dir_fd=fd)
        except FileNotFoundError:
            return

    def remove_quietly(self, name: str) -> None:
        """Remove a temporary file if that can be done; else the sweep finds it when it is old."""
        try:
            self.remove(name)
        except OSError:
            return

    def sync(self) -> None:
        """Make the names in this folder durable, where the file system can be asked to."""
        if self._fd is None:
            return
        try:
            sync(self._fd)
        except OSError as error:
            # SMB and some FUSE do not sync folders, and say so; what fails otherwise has failed.
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP):
                raise

    def lock(self) -> None:
        """Wait until no other writer holds this folder; kept until it is closed."""
        if fcntl is None or self._fd is None:
            return
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        except OSError:
            return  # No locks here: `publish` then only looks before it renames.


def refuse_special(path: str, mode: int) -> None:
    """Raise NotPlain unless `mode` is that of a file or a folder."""
    if stat.S_ISLNK(mode):
        raise NotPlain(f"{path} is a symbolic link")
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise NotPlain(f"{path} is a device, pipe or socket")


def sync(fd: int) -> None:
    """Make a file or folder durable."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        # On macOS fsync leaves the bytes in the drive's own cache.
        try:
            fcntl.fcntl(fd, full)
            return
        except OSError:
            pass
    os.fsync(fd)


def write_all(fd: int, parts: Sequence[bytes | memoryview]) -> None:
    """Write `parts` one after the other without joining them."""
    views = [memoryview(part).cast("B") for part in parts if memoryview(part).nbytes]
    first = 0
    while first < len(views):
        group = views[first : first + _IOV_MAX]
        written = os.writev(fd, group) if _WRITEV else os.write(fd, group[0])
        if not written:
            raise OSError(errno.EIO, "the file system took no bytes and gave no reason")
        while written:
            if written < views[first].nbytes:
                views[first] = views[first][written:]
                break
            written -= views[first].nbytes
            first += 1


def publish(source: Folder, temporary: str, target: Folder, name: str) -> None:
    """Give the file its name, which no reader sees before. FileExistsError if the name is taken."""
    for way in (_link, _rename_exclusively):
        try:
            return way(source, temporary, target, name)
        except OSError as error:
            if error.errno not in _NO_SUCH_WAY:
                raise
    return _rename_locked(source, temporary, target, name)


def _link(source: Folder, temporary: str, target: Folder, name: str) -> None:
    """link(2) never replaces, on NFS too. The caller removes the temporary name."""
    (old, old_fd), (new, new_fd) = source.at(temporary), target.at(name)
    follow = os.link not in os.supports_follow_symlinks
    os.link(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd, follow_symlinks=follow)


def _rename_exclusively(source: Folder, temporary: str, target: Folder, name: str) -> None:
    """renameat2(RENAME_NOREPLACE): what FAT, exFAT and SMB offer in place of hard links."""
    import ctypes  # Slow to import, and seldom needed.

    call, flag = {"darwin": ("renameatx_np", 4), "linux": ("renameat2", 1)}.get(
        sys.platform, ("", 0)
    )
    (old, old_fd), (new, new_fd) = source.at(temporary), target.at(name)
    function = getattr(ctypes.CDLL(None, use_errno=True), call, None) if call else None
    if function is None or old_fd is None or new_fd is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if function(old_fd, os.fsencode(old), new_fd, os.fsencode(new), flag) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)


def _rename_locked(source: Folder, temporary: str, target: Folder, name: str) -> None:
    """The last resort: look, then rename, while writers of this host wait for the lock.

    A writer on another host can slip in between; readers see one whole file or the other. On
    Windows rename itself does not replace.
    """
    source.lock()
    if target.look(name) is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
    (old, old_fd), (new, new_fd) = source.at(temporary), target.at(name)
    os.rename(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd)
