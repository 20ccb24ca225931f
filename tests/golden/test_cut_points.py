"""Cut points never move: deduplication of everything that users have stored depends on them.

A file that is cut elsewhere is stored whole again, on every machine and every remote, and no test
but this one would notice. They are those of FastCDC 2020 (the Rust crate fastcdc, v2020, level 1);
an upgrade of the library that moves one of them must not be taken.
"""

from __future__ import annotations

import pytest
from tests.unit.store_material import add, content, open_store, text

from mlver.model.digest import digest_of
from mlver.store.chunker import MAX, MIN, TARGET, Chunker
from mlver.store.windows import WINDOW

WHY = "a moved cut point stores everybody's files again, whole"

PREFIX = [
    *(22384, 84164, 70294, 87917, 69796, 55625, 78189, 98524, 54315, 41007),
    *(104962, 78958, 106399, 46662),
]
LENGTHS = {
    1: [1],
    MIN: [16384],
    MIN + 1: [16385],
    TARGET: [22384, 43152],
    200_000: [22384, 84164, 70294, 23158],
    1_000_000: [*PREFIX, 804],
}
"""Of the first n bytes of one stream that does not compress."""

DIGESTS = {
    WINDOW - 1: (52, "8b84a105290f7e428733d6ca2858ff8761f28a2c6acc75cd68df101b74a89fbd"),
    WINDOW: (52, "ac43539ac170122d896ba4b3140da258e5220447aa25e5ea8afed19fad1413b5"),
    WINDOW + 1: (52, "4cae84c864a8e2ffa7a3625ec0889783e4b737e57dae3496ead288a466f3e837"),
    10 * 2**20 + 12_345: (132, "ef003751f8c4c27619eedd8754ae9530095827cdf46827c740a056ab2eceebfe"),
}
"""Of longer ones: how many chunks, and BLAKE3 of their lengths in decimal, joined by commas."""

ZEROS = [MAX, MAX, MAX, 213_568]
LINES = [
    *(73291, 19192, 70152, 61705, 29936, 143370, 70246, 17626, 103066, 97670),
    *(32519, 65133, 139905, 48290, 27899),
]


def lengths_of(data: bytes) -> list[int]:
    return Chunker().cut(memoryview(data))


def summary(lengths: list[int]) -> tuple[int, str]:
    return len(lengths), digest_of(b",".join(b"%d" % length for length in lengths)).hex()


@pytest.mark.parametrize("size", sorted(LENGTHS))
def test_random_content_is_cut_where_it_always_was(size: int) -> None:
    assert lengths_of(content("fastcdc", size)) == LENGTHS[size], WHY


@pytest.mark.parametrize("size", sorted(DIGESTS))
def test_long_content_is_cut_where_it_always_was(size: int) -> None:
    assert summary(lengths_of(content("fastcdc", size))) == DIGESTS[size], WHY


def test_zeros_are_cut_at_the_longest_length() -> None:
    assert lengths_of(bytes(1_000_000)) == ZEROS, WHY


def test_lines_of_text_are_cut_where_they_always_were() -> None:
    assert lengths_of(text("fastcdc", 1_000_000)) == LINES, WHY


@pytest.mark.parametrize("size", sorted(DIGESTS))
def test_a_stored_file_of_several_windows_has_the_same_cuts(
    size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = open_store(tmp_path_factory.mktemp("cuts") / "store")
    pointer = add(store, content("fastcdc", size))
    assert summary([length for _, length in store.rows(pointer)]) == DIGESTS[size], WHY


def test_the_slow_fallback_cuts_at_the_same_places() -> None:
    fallback = pytest.importorskip("pyfastcdc.py")
    slow = fallback.FastCDC(
        avg_size=TARGET, min_size=MIN, max_size=MAX, normalized_chunking=1, seed=0
    )
    cuts = [chunk.length for chunk in slow.cut_buf(memoryview(content("fastcdc", 200_000)))]
    assert cuts == LENGTHS[200_000], (
        "machines without a compiler would share nothing with the others"
    )
