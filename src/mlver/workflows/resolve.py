"""`git mlver resolve`: decide conflicts. The merge is made again with what was decided, so that
the file is written once, in its own form; what is left stays provisional.

A file that somebody edited after the merge is not written over: it is added as it is.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mlver.errors import RefusedError, UsageError
from mlver.git.objects import IndexEntry, literal, pointers_of, staged, update_index
from mlver.git.worktree import Worktree
from mlver.merge.options import Choice, Options, identity
from mlver.model.conflict import Conflict
from mlver.model.pointer import Pointer
from mlver.store import files
from mlver.store.assemble import stream_blob
from mlver.workflows import conflict_file, resolutions
from mlver.workflows.add import add
from mlver.workflows.conflict_file import Record
from mlver.workflows.context import Context
from mlver.workflows.merge_versions import merge_inside
from mlver.workflows.worktree_content import held

STAGES = {"base": 1, "ours": 2, "theirs": 3}


@dataclass(frozen=True, slots=True)
class Resolved:
    """`left`: conflicts of the path that are still to be decided; none: it is staged."""

    path: bytes
    left: tuple[Conflict, ...] = ()


def resolve_all(ctx: Context, path: bytes, side: str) -> Resolved:
    """Decide every conflict of a path for a side. Raises UsageError where it has none."""
    record = conflict_file.read(ctx, path)
    if record is None:
        return _take_stage(ctx, path, side)
    return _again(ctx, record, record.choices, Choice(side))


def resolve_one(
    ctx: Context, path: bytes, key: Sequence[str], column: str | None, choice: Choice
) -> Resolved:
    """Decide one conflict. `key`: its values, or `name=value`, in the order of the key."""
    record = _record(ctx, path)
    found = [c for c in record.conflicts if c.column == column and _is_named(c.key, key)]
    if column is None and not found:
        found = [c for c in record.conflicts if _is_named(c.key, key)]
    if not found:
        raise UsageError(
            f"{os.fsdecode(path)} has no such conflict",
            fix=f"git mlver conflicts {shlex.quote(os.fsdecode(path))}",
        )
    if choice.side is None and any(c.column is None and c.kind != "path" for c in found):
        raise UsageError("a value decides one cell", fix="name its column too: --col COLUMN")
    decided = {identity(c.key, c.column): choice for c in found}
    return _again(ctx, record, {**record.choices, **decided}, None)


def resolve_from(ctx: Context, path: bytes, source: bytes) -> Resolved:
    """Take a file's content for a path that has conflicts."""
    record = conflict_file.read(ctx, path)
    if record is None and not _stages(ctx, path):
        raise _no_conflict(path)
    with files.disk_errors("reading", source), open(source, "rb", buffering=0) as file:

        def write(fd: int) -> None:
            while data := file.read(1 << 20):
                files.write_all(fd, [data])

        _replace(ctx, path, write)
    return _stage(ctx, path, record)


def _again(
    ctx: Context, record: Record, choices: Mapping[str, Choice], rest: Choice | None
) -> Resolved:
    now = _worktree_pointer(ctx, record.path)
    if now not in (record.result, None):
        name = shlex.quote(os.fsdecode(record.path))
        raise RefusedError(
            f"{os.fsdecode(record.path)} was changed after the merge",
            why="deciding conflicts writes the file anew, and the change would be lost",
            fix=f"git add {name}, which takes it as it is; or git checkout -m -- {name} before",
        )
    options = Options(
        record.key if record.key_source != "inferred" else (),
        record.key_source or "option",
        strict=record.strict,
        choices=choices,
        rest=rest,
    )
    versions = record.base, record.ours, record.theirs
    merged, result = merge_inside(ctx, versions, record.path, options)
    if result is None or (merged.conflicts and rest is not None):
        raise UsageError(
            f"{os.fsdecode(record.path)} cannot be decided in this way",
            fix="put the right content there, and git add it",
        )
    _replace(ctx, record.path, lambda fd: _content(ctx, result, fd))
    if not merged.conflicts:
        return _stage(ctx, record.path, record)
    conflict_file.write(
        ctx, replace(record, result=result, conflicts=merged.conflicts, choices=choices)
    )
    if not _stages(ctx, record.path):  # it was added as it was: it stays unresolved
        add(ctx, literal([record.path]), ctx.repo.top)
    return Resolved(record.path, merged.conflicts)


def _stage(ctx: Context, path: bytes, record: Record | None) -> Resolved:
    """Add the file, and remember what its conflicts became."""
    add(ctx, literal([path]), ctx.repo.top)
    if record is not None:
        entries = [e for e in staged(ctx.repo, literal([path])) if e.path == path]
        found = pointers_of(ctx.repo, [entry.blob for entry in entries])
        for pointer in found.values():
            resolutions.remember(ctx, (record.base, record.ours, record.theirs), pointer)
        conflict_file.remove(ctx, path)
    return Resolved(path)


def _take_stage(ctx: Context, path: bytes, side: str) -> Resolved:
    """One of git's three versions of a path that is merged as a whole."""
    stages = _stages(ctx, path)
    if not stages:
        raise _no_conflict(path)
    entry = stages.get(STAGES[side])
    if entry is None:
        ctx.repo.git("rm", "-q", "--force", "--", *literal([path]))
        return Resolved(path)
    pointer = pointers_of(ctx.repo, [entry.blob]).get(entry.blob)
    if pointer is None:
        update_index(ctx.repo, [IndexEntry(entry.mode, entry.blob, 0, path)])
        ctx.repo.git("checkout-index", "--force", "-z", "--stdin", input=path + b"\0")
        return Resolved(path)
    from mlver.workflows.fetch import fetch_pointers, is_whole

    if not is_whole(ctx, pointer):
        for error in fetch_pointers(ctx, [pointer]).failed.values():
            raise error
    _replace(ctx, path, lambda fd: _content(ctx, pointer, fd))
    return _stage(ctx, path, None)


def _stages(ctx: Context, path: bytes) -> dict[int, IndexEntry]:
    """The versions that git's index has of a path that is unmerged."""
    entries = staged(ctx.repo, literal([path]))
    return {entry.stage: entry for entry in entries if entry.path == path and entry.stage}


def _record(ctx: Context, path: bytes) -> Record:
    record = conflict_file.read(ctx, path)
    if record is None:
        raise _no_conflict(path)
    return record


def _no_conflict(path: bytes) -> UsageError:
    return UsageError(f"{os.fsdecode(path)} has no conflict", fix="git mlver conflicts")


def _is_named(key: Mapping[str, object], words: Sequence[str]) -> bool:
    """Whether these words name the key: its values in order, or `name=value`."""
    values = {name: value if isinstance(value, str) else repr(value) for name, value in key.items()}
    if len(words) != len(values):
        return False
    given = {}
    for word, name in zip(words, values, strict=True):
        start, equals, rest = word.partition("=")
        given[start if equals and start in values else name] = (
            rest if equals and start in values else word
        )
    return given == values


def _worktree_pointer(ctx: Context, path: bytes) -> Pointer | None:
    """The pointer of what the worktree's file holds; None where it is not there, or empty."""
    with Worktree(ctx.repo.top) as worktree:
        now = held(worktree, path)
    return None if now is None else now.pointer


def _replace(ctx: Context, path: bytes, write: Callable[[int], None]) -> None:
    with Worktree(ctx.repo.top) as worktree, files.disk_errors("resolving", path):
        info = worktree.stat(path)
        mode = 0o644 if info is None else info.st_mode & 0o777
        worktree.replace(path, write, mode=mode, still=lambda: True)


def _content(ctx: Context, pointer: Pointer, fd: int) -> None:
    for part in stream_blob(ctx.store, pointer, ctx.pool):
        files.write_all(fd, list(part))
