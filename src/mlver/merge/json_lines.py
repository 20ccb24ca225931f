"""JSON lines: as a table, each member a cell; by the lines that differ alone.

A line that both sides changed is ours with single members changed in its text; all other lines keep
their bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mlver.diff import json_lines as lines
from mlver.diff.typed import ABSENT
from mlver.formats.base import Source
from mlver.merge import keys
from mlver.merge.base import BASE, OURS, THEIRS, Merged, Versions
from mlver.merge.delimited_text import Edit, compose, without_line_end
from mlver.merge.hunks import Hunks, Span
from mlver.merge.json_text import JsonText
from mlver.merge.options import Options
from mlver.merge.row_merge import merge_rows
from mlver.merge.rows import Cells, Columns, Edits, Row
from mlver.model.change import Value

_HEAD = 64 * 1024
_STEP = 4 * 1024 * 1024


def merge(versions: Versions, name: str, options: Options) -> Merged:
    """The three versions merged. Raises NotThisFormat for a line that is no JSON."""
    found: dict[str, None] = {}
    heads = [list(_objects(source, 0, min(_HEAD, source.size))) for source in versions]
    for objects in heads:
        for item in objects:
            found.update(dict.fromkeys(item))
    zones = [lines.zones(versions.base, versions[side]) for side in (OURS, THEIRS)]
    for side, zone in zip((OURS, THEIRS), zones, strict=True):
        _Names(found, versions, side, zone)
    names = list(found)
    table = _Lines(names)
    sides = [
        Hunks(versions.base, versions[side], zone, (0, 0), table.read)
        for side, zone in zip((OURS, THEIRS), zones, strict=True)
    ]
    before = {name for item in heads[BASE] for name in item}
    before |= {
        names[place]
        for side in sides
        for row in side.removed
        for place, value in enumerate(row.cells)
        if value is not ABSENT
    }
    fresh = frozenset(n for n, name in enumerate(names) if name not in before)
    places, source = keys.choose(
        names,
        (sides[0], sides[1]),
        [[table.cells(item) for item in objects] for objects in heads],
        options,
        [n for n in range(len(names)) if n not in fresh or not versions.base.size],
        lambda key, wanted: table.is_unique(versions.base, key, wanted),
    )
    edits = merge_rows(sides[0], sides[1], Columns(names, places, fresh), options)
    ours = versions.ours
    line_end = b"\r\n" if b"\r\n" in ours.read(0, _HEAD) else b"\n"
    parts = compose(
        ours.size,
        _written(versions, names, edits, line_end),
        OURS,
        line_end,
        open_end=bool(ours.size) and ours.read(ours.size - 1, 1) != b"\n",
    )
    key = tuple([names[place] for place in places])
    notes = () if places or options.keyless else (keys.NO_KEY,)
    return Merged("jsonl", parts, tuple(edits.conflicts), key, source, notes)


class _Names:
    """Gathers the members of lines that lie outside of the zones."""

    def __init__(
        self, found: dict[str, None], versions: Versions, side: int, zones: Sequence[Any]
    ) -> None:
        def read(source: Source, start: int, end: int) -> list[tuple[Span, Cells]]:
            for item in _objects(source, start, end):
                found.update(dict.fromkeys(item))
            return []

        Hunks(versions.base, versions[side], zones, (0, 0), read)


def _spans(source: Source, start: int, end: int) -> Iterator[tuple[Span, bytes]]:
    """Lines that are not blank, with their bytes."""
    data, at = source.read(start, end - start), 0
    while at < len(data):
        line_feed = data.find(b"\n", at)
        stop = len(data) if line_feed < 0 else line_feed + 1
        if bare := lines.bare(data[at:stop]):
            yield Span(start + at, start + stop), bare
        at = stop


def _objects(source: Source, start: int, end: int) -> Iterator[dict[str, Any]]:
    for span, bare in _spans(source, start, end):
        if span.end < source.size and span.end == end and not _ends_line(source, end):
            return  # the head of the file was cut off within a line
        yield lines.as_object(bare)


def _ends_line(source: Source, at: int) -> bool:
    return source.read(at - 1, 1) == b"\n"


class _Lines:
    """Lines as rows in the columns `names`."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names, self._known = names, set(names)

    def read(self, source: Source, start: int, end: int) -> list[tuple[Span, Cells]]:
        found = []
        for span, bare in _spans(source, start, end):
            found.append((span, self.cells(lines.as_object(bare))))
        return found

    def cells(self, item: dict[str, Any]) -> Cells:
        cells: list[Value] = [item.get(name, ABSENT) for name in self._names]
        if any(name not in self._known for name in item):
            cells[:1] = [object()]  # no line that a side touched is like this one
        return tuple(cells)

    def is_unique(self, source: Source, key: Sequence[int], wanted: set[Cells]) -> bool:
        """Whether each of these keys stands in one line at most."""
        met: set[Cells] = set()
        for item in lines.all_objects(source):
            name = tuple([keys.hashable(item.get(self._names[place], ABSENT)) for place in key])
            if name in wanted:
                if name in met:
                    return False
                met.add(name)
        return True


def _written(
    versions: Versions, names: Sequence[str], edits: Edits, line_end: bytes
) -> Iterator[Edit]:
    def raw(side: int, row: Row) -> tuple[bytes, bytes]:
        return without_line_end(versions[side].read(row.place, row.end - row.place))

    for row in edits.deleted.values():
        yield row.place, row.end, b""
    for row, taken, their in edits.cells.values():
        bare, end = raw(OURS, row)
        other = None if their is None else raw(THEIRS, their)[0]
        yield row.place, row.end, _changed(bare, row, other, their, names, taken) + end
    for item in edits.inserted:
        if item.row is not None:
            yield item.place, item.place, raw(THEIRS, item.row)[0] + line_end
        else:
            members = zip(names, item.cells, strict=True)
            shown = {name: value for name, value in members if value is not ABSENT}
            yield item.place, item.place, JsonText(b"{}").write(shown).encode() + line_end


def _changed(
    bare: bytes,
    row: Row,
    other: bytes | None,
    their: Row | None,
    names: Sequence[str],
    taken: dict[int, Value],
) -> bytes:
    text = JsonText(bare)
    source = None if other is None else JsonText(other)
    last: str | None = None
    for place, name in enumerate(names):
        if row.cells[place] is not ABSENT:
            last = name
    is_object = bare.lstrip().startswith(b"{")
    for place, value in taken.items():
        path = [names[place]] if is_object else []
        if value is ABSENT:
            text.delete(path)
            continue
        written = text.write(value)
        if source is not None and their is not None and their.cells[place] == value:
            written = source.raw(path if other and other.lstrip().startswith(b"{") else [])
        if row.cells[place] is ABSENT:
            text.add(path, written, last)
        else:
            text.put(path, written)
    return text.data()
