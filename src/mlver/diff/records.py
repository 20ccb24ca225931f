"""Records that one of two versions has and the other has not, from the parts that differ alone.

A record ends at a line feed outside quotes. Runs of equal pieces (pieces.py) hold the same records
where both versions enter them in the same state, inside quotes or outside; of each run, the records
that lie in it whole cancel. What is left is widened to whole records, read, and cancelled as a
multiset of raw records. Reading from the next line feed instead, without the state, is wrong: a
quoted field may hold one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mlver.diff.pieces import Run, common_runs
from mlver.formats.base import Piece, Source

_STEP = 64 * 1024


class Marks(NamedTuple):
    """What is known of a piece without reading it again: quote characters in it, and line feeds
    outside quotes, given the state in which the version enters it."""

    quotes: int
    line_ends: int


@dataclass(slots=True)
class Version:
    """One version: its bytes, its pieces, their marks. `start`: bytes before the first record."""

    source: Source
    pieces: Sequence[Piece]
    marks: Sequence[Marks]
    start: int = 0

    def __post_init__(self) -> None:
        self.inside = self._states()

    inside: bytearray = None  # type: ignore[assignment]
    """For each piece 1 where it is entered inside quotes."""

    def _states(self) -> bytearray:
        states, inside = bytearray(len(self.marks)), 0
        for place, mark in enumerate(self.marks):
            states[place] = inside
            inside ^= mark.quotes & 1
        return states

    def count(self) -> int:
        """Records, the last one also without a line end."""
        ends = sum(mark.line_ends for mark in self.marks)
        size = self.source.size
        return ends + (1 if size and self.source.read(size - 1, 1) != b"\n" else 0)

    def starts_record(self, place: int) -> bool:
        """True where the piece begins at a record's start."""
        offset = self.pieces[place].offset
        if offset <= self.start:
            return True
        return not self.inside[place] and self.source.read(offset - 1, 1) == b"\n"


def changed_records(old: Version, new: Version) -> tuple[list[bytes], list[bytes]]:
    """Raw records, without line ends, that one version has more often than the other; each list in
    the order of its version."""
    safe_old: list[tuple[int, int]] = []
    safe_new: list[tuple[int, int]] = []
    for run in common_runs(old.pieces, new.pieces):
        for part in _agreeing(run, old, new):
            zone = _whole_records(part, old, new)
            if zone is not None:
                start, end = zone
                begin_old, begin_new = old.pieces[part.old].offset, new.pieces[part.new].offset
                safe_old.append((begin_old + start, begin_old + end))
                safe_new.append((begin_new + start, begin_new + end))
    return cancel(_outside(old, safe_old), _outside(new, sorted(safe_new)))


def _outside(version: Version, zones: Sequence[tuple[int, int]]) -> list[bytes]:
    """The records that lie outside the zones."""
    records: list[bytes] = []
    for start, end in _gaps(zones, version.source.size):
        start = max(start, version.start)
        if start < end:
            records += split(version.source.read(start, end - start))
    return records


def _agreeing(run: Run, old: Version, new: Version) -> Iterator[Run]:
    """The run where both versions enter it in the same state: all of it, or nothing."""
    if old.inside[run.old] == new.inside[run.new]:
        yield run


def _whole_records(run: Run, old: Version, new: Version) -> tuple[int, int] | None:
    """The stretch of the run, by offsets in it, that holds whole records in both versions."""
    begin = old.pieces[run.old].offset
    last = old.pieces[run.old + run.length - 1]
    length = last.offset + last.length - begin
    start = 0
    if not (old.starts_record(run.old) and new.starts_record(run.new)):
        found = _first_end(old, run, length)
        if found is None:
            return None
        start = found
    end = _last_end(old, run, length)
    return None if end is None or end <= start else (start, end)


def _first_end(version: Version, run: Run, length: int) -> int | None:
    """Where the first record end in the run is, as an offset in it."""
    begin, at = version.pieces[run.old].offset, 0
    inside = version.inside[run.old]
    while at < length:
        data = version.source.read(begin + at, min(_STEP, length - at))
        for stop, is_inside in _line_feeds(data, inside):
            if not is_inside:
                return at + stop + 1
        inside ^= data.count(b'"') & 1
        at += len(data)
    return None


def _last_end(version: Version, run: Run, length: int) -> int | None:
    """Where the last record end in the run is, as an offset in it."""
    begin = version.pieces[run.old].offset
    inside = version.inside[run.old + run.length - 1] ^ (
        version.marks[run.old + run.length - 1].quotes & 1
    )
    high = length
    while high > 0:
        low = max(0, high - _STEP)
        data = version.source.read(begin + low, high - low)
        inside ^= data.count(b'"') & 1  # the state at `low`
        found = None
        for stop, is_inside in _line_feeds(data, inside):
            if not is_inside:
                found = stop
        if found is not None:
            return low + found + 1
        high = low
    return None


def _line_feeds(data: bytes, inside: int) -> Iterator[tuple[int, int]]:
    """(position, inside quotes) of each line feed."""
    at, stop = 0, data.find(b"\n")
    while stop >= 0:
        inside ^= data.count(b'"', at, stop) & 1
        yield stop, inside
        at, stop = stop, data.find(b"\n", stop + 1)


def _gaps(zones: Sequence[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """What lies between the zones, which are in order and do not overlap."""
    at = 0
    for start, end in zones:
        if start > at:
            yield at, start
        at = end
    if size > at:
        yield at, size


def split(region: bytes) -> list[bytes]:
    """The records of a stretch that begins outside quotes, without their line ends."""
    lines = region.split(b"\n")
    if not lines[-1]:
        lines.pop()
    if b'"' not in region:
        return [line.removesuffix(b"\r") for line in lines]
    records: list[bytes] = []
    pending: list[bytes] = []
    inside = 0
    for line in lines:
        inside ^= line.count(b'"') & 1
        pending.append(line)
        if not inside:
            records.append(b"\n".join(pending).removesuffix(b"\r"))
            pending = []
    if pending:
        records.append(b"\n".join(pending))
    return records


def cancel(old: list[bytes], new: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Both without what they share, as multisets, in order."""
    return _without(old, Counter(new)), _without(new, Counter(old))


def _without(items: list[bytes], others: Counter[bytes]) -> list[bytes]:
    left = []
    for item in items:
        if others.get(item, 0) > 0:
            others[item] -= 1
        else:
            left.append(item)
    return left


def scan(data: bytes, inside: int) -> tuple[Marks, int]:
    """The marks of a piece entered in this state, and the state in which it is left."""
    quotes = data.count(b'"')
    if not quotes and not inside:
        return Marks(0, data.count(b"\n")), 0
    ends = 0
    for number, part in enumerate(data.split(b'"')):
        if (number & 1) == inside:
            ends += part.count(b"\n")
    return Marks(quotes, ends), inside ^ (quotes & 1)
