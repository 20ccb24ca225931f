"""`git mlver verify` and pre-push: every model has a run that made it, by content.

The same rule as pre-commit's, for what was committed where that hook did not run: in a clone that
has no hooks, with --no-verify, or on a server. What counts is whether a run is known that names the
content as its output; renames and merges need no run of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mlver.errors import UsageError
from mlver.git import command, content_ids
from mlver.git.objects import tree_entries
from mlver.git.run_presence import has_runs
from mlver.model.digest import Digest
from mlver.workflows import staged_runs
from mlver.workflows.context import Context


class Unmade(NamedTuple):
    """A model that no known run made. `oid`: None where it is too large a plain blob to look at;
    `commit`: "" where a tree was checked."""

    path: bytes
    oid: Digest | None
    commit: str = ""


class Verified(NamedTuple):
    """`mode`: off, warn or reject; `checked`: files that are models; `unresolved`: files with
    conflicts of a merge of this clone that nobody has decided."""

    mode: str
    checked: int
    unmade: list[Unmade]
    unresolved: Sequence[bytes] = ()


def verify(ctx: Context, what: str = "HEAD", *, strict: bool = False) -> Verified:
    """Check the models of a commit's tree, or those that the commits of a range (`A..B`) bring,
    and that no file of it waits for the decision of a conflict.

    `strict`: as if the policy were to reject. Raises UsageError for what names no commit.
    """
    from mlver.workflows.unresolved import held

    tip = what.rpartition("..")[2] or "HEAD"
    return _models(ctx, what, strict=strict)._replace(unresolved=held(ctx, tip))


def _models(ctx: Context, what: str, *, strict: bool) -> Verified:
    mode = "reject" if strict else ctx.settings.runs.mode(has_runs(ctx.repo))
    if mode == "off":
        return Verified(mode, 0, [])
    if ".." not in what:
        entries = [entry for entry in tree_entries(ctx.repo, what) if entry.is_file]
        return _checked(ctx, mode, [(entry.path, entry.blob, "") for entry in entries])
    done = command.attempt(
        ["rev-parse", "--revs-only", "--end-of-options", what], cwd=ctx.repo.worktree
    )
    revisions = done.stdout.decode("ascii").split()
    if done.returncode != 0 or not revisions:
        raise UsageError(f"{what!r} names no commits here", fix="git log --oneline, to see them")
    return _checked(ctx, mode, _brought(ctx, revisions))


def before_push(ctx: Context, updates: Sequence[tuple[str, str]]) -> None:
    """The policy for what no git remote was seen to have yet. Raises RefusedError."""
    mode = ctx.settings.runs.mode(has_runs(ctx.repo))
    include = [local for local, _ in updates if local.strip("0")]
    if mode == "off" or not include:
        return
    output = ctx.repo.git("for-each-ref", "--format=^%(objectname)", "refs/remotes")
    found = _checked(ctx, mode, _brought(ctx, [*include, *set(output.decode("ascii").split())]))
    if found.unmade:
        paths = sorted({item.path for item in found.unmade})
        staged_runs.tell(ctx, mode, paths, "nothing is pushed")


def _brought(ctx: Context, revisions: Sequence[str]) -> Iterable[tuple[bytes, str, str]]:
    found = content_ids.brought(ctx.repo, revisions, walk=True)
    return ((file.path, file.blob, commit) for commit, files in found.items() for file in files)


def _checked(ctx: Context, mode: str, files: Iterable[tuple[bytes, str, str]]) -> Verified:
    models = [file for file in files if staged_runs.is_model(ctx, file[0])]
    oids = content_ids.content_ids(ctx.repo, (blob for _, blob, _ in models))
    made = _made(ctx, set(oids.values()))
    empty = content_ids.empty_blob(ctx.repo)
    seen: dict[tuple[bytes, str], Unmade] = {}
    for path, blob, commit in models:
        oid = oids.get(blob)
        if blob != empty and oid not in made:
            seen.setdefault((path, blob), Unmade(path, oid, commit))
    return Verified(mode, len(models), list(seen.values()))


def _made(ctx: Context, oids: set[Digest]) -> set[Digest]:
    """Of contents, those that are the output of a known run."""
    if not oids or not has_runs(ctx.repo):
        return set()
    from mlver.workflows import known_runs

    with known_runs.known(ctx) as runs:
        return {oid for oid in oids if runs.lines_making(oid)}
