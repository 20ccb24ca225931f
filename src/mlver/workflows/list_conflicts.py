"""What is undecided in this worktree: files merged by what they hold, and files that are unmerged
as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mlver.git.objects import filtered, pointers_of, staged
from mlver.model.conflict import Conflict
from mlver.workflows.context import Context
from mlver.workflows.unresolved import unresolved


class Listed(NamedTuple):
    """One file with its conflicts."""

    path: bytes
    format: str
    key: tuple[str, ...]
    key_source: str | None
    conflicts: tuple[Conflict, ...]


def listed(ctx: Context, pathspecs: Sequence[bytes] = ()) -> list[Listed]:
    """Undecided conflicts of tracked files, by path."""
    ctx.repo.require_worktree()
    known = {record.path: record for record in unresolved(ctx)}
    if pathspecs:
        named = {entry.path for entry in staged(ctx.repo, pathspecs)}
        known = {path: record for path, record in known.items() if path in named}
    found = [
        Listed(path, record.format, record.key, record.key_source, record.conflicts)
        for path, record in known.items()
    ]
    unmerged: dict[bytes, dict[int, str]] = {}
    for entry in staged(ctx.repo, pathspecs):
        if entry.stage and entry.path not in known:
            unmerged.setdefault(entry.path, {})[entry.stage] = entry.blob
    ours = filtered(ctx.repo, list(unmerged)) if unmerged else set()
    found += [
        Listed(path, "opaque", (), None, (_whole(ctx, stages),))
        for path, stages in unmerged.items()
        if path in ours
    ]
    return sorted(found, key=lambda item: item.path)


def _whole(ctx: Context, stages: dict[int, str]) -> Conflict:
    """A file that both sides changed, as one conflict: oids and sizes."""
    pointers = pointers_of(ctx.repo, stages.values())
    values: list[dict[str, object] | None] = []
    for stage in (1, 2, 3):
        pointer = pointers.get(stages.get(stage, ""))
        shown = pointer and {"oid": pointer.oid.hex(), "size": pointer.size}
        values.append(shown if stage in stages else None)
    base, ours, theirs = values
    names = zip((1, 2, 3), ("base", "ours", "theirs"), strict=True)
    absent = tuple([name for stage, name in names if stage not in stages])
    return Conflict("file", {}, None, base, ours, theirs, absent)
