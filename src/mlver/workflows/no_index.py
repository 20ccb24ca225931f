"""Any two files or folders as changed files: what `git mlver diff --no-index` compares.

Folders are compared by path. A link inside a folder is not followed: two are the same where they
name the same.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

from mlver.errors import UsageError
from mlver.formats.pictures import is_image
from mlver.model.digest import Digest, Hasher
from mlver.model.pointer import Pointer
from mlver.store import files
from mlver.workflows.diff import FileChange, Place


def changed_files(old: bytes, new: bytes) -> list[FileChange]:
    """What differs between two files, or two folders. Raises UsageError for what is not there."""
    for path in (old, new):
        if not os.path.exists(path):
            raise UsageError(
                f"{os.fsdecode(path)!r} is not there", fix="name two files, or two folders"
            )
    if os.path.isdir(old) != os.path.isdir(new):
        raise UsageError("one is a folder, the other a file", fix="name two of a kind")
    if not os.path.isdir(old):
        return _files(old, new)
    before, after = dict(_below(old)), dict(_below(new))
    changes = []
    for path in sorted({*before, *after}):
        a, b = before.get(path), after.get(path)
        if a is None:
            assert b is not None
            changes.append(_change(path, path, "added", None, b))
        elif b is None:
            changes.append(_change(path, path, "removed", a, None))
        elif not _same_bytes(a, b):
            changes.append(_change(path, path, "modified", a, b))
    return _paired(changes)


def _paired(changes: list[FileChange]) -> list[FileChange]:
    """The same, with a removed and an added file of one content as one that was renamed."""
    gone: dict[Pointer, list[FileChange]] = {}
    for change in changes:
        if change.status == "removed" and change.old is not None:
            gone.setdefault(change.old, []).append(change)
    result: list[FileChange] = []
    taken: set[bytes] = set()
    for change in changes:
        if change.status == "added" and change.new is not None and gone.get(change.new):
            old = gone[change.new].pop()
            taken.add(old.path)
            places = old.old_place, change.new_place
            change = FileChange(change.path, old.path, "renamed", old.old, change.new, *places)
        result.append(change)
    return [c for c in result if c.status != "removed" or c.path not in taken]


def image_ids(folder: bytes, *, ids: bool) -> dict[str, str]:
    """Images below a folder: path → what equals just where the content does. Without `ids`, and for
    what no other image has the size of, nothing is read."""
    paths = {os.fsdecode(path): full for path, full in _below(folder)}
    paths = {path: full for path, full in paths.items() if is_image(path)}
    if not ids:
        return dict.fromkeys(paths, "")
    sizes = {path: os.path.getsize(full) for path, full in paths.items() if os.path.isfile(full)}
    several = Counter(sizes.values())
    found = {}
    for path, full in paths.items():
        found[path] = path
        if several.get(sizes.get(path, -1), 0) > 1:
            pointer = _pointer(full)
            found[path] = pointer.oid.hex() if pointer else ""
    return found


def _files(old: bytes, new: bytes) -> list[FileChange]:
    null = os.fsencode(os.devnull)
    if old == null or new == null:
        status = "added" if old == null else "removed"
        path = new if old == null else old
        places = (None, path) if old == null else (path, None)
        return [] if old == new else [_change(path, path, status, *places)]
    if _same_bytes(old, new, named=True):
        return []
    return [_change(new, old, "modified", old, new)]


def _change(
    path: bytes, old_path: bytes, status: str, old: bytes | None, new: bytes | None
) -> FileChange:
    return FileChange(
        path,
        old_path,
        status,
        None if old is None or _is_link(old, old_path) else _pointer(old),
        None if new is None or _is_link(new, path) else _pointer(new),
        Place(file=old),
        Place(file=new),
    )


def _below(folder: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(path from the folder, '/'-separated; path) of every file in it, without git's own."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            if entry.name != b".git":
                for path, full in _below(entry.path):
                    yield entry.name + b"/" + path, full
        elif entry.is_symlink() or entry.is_file():
            yield entry.name, entry.path


def _read(path: bytes) -> Iterator[bytes]:
    try:
        with open(path, "rb", buffering=0) as file:
            while data := file.read(1 << 20):
                yield data
    except OSError as error:
        raise files.local_error(error, "reading a version", path) from error


def _pointer(path: bytes) -> Pointer | None:
    hasher, size = Hasher(), 0
    for data in _read(path):
        hasher.update(data)
        size += len(data)
    return Pointer(Digest(hasher.digest()), size) if size else None


def _is_link(full: bytes, path: bytes) -> bool:
    """A link inside a folder; one that the user named is followed."""
    return full != path and os.path.islink(full)


def _same_bytes(old: bytes, new: bytes, *, named: bool = False) -> bool:
    if not named and (os.path.islink(old) or os.path.islink(new)):
        return os.path.islink(old) and os.path.islink(new) and os.readlink(old) == os.readlink(new)
    if os.path.getsize(old) != os.path.getsize(new):
        return False
    return all(a == b for a, b in zip(_read(old), _read(new), strict=False))
