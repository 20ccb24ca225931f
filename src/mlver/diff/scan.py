"""One look at all bytes of two text tables that are at hand: are their parts enough, and the
states and counts that reading by parts needs. What both share is looked at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mlver.diff.records import Entry, gaps
from mlver.diff.stretches import Stretch
from mlver.formats.base import Source
from mlver.formats.delimited import Dialect

_LONE_RETURN = re.compile(rb"\r(?!\n)")
_BLOCK = 1024 * 1024


class Tally(NamedTuple):
    """Of a part of a version: quote characters; line feeds and delimiters outside quotes."""

    quotes: int = 0
    line_ends: int = 0
    delimiters: int = 0

    def __add__(self, other: object) -> Tally:
        assert isinstance(other, Tally)
        return Tally(*map(sum, zip(self, other, strict=True)))


class Scanned(NamedTuple):
    """States at the equal stretches, and the records of either version with its header."""

    entries: list[Entry]
    old_records: int
    new_records: int


def scan(
    old: Source, new: Source, stretches: Sequence[Stretch], before: Dialect, after: Dialect
) -> Scanned | None:
    """None where the parts do not suffice: where a blank line, a carriage return of its own, or a
    quote inside an unquoted field stands anywhere, where quotes do not close, or where a row has
    not as many fields as the header (delimiters are counted over all rows together)."""
    mark = before.delimiter
    states: dict[int, int] = {}
    shared: dict[int, Tally] = {}
    whole = Tally()
    for start, end, is_shared in _parts([(s.old, s.old + s.length) for s in stretches], old.size):
        inside = whole.quotes & 1
        tally = _tally(old, start, end, inside, mark)
        if tally is None:
            return None
        if is_shared:
            states[start], shared[start] = inside, tally
        whole += tally
    counted = _count_new(new, stretches, states, shared, mark)
    if counted is None:
        return None
    new_states, other = counted
    entries = [
        Entry(s, states[s.old], new_states[s.new], (states[s.old] + shared[s.old].quotes) & 1)
        for s in stretches
    ]
    records = []
    for version, tally, dialect in ((old, whole, before), (new, other, after)):
        count = tally.line_ends + (_ends_open(version) if version.size else 0)
        if tally.quotes & 1 or tally.delimiters != (len(dialect.header) - 1) * count:
            return None
        if tally.quotes and not _is_strict(version, dialect):
            return None
        records.append(count)
    return Scanned(entries, records[0], records[1])


def _count_new(
    new: Source,
    stretches: Sequence[Stretch],
    states: dict[int, int],
    shared: dict[int, Tally],
    mark: bytes,
) -> tuple[dict[int, int], Tally] | None:
    """States at the stretches and the tally of the new version, from the old one's and its gaps."""
    old_of = {s.new: s.old for s in stretches}
    zones = sorted((s.new, s.new + s.length) for s in stretches)
    found: dict[int, int] = {}
    whole = Tally()
    for start, end, is_shared in _parts(zones, new.size):
        inside = whole.quotes & 1
        tally: Tally | None = None
        if is_shared:
            found[start] = inside
            if states[old_of[start]] == inside:
                tally = shared[old_of[start]]
        if tally is None:
            tally = _tally(new, start, end, inside, mark)
        if tally is None or not _joins_plainly(new, start):
            return None
        whole += tally
    return found, whole


def _parts(zones: Sequence[tuple[int, int]], size: int) -> Iterator[tuple[int, int, bool]]:
    """Zones and gaps in order: start, end, is a zone."""
    parts = [(start, end, True) for start, end in zones]
    parts += [(start, end, False) for start, end in gaps(sorted(zones), size)]
    return iter(sorted(parts))


def _joins_plainly(source: Source, at: int) -> bool:
    """No blank line stands across this place; where one does inside quotes, no matter."""
    return is_plain(source.read(max(0, at - 2), 4), last=True)


def _tally(source: Source, start: int, end: int, inside: int, mark: bytes) -> Tally | None:
    """What a part holds, entered in this state; None where it holds what needs all rows read."""
    whole, at = Tally(), start
    before = b"\n" if start == 0 else source.read(start - 2, 2)[-2:] if start > 1 else b""
    while at < end:
        data = source.read(at, min(_BLOCK, end - at))
        at += len(data)
        outside = _outside_quotes(data, inside)
        quotes = 0
        if len(outside) > 1 or inside or b'"' in data:
            quotes = data.count(b'"')
        if not inside:
            outside[0] = before + outside[0]
        for number, part in enumerate(outside):
            if not is_plain(part, last=number == len(outside) - 1):
                return None
        ends = sum([part.count(b"\n") for part in outside])
        marks = sum([part.count(mark) for part in outside])
        if not inside:
            ends -= before.count(b"\n")
            marks -= before.count(mark)
        whole += Tally(quotes, ends, marks)
        inside ^= quotes & 1
        before = b"" if inside else data[-2:]
    return whole


def _outside_quotes(data: bytes, inside: int) -> list[bytes]:
    if not inside and b'"' not in data:
        return [data]
    return data.split(b'"')[inside::2]


def is_plain(data: bytes, *, last: bool) -> bool:
    """No blank line, no carriage return without a line feed; one at the very end may have it."""
    if b"\n\n" in data:
        return False
    if b"\r" not in data:
        return True
    if b"\n\r\n" in data:
        return False
    end = len(data) - (last and data.endswith(b"\r"))  # what follows it is not seen here
    return _LONE_RETURN.search(data, 0, end) is None


def _ends_open(source: Source) -> bool:
    return source.read(source.size - 1, 1) != b"\n"


def _is_strict(source: Source, dialect: Dialect) -> bool:
    """True where every quote opens at a field's start, closes at its end, or is doubled.

    The quotes cut the text into parts that lie outside and inside quotes in turn. A part outside,
    between two quotes, is empty (a doubled quote) or begins and ends at a field's border.
    """
    border = dialect.delimiter + b"\r\n"
    for first, last, text in _outside(source, dialect.start):
        if text and not first and text[:1] not in border:
            return False
        if text and not last and text[-1:] not in border:
            return False
    return True


def _outside(source: Source, start: int) -> Iterator[tuple[bool, bool, bytes]]:
    """(is the first, is the last, text) of the parts outside quotes, each cut to its ends."""
    number, rest = 0, b""
    at = start
    while at < source.size:
        data = source.read(at, _BLOCK)
        at += len(data)
        parts = (rest + data).split(b'"')
        rest = parts.pop()
        if len(rest) > 2:
            rest = rest[:1] + rest[-1:]
        for part in parts:
            if number % 2 == 0:
                yield number == 0, False, part
            number += 1
    if number % 2 == 0:
        yield number == 0, True, rest
