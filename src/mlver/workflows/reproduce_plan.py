"""What to run, in which order, to make a run's outputs again.

The steps upstream of a run are found by content: who made what it read. A step is skipped where
what is needed of it can be had as it is; `from_scratch` skips none, so that only what no known run
made is taken as it is. Records may be hostile: a circle among them ends where it began.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from mlver.errors import MissingContent, RefusedError, UsageError
from mlver.git import content_ids
from mlver.git.objects import tree_entries
from mlver.git.worktree import check_path
from mlver.lineage import journal
from mlver.lineage.redact import MARK
from mlver.model.digest import Digest, short
from mlver.model.run import Artifact
from mlver.workflows.context import Context
from mlver.workflows.known_runs import KnownRun, KnownRuns

REPRODUCES = "mlver.reproduces"
_MOST_STEPS = 10_000

Available = Callable[[KnownRun, Artifact], bool]
"""Whether the content of an input of this run can be had without running anything."""


class Step(NamedTuple):
    """A run to be made again. `own`: its record was made in this clone."""

    known: KnownRun
    inputs: tuple[Artifact, ...]
    outputs: tuple[Artifact, ...]
    own: bool


def target(ctx: Context, runs: KnownRuns, what: str) -> KnownRun:
    """The run that `PATH[@REV]`, or a run's id or name, means. Raises UsageError."""
    path, at, revision = what.rpartition("@")
    if not at:
        path, revision = what, "HEAD"
    oid = _content(ctx, path, revision)
    if oid is None:
        if at:
            fix = f"git ls-tree -r {revision}, to see what there is"
            raise UsageError(f"{path!r} is no file of {revision}", fix=fix)
        return runs.find(what)
    makers = runs.making(oid)
    ended = [known for known in makers if known.run.status not in ("running",)]
    if not ended:
        raise UsageError(
            f"no run is known that made {path} ({short(oid)})",
            why="it was committed without a record, or its record was not fetched",
            fix="git mlver init, then git fetch; git mlver runs, to see what is known",
        )
    return min(ended, key=lambda known: rank(ctx, runs, known, path))


def _content(ctx: Context, path: str, revision: str) -> Digest | None:
    """The content id of a file of a commit; None where there is no such file."""
    spec = b":(top,literal)" + path.encode("utf-8", "surrogateescape")
    try:
        entries = [entry for entry in tree_entries(ctx.repo, revision, [spec]) if entry.is_file]
    except UsageError:
        return None
    if len(entries) != 1:
        return None
    return content_ids.content_ids(ctx.repo, [entries[0].blob]).get(entries[0].blob)


def rank(ctx: Context, runs: KnownRuns, known: KnownRun, path: str) -> tuple[bool, ...]:
    """What is preferred is False: an original, that ended well, made here, at this very path."""
    run = known.run
    return (
        REPRODUCES in run.tags,
        run.status != "finished",
        not is_own(ctx, runs, known),
        all(item.path != path for item in run.outputs),
    )


def is_own(ctx: Context, runs: KnownRuns, known: KnownRun) -> bool:
    """Whether the record was made in this clone."""
    return known.in_journal or journal.is_own(ctx.repo.store_dir, runs.line(known))


def plan(
    ctx: Context, runs: KnownRuns, last: KnownRun, available: Available, *, from_scratch: bool
) -> list[Step]:
    """The steps, each after those that it needs; the last one is `last`. Raises MissingContent for
    what nobody has and no known run made."""
    order: list[Step] = []
    state: dict[int, bool] = {}  # run → whether it is in `order` already
    missing: list[tuple[KnownRun, Artifact]] = []
    stack: list[tuple[KnownRun, list[KnownRun] | None]] = [(last, None)]
    while stack:
        known, needed = stack.pop()
        if needed is None:
            if known.number in state:
                continue
            state[known.number] = False
            needed = _needed(ctx, runs, known, available, from_scratch, missing)
            stack.append((known, needed))
            stack += [(maker, None) for maker in reversed(needed) if maker.number not in state]
        elif not state[known.number]:
            state[known.number] = True
            order.append(step_of(ctx, runs, known))
        if len(state) > _MOST_STEPS:
            raise UsageError(f"more than {_MOST_STEPS} steps lead there", fix="name a later run")
    if missing:
        raise _missing(missing)
    return order


def _needed(
    ctx: Context,
    runs: KnownRuns,
    known: KnownRun,
    available: Available,
    from_scratch: bool,
    missing: list[tuple[KnownRun, Artifact]],
) -> list[KnownRun]:
    found = []
    for item in inputs_of(runs, known):
        if item.oid is None:
            continue  # its content was not known then: the code's tree is all there is
        makers = [m for m in runs.making(item.oid) if m.run.status == "finished"]
        makers = [m for m in makers if m.number != known.number]
        if (not makers or not from_scratch) and available(known, item):
            continue
        if makers:
            found.append(min(makers, key=lambda m: rank(ctx, runs, m, item.path)))
        else:
            missing.append((known, item))
    return found


def step_of(ctx: Context, runs: KnownRuns, known: KnownRun) -> Step:
    """What it takes to run this run again."""
    return Step(known, inputs_of(runs, known), runs.outputs(known), is_own(ctx, runs, known))


def check_command(step: Step) -> None:
    """Raise RefusedError where a record's command cannot be run, or a path of it would leave the
    folder that it is run in."""
    run = step.known.run
    argv = run.job.get("argv")
    name = run.name or run.run_id
    if not isinstance(argv, list) or not argv or not all(isinstance(w, str) for w in argv):
        raise RefusedError(f"the record of {name} holds no command", fix="name another run")
    if any("\0" in word for word in argv) or not argv[0]:
        raise RefusedError(f"the command of {name} cannot be started", fix="name another run")
    if any(MARK in word for word in argv):
        raise RefusedError(
            f"the command of {name} cannot be run again as it was",
            why="a secret stood in its words, and was taken out of the record",
            fix="run it by hand with the secret, and record it: git mlver run -- …",
        )
    cwd = run.job.get("cwd", "")
    if cwd:
        check_path(os.fsencode(str(cwd)))
    for item in (*step.inputs, *step.outputs):
        check_path(os.fsencode(item.path))


def inputs_of(runs: KnownRuns, known: KnownRun) -> tuple[Artifact, ...]:
    """All that a run read: inputs, and the parameter files."""
    return (*runs.inputs(known), *known.run.configs)


def _missing(missing: list[tuple[KnownRun, Artifact]]) -> MissingContent:
    known, item = missing[0]
    named = "" if item.oid is None else f" ({short(item.oid)})"
    return MissingContent(
        f"{len(missing)} input(s) cannot be had, first {item.path}{named} of the run"
        f" {known.run.name or known.run.run_id}",
        why="the content is neither here nor on a remote, and no known run made it",
        fix="git mlver fetch --all, or put the file where a remote is, then again",
    )
