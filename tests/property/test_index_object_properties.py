"""A remote's index object finds every row that was put in and no other, and not one flipped bit
of it is believed."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.store_material import flipped

from mlver.errors import CorruptContent
from mlver.exchange.index_object import Found, IndexObject, encode
from mlver.model.digest import Digest, digest_of, keyed_digest

HEAD, FAN, ROW = 32, 1024, 60
DOMAIN = b"mlver/1 index"

digests = st.binary(min_size=32, max_size=32).map(Digest)
near = st.tuples(st.integers(0, 255), st.integers(0, 3)).map(
    lambda ends: Digest(bytes([ends[0]]) + bytes(30) + bytes([ends[1]]))
)
"""Ids that share their first bytes, so that bisection is put to work."""
few = st.integers(0, 3).map(lambda number: digest_of(b"pack %d" % number))
u32, u64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
rows = st.builds(
    Found,
    id=digests | near,
    kind=st.sampled_from([1, 2]),
    codec=st.integers(0, 2),
    pack=few,
    offset=st.integers(16, 2**40),
    stored=st.integers(0, 2**24),
    raw=st.integers(0, 2**24),
    base=st.none() | few,
)
tables = st.lists(rows, max_size=60, unique_by=lambda row: (row.id, row.kind))


def resealed(body: bytes) -> bytes:
    """What a forger would do: the digest is no secret."""
    return body + keyed_digest(DOMAIN, body)


@given(tables, digests | near, st.sampled_from([1, 2]))
def test_every_row_is_found_and_no_other(table: list[Found], absent: Digest, kind: int) -> None:
    made = IndexObject(encode(table))
    assert len(made) == len(table)
    for row in table:
        assert made.find(row.id, row.kind) == row
    known = {(row.id, row.kind): row for row in table}
    assert made.find(absent, kind) == known.get((absent, kind))
    assert list(made) == sorted(table, key=lambda row: (row.id, row.kind))
    assert made.packs() == sorted({row.pack for row in table})


@given(tables, st.randoms(use_true_random=False))
def test_the_bytes_do_not_depend_on_the_order_of_the_rows(
    table: list[Found], random: object
) -> None:
    shuffled = list(table)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert encode(shuffled) == encode(table)


def test_an_empty_index_finds_nothing() -> None:
    made = IndexObject(encode([]))
    assert made.find(digest_of(b"x"), 1) is None and list(made) == [] and made.packs() == []


def sample() -> bytes:
    pack, base = digest_of(b"pack"), digest_of(b"base")
    return encode(
        Found(digest_of(b"%d" % i), 1 + i % 2, 0, pack, 16 + i, i, i, base if i % 3 else None)
        for i in range(6)
    )


def test_any_flipped_bit_is_refused() -> None:
    data = sample()
    for at in range(len(data)):
        with pytest.raises(CorruptContent):
            IndexObject(flipped(data, at, 1 << at % 8))


def test_an_object_cut_short_anywhere_is_refused() -> None:
    data = sample()
    for length in range(len(data)):
        with pytest.raises(CorruptContent):
            IndexObject(data[:length])


@settings(max_examples=200)
@given(st.integers(0, len(sample()) - 33), st.binary(min_size=1, max_size=8))
def test_a_forged_object_is_refused_or_answers(at: int, patch: bytes) -> None:
    """Its digest right, its content not: no answer may be anything but a row or CorruptContent."""
    body = sample()[:-32]
    forged = resealed((body[:at] + patch + body[at + len(patch) :])[: len(body)])
    try:
        made = IndexObject(forged)
        list(made)
        for i in range(8):
            made.find(digest_of(b"%d" % i), 1 + i % 2)
    except CorruptContent:
        pass


@pytest.mark.parametrize("at", range(12, 24, 4))
def test_a_forged_count_is_refused_before_anything_is_allocated(at: int) -> None:
    body = bytearray(sample()[:-32])
    struct.pack_into("<I", body, at, 2**32 - 1)
    with pytest.raises(CorruptContent):
        IndexObject(resealed(bytes(body)))
