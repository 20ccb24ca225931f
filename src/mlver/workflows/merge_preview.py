"""`git mlver merge --dry-run`: what a merge of a commit would do to tracked files. Nothing is
written, and content is fetched only for files that both sides changed.

Renames are not followed, and of several merge bases the first is taken; git's merge does better.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from mlver.errors import UsageError
from mlver.git import command
from mlver.git.objects import filtered, pointers_of, tree_entries
from mlver.model.conflict import Conflict
from mlver.model.pointer import Pointer
from mlver.workflows import merge_versions, resolutions
from mlver.workflows.context import Context
from mlver.workflows.merge_versions import Triple


class Foreseen(NamedTuple):
    """One file. `state`: theirs (they alone changed it), merged, remembered (conflicts were decided
    before), conflict."""

    path: bytes
    state: str
    format: str = ""
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()


Tree = Mapping[bytes, str]


def preview(ctx: Context, branch: str) -> list[Foreseen]:
    """Files that the merge would change or leave in conflict, by path. Raises UsageError."""
    cwd = ctx.repo.worktree or ctx.repo.git_dir
    named = ["rev-parse", "--verify", "--quiet", "--end-of-options", branch + "^{commit}"]
    if command.attempt(named, cwd=cwd).returncode != 0:
        raise UsageError(f"{branch!r} names no commit here", fix="git branch --all, to see them")
    found = command.attempt(["merge-base", "HEAD", branch], cwd=cwd).stdout.split()
    base: Tree = _tree(ctx, os.fsdecode(found[0])) if found else {}
    ours, theirs = _tree(ctx, "HEAD"), _tree(ctx, branch)
    changed = [path for path in sorted({*base, *theirs}) if theirs.get(path) != base.get(path)]
    wanted = [path for path in changed if ours.get(path) != theirs.get(path)]
    tracked = filtered(ctx.repo, wanted) if wanted else set()
    return [_file(ctx, path, (base, ours, theirs)) for path in wanted if path in tracked]


def _tree(ctx: Context, revision: str) -> Tree:
    return {entry.path: entry.blob for entry in tree_entries(ctx.repo, revision) if entry.is_file}


def _file(ctx: Context, path: bytes, trees: tuple[Tree, Tree, Tree]) -> Foreseen:
    blobs = [tree.get(path) for tree in trees]
    if blobs[1] == blobs[0]:
        return Foreseen(path, "theirs")
    pointers = pointers_of(ctx.repo, [blob for blob in blobs if blob])
    values = [None if blob is None else pointers.get(blob) for blob in blobs]
    base, ours, theirs = values
    if ours is None or theirs is None or (blobs[0] and base is None):
        return Foreseen(path, "conflict", "opaque", (_whole(values, blobs),))
    versions: Triple = base, ours, theirs
    if not merge_versions.is_known(path):
        return Foreseen(path, "conflict", "opaque", (_whole(values, blobs),))
    if resolutions.remembered(ctx, versions) is not None:
        return Foreseen(path, "remembered")
    options = merge_versions.options_of(ctx, path)
    merged = merge_versions.merge_inside(ctx, versions, path, options, store=False).merged
    state = "merged" if merged.is_clean else "conflict"
    return Foreseen(path, state, merged.format, merged.conflicts, merged.notes)


def _whole(values: list[Pointer | None], blobs: list[str | None]) -> Conflict:
    shown = [value and {"oid": value.oid.hex(), "size": value.size} for value in values]
    sides = zip(("base", "ours", "theirs"), blobs, strict=True)
    absent = tuple([side for side, blob in sides if blob is None])
    return Conflict("file", {}, None, shown[0], shown[1], shown[2], absent)
