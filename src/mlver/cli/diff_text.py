"""A diff for people: a summary line a file, then samples of its changes, in the terminal's width.

Every value is escaped: nothing of a file can act on the terminal.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import chain

import click

from mlver.cli.output import escape, human_size, show_path
from mlver.diff.groups import by_column
from mlver.model.change import Change, Columns, FileDiff, RowCounts, TensorChange, Value
from mlver.workflows.content_diff import Compared

SAMPLES = 10
_SIGNS = {"added": "+", "removed": "-", "modified": "~"}
_COLOURS = {"added": "green", "removed": "red", "modified": "yellow"}
_LETTERS = {"added": "A", "modified": "M", "removed": "D", "renamed": "R"}


def summary(item: Compared) -> str:
    """One line: the file, and how much of it changed."""
    change = item.file
    name = show_path(change.path)
    if change.old_path != change.path:
        name = f"{show_path(change.old_path)} → {name}"
    counted = totals(item.content)
    line = f"{_LETTERS[change.status]}  {name}  {summary_words(item)}"
    return click.style(line, bold=True) + (f"  {counted}" if counted else "")


def summary_words(item: Compared) -> str:
    """The sizes of both versions."""
    change = item.file
    old = "none" if change.old is None else human_size(change.old.size)
    new = "none" if change.new is None else human_size(change.new.size)
    return old if change.old == change.new else f"{old} → {new}"


def totals(content: FileDiff) -> str:
    """How much changed, in a few words; "" where nobody looked inside."""
    words = []
    rows, columns, tensors = content.rows, content.columns, content.tensors
    if rows is not None:
        words += [
            f"{rows.added:,} added",
            f"{rows.removed:,} removed",
            f"{rows.modified:,} modified",
        ]
        words[-1] += f" of {rows.old:,} rows"
    for name in ("added", "removed", "renamed", "retyped"):
        if getattr(columns, name):
            words.append(f"columns {name}: {len(getattr(columns, name))}")
    for name in ("added", "removed", "modified"):
        if getattr(tensors, name):
            words.append(f"tensors {name}: {len(getattr(tensors, name))}")
    if not words and content.changes:
        for kind in ("added", "removed", "modified"):
            count = sum(change.kind == kind for change in content.changes)
            words += [f"{count:,} {kind}"] if count else []
    return ", ".join(words)


def notes(content: FileDiff) -> Iterator[str]:
    """What a person should know of how it was read."""
    for note in content.notes:
        yield click.style(f"   note: {escape(note)}", dim=True)


def groups(content: FileDiff, column: str) -> Iterator[str]:
    """The changes by the value of a column, as a table."""
    found = by_column(content, column)
    yield from notes(content)
    if not found:
        if content.changes:
            yield f"   no change has a column {escape(column)}"
        return
    names = ("added", "removed", "modified", "moved in", "moved out")
    rows = [(shown(group.value), *(f"{n:,}" for n in group[1:])) for group in found]
    wide = max(len(escape(column)), *(len(row[0]) for row in rows))
    yield f"   {escape(column):<{wide}}" + "".join(f"  {name:>9}" for name in names)
    for row in rows:
        yield f"   {row[0]:<{wide}}" + "".join(f"  {number:>9}" for number in row[1:])


def details(
    content: FileDiff,
    width: int | None,
    limit: int | None = SAMPLES,
    more: str = "--all shows them",
) -> Iterator[str]:
    """Lines below the summary; at most `limit` changes (None: all), cut to `width`."""
    yield from notes(content)
    if content.key:
        source = f" ({content.key_source})" if content.key_source else ""
        yield f"   key: {escape(', '.join(content.key))}{source}"
    elif content.rows is not None and content.changes:
        yield "   key: none; rows are told apart by all of their values"
    yield from _columns(content.columns)
    yield from _ambiguous(content.rows)
    lines = chain(_tensors(content), _changes(content, width))
    for count, line in enumerate(lines):
        if limit is not None and count == limit:
            yield f"   … {sum(1 for _ in lines) + 1:,} more: {more}"
            return
        yield line


def _changes(content: FileDiff, width: int | None) -> Iterator[str]:
    for change in content.changes:
        if "tensor" not in change.key or not content.tensors:
            yield from _change(change, width)


def _columns(columns: Columns) -> Iterator[str]:
    for name in columns.added:
        yield click.style(f"   + column {escape(name)}", fg="green")
    for name in columns.removed:
        yield click.style(f"   - column {escape(name)}", fg="red")
    for old, new in columns.renamed:
        yield click.style(f"   ~ column {escape(old)} → {escape(new)}", fg="yellow")
    for name, old, new in columns.retyped:
        yield click.style(f"   ~ column {escape(name)}: {escape(old)} → {escape(new)}", fg="yellow")


def _ambiguous(rows: RowCounts | None) -> Iterator[str]:
    if rows is not None and rows.ambiguous:
        yield f"   {rows.ambiguous:,} of them share their key with others, and could not be paired"


def _tensors(content: FileDiff) -> Iterator[str]:
    for kind in ("added", "removed", "modified"):
        for item in getattr(content.tensors, kind):
            yield click.style(f"   {_SIGNS[kind]} {_tensor(item)}", fg=_COLOURS[kind])


def _tensor(item: TensorChange) -> str:
    shape = " x ".join(map(str, item.shape)) or "scalar"
    text = f"{escape(item.name)}  {escape(item.dtype)} {shape}"
    if item.max_abs is not None:
        text += f"  max |Δ| {item.max_abs:.3g}"
    if item.rel_l2 is not None:
        text += f"  ‖Δ‖/‖old‖ {item.rel_l2:.3g}"
    return text


def _change(change: Change, width: int | None) -> Iterator[str]:
    colour, sign = _COLOURS[change.kind], _SIGNS[change.kind]
    head = f"   {sign} "
    if change.kind == "modified":
        cells = "; ".join(
            f"{escape(cell.column)}: {shown(cell.old)} → {shown(cell.new)}" for cell in change.cells
        )
        text = f"{_pairs(change.key)}  {cells}" if change.key else cells
    else:
        text = _pairs(change.row)
    yield click.style(_cut(head + text, width), fg=colour)


def _pairs(row: Mapping[str, Value]) -> str:
    return " ".join(f"{escape(name)}={shown(item)}" for name, item in row.items())


def shown(item: Value) -> str:
    """A value on one line; text as it is, where it is plain."""
    if isinstance(item, str):
        plain = item and item.isprintable() and item == item.strip() and escape(item) == item
        return item if plain else escape(json.dumps(item, ensure_ascii=False))
    if item is None:
        return "null"
    return escape(json.dumps(item, ensure_ascii=False, default=str))


def _cut(text: str, width: int | None) -> str:
    if width is None:
        return text
    if text.isascii():
        return text if len(text) <= width else text[: max(1, width - 1)] + "…"
    columns = 0
    for place, char in enumerate(text):
        columns += _columns_of(char)
        if columns > width:
            while columns > width - 1 and place:
                columns -= _columns_of(text[place])
                place -= 1
            return text[: place + 1] + "…"
    return text


def _columns_of(char: str) -> int:
    """How wide a terminal draws it: East Asian letters take two columns, accents none."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
