"""A paged index object answers as a dict of its rows would, read whole or by ranges, and no byte
of it is believed that its name does not vouch for."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.test_index_object_properties import digests, near, rows
from tests.unit.store_material import flipped

from mlver.errors import CorruptContent, RemoteError
from mlver.exchange import index_reader, paged_layout
from mlver.exchange.index_cache import IndexCache
from mlver.exchange.index_object import Found, order
from mlver.exchange.index_reader import IndexReader
from mlver.exchange.layout import compacted_object
from mlver.exchange.paged_index import InMemory, PagedIndex
from mlver.exchange.paged_writer import encode_paged
from mlver.model.digest import Digest, digest_of, keyed_digest
from mlver.remotes.base import RemoteObject
from mlver.remotes.memory import MemoryRemote

tables = st.lists(rows, max_size=60).map(lambda table: table + table[:3])
"""Copies of a record, and the very same row twice."""
sizes = st.integers(1, 4)


def opened(name: Digest, data: bytes) -> PagedIndex:
    return PagedIndex(InMemory(data), name, len(data))


def model(table: list[Found]) -> dict[bytes, list[Found]]:
    found: dict[bytes, list[Found]] = {}
    for row in sorted(set(table), key=order):
        found.setdefault(row.id, []).append(row)
    return found


@settings(deadline=None)
@given(tables, sizes, sizes, st.lists(digests | near, max_size=5))
def test_it_answers_as_a_dict_would(
    table: list[Found], block_rows: int, page_packs: int, others: list[Digest]
) -> None:
    expected = model(table)
    made = opened(*encode_paged(table, block_rows=block_rows, page_packs=page_packs))
    made.verify()
    everything = [row for copies in expected.values() for row in copies]
    assert list(made) == everything and len(made) == len(everything)
    assert made.packs() == sorted({row.pack for row in table})
    wanted = [*expected, *others]
    assert made.lookup(wanted) == expected
    for digest in wanted:
        assert made.lookup([digest]) == ({digest: expected[digest]} if digest in expected else {})
    for first in {0, 1, 255, *(row.id[0] for row in table)}:
        assert made.bucket(first) == [row for row in everything if row.id[0] == first]


@settings(deadline=None)
@given(tables, st.randoms(use_true_random=False))
def test_the_bytes_do_not_depend_on_the_order_of_the_rows(
    table: list[Found], random: object
) -> None:
    shuffled = list(table)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert encode_paged(shuffled) == encode_paged(set(table))


def sample(count: int = 40) -> list[Found]:
    packs = [digest_of(b"pack %d" % i) for i in range(5)]
    base = digest_of(b"base")
    return [
        Found(
            digest_of(b"%d" % (i // 2)),
            1 + i % 2,
            i % 3,
            packs[i % 5],
            16 + i,
            i,
            i,
            base if i % 3 == 2 else None,
        )
        for i in range(count)
    ]


NAME, DATA = encode_paged(sample(), block_rows=2, page_packs=2)
IDS = [row.id for row in sample()]


def answers(data: bytes) -> None:
    """Ask for everything there is, part by part."""
    made = PagedIndex(InMemory(data), NAME, len(data))
    for digest in IDS:
        made.lookup([digest])
    made.packs()


def test_any_flipped_bit_is_refused_by_who_reads_that_part() -> None:
    for at in range(len(DATA)):
        with pytest.raises(CorruptContent):
            answers(flipped(DATA, at, 1 << at % 8))


def test_an_object_cut_short_or_longer_is_refused() -> None:
    for length in range(len(DATA)):
        with pytest.raises(CorruptContent):
            answers(DATA[:length])
    with pytest.raises(CorruptContent):
        answers(DATA + b"\0")


def test_a_flipped_bit_elsewhere_costs_nobody_who_does_not_read_it() -> None:
    last = max(IDS)
    made = PagedIndex(InMemory(flipped(DATA, len(DATA) - 1)), NAME, len(DATA))
    for digest in set(IDS) - {last}:
        assert made.lookup([digest])
    with pytest.raises(CorruptContent):
        made.lookup([last])


def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> PagedIndex:
    """The object on a remote, to be read by ranges."""
    monkeypatch.setattr(index_reader, "SMALL", 0)
    remote = MemoryRemote()
    name = compacted_object(NAME)
    remote.create(name, [data])
    cache = IndexCache(bytes(tmp_path / "kept"))
    found = IndexReader(remote, cache).open(RemoteObject(name, len(data), 0))
    if found is None:
        raise CorruptContent("as the reader says")
    assert isinstance(found, PagedIndex)
    return found


def test_ranges_of_a_damaged_object_are_refused_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(0, len(DATA), 37):
        with pytest.raises(CorruptContent):
            made = far(tmp_path, monkeypatch, flipped(DATA, at))
            made.lookup(IDS)
            made.packs()
    assert far(tmp_path, monkeypatch, DATA).lookup(IDS) == model(sample())


def test_a_range_beyond_the_end_is_an_error_and_no_short_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = MemoryRemote()
    name = compacted_object(NAME)
    remote.create(name, [DATA[:-40]])
    monkeypatch.setattr(index_reader, "SMALL", 0)
    with pytest.raises(RemoteError, match="shorter"):
        IndexReader(remote, None).open(RemoteObject(name, len(DATA), 0))


def resealed(data: bytes) -> tuple[Digest, bytes]:
    """What a forger would do: no digest is a secret."""
    length = paged_layout.root_size(data)
    return keyed_digest(paged_layout.ROOT, data[:length]), data


@settings(max_examples=200, deadline=None)
@given(st.integers(0, paged_layout.root_size(DATA) - 8), st.binary(min_size=1, max_size=8))
def test_a_forged_root_is_refused_or_answers(at: int, patch: bytes) -> None:
    data = (DATA[:at] + patch + DATA[at + len(patch) :])[: len(DATA)]
    try:
        name, forged = resealed(data)
        made = PagedIndex(InMemory(forged), name, len(forged))
        list(made)
        made.lookup(IDS)
        made.packs()
    except CorruptContent:
        pass


@pytest.mark.parametrize("at", [12, 16, 20, 24, 28, 32, 36])
def test_a_forged_count_is_refused_before_anything_is_allocated(at: int) -> None:
    data = bytearray(DATA)
    struct.pack_into("<I", data, at, 2**32 - 1)
    with pytest.raises(CorruptContent):
        name, forged = resealed(bytes(data))
        PagedIndex(InMemory(forged), name, len(forged))
