"""`git mlver diff`: which files changed between two states, and where either version is read.

Trees and the index are read, never content: the cost is that of the trees. Files that git itself
holds are among them where their format is one that can be looked into, or where one of the two
versions is a pointer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mlver.diff import registry
from mlver.formats import pictures
from mlver.git.objects import BlobReader, IndexEntry, pointers_of, staged, tree_entries
from mlver.git.tree_diff import changed_pointers
from mlver.git.worktree import Worktree
from mlver.model.digest import digest_of
from mlver.model.pointer import Pointer
from mlver.workflows.context import Context
from mlver.workflows.worktree_content import held


class Place(NamedTuple):
    """Where a version's bytes are: the store (neither is set), a blob of git's, or a file."""

    blob: str | None = None
    file: bytes | None = None


IN_STORE = Place()


@dataclass(frozen=True, slots=True)
class FileChange:
    """`status`: added, removed, modified or renamed; `old_path` differs for the last only. `old`
    and `new` name the content (an empty version has none); the places are where to read it."""

    path: bytes
    old_path: bytes
    status: str
    old: Pointer | None
    new: Pointer | None
    old_place: Place = IN_STORE
    new_place: Place = IN_STORE


def is_image(change: FileChange) -> bool:
    """True for a change of an image in a folder."""
    return b"/" in change.path and pictures.is_image(os.fsdecode(change.path))


Side = Pointer | str | None
"""Of one path: the pointer, the blob of git's that holds the content itself, or None: empty."""


class _Sides(NamedTuple):
    before: dict[bytes, Side]
    after: dict[bytes, Side]
    files: dict[bytes, bytes]
    """Of `after`: those whose content is in this file of the worktree."""


def diff(
    ctx: Context,
    old: str | None,
    new: str | None,
    pathspecs: Sequence[bytes] = (),
    *,
    cached: bool = False,
) -> list[FileChange]:
    """Changes from the tree `old` to `new`. None: the index for old, the worktree for new; with
    `cached`, from `old` (HEAD) to the index."""
    if old is not None and new is not None:
        before, after = changed_pointers(ctx.repo, old, new, pathspecs)
        sides = _Sides({**before}, {**after}, {})
    else:
        sides = _from_entries(ctx, old, pathspecs, cached)
    with _Contents(ctx) as contents:
        return _changes(sides, contents)


def _from_entries(
    ctx: Context, old: str | None, pathspecs: Sequence[bytes], cached: bool
) -> _Sides:
    if cached:
        old = old or "HEAD"
    entries = staged(ctx.repo, pathspecs) if old is None else tree_entries(ctx.repo, old, pathspecs)
    before = _sides(ctx, entries)
    tracked = before if old is None else _sides(ctx, staged(ctx.repo, pathspecs))
    if cached:
        return _Sides(before, tracked, {})
    return _Sides(before, *_worktree(ctx, tracked, before))


def _sides(ctx: Context, entries: Sequence[IndexEntry]) -> dict[bytes, Side]:
    files = [entry for entry in entries if entry.is_file]
    found = pointers_of(ctx.repo, (entry.blob for entry in files))
    return {entry.path: found.get(entry.blob, entry.blob) for entry in files}


def _worktree(
    ctx: Context, tracked: dict[bytes, Side], before: Mapping[bytes, Side]
) -> tuple[dict[bytes, Side], dict[bytes, bytes]]:
    """What the worktree's files would be; only those whose stat git does not know are read."""
    changed = set(ctx.repo.git("diff-files", "--name-only", "-z").split(b"\0"))
    result: dict[bytes, Side] = {}
    files: dict[bytes, bytes] = {}
    with Worktree(ctx.repo.top) as worktree:
        for path, side in tracked.items():
            if path not in changed:
                result[path] = side
                continue
            if not _is_wanted(path, before.get(path), side):
                result[path] = before.get(path, side)  # a change that is not ours to tell
                continue
            now = held(worktree, path)
            if now is not None:
                result[path] = now.pointer
                if not now.is_pointer:
                    files[path] = os.path.join(ctx.repo.top, path)
    return result, files


def _is_wanted(path: bytes, old: Side, new: Side) -> bool:
    known = registry.module_for(os.fsdecode(os.path.basename(path))) is not None
    return known or isinstance(old, Pointer) or isinstance(new, Pointer)


class _Contents:
    """Pointers of what git holds, read when two versions cannot be told apart without."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._reader: BlobReader | None = None

    def pointer(self, side: Side) -> Pointer | None:
        if not isinstance(side, str):
            return side
        if self._reader is None:
            self._reader = BlobReader(self._ctx.repo)
        data = self._reader.read(side.encode())
        return Pointer(digest_of(data), len(data)) if data else None

    def __enter__(self) -> _Contents:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.close()


def _changes(sides: _Sides, contents: _Contents) -> list[FileChange]:
    before, after = sides.before, sides.after
    changes = []
    for path, new in after.items():
        if path not in before or before[path] == new or not _is_wanted(path, before[path], new):
            continue
        change = _change(sides, contents, path, path, "modified")
        if change.old != change.new:
            changes.append(change)
    gone: dict[Side, list[bytes]] = {}
    for path, old in before.items():
        if path not in after and _is_wanted(path, old, None):
            gone.setdefault(old, []).append(path)
    for path, new in after.items():
        if path in before or not _is_wanted(path, None, new):
            continue
        if new is not None and gone.get(new):
            changes.append(_change(sides, contents, path, gone[new].pop(), "renamed"))
        else:
            changes.append(_change(sides, contents, path, path, "added"))
    changes += [
        _change(sides, contents, path, path, "removed") for paths in gone.values() for path in paths
    ]
    return sorted(changes, key=lambda change: change.path)


def _change(
    sides: _Sides, contents: _Contents, path: bytes, old_path: bytes, status: str
) -> FileChange:
    old = sides.before.get(old_path) if status != "added" else None
    new = sides.after.get(path) if status != "removed" else None
    return FileChange(
        path,
        old_path,
        status,
        contents.pointer(old),
        contents.pointer(new),
        Place(old) if isinstance(old, str) else IN_STORE,
        Place(
            new if isinstance(new, str) else None,
            sides.files.get(path) if status != "removed" else None,
        ),
    )
