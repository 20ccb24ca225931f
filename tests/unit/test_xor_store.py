"""What holds for deltas holds for those by XOR: bases stay, are believed first, stand alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.store_material import (
    OTHER_BOOT,
    add,
    drop_index,
    move_to_another_boot,
    open_store,
    pack_paths,
)
from tests.unit.test_tensors import BIG, model, weights

from mlver.errors import CorruptContent
from mlver.exchange.fetch import Fetcher
from mlver.exchange.sibling import Sibling
from mlver.model.digest import digest_of
from mlver.model.pointer import Pointer
from mlver.store import recovery
from mlver.store.assemble import read_blob
from mlver.store.encode import Encoder
from mlver.store.local import LocalStore
from mlver.store.record import CHUNK, RECIPE, XOR, needs_base
from mlver.store.release import bases_of_rest, entries_of, release
from mlver.store.repack import repack
from mlver.store.session import Session

OLD = model([("w", "BF16", weights("w", BIG))])
NEW = model([("w", "BF16", weights("w", BIG, move=1))])


def two(store: LocalStore) -> tuple[Pointer, Pointer]:
    first = add(store, OLD)
    return first, add(store, NEW, previous=first)


def needed_by(store: LocalStore, pointer: Pointer) -> set[tuple[bytes, int]]:
    needed: set[tuple[bytes, int]] = {(pointer.oid, RECIPE)}
    for digest, _ in store.rows(pointer):
        base = store.base_of_chunk(digest)
        assert base is not None
        needed |= {(digest, CHUNK), (base, CHUNK)}
    return needed


def assert_reads(folder: Path, pointer: Pointer, data: bytes) -> None:
    drop_index(folder)
    with open_store(folder) as store:
        assert store.missing(pointer) is None
        assert bytes(read_blob(store, pointer)) == data


def test_the_index_knows_them_for_deltas_and_release_keeps_their_bases(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        _, second = two(store)
        recovery.make_durable(store)
        assert [place.codec for place in store.deltas()] == [XOR] * 4
        bases = bases_of_rest(store, {})
        assert len(bases) == 4 and all(store.base_of_chunk(base) == base for base in bases)
        needed = needed_by(store, second)
        doomed = {
            name: {(e.header.id, e.header.kind) for e in entries_of(path)} - needed
            for name, path in store.pack_files()
        }
        release(store, doomed)
    assert_reads(tmp_path, second, NEW)


def test_repacking_keeps_them_whole(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        _, second = two(store)
        repack(store, needed_by(store, second))
    assert_reads(tmp_path, second, NEW)


@pytest.mark.parametrize("delta_first", [True, False])
def test_after_a_power_cut_bases_are_believed_first(delta_first: bool, tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        first = add(store, OLD)
        (base_path,) = pack_paths(tmp_path)
        second = add(store, NEW, previous=first)
    (delta_path,) = set(pack_paths(tmp_path)) - {base_path}
    names = ("aaaa", "bbbb") if delta_first else ("bbbb", "aaaa")
    for path, name in zip((delta_path, base_path), names, strict=True):
        path.rename(path.with_name(f"{name}-{OTHER_BOOT}.pack"))
    move_to_another_boot(tmp_path)
    with open_store(tmp_path) as store:
        assert store.missing(second) is None
        assert recovery.make_durable(store) == 2
    assert_reads(tmp_path, second, NEW)


def test_of_two_copies_the_one_that_stands_alone_is_found(tmp_path: Path) -> None:
    with open_store(tmp_path / "a") as store:
        first, second = two(store)
    with open_store(tmp_path / "b") as store:
        assert add(store, OLD, previous=add(store, NEW)) == first
        assert any(place.codec == XOR for place in store.deltas())
    for path in pack_paths(tmp_path / "b"):
        path.rename(tmp_path / "a" / "incoming" / f"zz{path.name}")
    drop_index(tmp_path / "a")
    with open_store(tmp_path / "a") as store:
        digests = [digest for digest, _ in store.rows(first)]
        places = [store.locate(digest) for digest in digests]
        assert all(place is not None and not needs_base(place.codec) for place in places)
        assert not any(needs_base(p.codec) for p in store.locate_many(digests).values())
    assert_reads(tmp_path / "a", first, OLD)
    assert_reads(tmp_path / "a", second, NEW)


def test_one_upon_another_is_refused(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        _, second = two(store)
        middle = next(d for d, n in store.rows(second) if n == 262_144)
        data = bytes(store.chunk(middle))[:-1] + b"?"
        assert store.base_of_chunk(middle) != middle
        parts = store.codec().xor(data, store.chunk(middle), 2)
        record = Encoder(store).record(digest_of(data), data)
        with Session(store) as session:
            session.append([record._replace(codec=XOR, payload=(middle, *parts))])
        with pytest.raises(CorruptContent, match="itself a delta"):
            store.chunk(digest_of(data))


def test_one_whose_base_is_gone_counts_as_missing_and_is_stored_again(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        first, second = two(store)
        for digest, _ in store.rows(first):
            store.forget(digest)
        assert store.missing(second) is not None
        assert add(store, NEW) == second
        assert bytes(read_blob(store, second)) == NEW


def test_a_clone_beside_takes_them_with_their_bases(tmp_path: Path) -> None:
    with open_store(tmp_path / "a") as store:
        _, second = two(store)
        upon = [digest for digest, _ in store.rows(second) if store.base_of_chunk(digest) != digest]
    beside = Sibling(bytes(tmp_path / "a"))
    assert upon and all(beside.find_alone(digest) is None for digest in upon)
    with open_store(tmp_path / "b") as store, ThreadPoolExecutor(2) as pool:
        done = Fetcher(store, [beside], pool, lambda _: None).fetch([second])
        assert not done.failed
        assert bytes(read_blob(store, second)) == NEW
    beside.close()
