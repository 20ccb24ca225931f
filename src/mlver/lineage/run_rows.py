"""A run's record as rows: what the tables of `graph` say of it, and how they forget it again.

Records are not trusted: a text that UTF-8 cannot hold, a number that no column can, lose just that,
and the record's own line stands beside as it came.
"""

from __future__ import annotations

import json
import math
import shlex
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from mlver.lineage.graph import CONFIG, INPUT, OUTPUT
from mlver.model import canonical
from mlver.model.run import Artifact, Run

MEMBERS = {"inputs": INPUT, "outputs": OUTPUT, "configs": CONFIG}
_COLUMNS = (
    "num", "run_id", "name", "status", "started", "ended", "start_ms", "end_ms", "exit_code",
    "actor", "parent", "commit_id", "tree", "branch", "argv", "lock",
)  # fmt: skip
_MOST = 2**63


class Rows:
    """Rows of many runs, put into the tables at once: far faster than singly."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _MARKS}
        self.count = 0

    def add(self, num: int, run: Run, line: bytes) -> None:
        """Take a run under a number that the tables do not have yet."""
        rows = self._rows
        self.count += 1
        rows["runs"].append(_run_row(num, run))
        rows["records"].append((num, line))
        self.params(num, run.params)
        rows["metrics"] += [
            (_text(name), num, as_number(values.get("last")))
            for name, values in run.metrics.items()
        ]
        rows["tags"] += [(_text(name), num, _text(text)) for name, text in run.tags.items()]
        listed = listed_members(run)
        for member, direction in MEMBERS.items():
            if member not in listed:
                self.artifacts(num * 4 + direction, getattr(run, member))

    def params(self, num: int, params: Mapping[str, Any]) -> None:
        self._rows["params"] += [
            (_text(name), num, as_text(value), _param_number(value))
            for name, value in params.items()
        ]

    def artifacts(self, where: int, items: Iterable[Artifact]) -> None:
        """`where`: the column `list` of `artifacts`."""
        self._rows["artifacts"] += [
            (where, _text(item.path), item.oid, item.size, _text(item.role)) for item in items
        ]

    def lines(self, note: int, runs: Iterable[int]) -> None:
        """A note's lines tell of these runs."""
        self._rows["lines"] += [(note, run) for run in runs]

    def flush(self, db: sqlite3.Connection) -> None:
        for table, marks in _MARKS.items():
            rows = self._rows[table]
            if rows:
                db.executemany(f"insert into {table} {marks}", rows)
                rows.clear()
        self.count = 0


_MARKS = {
    table: f"values ({','.join('?' * count)})"
    for table, count in (
        ("records", 2), ("params", 4), ("metrics", 3), ("tags", 3), ("artifacts", 5), ("lines", 2),
    )
}  # fmt: skip
_MARKS["runs"] = f"({','.join(_COLUMNS)}) values ({','.join('?' * len(_COLUMNS))})"


def remove(db: sqlite3.Connection, num: int, run: Run) -> None:
    """Forget a run; `run` is what its record says."""
    for table, names in (("params", run.params), ("metrics", run.metrics), ("tags", run.tags)):
        keys = [(_text(name), num) for name in names]
        db.executemany(f"delete from {table} where key = ? and run = ?", keys)
    if "params" in listed_members(run):  # their names are not in the record
        db.execute("delete from params where run = ?", (num,))
    db.execute("delete from artifacts where list between ? and ?", (num * 4, num * 4 + 3))
    db.execute("delete from run_lists where run = ?", (num,))
    db.execute("delete from records where run = ?", (num,))
    db.execute("delete from runs where num = ?", (num,))


def listed_members(run: Run) -> dict[str, int]:
    """Members that lie in a listing instead of the record → how many items it is said to have."""
    listings = run.other.get("listings")
    if not isinstance(listings, dict):
        return {}
    return {
        name: count
        for name, count in listings.items()
        if name in ("inputs", "outputs", "params") and isinstance(count, int)
    }


def as_text(value: Any) -> str:
    """A parameter's value as it is compared and shown: a text as it is, else its JSON."""
    if isinstance(value, str):
        return _text(value)
    if type(value) is int and -(2**53) <= value <= 2**53:
        return str(value)
    if type(value) is float and 1e-4 < abs(value) < 1e15:  # as canonical JSON has it, sooner
        return repr(value).removesuffix(".0")
    try:
        return canonical.encode(value).decode("utf-8")
    except ValueError:
        return _text(json.dumps(value, ensure_ascii=True))


def as_number(value: Any) -> float | None:
    """A number that a column can hold; None for NaN and what is none. A text may spell one."""
    if type(value) is float and value == value:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(number) else number


def milliseconds(text: str) -> int | None:
    """A record's time, or its beginning (`2026-01-31`), as Unix time; None where it is none."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _param_number(value: Any) -> float | None:
    if type(value) is float:
        return as_number(value)
    if isinstance(value, str) and not value[:24].strip("+-.").lower().startswith(_DIGITS):
        return None  # `nan`, `infinity` and words
    return as_number(value)


_DIGITS = tuple("0123456789")


def _run_row(num: int, run: Run) -> tuple[Any, ...]:
    exit_code = run.exit_code
    return (
        num, run.run_id, _text(run.name), run.status, _text(run.started), _text(run.ended),
        milliseconds(run.started), milliseconds(run.ended),
        exit_code if exit_code is not None and -_MOST <= exit_code < _MOST else None,
        _text(run.actor), None if run.parent_run is None else _text(run.parent_run),
        _member(run.code, "commit"), _member(run.code, "tree"), _member(run.code, "branch"),
        command_line(run), _lock(run.env.get("lock")),
    )  # fmt: skip


def command_line(run: Run) -> str:
    """What was started, as a shell would take it."""
    argv = run.job.get("argv")
    words = argv if isinstance(argv, list) else []
    return _text(shlex.join(word for word in words if isinstance(word, str)))


def _member(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    return _text(value) if isinstance(value, str) else None


def _lock(value: Any) -> bytes | None:
    try:
        return bytes.fromhex(value.removeprefix("blake3:"))
    except (AttributeError, ValueError):
        return None


def _text(value: str) -> str:
    """What UTF-8 can hold of it."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def known(db: sqlite3.Connection, sql: str, values: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """Rows of a query whose last part is `in (…)`, asked in handfuls."""
    rest = list(values)
    for start in range(0, len(rest), 500):
        some = rest[start : start + 500]
        yield from db.execute(f"{sql} in ({','.join('?' * len(some))})", some)
