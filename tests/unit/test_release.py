"""Records out of packs: exactly those that were named, and never their last durable copy first."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from tests.unit.store_material import add, content, open_store, pack_paths

from mlver.model.pointer import Pointer
from mlver.store.assemble import read_blob
from mlver.store.record import CHUNK, RECIPE
from mlver.store.recovery import make_durable
from mlver.store.release import bases_of_rest, entries_of, release

OLD = content("release", 700_000)


def filled(folder: Path) -> list[tuple[Pointer, bytes]]:
    """Blobs in several packs, some of them deltas on others."""
    found: list[tuple[Pointer, bytes]] = []
    previous = None
    for number in range(4):
        with open_store(folder) as store:
            data = OLD[: 100_000 * number] + b"%d" % number + OLD[100_000 * number :]
            previous = add(store, data, previous)
            found.append((previous, data))
            make_durable(store)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_what_is_named_goes_and_the_rest_reads_back(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    blobs = filled(tmp_path)
    keep = [blob for blob in blobs if rng.random() < 0.5]
    with open_store(tmp_path) as store:
        needed = set()
        for pointer, _ in keep:
            needed.add((pointer.oid, RECIPE))
            for digest, _ in store.rows(pointer):
                needed |= {(digest, CHUNK), (store.base_of_chunk(digest), CHUNK)}
        doomed = {
            name: {(e.header.id, e.header.kind) for e in entries_of(path)} - needed
            for name, path in store.pack_files()
        }
        names = {name for name, keys in doomed.items() if keys}
        release(store, {name: doomed[name] for name in names})
        left = {(e.header.id, e.header.kind) for _, p in store.pack_files() for e in entries_of(p)}
        assert left == needed and not names & dict(store.pack_files()).keys()
        for pointer, data in keep:
            assert bytes(read_blob(store, pointer)) == data
    with open_store(tmp_path) as store:  # and from the packs alone
        store.rebuild_index()
        for pointer, data in keep:
            assert bytes(read_blob(store, pointer)) == data


def test_the_bases_of_deltas_that_stay_are_told(tmp_path: Path) -> None:
    filled(tmp_path)
    with open_store(tmp_path) as store:
        paths = dict(store.pack_files())
        everything = {
            name: {(e.header.id, e.header.kind) for e in entries_of(path)}
            for name, path in paths.items()
        }
        assert store.deltas() and bases_of_rest(store, everything) == set()
        bases = bases_of_rest(store, {})
        assert bases and all(store.base_of_chunk(base) == base for base in bases)


def test_reading_makes_a_pack_the_last_used_and_keeps_its_age(tmp_path: Path) -> None:
    (pointer, data), *_ = filled(tmp_path)
    for path in pack_paths(tmp_path):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    with open_store(tmp_path) as store:
        assert bytes(read_blob(store, pointer)) == data
    used = [path for path in pack_paths(tmp_path) if path.stat().st_atime > 1_000_000_000]
    assert 0 < len(used) < 4
    assert all(path.stat().st_mtime == 1_000_000_000 for path in used)
