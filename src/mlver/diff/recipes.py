"""What two versions share, from their recipes, and the states in which both enter it: only pieces
that differ are read, widened to whole records.

Equal runs of pieces are first made longer, byte by byte, into the pieces that differ on either side
of them. So the record that lies across a border is found in the piece that is read anyway, unless
it is itself what changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlver.diff.outline import Outline
from mlver.diff.pieces import Run, common_runs
from mlver.diff.records import Entry, gaps
from mlver.diff.stretches import Stretch, common_prefix
from mlver.formats.base import CutSource, Source

_FIRST_STEP, _STEP = 4 * 1024, 64 * 1024


def entries(old: CutSource, new: CutSource, outlines: tuple[Outline, Outline]) -> list[Entry]:
    """The equal stretches of two versions that are plain, with their states."""
    runs, stretches = _equal(old, new)
    states_old, states_new = outlines[0].states, outlines[1].states
    found = []
    grown = _grown(old, new, stretches)
    for run, stretch, (left, right) in zip(runs, stretches, grown, strict=True):
        end = run.old + run.length
        inside = states_old[run.old], states_new[run.new]
        leaves = states_old[end] if end < len(states_old) else 0
        if left:
            turned = _turns(old, stretch.old - left, left)
            inside = inside[0] ^ turned, inside[1] ^ turned
        if right:
            leaves ^= _turns(old, stretch.old + stretch.length, right)
        longer = Stretch(stretch.old - left, stretch.new - left, left + stretch.length + right)
        found.append(Entry(longer, *inside, leaves))
    return found


def _equal(old: CutSource, new: CutSource) -> tuple[list[Run], list[Stretch]]:
    """Runs of equal pieces; what lies between them is about to be read."""
    before, after = old.pieces(), new.pieces()
    runs = common_runs(before, after)
    stretches = []
    for run in runs:
        first, last = before[run.old], before[run.old + run.length - 1]
        length = last.offset + last.length - first.offset
        stretches.append(Stretch(first.offset, after[run.new].offset, length))
    for source, zones in (
        (old, [(s.old, s.old + s.length) for s in stretches]),
        (new, [(s.new, s.new + s.length) for s in stretches]),
    ):
        source.prepare(list(gaps(sorted(zones), source.size)))
    return runs, stretches


def _turns(source: Source, offset: int, length: int) -> int:
    return source.read(offset, length).count(b'"') & 1


def grown(old: CutSource, new: CutSource) -> list[Stretch]:
    """The equal stretches alone, for formats in which a border of lines needs no state."""
    _, stretches = _equal(old, new)
    sides = zip(stretches, _grown(old, new, stretches), strict=True)
    return [
        Stretch(s.old - left, s.new - left, left + s.length + right) for s, (left, right) in sides
    ]


def _grown(old: Source, new: Source, stretches: Sequence[Stretch]) -> list[tuple[int, int]]:
    """By how many bytes each stretch goes on to the left and right into what differs; the parts
    that are taken overlap in neither version."""
    rooms = _Rooms([(s.old, s.length) for s in stretches], old.size)
    others = _Rooms([(s.new, s.length) for s in stretches], new.size)
    rights = []
    for place, s in enumerate(stretches):
        room = min(rooms.after(place), others.after(place))
        length = _forward(old, s.old + s.length, new, s.new + s.length, room)
        rooms.take_after(place, length)
        others.take_after(place, length)
        rights.append(length)
    result = []
    for place, s in enumerate(stretches):
        room = min(rooms.before(place), others.before(place))
        result.append((_backward(old, s.old, new, s.new, room), rights[place]))
    return result


class _Rooms:
    """The gaps of one version before and after each stretch, and what is left of them."""

    def __init__(self, zones: Sequence[tuple[int, int]], size: int) -> None:
        order = sorted(range(len(zones)), key=lambda place: zones[place][0])
        self._gap_after = [0] * len(zones)  # a gap by its number; gap n is before the n-th in order
        self._left = []
        at = 0
        for number, place in enumerate(order):
            start, length = zones[place]
            self._left.append(start - at)
            self._gap_after[place] = number + 1
            at = start + length
        self._left.append(size - at)

    def after(self, place: int) -> int:
        return self._left[self._gap_after[place]]

    def before(self, place: int) -> int:
        return self._left[self._gap_after[place] - 1]

    def take_after(self, place: int, length: int) -> None:
        self._left[self._gap_after[place]] -= length


def _forward(old: Source, at: int, new: Source, to: int, room: int) -> int:
    done = 0
    for step in _steps(room):
        a, b = old.read(at + done, step), new.read(to + done, step)
        if a != b:
            return done + common_prefix(a, b)
        done += step
    return done


def _backward(old: Source, at: int, new: Source, to: int, room: int) -> int:
    done = 0
    for step in _steps(room):
        a, b = old.read(at - done - step, step), new.read(to - done - step, step)
        if a != b:
            return done + common_prefix(a[::-1], b[::-1])
        done += step
    return done


def _steps(room: int) -> Iterator[int]:
    step = _FIRST_STEP
    while room > 0:
        step = min(step, room)
        yield step
        room -= step
        step = min(step * 4, _STEP)
