"""JSON lines: by the lines that differ alone. A line feed is always a record's end, since JSON
writes one inside a string as an escape; so no state has to be known where a part begins.

Where the lines that differ do not have the same members on both sides, all lines are read, to tell
a column that came from one that other rows had before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from mlver.diff import objects, recipes
from mlver.diff.options import Options
from mlver.diff.outline import NO_QUOTES, outlines
from mlver.diff.records import cancel, gaps
from mlver.diff.stretches import Stretch, by_comparison
from mlver.formats.base import NotThisFormat, Source, is_cut
from mlver.formats.parameters import parse_json
from mlver.model.change import FileDiff

_STEP = 4 * 1024 * 1024
_LONGEST = 256 * 1024 * 1024
_HEAD = 64 * 1024
_BOM = b"\xef\xbb\xbf"


def diff(old: Source, new: Source, old_name: str, new_name: str, options: Options) -> FileDiff:
    """What changed from `old` to `new`. Raises NotThisFormat for a line that is no JSON."""
    counts = _counted(old, new)
    by_recipes = counts is not None
    stretches = recipes.grown(old, new) if is_cut(old) and is_cut(new) else by_comparison(old, new)
    left = changed_lines(old, new, stretches)
    before, after = ([as_object(line) for line in lines] for lines in left)
    counts = counts or (_count(old), _count(new))
    names = None
    if {*objects.names_of(before)} != {*objects.names_of(after)}:
        names = objects.names_of(all_objects(old)), objects.names_of(all_objects(new))
        by_recipes = False
    heads = _head(old), _head(new)
    found = objects.compare("jsonl", before, after, counts, options, names, heads)
    return replace(found, method="recipes") if by_recipes else found


def _head(source: Source) -> list[dict[str, Any]]:
    """Objects of the lines that lie whole in the first stretch. One that is no JSON did not change,
    or is told where it did."""
    data = source.read(0, _HEAD)
    if len(data) < source.size:
        data = data[: data.rfind(b"\n") + 1]
    found = []
    for line in filter(None, map(bare, data.split(b"\n"))):
        with suppress(NotThisFormat):
            found.append(as_object(line))
    return found


def _counted(old: Source, new: Source) -> tuple[int, int] | None:
    """Lines of either, from the outlines; None where they have to be read for it."""
    if not (is_cut(old) and is_cut(new)):
        return None
    found = outlines(old, new, NO_QUOTES)
    return (found[0].records, found[1].records) if all(o.is_plain for o in found) else None


def changed_lines(
    old: Source, new: Source, stretches: Sequence[Stretch]
) -> tuple[list[bytes], list[bytes]]:
    """Lines that one version has more often than the other, in the order of each."""
    zones_old, zones_new = [], []
    for stretch in stretches:
        zone = _whole_lines(old, new, stretch)
        if zone is not None:
            start, end = zone
            zones_old.append((stretch.old + start, stretch.old + end))
            zones_new.append((stretch.new + start, stretch.new + end))
    return cancel(_outside(old, sorted(zones_old)), _outside(new, sorted(zones_new)))


def zones(old: Source, new: Source) -> list[Stretch]:
    """Whole lines that both versions have, in the order of both."""
    found = []
    for stretch in by_comparison(old, new):
        zone = _whole_lines(old, new, stretch)
        if zone is not None:
            start, end = zone
            found.append(Stretch(stretch.old + start, stretch.new + start, end - start))
    return found


def _whole_lines(old: Source, new: Source, stretch: Stretch) -> tuple[int, int] | None:
    start = 0
    if not all(_begins(s, at) for s, at in ((old, stretch.old), (new, stretch.new))):
        found = _find(old, stretch.old, stretch.length)
        if found is None:
            return None
        start = found + 1
    end, step = stretch.length, 256
    while end > start:
        low = max(start, end - step)
        step = min(step * 4, 65536)
        stop = old.read(stretch.old + low, end - low).rfind(b"\n")
        if stop >= 0:
            return start, low + stop + 1
        end = low
    return None


def _begins(source: Source, at: int) -> bool:
    return at == 0 or source.read(at - 1, 1) == b"\n"


def _find(source: Source, at: int, length: int) -> int | None:
    done, step = 0, 256
    while done < length:
        data = source.read(at + done, min(step, length - done))
        step = min(step * 4, 65536)
        place = data.find(b"\n")
        if place >= 0:
            return done + place
        done += len(data)
    return None


def _outside(source: Source, zones: Sequence[tuple[int, int]]) -> list[bytes]:
    lines: list[bytes] = []
    for start, end in gaps(zones, source.size):
        lines += [bare(line) for line in source.read(start, end - start).split(b"\n")]
    return [line for line in lines if line]


def bare(line: bytes) -> bytes:
    """A line without what JSON does not count."""
    return line.removeprefix(_BOM).strip(b" \t\r\n")


def _lines(source: Source) -> Iterator[bytes]:
    rest, at = b"", 0
    while at < source.size:
        data = source.read(at, _STEP)
        at += len(data)
        *whole, rest = (rest + data).split(b"\n")
        if len(rest) > _LONGEST:
            raise NotThisFormat("it has a line that is too long", why=f"over {_LONGEST:,} bytes")
        yield from (text for line in whole if (text := bare(line)))
    if bare(rest):
        yield bare(rest)


def _count(source: Source) -> int:
    """Lines that are not blank, without reading them as JSON."""
    count, at, rest = 0, 0, b"\n"
    while at < source.size:
        data = source.read(at, _STEP)
        at += len(data)
        text = rest[-1:] + data
        if any(blank in text for blank in (b"\n\n", b"\n\r", b"\n ", b"\n\t")) or rest == b"":
            return sum(1 for _ in _lines(source))
        count += data.count(b"\n")
        rest = data
    return count + (rest[-1:] != b"\n" and bool(bare(rest)))


def all_objects(source: Source) -> Iterator[dict[str, Any]]:
    """Every line's object."""
    return (as_object(line) for line in _lines(source))


def as_object(line: bytes) -> dict[str, Any]:
    """A line's object; any other value is the row of one column, `value`."""
    try:
        found = parse_json(line)
    except NotThisFormat as error:
        shown = line[:60].decode("utf-8", "replace")
        raise NotThisFormat("a line of it is no JSON", why=f"{error.why}: {shown}") from error
    return found if isinstance(found, dict) else {"value": found}
