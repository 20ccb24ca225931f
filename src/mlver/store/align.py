"""Names, for each new chunk, the chunk of the previous version in whose place it stands.

Chunks that both versions share anchor the two against each other; a new chunk between anchors is
taken to replace the old chunk that covers its middle, measured from the last anchor. A wrong
guess costs bytes, never correctness: a delta is kept only when it pays.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import islice

from mlver.model.digest import Digest
from mlver.model.recipe import Row

MAX_ROWS = 500_000
"""Longer old versions are aligned over this many chunks only, so that memory stays bounded."""


class Aligner:
    """Feed it the new version's chunks in order, `matched` or asked for with `base_for`."""

    def __init__(self, old: Iterable[Row]) -> None:
        self._ids: list[Digest] = []
        self._starts: list[int] = []
        self._place: dict[Digest, int] = {}
        end = 0
        for digest, length in islice(old, MAX_ROWS):
            self._place.setdefault(digest, len(self._ids))
            self._ids.append(digest)
            self._starts.append(end)
            end += length
        self._end = end
        self._shift = 0  # what to add to a place in the new version to have it in the old

    def matched(self, digest: Digest, start: int) -> None:
        """The chunk at `start` of the new version has this id; if the old one has it, anchor."""
        place = self._place.get(digest)
        if place is not None:
            self._shift = self._starts[place] - start

    def base_for(self, start: int, length: int) -> Digest | None:
        """The old chunk that a new one at `start` replaces, or None past the old one's end."""
        return self.covering(start + length // 2 + self._shift)

    def covering(self, middle: int) -> Digest | None:
        """The old chunk that has this byte of the old version, or None outside of it."""
        if not self._ids or not 0 <= middle < self._end:
            return None
        return self._ids[bisect_right(self._starts, middle) - 1]
