"""Files that moved and changed: a removed and an added one of one format that share enough.

Equal content is paired by its id before (workflows/diff). What is left is compared by what both
share: the chunks of their recipes, or the lines of small files. Nothing is fetched for it. Two
images share no lines, and are left out.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack

from mlver.diff import registry
from mlver.errors import MlverError
from mlver.workflows.content_diff import open_version
from mlver.workflows.context import Context
from mlver.workflows.diff import FileChange, Place, is_image

_ENOUGH = 0.5
_SMALL = 1024 * 1024
_MOST = 2000
"""Pairs that are looked at; beyond, files stay removed and added."""


def with_renames(ctx: Context, changes: Sequence[FileChange]) -> list[FileChange]:
    """The changes, with pairs of a removed and an added file that share half of the larger one."""
    gone = [c for c in changes if c.status == "removed" and c.old and not is_image(c)]
    came = [c for c in changes if c.status == "added" and c.new and not is_image(c)]
    if len(gone) * len(came) > _MOST * 100:
        return list(changes)
    pairs = [(a, b) for a in gone for b in came if _kind(a) == _kind(b) and _sizes_fit(a, b)]
    if not pairs or len(pairs) > _MOST:
        return list(changes)
    parts: dict[bytes, Counter[bytes]] = {}
    for side in {*(a.path for a, _ in pairs), *(b.path for _, b in pairs)}:
        change = next(c for c in (*gone, *came) if c.path == side)
        parts[side] = _parts(ctx, change)
    scored = sorted(
        ((_shared(parts[a.path], parts[b.path]), a, b) for a, b in pairs),
        key=lambda item: (-item[0], item[1].path, item[2].path),
    )
    taken: set[bytes] = set()
    renamed: dict[bytes, FileChange] = {}
    for score, a, b in scored:
        if score >= _ENOUGH and not {a.path, b.path} & taken:
            taken |= {a.path, b.path}
            renamed[b.path] = FileChange(
                b.path, a.path, "renamed", a.old, b.new, a.old_place, b.new_place
            )
    kept = [change for change in changes if change.path not in taken]
    return sorted([*kept, *renamed.values()], key=lambda change: change.path)


def _kind(change: FileChange) -> str:
    name = os.fsdecode(os.path.basename(change.path))
    return registry.module_for(name) or os.path.splitext(name)[1].lower()


def _sizes_fit(a: FileChange, b: FileChange) -> bool:
    assert a.old is not None and b.new is not None
    low, high = sorted((a.old.size, b.new.size))
    return low >= high * _ENOUGH


def _parts(ctx: Context, change: FileChange) -> Counter[bytes]:
    """Lines of a small file, chunks of a larger one, each with the bytes that it counts for."""
    pointer = change.old if change.status == "removed" else change.new
    place = change.old_place if change.status == "removed" else change.new_place
    assert pointer is not None
    counted: Counter[bytes] = Counter()
    if place == Place() and ctx.store.missing(pointer) is not None:
        return counted
    with ExitStack() as stack:
        try:
            source = open_version(ctx, pointer, place, stack)
            if source.size > _SMALL:
                for piece in source.pieces():
                    counted[piece.id] += piece.length
            else:
                for line in source.read(0, source.size).split(b"\n"):
                    counted[line] += len(line) + 1
        except MlverError:
            return Counter[bytes]()
    return counted


def _shared(a: Counter[bytes], b: Counter[bytes]) -> float:
    larger = max(a.total(), b.total())
    return (a & b).total() / larger if larger else 0.0
