"""Runs in words and tables for a terminal, as CSV, and as JSON. Records may have come with a clone:
whatever a terminal or a spreadsheet would act on is written out or quoted."""

from __future__ import annotations

import csv
import io
import os
import re
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

from mlver.cli.output import escape
from mlver.lineage.filter_keys import Key
from mlver.model.run import Run
from mlver.workflows.known_runs import KnownRun
from mlver.workflows.list_runs import duration, value

SHORT = 8
"""Digits of a run id for people: its last ones, for the first ones are its time."""
_NUMBER = re.compile(r"\A-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\Z|\A-?Infinity\Z")
_WIDEST = 32


def short_id(run: Run) -> str:
    return run.run_id[-SHORT:]


def record(known: KnownRun) -> dict[str, Any]:
    """A run's record for JSON, and how this clone knows it."""
    members = known.run.as_json()
    return {**members, "known": {"claim": known.claim, "journal": known.in_journal}}


def status(run: Run) -> str:
    """Its status, with the exit code where that says more."""
    code = run.exit_code
    return f"{run.status} ({code})" if code and abs(code) < 1 << 31 else run.status


def lasted(run: Run) -> str:
    """How long it took, for people."""
    seconds = duration(run)
    if seconds is None or seconds < 0:
        return ""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{seconds:02d}s"


def when(text: str) -> str:
    """A record's time to the second, in UTC."""
    return text[:19].replace("T", " ")


def table(runs: Sequence[KnownRun], columns: Sequence[Key], chosen: bool) -> list[str]:
    """Lines of a table as wide as the terminal; where it ends before the columns do, the last ones
    are left out and named. `chosen`: show just these columns beside the id."""
    titles = ["RUN"] if chosen else ["RUN", "NAME", "STATUS", "STARTED", "TOOK"]
    rows = [
        [short_id(known.run) + ("!" if known.claim else "")]
        if chosen
        else [
            short_id(known.run) + ("!" if known.claim else ""),
            known.run.name,
            status(known.run),
            when(known.run.started),
            lasted(known.run),
        ]
        for known in runs
    ]
    titles += [_title(key, columns) for key in columns]
    for row, known in zip(rows, runs, strict=True):
        row += [value(known.run, key) for key in columns]
    lines = layout(titles, rows)
    if any(known.claim for known in runs):
        lines.append("!: several records claim this run id; git mlver show gives them all")
    return lines


def layout(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table's lines, within the terminal's width where there is a terminal."""
    columns = terminal_columns()
    cells = [[_cell(text, columns is not None) for text in row] for row in [titles, *rows]]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    taken, shown = 0, 0
    for width in widths:
        taken += width + (2 if shown else 0)
        if columns is not None and taken > columns and shown:
            break
        shown += 1
    lines = ["  ".join(map(_padded, row[:shown], widths)).rstrip() for row in cells]
    if shown < len(widths):
        left = ", ".join(cells[0][shown:])
        lines.append(f"(not shown: {left}; --columns chooses)")
    return lines


def terminal_columns() -> int | None:
    """The width of the terminal that standard output is; None for a pipe or a file."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (AttributeError, OSError, ValueError):
        return None


def csv_text(runs: Sequence[KnownRun], columns: Sequence[Key]) -> str:
    """RFC 4180, a header first. A text that a spreadsheet would take for a formula has `'` before
    it."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([harmless(key.title) for key in columns])
    writer.writerows([harmless(value(known.run, key)) for key in columns] for known in runs)
    return file.getvalue()


def harmless(text: str) -> str:
    """A cell that no spreadsheet evaluates."""
    if text[:1] in "=+-@\t\r\n" and text and not _NUMBER.match(text):
        return "'" + text
    return text


def _title(key: Key, columns: Sequence[Key]) -> str:
    """A column's name, with its kind only where another column has the same name."""
    same = sum(other.name == key.name for other in columns)
    return key.title if same > 1 else key.name


def _cell(text: str, cut: bool) -> str:
    text = escape(text if len(text) < 200 else text[:200] + "…")
    return text[: _WIDEST - 1] + "…" if cut and len(text) > _WIDEST else text


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
