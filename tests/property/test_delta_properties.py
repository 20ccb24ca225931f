"""A new version is stored as what changed, and both versions read back byte for byte.

A base is never itself a delta: reading any chunk takes two records at most, for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.store_material import (
    add,
    assert_reads_back,
    content,
    entries_of,
    open_store,
    pack_paths,
    records_in,
    text,
)

from mlver.errors import CorruptContent, MissingContent
from mlver.model.digest import digest_of
from mlver.store import files
from mlver.store.assemble import read_blob
from mlver.store.local import LocalStore
from mlver.store.pack import NewRecord
from mlver.store.record import CHUNK, DELTA, HEADER, RAW, base_of
from mlver.store.session import Session
from mlver.store.windows import WINDOW

SIZE = 1_200_000

EDITS: dict[str, Callable[[bytes], bytes]] = {
    "insert": lambda old: old[:500_000] + b"inserted," * 20 + old[500_000:],
    "delete": lambda old: old[:500_000] + old[500_777:],
    "replace": lambda old: old[:500_000] + b"x" * 100 + old[500_100:],
    "append": lambda old: old + b"one more line\n" * 50,
    "prepend": lambda old: b"a header\n" * 50 + old,
    "reorder": lambda old: old[700_000:] + old[:700_000],
    "many": lambda old: b"".join(old[at : at + 90_000] + b"#" for at in range(0, len(old), 90_000)),
    "shorter": lambda old: old[: len(old) // 3],
    "twice": lambda old: old + old,
}


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def assert_bases_are_full(folder: Path) -> int:
    """Every base is there, and no delta; how many deltas there are."""
    full = {e.header.id for e in records_in(folder) if e.header.codec != DELTA}
    deltas = 0
    for path in pack_paths(folder):
        with path.open("rb") as file:
            for entry in entries_of(path):
                if entry.header.codec != DELTA:
                    continue
                start = files.pread(file.fileno(), 32, entry.offset + HEADER)
                assert base_of(entry.header, start) in full
                deltas += 1
    return deltas


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    with open_store(tmp_path / "store") as opened:
        yield opened


@pytest.mark.parametrize("make", [content, text])
@pytest.mark.parametrize("edit", sorted(EDITS))
def test_both_versions_read_back(
    edit: str, make: Callable[[object, int], bytes], tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    folder = tmp_path / "store"
    old = make("old", SIZE)
    new = EDITS[edit](old)
    with open_store(folder) as store:
        first = add(store, old)
        before = sum(path.stat().st_size for path in pack_paths(folder))
        second = add(store, new, previous=first)
        grown = sum(path.stat().st_size for path in pack_paths(folder)) - before
        for pointer, data in ((first, old), (second, new)):
            assert_reads_back(store, pointer, data, tmp_path, pool)
    if edit in ("insert", "delete", "replace", "append", "prepend"):
        assert assert_bases_are_full(folder) > 0
        assert grown < 20_000, "a small change costs little"


def test_a_change_in_a_file_of_several_windows_costs_little(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    old = content("windows", 3 * WINDOW)
    new = old[:5_000_000] + b"changed" + old[5_000_000 : 2 * WINDOW] + old[2 * WINDOW + 9 :]
    folder = tmp_path / "store"
    with open_store(folder) as store:
        first = add(store, old)
        second = add(store, new, previous=first)
        assert_reads_back(store, first, old, tmp_path, pool)
        assert_reads_back(store, second, new, tmp_path, pool)
    assert assert_bases_are_full(folder) >= 2
    assert sum(path.stat().st_size for path in pack_paths(folder)) < len(old) + 30_000


@settings(max_examples=15, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 400_000), st.integers(0, 300), st.binary(max_size=40)),
        min_size=2,
        max_size=6,
    )
)
def test_a_chain_of_versions_never_makes_a_chain_of_bases(
    changes: list[tuple[int, int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("chain") / "store"
    data, pointer = content("chain", 400_000), None
    versions = []
    with open_store(folder) as store:
        for at, removed, added in changes:
            data = data[:at] + added + data[at + removed :]
            pointer = add(store, data, previous=pointer)
            versions.append((pointer, data))
        for made, expected in versions:
            assert bytes(read_blob(store, made)) == expected
    assert_bases_are_full(folder)


def test_a_previous_version_that_is_not_here_is_no_hindrance(tmp_path: Path) -> None:
    with open_store(tmp_path / "other") as other:
        elsewhere = add(other, content("elsewhere", 400_000))
    with open_store(tmp_path / "store") as store:
        data = content("here", 400_000)
        pointer = add(store, data, previous=elsewhere)
        assert bytes(read_blob(store, pointer)) == data


def test_a_delta_upon_a_delta_is_refused(tmp_path: Path) -> None:
    full, middle = content("full", 30_000), content("full", 30_000) + b"!"
    last = middle + b"?"
    with open_store(tmp_path) as store:
        codec = store.codec()
        chain = [
            NewRecord(CHUNK, RAW, len(full), digest_of(full), (full,)),
            _delta(middle, full, codec.delta(middle, full)),
            _delta(last, middle, codec.delta(last, middle)),
        ]
        with Session(store) as session:
            session.append(chain)
        assert store.chunk(digest_of(middle)) == middle
        with pytest.raises(CorruptContent):
            store.chunk(digest_of(last))


def _delta(data: bytes, base: bytes, frame: bytes) -> NewRecord:
    return NewRecord(CHUNK, DELTA, len(data), digest_of(data), (digest_of(base), frame))


def test_a_delta_whose_base_is_gone_counts_as_missing_and_is_stored_again(
    tmp_path: Path,
) -> None:
    old, new = content("gone", 40_000), content("gone", 40_000) + b"more"
    with open_store(tmp_path) as store:
        first = add(store, old)
        second = add(store, new, previous=first)
        place = store.locate(second.oid)
        assert place is not None and place.codec == DELTA
        store.forget(first.oid)
        with pytest.raises(MissingContent):
            read_blob(store, second)
        assert store.missing(second) == second.oid
        assert add(store, new) == second
        assert bytes(read_blob(store, second)) == new


def test_a_base_that_is_damaged_is_not_used(store: LocalStore, tmp_path: Path) -> None:
    old = content("damaged", 40_000)
    first = add(store, old)
    (path,) = pack_paths(tmp_path / "store")
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"DAMAGE")
    second = add(store, old + b"more", previous=first)
    assert bytes(read_blob(store, second)) == old + b"more"
