"""The merge driver: three versions of a tracked file, each a pointer or (on a branch that does not
track the file yet) plain content.

Taken where one side alone changed, or both made the same change. Two different changes keep ours
and are a conflict; git keeps all three versions in the index. The file is valid at every moment.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from mlver import system
from mlver.git.worktree import Worktree
from mlver.model import pointer as pointers
from mlver.model.pointer import MAX_SIZE, Pointer
from mlver.store.ingest import Ingest
from mlver.workflows.context import Context


@dataclass(frozen=True, slots=True)
class _Version:
    """One side: its pointer (None: empty or absent), and whether git holds it as a pointer."""

    pointer: Pointer | None
    tracked: bool


@dataclass(frozen=True, slots=True)
class Merged:
    """`clean`: False for a conflict (ours was kept)."""

    clean: bool
    ours: Pointer | None
    theirs: Pointer | None


def merge_pointers(ctx: Context, base: bytes, ours: bytes, theirs: bytes) -> Merged:
    """Merge the files at these paths; the result is written to `ours`. Raises MlverError."""
    with Ingest(ctx.store) as ingest:
        sides = [_read(ingest, path) for path in (base, ours, theirs)]
    old, mine, other = sides
    if mine.pointer == other.pointer or other.pointer == old.pointer:
        result = mine
    elif mine.pointer == old.pointer:
        result = other
    else:
        _write(ours, mine)
        return Merged(False, mine.pointer, other.pointer)
    _write(ours, _Version(result.pointer, True))
    return Merged(True, result.pointer, result.pointer)


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


def _write(path: bytes, version: _Version) -> None:
    """The pointer in place of what git gave us; an untracked side's content is a pointer then."""
    text = b"" if version.pointer is None else version.pointer.encode()
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
