"""`export`: a run, or the run that made a content, as a document of another standard."""

from __future__ import annotations

from mlver.errors import UsageError
from mlver.lineage import exports
from mlver.lineage.ancestry import walk
from mlver.lineage.exports.material import Material
from mlver.model.digest import Digest
from mlver.workflows import known_runs, run_targets
from mlver.workflows.context import Context
from mlver.workflows.known_runs import KnownRun, KnownRuns


def export(ctx: Context, text: str, form: str, *, upstream: bool = False) -> str:
    """The document's text. `upstream`: with every run that this one depends on, where the standard
    takes several (openlineage, prov). Raises UsageError for what cannot be said."""
    if upstream and form not in ("openlineage", "prov"):
        raise UsageError(
            f"a document of {form} is about one run",
            fix="git mlver export … --format openlineage --upstream, or prov",
        )
    with known_runs.known(ctx) as runs:
        target = run_targets.resolve(ctx.repo, runs, text)
        run = target.run
        if run is None and target.oid is not None:
            run = next(iter(runs.making(target.oid)), None)
        if run is None:
            raise UsageError(
                f"no run that is known here made {text!r}",
                why="its content is among no run's outputs",
                fix="git mlver why, git mlver runs; git mlver fetch, to get the runs of others",
            )
        chosen = [run]
        if upstream:
            start = [run.number]
            found = runs.use(lambda db: walk(db, [], start))
            numbers = [number for number in found.runs if number != run.number]
            chosen += runs.numbered(numbers)
        return exports.text(form, [_material(runs, known, target.oid) for known in chosen])


def _material(runs: KnownRuns, known: KnownRun, subject: Digest | None) -> Material:
    lock = runs.kept_file(known, "lock.txt") or b""
    return Material(
        run=known.run,
        inputs=(*runs.inputs(known), *known.run.configs),
        outputs=runs.outputs(known),
        params=runs.params(known),
        lock=lock.decode("utf-8", "replace"),
        subject=subject,
    )
