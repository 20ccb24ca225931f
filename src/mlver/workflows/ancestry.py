"""`lineage`: everything that content or a run came from, and everything that was made of it."""

from __future__ import annotations

from typing import NamedTuple

from mlver.lineage.ancestry import Ancestry, walk
from mlver.workflows import known_runs, run_targets
from mlver.workflows.context import Context
from mlver.workflows.run_targets import Target


class Lineage(NamedTuple):
    target: Target
    found: Ancestry


def lineage(ctx: Context, text: str, *, up: bool, down: bool, depth: int | None) -> Lineage:
    """What is known of a PATH, PATH@REV, content id or run. Raises UsageError."""
    with known_runs.known(ctx) as runs:
        target = run_targets.resolve(ctx.repo, runs, text)
        oids = [] if target.oid is None else [target.oid]
        numbers = [] if target.run is None else [target.run.number]
        found = runs.use(lambda db: walk(db, oids, numbers, up=up, down=down, depth=depth))
    if target.oid is not None and target.path:
        paths = {target.path: None}
        found.paths[target.oid] = paths | found.paths.get(target.oid, {})
    return Lineage(target, found)
