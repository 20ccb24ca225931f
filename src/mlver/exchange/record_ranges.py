"""Records of packs, read together where they lie near one another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlver.exchange.index_object import Found
from mlver.exchange.source import Source
from mlver.store.record import HEADER

_GAP = 64 * 1024
_RANGE = 8 * 1024 * 1024


@dataclass(slots=True)
class Wanted:
    """A record to fetch, and from where."""

    source: Source
    found: Found


def read_records(run: list[Wanted]) -> tuple[list[memoryview], int]:
    """The bytes of each record of one range, and how many were read. Raises as `Source.read`."""
    first, last = run[0].found, run[-1].found
    start, end = first.offset, last.offset + HEADER + last.stored
    data = memoryview(run[0].source.read(first.pack, start, end - start))
    places = ((item.found.offset - start, HEADER + item.found.stored) for item in run)
    return [data[at : at + length] for at, length in places], len(data)


def grouped(wanted: Iterable[Wanted]) -> list[list[Wanted]]:
    """Records grouped into stretches of one pack that are worth one read each."""
    ordered = sorted(
        wanted, key=lambda item: (item.source.name, item.found.pack, item.found.offset)
    )
    runs: list[list[Wanted]] = []
    for item in ordered:
        run = runs[-1] if runs else None
        if run is not None and _joins(run, item):
            run.append(item)
        else:
            runs.append([item])
    return runs


def _joins(run: list[Wanted], item: Wanted) -> bool:
    last, found = run[-1].found, item.found
    end = last.offset + HEADER + last.stored
    return (
        run[-1].source is item.source
        and last.pack == found.pack
        and 0 <= found.offset - end <= _GAP
        and found.offset + found.stored - run[0].found.offset <= _RANGE
    )
