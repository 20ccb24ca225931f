"""`git mlver diff`: which tracked files changed between two states, and by how much.

Pointers are read, never content: the cost is that of the trees. What changed inside a file comes
with the formats.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from mlver.git.objects import IndexEntry, pointers_of, staged, tree_entries
from mlver.git.tree_diff import changed_pointers
from mlver.git.worktree import Worktree
from mlver.model import pointer as pointers
from mlver.model.digest import Digest, Hasher
from mlver.model.pointer import MAX_SIZE, Pointer
from mlver.workflows.context import Context


@dataclass(frozen=True, slots=True)
class FileChange:
    """`status`: added, removed, modified or renamed; `old_path` differs for the last only."""

    path: bytes
    old_path: bytes
    status: str
    old: Pointer | None
    new: Pointer | None


def diff(
    ctx: Context, old: str | None, new: str | None, pathspecs: Sequence[bytes] = ()
) -> list[FileChange]:
    """Changes from `old` to `new`. None: the index for old, the worktree for new."""
    if old is not None and new is not None and not pathspecs:
        return _changes(*changed_pointers(ctx.repo, old, new))
    entries = staged(ctx.repo, pathspecs) if old is None else tree_entries(ctx.repo, old, pathspecs)
    before = _pointers(ctx, entries)
    if new is None:
        tracked = before if old is None else _pointers(ctx, staged(ctx.repo, pathspecs))
        after = _worktree(ctx, tracked)
    else:
        after = _pointers(ctx, tree_entries(ctx.repo, new, pathspecs))
    return _changes(before, after)


def _pointers(ctx: Context, entries: Sequence[IndexEntry]) -> dict[bytes, Pointer]:
    files = [entry for entry in entries if entry.is_file]
    found = pointers_of(ctx.repo, (entry.blob for entry in files))
    return {entry.path: found[entry.blob] for entry in files if entry.blob in found}


def _worktree(ctx: Context, tracked: dict[bytes, Pointer]) -> dict[bytes, Pointer]:
    """What the worktree's files would be; only those whose stat git does not know are read."""
    changed = set(ctx.repo.git("diff-files", "--name-only", "-z").split(b"\0"))
    result: dict[bytes, Pointer] = {}
    with Worktree(ctx.repo.top) as worktree:
        for path, pointer in tracked.items():
            now = pointer if path not in changed else _file_pointer(worktree, path)
            if now is not None:
                result[path] = now
    return result


def _file_pointer(worktree: Worktree, path: bytes) -> Pointer | None:
    if worktree.stat(path) is None:
        return None
    small = worktree.read_small(path, MAX_SIZE)
    if small is not None and (found := pointers.parse(small)) is not None:
        return found
    fd = worktree.open(path)
    try:
        hasher, size = Hasher(), 0
        while data := os.read(fd, 1 << 20):
            hasher.update(data)
            size += len(data)
    finally:
        os.close(fd)
    return Pointer(Digest(hasher.digest()), size) if size else None


def _changes(before: dict[bytes, Pointer], after: dict[bytes, Pointer]) -> list[FileChange]:
    added = {path: new for path, new in after.items() if path not in before}
    gone: dict[Pointer, list[bytes]] = {}
    for path, old in before.items():
        if path not in after:
            gone.setdefault(old, []).append(path)
    changes = [
        FileChange(path, path, "modified", before[path], new)
        for path, new in after.items()
        if path in before and before[path] != new
    ]
    for path, new in added.items():
        if gone.get(new):
            changes.append(FileChange(path, gone[new].pop(), "renamed", new, new))
        else:
            changes.append(FileChange(path, path, "added", None, new))
    changes += [
        FileChange(path, path, "removed", old, None)
        for old, paths in gone.items()
        for path in paths
    ]
    return sorted(changes, key=lambda change: change.path)
