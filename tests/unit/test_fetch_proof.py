"""What a fetch proves before a recipe is stored: the whole blob, hashed once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.store_material import add, content, flipped, open_store, pack_paths

from mlver.errors import CorruptContent
from mlver.exchange.fetch import Fetcher, Outcome
from mlver.exchange.push import Pusher
from mlver.exchange.source import Catalog
from mlver.model.pointer import Pointer
from mlver.remotes.memory import MemoryRemote
from mlver.store.assemble import read_blob, stream_rows
from mlver.store.local import LocalStore

FIRST = content("proof", 1_500_000)
SECOND = FIRST + content("more", 200_000)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def fetched(
    store: LocalStore, remote: MemoryRemote, pool: ThreadPoolExecutor, p: Pointer
) -> Outcome:
    return Fetcher(store, [Catalog(remote, "remote")], pool, lambda _: None).fetch([p])


@pytest.fixture
def remote(tmp_path: Path) -> MemoryRemote:
    """Holds FIRST and SECOND."""
    made = MemoryRemote()
    with open_store(tmp_path / "pusher") as store:
        pointers = [add(store, FIRST), add(store, SECOND)]
        Pusher(store, Catalog(made, "remote"), lambda _: None).push(pointers)
    return made


def test_a_chunk_that_is_damaged_here_fails_the_proof_by_its_own_name(
    tmp_path: Path, remote: MemoryRemote, pool: ThreadPoolExecutor
) -> None:
    with open_store(tmp_path / "other") as other:
        second = add(other, SECOND)
    with open_store(tmp_path / "clone") as store:
        add(store, FIRST)
        (path,) = pack_paths(tmp_path / "clone")
        data = path.read_bytes()
        path.write_bytes(flipped(data, data.index(FIRST[100:200])))
        outcome = fetched(store, remote, pool, second)
        error = outcome.failed[second]
        assert isinstance(error, CorruptContent) and "does not match its digest" in error.what
        assert not store.holds(second)
        path.write_bytes(data)
        assert fetched(store, remote, pool, second).fetched == {second}
        assert bytes(read_blob(store, second)) == SECOND


def test_only_who_hashes_the_whole_reads_chunks_unchecked(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    with open_store(tmp_path / "store") as store:
        pointer = add(store, FIRST)
        rows = list(store.rows(pointer))
        (path,) = pack_paths(tmp_path / "store")
        data = path.read_bytes()
        path.write_bytes(flipped(data, data.index(FIRST[100:200])))
        unchecked = b"".join(b"".join(p) for p in stream_rows(store, rows, pool, check=False))
        assert len(unchecked) == len(FIRST) and unchecked != FIRST
        with pytest.raises(CorruptContent):
            list(stream_rows(store, rows, pool))
