"""Chunks cover the content without a gap, within their bounds, and keep still when it grows."""

from __future__ import annotations

from itertools import pairwise

import pytest
from tests.unit.store_material import content, text

from mlver.store.chunker import MAX, MIN, Chunker, spans


@pytest.mark.parametrize("size", [0, 1, MIN, MIN + 1, MAX, MAX + 1, 3_000_000])
def test_chunks_cover_the_content_within_their_bounds(size: int) -> None:
    lengths = Chunker().cut(memoryview(content("bounds", size)))
    assert sum(lengths) == size
    assert all(MIN <= length <= MAX for length in lengths[:-1])
    assert all(0 < length <= MAX for length in lengths)


@pytest.mark.parametrize("data", [content("grows", 1_000_000), text("grows", 1_000_000)])
def test_all_chunks_but_the_last_stay_when_content_follows(data: bytes) -> None:
    whole = Chunker().cut(memoryview(data))
    for size in range(MIN // 2, len(data), 37_771):
        part = Chunker().cut(memoryview(data)[:size])
        assert part[:-1] == whole[: len(part) - 1]


def test_cuts_follow_the_content_through_an_insertion() -> None:
    data = content("inserted", 2_000_000)
    changed = data[:300_000] + b"inserted" + data[300_000:]

    def ends(cut: bytes) -> set[int]:
        return {len(cut) - start for start, _ in spans(Chunker().cut(memoryview(cut)))}

    moved = ends(data) - ends(changed)
    assert len(moved) <= 12, "counted from the end, cuts after the insertion are the same"


def test_spans_lie_side_by_side() -> None:
    found = list(spans([3, 1, 4]))
    assert found == [(0, 3), (3, 1), (4, 4)]
    assert all(one[0] + one[1] == two[0] for one, two in pairwise(found))
