"""The merge driver: three versions of a tracked file, each a pointer or (on a branch that does not
track the file yet) plain content.

Taken where one side alone changed, or both made the same change. What both changed is merged by
what it holds (merge_versions); where that leaves conflicts, ours stands in the result, which is a
valid file, and they are told in a conflict file. Other content is one conflict, and ours is kept;
git keeps all three versions in its index. The driver never asks anything.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlver import system
from mlver.git.worktree import Worktree
from mlver.model import pointer as pointers
from mlver.model.conflict import Conflict
from mlver.model.pointer import MAX_SIZE, Pointer
from mlver.store.ingest import Ingest
from mlver.workflows.context import Context

if TYPE_CHECKING:
    from mlver.merge.base import Merged as Inner
    from mlver.workflows.conflict_file import Record
    from mlver.workflows.merge_versions import Triple


@dataclass(frozen=True, slots=True)
class _Version:
    """One side: its pointer (None: empty or absent), and whether git holds it as a pointer."""

    pointer: Pointer | None
    tracked: bool


@dataclass(frozen=True, slots=True)
class Merged:
    """`clean`: False for a conflict. `format`: opaque where ours was kept whole, and `notes` tell
    why. `is_remembered`: conflicts were decided as before."""

    clean: bool
    ours: Pointer | None
    theirs: Pointer | None
    format: str = "opaque"
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = field(default=())
    is_remembered: bool = False


def merge_pointers(
    ctx: Context, base: bytes, ours: bytes, theirs: bytes, path: bytes = b""
) -> Merged:
    """Merge the files at these paths; the result is written to `ours`. `path`: what git calls the
    file. Raises MlverError; `ours` is as it was then."""
    with Ingest(ctx.store) as ingest:
        sides = [_read(ingest, name) for name in (base, ours, theirs)]
    old, mine, other = sides
    if mine.pointer == other.pointer or other.pointer == old.pointer:
        result = mine
    elif mine.pointer == old.pointer:
        result = other
    else:
        return _both(ctx, (old.pointer, mine.pointer, other.pointer), ours, path)
    _write(ours, result.pointer)
    return Merged(True, result.pointer, result.pointer)


def _both(
    ctx: Context,
    versions: Triple,
    file: bytes,
    path: bytes,
) -> Merged:
    from mlver.workflows import merge_versions

    if None in versions[1:] or not merge_versions.is_known(path):
        _write(file, versions[1])
        return Merged(False, versions[1], versions[2])
    from mlver.store import recovery
    from mlver.workflows import conflict_file, resolutions

    known = resolutions.remembered(ctx, versions)
    if known is not None:
        conflict_file.remove(ctx, path)
        _write(file, known)
        return Merged(True, known, versions[2], is_remembered=True)
    options = merge_versions.options_of(ctx, path)
    merged, result = merge_versions.merge_inside(ctx, versions, path, options)
    recovery.make_durable(ctx.store)  # git commits a clean merge without pre-commit
    whole = merged.format == "opaque"
    if merged.conflicts and not whole and result is not None:
        conflict_file.write(ctx, _record(ctx, path, versions, result, merged, options.strict))
    else:
        conflict_file.remove(ctx, path)
    _write(file, result)
    return Merged(
        merged.is_clean, result, versions[2], merged.format, merged.conflicts, merged.notes
    )


def _record(
    ctx: Context, path: bytes, versions: Triple, result: Pointer, merged: Inner, strict: bool
) -> Record:
    from mlver.git import command, unfinished
    from mlver.workflows import conflict_file

    head = command.attempt(["rev-parse", "--verify", "-q", "HEAD"], cwd=ctx.repo.worktree)
    return conflict_file.Record(
        path,
        *versions,
        result=result,
        conflicts=merged.conflicts,
        key=merged.key,
        key_source=merged.key_source,
        strict=strict,
        head=head.stdout.decode("ascii").strip(),
        in_rebase=unfinished.in_rebase(ctx.repo),
        format=merged.format,
    )


def _read(ingest: Ingest, path: bytes) -> _Version:
    fd = os.open(path, os.O_RDONLY)
    try:
        head = os.read(fd, MAX_SIZE)
        found = pointers.parse(head)
        if found is not None:
            return _Version(found, True)
        os.lseek(fd, 0, os.SEEK_SET)
        return _Version(ingest.add(lambda view: system.read_into(fd, view)), False)
    finally:
        os.close(fd)


def _write(path: bytes, pointer: Pointer | None) -> None:
    """The pointer in place of what git gave us; an untracked side's content is a pointer then."""
    text = b"" if pointer is None else pointer.encode()
    with open(path, "rb") as file:
        if file.read(MAX_SIZE) == text:
            return
    folder, name = os.path.split(os.path.abspath(path))
    with Worktree(folder) as tree:
        tree.replace(name, lambda fd: _all(fd, text), mode=0o644, still=lambda: True)


def _all(fd: int, text: bytes) -> None:
    view = memoryview(text)
    while view:
        view = view[os.write(fd, view) :]
