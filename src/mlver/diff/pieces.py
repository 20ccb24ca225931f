"""Which bytes two versions share: runs of equal pieces, found without looking into them.

Each piece is used once, so the runs are common as a multiset: where V1 = C + D1 and V2 = C + D2,
the difference of V1 and V2 is that of D1 and D2, whatever the order in which the parts of C stand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from mlver.formats.base import Piece


class Run(NamedTuple):
    """Pieces [old, old + length) of one version equal [new, new + length) of the other."""

    old: int
    new: int
    length: int


def common_runs(old: Sequence[Piece], new: Sequence[Piece]) -> list[Run]:
    """Runs of equal pieces in the order of `old`; the continuation of a run is preferred."""
    places: dict[tuple[bytes, int], deque[int]] = {}
    for place, piece in enumerate(new):
        places.setdefault((piece.id, piece.length), deque()).append(place)
    used = bytearray(len(new))
    runs: list[Run] = []
    for place, piece in enumerate(old):
        last = runs[-1] if runs else None
        if last is not None and last.old + last.length == place:
            following = last.new + last.length
            if following < len(new) and not used[following] and _same(piece, new[following]):
                used[following] = 1
                runs[-1] = last._replace(length=last.length + 1)
                continue
        there = places.get((piece.id, piece.length))
        while there and used[there[0]]:
            there.popleft()
        if there:
            used[there[0]] = 1
            runs.append(Run(place, there.popleft(), 1))
    return runs


def _same(a: Piece, b: Piece) -> bool:
    return a.id == b.id and a.length == b.length
