"""Keeps a record within a note's line: long lists go into listings beside it, long values are cut
(docs/format/run.md, "Kept")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlver.lineage import series
from mlver.lineage.journal import Entry
from mlver.model import canonical
from mlver.model.run import MAX_LINE, Run
from mlver.workflows.recording import with_unseen

FULL, SHOWN = 100, 20
"""A list that is longer than FULL lies in a listing, and its first SHOWN in the record."""


def trimmed(entry: Entry, run: Run) -> Run:
    """The run, short enough for a note: long lists go into listings beside it."""
    full, shown, longest = FULL, SHOWN, MAX_LINE - 4096
    listings = dict(run.other.get("listings", {}))
    whole: dict[str, Sequence[Any] | Mapping[str, Any]] = {
        "inputs": run.inputs, "outputs": run.outputs, "params": run.params,
    }  # fmt: skip
    while True:
        for member, value in whole.items():
            if len(value) > full and member not in listings:
                items: Any = (
                    dict(value) if isinstance(value, Mapping) else [x.as_json() for x in value]
                )
                entry.keep(f"{member}.json", canonical.encode(items) + b"\n")
                listings[member] = len(value)
        cut: dict[str, Any] = {
            name: dict(list(value.items())[:shown]) if isinstance(value, Mapping) else value[:shown]
            for name, value in whole.items()
            if name in listings
        }
        short = replace(run, **cut) if cut else run
        if listings:
            short = replace(short, other={**short.other, "listings": listings})
        if len(short.encode()) <= longest:
            return short
        if shown == 0:
            return _without_details(short)
        full, shown = full // 4, shown // 4


def _without_details(run: Run) -> Run:
    """What is still too long has very long names or values: the series hold every metric."""
    argv = [word[:200] for word in run.job.get("argv", ())[:50]]
    run = replace(
        run,
        job={**run.job, "argv": argv},
        metrics=dict(list(run.metrics.items())[:100]),
        configs=run.configs[:20],
        tags={name[:100]: value[:200] for name, value in list(run.tags.items())[:50]},
        code={**run.code, "left_out": list(run.code.get("left_out", ()))[:5]},
    )
    return with_unseen(run, ["members that are too long for a record were cut"])


def fit(value: Any) -> Any:
    """A parameter's value as a record may hold it."""
    if isinstance(value, float) and value - value != 0:
        return series.not_finite(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53:
        return str(value)
    if isinstance(value, str):
        return value[:1000].encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list | tuple):
        return [fit(item) for item in value[:100]]
    return value if value is None or isinstance(value, bool | int | float) else str(value)[:1000]
