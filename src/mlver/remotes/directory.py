"""A remote in a plain directory: local disk, NFS, SMB, USB stick.

An object is a file of its name. It is written under `tmp/`, synced, and then given its name in
one step, so that a reader sees it whole or not at all, whenever the writer dies. `tmp/` belongs
to this module: no object may be named below it. Nothing is kept open between two calls: a disk
can be unmounted, and a stale mount heals.

Invariant: "there is no such object" is only ever said of a root folder that was opened. A disk
that is not mounted is a remote that cannot be reached, else collection would believe it empty.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from mlver.errors import RemoteError
from mlver.remotes.address import directory_path
from mlver.remotes.base import NotFound, Remote, RemoteObject, check_name
from mlver.remotes.disk_errors import explained
from mlver.remotes.folder import Folder, publish, refuse_special

_TEMPORARY = "tmp"
_TEMPORARY_NAME = re.compile(r"\A[0-9]+-[0-9a-f]{16}\Z")
_ABANDONED_AFTER = 24 * 3600.0  # Seconds: longer than any write, or a laptop's night of sleep.


def from_url(url: str, _options: Mapping[str, str] | None = None) -> DirectoryRemote:
    """The remote at `/a/path` or `file:///a/path`, which has no options. Raises UsageError."""
    return DirectoryRemote(Path(directory_path(url)), label=url)


class DirectoryRemote(Remote):
    """The contract of `base.Remote` over the folder `root`, which need not be there yet.

    `label` is the address as its user wrote it, where that differs from the path.
    """

    def __init__(self, root: Path, *, label: str | None = None) -> None:
        if not root.is_absolute():
            raise ValueError(f"not an absolute path: {root}")
        self._root = str(root)
        self._label = label if label is not None else self._root
        self._durable: set[str] = set()  # Folders whose own name this process has synced.
        self._swept = False

    @property
    def url(self) -> str:
        """The address as a person would write it."""
        return self._label

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Remote.read`."""
        folders, leaf = _split(name)
        if start < 0 or (length is not None and length < 0):
            raise ValueError(f"not a range: start {start}, length {length}")
        with self._explained(f"read {name}"):
            folder = self._descend(folders)
            if folder is None:
                raise self._not_found(name)
            with folder:
                if folder.look_file(leaf) is None:
                    raise self._not_found(name)
                try:
                    fd = folder.open_file(leaf)
                except FileNotFoundError:
                    raise self._not_found(name) from None  # Deleted since the look.
            try:
                return self._read_exactly(fd, name, start, length)
            finally:
                os.close(fd)

    def size(self, name: str) -> int | None:
        """See `Remote.size`."""
        folders, leaf = _split(name)
        with self._explained(f"look at {name}"):
            folder = self._descend(folders)
            if folder is None:
                return None
            with folder:
                found = folder.look_file(leaf)
        return None if found is None else found.st_size

    def create(self, name: str, parts: Sequence[bytes | memoryview]) -> bool:
        """See `Remote.create`. Makes the root folder too, where its parent is there."""
        folders, leaf = _split(name)
        with (
            self._explained(f"store {name}"),
            self._descend_making(folders) as target,
            self._descend_making([_TEMPORARY]) as scratch,
        ):
            created = False
            if target.look(leaf) is None:
                created = self._write_and_publish(scratch, target, leaf, parts)
            if not created:
                _expect_file(target, leaf)
            target.sync()  # Also where it was there: its writer may have died before this.
            return created

    def list(self, prefix: str) -> Iterator[RemoteObject]:
        """See `Remote.list`. In no promised order; one folder is held in memory at a time."""
        if prefix and not prefix.endswith("/"):
            raise ValueError(f"a prefix ends in '/': {prefix!r}")
        if prefix:
            _check(prefix[:-1])
        return self._walk(prefix)

    def delete(self, name: str) -> None:
        """See `Remote.delete`. Durable, so that a power cut keeps the order of two deletes."""
        folders, leaf = _split(name)
        with self._explained(f"delete {name}"):
            folder = self._descend(folders)
            if folder is None:
                return
            with folder:
                if folder.look_file(leaf) is not None:
                    folder.remove(leaf)
                    folder.sync()

    def close(self) -> None:
        """Nothing is kept open."""

    def _write_and_publish(
        self, scratch: Folder, target: Folder, leaf: str, parts: Sequence[bytes | memoryview]
    ) -> bool:
        temporary = f"{os.getpid()}-{os.urandom(8).hex()}"
        written = scratch.write_new(temporary, parts)
        try:
            publish(scratch, temporary, target, leaf)
            return True
        except FileExistsError:
            # Over NFS the answer to a link that was made can be lost, and the client's own
            # second try then finds the name taken (link(2), BUGS): by this very file.
            there = target.look(leaf)
            return there is not None and os.path.samestat(there, written)
        finally:
            scratch.remove_quietly(temporary)
            self._sweep(scratch, written.st_mtime)

    def _sweep(self, scratch: Folder, now: float) -> None:
        """Once a process: remove what writers left that died. `now` is the remote's own clock."""
        if self._swept:
            return
        self._swept = True
        try:
            rows = scratch.entries()
        except OSError:
            return  # Housekeeping only: the object is stored.
        for name, found in rows:
            if _TEMPORARY_NAME.match(name) and now - found.st_mtime > _ABANDONED_AFTER:
                scratch.remove_quietly(name)

    def _walk(self, prefix: str) -> Iterator[RemoteObject]:
        """Folder by folder, none open while the caller has the word."""
        waiting = [prefix]
        while waiting:
            here = waiting.pop()
            with self._explained(f"list {here or 'all objects'}"):
                folder = self._descend(here.split("/")[:-1])
                if folder is None and here != prefix:
                    raise FileNotFoundError(errno.ENOENT, "a folder went while it was listed")
                if folder is None:
                    return
                with folder:
                    rows = folder.entries()
                files, folders = self._sort_out(here, rows)
            waiting.extend(reversed(folders))
            yield from files

    def _sort_out(
        self, here: str, rows: Sequence[tuple[str, os.stat_result]]
    ) -> tuple[Sequence[RemoteObject], Sequence[str]]:
        """Objects and folders of one listing; what no object can be named (lost+found) is not."""
        files, folders = [], []
        for leaf, found in rows:
            name = here + leaf
            try:
                _check(name)
            except ValueError:
                continue
            refuse_special(os.path.join(self._root, name), found.st_mode)
            if stat.S_ISDIR(found.st_mode):
                folders.append(name + "/")
            else:
                files.append(RemoteObject(name, found.st_size, found.st_mtime))
        return files, folders

    def _descend(self, folders: Sequence[str]) -> Folder | None:
        """The folder to read in, or None where the remote has none. Raises if there is no root."""
        here = self._open_root()
        for name in folders:
            with here:
                inner = here.enter(name)
            if inner is None:
                return None
            here = inner
        return here

    def _descend_making(self, folders: Sequence[str]) -> Folder:
        """The folder to write in, made where it is missing, and durable by name up to the root."""
        try:
            here = self._open_root()
        except RemoteError:
            self._make_root()
            here = self._open_root()
        for name in folders:
            with here:
                made = here.make(name) if here.look(name) is None else False
                inner = os.path.join(here.path, name)
                if made or inner not in self._durable:
                    here.sync()
                    self._durable.add(inner)
                below = here.enter(name)
            if below is None:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), inner)
            here = below
        return here

    def _open_root(self) -> Folder:
        try:
            return Folder.open_root(self._root)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RemoteError(
                f"the remote {self.url} cannot be reached",
                why=f"there is no folder {self._root}",
                fix="mount the disk or share that holds it, or correct the remote's address",
            ) from error

    def _make_root(self) -> None:
        """Make the root, never its parent: below an unmounted disk nothing must be made."""
        parent, name = os.path.split(self._root.rstrip("/"))
        try:
            folder = Folder.open_root(parent or "/")
        except (FileNotFoundError, NotADirectoryError):
            return  # The caller says that the root cannot be reached.
        with folder:
            if folder.make(name):
                folder.sync()

    def _read_exactly(self, fd: int, name: str, start: int, length: int | None) -> bytes:
        """The range asked for. The file's size comes first: a wrong index may ask for 2**60."""
        size = os.fstat(fd).st_size
        left = size - start if length is None else length
        pieces = []
        if 0 <= left <= size - start:
            os.lseek(fd, start, os.SEEK_SET)
            while left and (piece := os.read(fd, left)):
                pieces.append(piece)
                left -= len(piece)
        if left:
            raise RemoteError(
                f"{name} on {self.url} is shorter than it must be",
                why=f"{size} bytes are there; {length or 'the rest'} from {start} were asked for",
                fix="git mlver fsck --remote tells what is damaged",
            )
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _not_found(self, name: str) -> NotFound:
        return NotFound(f"{self.url} holds no {name}", why=f"there is no such file in {self._root}")

    def _explained(self, act: str) -> AbstractContextManager[None]:
        return explained(f"cannot {act} on {self.url}", self._root)


def _expect_file(folder: Folder, leaf: str) -> None:
    """The name was taken: by an object, or False would tell the caller that it is stored."""
    found = folder.look(leaf)
    if found is None:
        raise OSError(errno.EAGAIN, "it was deleted at the moment it was written again")
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


def _split(name: str) -> tuple[Sequence[str], str]:
    *folders, leaf = _check(name).split("/")
    return folders, leaf


def _check(name: str) -> str:
    # Without regard to case: macOS and exFAT would take TMP for tmp.
    if check_name(name).split("/", 1)[0].lower() == _TEMPORARY:
        raise ValueError(f"{_TEMPORARY}/ is kept for files being written: {name!r}")
    return name
