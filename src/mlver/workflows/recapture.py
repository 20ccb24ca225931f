"""Content that a push needs and the store gave up: stored again from the worktree, or fetched.

A file of the worktree is believed only when its bytes were hashed. What comes back is a guest: it
is freed again when it was pushed, where the store has a bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mlver.errors import MlverError
from mlver.git import history
from mlver.model.pointer import Pointer
from mlver.workflows import cache
from mlver.workflows.context import Context
from mlver.workflows.fetch import fetch_pointers
from mlver.workflows.restore import restore_from_worktree

_AT_ONCE = 1024 * 1024 * 1024


def groups(ctx: Context, pointers: Iterable[Pointer]) -> Iterator[list[Pointer]]:
    """All at once where the store has no bound; else as much as is to be here at a time."""
    limit = cache.bound(ctx)
    group: list[Pointer] = []
    size = 0
    for pointer in pointers:
        if limit is not None and group and size + pointer.size > max(limit, _AT_ONCE):
            yield group
            group, size = [], 0
        group.append(pointer)
        size += pointer.size
    if group:
        yield group


def bring_back(ctx: Context, wanted: Mapping[Pointer, bytes]) -> dict[Pointer, MlverError]:
    """Store these blobs again; those that cannot be had, and why. `wanted`: pointer → a path."""
    in_index = history.staged_pointers(ctx.repo) if ctx.repo.worktree is not None else {}
    left = [
        pointer
        for pointer, path in wanted.items()
        if not restore_from_worktree(ctx, pointer, in_index.get(pointer, path))
    ]
    return fetch_pointers(ctx, left).failed
