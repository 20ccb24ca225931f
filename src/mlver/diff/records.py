"""Records that one of two versions has and the other has not, from the parts that differ alone.

A record ends at a line feed outside quotes. An equal stretch (stretches.py) holds the same records
where both versions enter it in the same state, inside quotes or outside; of each stretch, the
records that lie in it whole cancel. What is left is widened to whole records, read, and cancelled
as a multiset of raw records. Reading from the next line feed instead, without the state, is wrong:
a quoted field may hold one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mlver.diff.stretches import Stretch
from mlver.formats.base import Source

_FIRST_STEP, _STEP = 256, 64 * 1024


class Entry(NamedTuple):
    """An equal stretch, the state in which each version enters it (1: inside quotes), and the one
    in which the old version leaves it."""

    stretch: Stretch
    old_inside: int
    new_inside: int
    old_after: int


def changed_records(
    old: Source, new: Source, entries: Sequence[Entry], old_start: int = 0, new_start: int = 0
) -> tuple[list[bytes], list[bytes]]:
    """Raw records, without line ends, that one version has more often than the other; each list in
    the order of its version. `old_start`, `new_start`: bytes before the first record."""
    zones = whole_zones(old, new, entries, old_start, new_start)
    left_old = _outside(old, old_start, [(z.old, z.old + z.length) for z in zones])
    zones_new = sorted((z.new, z.new + z.length) for z in zones)
    return cancel(left_old, _outside(new, new_start, zones_new))


def whole_zones(
    old: Source, new: Source, entries: Sequence[Entry], old_start: int = 0, new_start: int = 0
) -> list[Stretch]:
    """The parts of the stretches that are whole records in both versions, in the order of old."""
    zones = []
    for entry in entries:
        zone = _whole_records(entry, old, new, old_start, new_start)
        if zone is not None:
            start, end = zone
            zones.append(Stretch(entry.stretch.old + start, entry.stretch.new + start, end - start))
    return sorted(zones)


def _outside(source: Source, start: int, zones: Sequence[tuple[int, int]]) -> list[bytes]:
    """The records that lie outside the zones."""
    records: list[bytes] = []
    for begin, end in gaps(zones, source.size):
        begin = max(begin, start)
        if begin < end:
            records += split(source.read(begin, end - begin))
    return records


def _whole_records(
    entry: Entry, old: Source, new: Source, old_start: int, new_start: int
) -> tuple[int, int] | None:
    """The part of the stretch, by offsets in it, that is whole records in both versions."""
    stretch, inside = entry.stretch, entry.old_inside
    if inside != entry.new_inside:
        return None
    start = 0
    begins = _begins(old, stretch.old, old_start), _begins(new, stretch.new, new_start)
    if inside or not all(begins):
        found = _first_end(old, stretch, inside)
        if found is None:
            return None
        start = found
    end = _last_end(old, stretch, entry.old_after)
    return None if end is None or end <= start else (start, end)


def _begins(source: Source, offset: int, start: int) -> bool:
    """True where a record begins, if this is outside quotes."""
    return offset <= start or source.read(offset - 1, 1) == b"\n"


def _first_end(source: Source, stretch: Stretch, inside: int) -> int | None:
    """Where the first record end in the stretch is, as an offset in it."""
    at, step = 0, _FIRST_STEP  # a record's end is near: what lies further may not be at hand
    while at < stretch.length:
        data = source.read(stretch.old + at, min(step, stretch.length - at))
        for stop, is_inside in _line_feeds(data, inside):
            if not is_inside:
                return at + stop + 1
        inside ^= data.count(b'"') & 1
        at += len(data)
        step = min(step * 4, _STEP)
    return None


def _last_end(source: Source, stretch: Stretch, after: int) -> int | None:
    """Where the last record end in the stretch is, as an offset in it."""
    high, inside, step = stretch.length, after, _FIRST_STEP
    while high > 0:
        low = max(0, high - step)
        data = source.read(stretch.old + low, high - low)
        inside ^= data.count(b'"') & 1  # the state at `low`
        found = _last_outside(data, inside)
        if found is not None:
            return low + found + 1
        high, step = low, min(step * 4, _STEP)
    return None


def _last_outside(data: bytes, inside: int) -> int | None:
    if not inside and b'"' not in data:
        end = data.rfind(b"\n")
        return None if end < 0 else end
    ends = [stop for stop, is_inside in _line_feeds(data, inside) if not is_inside]
    return ends[-1] if ends else None


def _line_feeds(data: bytes, inside: int) -> Iterator[tuple[int, int]]:
    """(position, inside quotes) of each line feed."""
    at, stop = 0, data.find(b"\n")
    while stop >= 0:
        inside ^= data.count(b'"', at, stop) & 1
        yield stop, inside
        at, stop = stop, data.find(b"\n", stop + 1)


def gaps(zones: Sequence[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """What lies between the zones, which are in order and do not overlap."""
    at = 0
    for start, end in zones:
        if start > at:
            yield at, start
        at = end
    if size > at:
        yield at, size


def split(region: bytes) -> list[bytes]:
    """The records of a part that begins outside quotes, without their line ends."""
    lines = region.split(b"\n")
    if not lines[-1]:
        lines.pop()
    if b'"' not in region:
        return [line.removesuffix(b"\r") for line in lines] if b"\r" in region else lines
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
    before, after = set(old), set(new)
    if len(before) == len(old) and len(after) == len(new):  # no two alike: there is no counting
        return [x for x in old if x not in after], [x for x in new if x not in before]
    return _without(old, Counter(new)), _without(new, Counter(old))


def _without(items: list[bytes], others: Counter[bytes]) -> list[bytes]:
    left = []
    for item in items:
        if others.get(item, 0) > 0:
            others[item] -= 1
        else:
            left.append(item)
    return left
