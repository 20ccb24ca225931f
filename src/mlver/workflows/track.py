"""Which files are tracked: patterns in .gitattributes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from mlver.errors import UsageError
from mlver.git import attributes
from mlver.git.objects import filtered, pointers_of, staged
from mlver.workflows.capture import change_file
from mlver.workflows.context import Context
from mlver.workflows.staged import ATTRIBUTES


@dataclass(slots=True)
class Tracked:
    """`changed`: patterns written or removed. `raw`: matching files that are no pointers."""

    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)


def track(ctx: Context, patterns: Sequence[str], cwd: bytes, *, dry_run: bool = False) -> Tracked:
    """Add patterns to the .gitattributes of `cwd`, as git reads them there."""
    ctx.repo.require_worktree()  # git reads no .gitattributes inside a git directory
    result = Tracked()
    for pattern in patterns:
        if pattern.endswith("/") or os.path.isdir(os.path.join(cwd, os.fsencode(pattern))):
            raise UsageError(
                f"{pattern!r} is a directory",
                why="tracked directories come in a later version",
                fix=f"git mlver track '{pattern.rstrip('/')}/**'",
            )
        written = attributes.pattern_from_user(pattern)
        changed = _change(cwd, partial(attributes.with_pattern, pattern=written), dry_run)
        (result.changed if changed else result.unchanged).append(pattern)
    if not dry_run:
        result.raw = raw_files(ctx)
    return result


def untrack(ctx: Context, patterns: Sequence[str], cwd: bytes) -> Tracked:
    """Remove patterns from the .gitattributes of `cwd`. Content and history stay as they are."""
    ctx.repo.require_worktree()
    result = Tracked()
    for pattern in patterns:
        written = attributes.pattern_from_user(pattern)
        changed = _change(cwd, partial(attributes.without_pattern, pattern=written), False)
        (result.changed if changed else result.unchanged).append(pattern)
    return result


def patterns_here(ctx: Context, cwd: bytes) -> list[tuple[str, str]]:
    """(file, pattern) of every .gitattributes from the top down to `cwd` that tracks something."""
    found = []
    inside = os.path.relpath(cwd, ctx.repo.top)
    folders = [ctx.repo.top]
    for part in [] if inside == b"." else inside.split(os.sep.encode()):
        folders.append(os.path.join(folders[-1], part))
    for folder in folders:
        path = os.path.join(folder, ATTRIBUTES)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                text = file.read()
            name = os.fsdecode(os.path.relpath(path, ctx.repo.top))
            found += [(name, os.fsdecode(pattern)) for pattern in attributes.patterns(text)]
    return found


def raw_files(ctx: Context) -> list[bytes]:
    """Files in the index that our filter is attributed to, and that are not pointers."""
    entries = [entry for entry in staged(ctx.repo) if entry.is_file and entry.stage == 0]
    wanted = filtered(ctx.repo, [entry.path for entry in entries])
    entries = [entry for entry in entries if entry.path in wanted]
    found = pointers_of(ctx.repo, (entry.blob for entry in entries))
    empty = _EMPTY[ctx.repo.hash_name]
    return [entry.path for entry in entries if entry.blob not in found and entry.blob != empty]


_EMPTY = {
    "sha1": "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    "sha256": "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
}


def _change(cwd: bytes, change: Callable[[bytes], bytes], dry_run: bool) -> bool:
    path = os.path.join(cwd, ATTRIBUTES)
    if not dry_run:
        return change_file(path, change)
    try:
        with open(path, "rb") as file:
            text = file.read()
    except FileNotFoundError:
        text = b""
    return change(text) != text
