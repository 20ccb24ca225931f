"""Recipes keep every row, and where a long one is cut depends on its rows alone."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.store_material import flipped

from mlver.errors import CorruptContent
from mlver.model import recipe
from mlver.model.digest import Digest, digest_of
from mlver.model.recipe import ListCutter, Recipe, Row, decode_rows, encode_rows

ROW = 36
OID = digest_of(b"the blob")

digests = st.binary(min_size=32, max_size=32).map(Digest)
rows = st.lists(st.tuples(digests, st.integers(0, 2**32 - 1)), max_size=40).map(tuple)


def row_of(number: int) -> Row:
    return digest_of(b"%d" % number), number % 200_000 + 1


@given(rows)
def test_a_recipe_of_chunks_reads_back(made: tuple[Row, ...]) -> None:
    size = sum(length for _, length in made)
    assert recipe.decode(Recipe(size, 0, made).encode(OID), OID) == Recipe(size, 0, made)


@given(rows, st.integers(0, 2**64 - 1))
def test_a_recipe_of_lists_reads_back(made: tuple[Row, ...], size: int) -> None:
    assert recipe.decode(memoryview(Recipe(size, 1, made).encode(OID)), OID) == Recipe(
        size, 1, made
    )


@given(rows, st.integers(0, 2**64 - 1))
def test_chunks_that_do_not_add_up_are_refused(made: tuple[Row, ...], size: int) -> None:
    assume(size != sum(length for _, length in made))
    with pytest.raises(CorruptContent):
        recipe.decode(Recipe(size, 0, made).encode(OID), OID)


@given(rows)
def test_the_recipe_of_another_blob_is_refused(made: tuple[Row, ...]) -> None:
    payload = Recipe(sum(length for _, length in made), 0, made).encode(OID)
    with pytest.raises(CorruptContent):
        recipe.decode(payload, digest_of(b"another"))


@given(rows)
def test_rows_of_a_list_read_back(made: tuple[Row, ...]) -> None:
    assert tuple(decode_rows(encode_rows(made))) == made


@given(st.binary(max_size=3 * ROW))
def test_a_list_of_broken_rows_is_refused(data: bytes) -> None:
    assume(len(data) % ROW)
    with pytest.raises(CorruptContent):
        list(decode_rows(data))


def test_any_flipped_bit_of_a_recipe_is_refused() -> None:
    made = tuple(row_of(number) for number in range(3))
    payload = Recipe(sum(length for _, length in made), 0, made).encode(OID)
    for at in range(len(payload)):
        for bit in range(8):
            with pytest.raises(CorruptContent):
                recipe.decode(flipped(payload, at, 1 << bit), OID)


def test_a_recipe_cut_short_anywhere_is_refused() -> None:
    payload = Recipe(row_of(5)[1], 0, (row_of(5),)).encode(OID)
    for length in range(len(payload)):
        with pytest.raises(CorruptContent):
            recipe.decode(payload[:length], OID)
    with pytest.raises(CorruptContent):
        recipe.decode(payload + b"\0", OID)


def cut(made: list[Row]) -> list[bytes]:
    cutter = ListCutter()
    lists = [done for row in made if (done := cutter.push(row)) is not None]
    rest = cutter.finish()
    assert cutter.finish() is None, "nothing is pending after the end"
    return lists if rest is None else [*lists, rest]


@given(st.integers(0, 3000), st.integers(0, 10_000))
def test_lists_joined_are_all_the_rows_in_order(count: int, start: int) -> None:
    made = [row_of(start + number) for number in range(count)]
    lists = cut(made)
    assert [row for part in lists for row in decode_rows(part)] == made
    assert all(lists), "no list is empty"
    assert all(len(part) <= 4096 * ROW for part in lists)
    assert all(len(part) >= 128 * ROW for part in lists[:-1])


def test_rows_of_one_id_are_cut_at_the_longest_list() -> None:
    zeros: list[Row] = [(digest_of(b"zeros"), 262_144)] * 10_000
    assert [len(part) // ROW for part in cut(zeros)] == [4096, 4096, 1808]


@pytest.mark.parametrize("place", [0, 1, 1500, 3000, 5999])
def test_an_inserted_row_changes_few_lists(place: int) -> None:
    before = [row_of(number) for number in range(6000)]
    after = [*before[:place], row_of(99_999), *before[place:]]
    kept = set(cut(before)) & set(cut(after))
    assert len(kept) >= len(cut(before)) - 2
