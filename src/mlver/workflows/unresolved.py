"""Which conflicts are not decided yet, and who is stopped by them.

A path is unresolved while git's index has it unmerged, or while what is staged is, byte for byte,
what the merge put in place (`Record.result`). That may be ours itself; then it counts only while
the merge goes on, or where a rebase has gone through: a merge that was aborted leaves ours as well.
Anything else that was staged is somebody's decision, and is remembered (resolutions).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlver.errors import MlverError, RefusedError
from mlver.git import command, unfinished
from mlver.git.objects import literal, pointers_of, staged, tree_entries
from mlver.model.pointer import Pointer
from mlver.workflows import conflict_file
from mlver.workflows.conflict_file import Record
from mlver.workflows.context import Context


@dataclass(frozen=True, slots=True)
class _State:
    """A path in the index: its pointer, and whether git has it as unmerged."""

    pointer: Pointer | None
    is_unmerged: bool


def unresolved(ctx: Context) -> list[Record]:
    """Conflicts that wait for a decision. Those of merges that are over are forgotten."""
    found = []
    for record in conflict_file.records(ctx):
        state = _state(ctx, record.path)
        if state.is_unmerged or (state.pointer == record.result and _is_in_force(ctx, record)):
            found.append(record)
        elif not unfinished.in_merge(ctx.repo):
            conflict_file.remove(ctx, record.path)
    return found


def _state(ctx: Context, path: bytes) -> _State:
    entries = staged(ctx.repo, literal([path]))
    entries = [entry for entry in entries if entry.path == path]
    merged = [entry.blob for entry in entries if entry.stage == 0]
    found = pointers_of(ctx.repo, merged)
    return _State(found.get(merged[0]) if merged else None, bool(entries) and not merged)


def _is_in_force(ctx: Context, record: Record) -> bool:
    """Whether what is staged comes from that merge, if it is the result of it."""
    if unfinished.in_merge(ctx.repo) or _committed(ctx, "HEAD", record.path) != record.result:
        return True
    return _went_through(ctx, record, "HEAD")


def _went_through(ctx: Context, record: Record, commit: str) -> bool:
    """Whether a commit that holds the result was made by that merge."""
    if not record.head:
        return False
    cwd = ctx.repo.worktree or ctx.repo.git_dir
    done = command.attempt(["merge-base", "--is-ancestor", record.head, commit], cwd=cwd)
    if done.returncode != 0:
        return False
    if record.in_rebase:
        return True
    between = f"{record.head}..{commit}"
    if record.result != record.ours:
        return bool(command.attempt(["rev-list", "-n1", between], cwd=cwd).stdout.strip())
    merges = command.attempt(["rev-list", "-n1", "--merges", between], cwd=cwd)
    return bool(merges.stdout.strip())


def _committed(ctx: Context, revision: str, path: bytes) -> Pointer | None:
    try:
        entries = [e for e in tree_entries(ctx.repo, revision, literal([path])) if e.path == path]
    except MlverError:
        return None
    return next(iter(pointers_of(ctx.repo, [e.blob for e in entries]).values()), None)


def before_commit(ctx: Context) -> None:
    """Refuse a commit of what is unresolved; what was decided by hand is remembered. Raises
    RefusedError."""
    if not conflict_file.are_there(ctx):
        return
    waiting = []
    for record in unresolved(ctx):
        waiting.append(record.path)
    settle_by_hand(ctx)
    if waiting:
        raise refused(waiting, "nothing is committed")


def settle_by_hand(ctx: Context) -> None:
    """Remember and forget the conflicts of which something else was staged."""
    from mlver.workflows import resolutions

    for record in list(conflict_file.records(ctx)):
        state = _state(ctx, record.path)
        if state.is_unmerged or state.pointer in (None, record.result):
            continue
        if state.pointer != _committed(ctx, "HEAD", record.path):
            versions = record.base, record.ours, record.theirs
            resolutions.remember(ctx, versions, state.pointer)
        conflict_file.remove(ctx, record.path)


def before_push(ctx: Context, commits: Iterable[str]) -> None:
    """Refuse to push commits that hold what is unresolved. Raises RefusedError."""
    if not conflict_file.are_there(ctx):
        return
    paths = {path for commit in commits if commit.strip("0") for path in held(ctx, commit)}
    if paths:
        raise refused(sorted(paths), "nothing is pushed")


def held(ctx: Context, commit: str) -> list[bytes]:
    """Paths of this commit that are the provisional result of a merge that left conflicts."""
    return [
        record.path
        for record in conflict_file.records(ctx)
        if _committed(ctx, commit, record.path) == record.result
        and _went_through(ctx, record, commit)
    ]


def refused(paths: Sequence[bytes], what: str) -> RefusedError:
    """The error that stops a commit or a push."""
    names = ", ".join(os.fsdecode(path) for path in paths[:5])
    first = shlex.quote(os.fsdecode(paths[0]))
    return RefusedError(
        f"{what}: {names} has conflicts that nobody has decided",
        why="what is staged is what the merge put in place, ours where both sides changed",
        fix=f"git mlver conflicts, then git mlver resolve {first} --ours (or --theirs, --key …)",
    )
