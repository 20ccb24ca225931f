"""The runs that a filter chooses, in an order, with the columns that tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mlver.lineage import filter_keys as keys
from mlver.lineage.filter_keys import Key
from mlver.lineage.filters import compile_filter, compile_order, parse_key
from mlver.lineage.run_rows import as_text, command_line, milliseconds
from mlver.model.run import Run
from mlver.workflows import known_runs
from mlver.workflows.context import Context
from mlver.workflows.known_runs import KnownRun

USUAL = (
    "run_id", "name", "status", "exit_code", "started", "ended", "duration", "actor", "commit",
    "branch", "command",
)  # fmt: skip
"""Attributes that everyone wants in a CSV."""


class Chosen(NamedTuple):
    """`runs`: those to show; `total`: how many the filter chose."""

    runs: list[KnownRun]
    total: int


def choose(ctx: Context, expression: str, sort: Sequence[str], limit: int | None) -> Chosen:
    """Runs that fulfil the expression (all where it is empty), sorted, at most `limit`.

    Raises UsageError for an expression or a key that cannot be understood.
    """
    condition, order = compile_filter(expression), compile_order(sort)
    with known_runs.known(ctx) as runs:
        rows = runs.ask(
            f"select r.num from runs r where {condition.text} order by {order.text}",
            (*condition.values, *order.values),
        )
        numbers = [num for (num,) in rows]
        return Chosen(runs.numbered(numbers if limit is None else numbers[:limit]), len(numbers))


def column(name: str) -> Key:
    """The column that a person names. Raises UsageError."""
    return parse_key(name)


def telling_columns(runs: Sequence[KnownRun]) -> list[Key]:
    """What is worth a column: parameters in which these runs differ, and their metrics."""
    params: dict[str, set[str]] = {}
    metrics: dict[str, None] = {}
    count: dict[str, int] = {}
    for known in runs:
        for name, value in known.run.params.items():
            params.setdefault(name, set()).add(as_text(value))
            count[name] = count.get(name, 0) + 1
        metrics |= dict.fromkeys(known.run.metrics)
    telling = [name for name, seen in params.items() if len(seen) > 1 or count[name] < len(runs)]
    return [
        *(Key(keys.METRIC, name) for name in metrics),
        *(Key(keys.PARAM, name) for name in telling),
    ]


def all_columns(runs: Sequence[KnownRun]) -> list[Key]:
    """Every parameter, metric and tag that these runs have, by name."""
    found = {
        entity: sorted({name for known in runs for name in getattr(known.run, entity)})
        for entity in (keys.PARAM, keys.METRIC, keys.TAG)
    }
    return [Key(entity, name) for entity, names in found.items() for name in names]


def value(run: Run, key: Key) -> str:
    """What a run has in a column, as text; "" for nothing."""
    if key.entity == keys.PARAM:
        return as_text(run.params[key.name]) if key.name in run.params else ""
    if key.entity == keys.METRIC:
        last = run.metrics.get(key.name, {}).get("last", "")
        return as_text(last)
    if key.entity == keys.TAG:
        return run.tags.get(key.name, "")
    return _attribute(run, key.name)


def duration(run: Run) -> float | None:
    """Seconds from start to end; None while it runs."""
    start, end = milliseconds(run.started), milliseconds(run.ended)
    return None if start is None or end is None else (end - start) / 1000


def _attribute(run: Run, name: str) -> str:
    if name in ("commit", "tree", "branch"):
        found = run.code.get(name)
        return found if isinstance(found, str) else ""
    if name in ("input", "output", "path"):
        inputs = [item.path for item in (*run.inputs, *run.configs)] if name != "output" else []
        outputs = [item.path for item in run.outputs] if name != "input" else []
        return ", ".join([*inputs, *outputs])
    if name == "duration":
        seconds = duration(run)
        return "" if seconds is None else f"{seconds:.3f}"
    if name == "command":
        return command_line(run)
    return _plain(run, name)


def _plain(run: Run, name: str) -> str:
    members = {
        "actor": run.actor, "author": run.actor, "user_id": run.actor,
        "ended": run.ended, "end_time": run.ended,
        "started": run.started, "start_time": run.started,
        "id": run.run_id, "run_id": run.run_id,
        "name": run.name, "run_name": run.name,
        "parent": run.parent_run, "parent_run": run.parent_run,
        "status": run.status, "exit_code": run.exit_code,
    }  # fmt: skip
    found = members[name]
    return "" if found is None else str(found)
