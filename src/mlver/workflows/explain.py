"""`why`: which run made this content, from what, by whom and when; and what nobody knows of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlver.errors import UsageError
from mlver.git import command
from mlver.git.repo import Repo
from mlver.model.run import Artifact
from mlver.workflows import known_runs, run_targets
from mlver.workflows.context import Context
from mlver.workflows.known_runs import KnownRun, KnownRuns, Place
from mlver.workflows.run_targets import Target


class Reason(NamedTuple):
    """`makers`: runs that wrote the content, the newest first. The rest is of the first of them;
    `unknown`: what could not be told, each a clause."""

    target: Target
    makers: list[KnownRun]
    inputs: tuple[Artifact, ...]
    params: dict[str, Any]
    places: list[Place]
    unknown: list[str]


def why(ctx: Context, text: str) -> Reason:
    """Raises UsageError where it is no file, content id or run."""
    with known_runs.known(ctx) as runs:
        target = run_targets.resolve(ctx.repo, runs, text)
        if target.run is not None:
            makers = [target.run]
        elif target.oid is not None:
            makers = runs.making(target.oid)
        else:
            raise UsageError(f"{text!r} names no content")
        if not makers:
            unknown = ["no run that is known here made this content"]
            if target.oid is not None and runs.reading(target.oid):
                unknown.append("it is known only as what runs read: raw data, or made elsewhere")
            return Reason(target, [], (), {}, [], unknown)
        run = makers[0]
        return Reason(
            target, makers, (*runs.inputs(run), *run.run.configs), runs.params(run),
            runs.places(run), _unknown(ctx.repo, runs, run),
        )  # fmt: skip


def _unknown(repo: Repo, runs: KnownRuns, known: KnownRun) -> list[str]:
    run = known.run
    found = []
    if known.claim:
        found.append("which of the records that claim this run id is true")
    lost = [item.path for item in (*runs.inputs(known), *run.configs) if item.oid is None]
    if lost:
        found.append(f"the content of {len(lost)} file(s) that it read ({', '.join(lost[:3])})")
    if not runs.is_complete(known):
        found.append("all that it read or wrote: its listing is not in this clone")
    if run.exit_code is None and run.status != "running":
        found.append("its exit code: nobody saw its end")
    if not run.code.get("commit"):
        found.append("the commit of its code")
    elif not _is_here(repo, str(run.code.get("tree") or run.code["commit"])):
        found.append("its code: that is not in this clone (git fetch)")
    left_out = run.code.get("left_out")
    if isinstance(left_out, list) and left_out:
        found.append(f"{len(left_out)} file(s) that its snapshot of the code left out")
    if not run.env.get("lock"):
        found.append("the packages that were installed")
    unseen = run.other.get("unseen")
    if isinstance(unseen, list):
        found += [text for text in unseen if isinstance(text, str)]
    return found


def _is_here(repo: Repo, name: str) -> bool:
    if not name.isalnum():
        return False
    cwd = repo.worktree or repo.git_dir
    return command.attempt(["cat-file", "-e", name], cwd=cwd).returncode == 0
