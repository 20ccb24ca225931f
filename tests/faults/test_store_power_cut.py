"""After a power cut, what was made durable is there; of the rest, what verifies is kept and what
does not is not believed, so that adding the same file again stores what was lost.

A pack still in incoming/ whose name holds another boot may lack any page that was not synced.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.store_material import (
    OTHER_BOOT,
    add,
    content,
    entries_of,
    move_to_another_boot,
    open_store,
    pack_paths,
    scan_file,
)

from mlver.errors import CorruptContent, MissingContent
from mlver.model.digest import digest_of
from mlver.model.pointer import Pointer
from mlver.store import recovery
from mlver.store.assemble import read_blob
from mlver.store.ingest import Ingest
from mlver.store.pack import PACK_HEADER, Entry
from mlver.store.record import DELTA, HEADER, RECIPE

SMALL = [content(number, 3000 + number) for number in range(4)]
LONG = content("long", 400_000)


@pytest.fixture
def blobs(tmp_path: Path) -> dict[Pointer, bytes]:
    """Four blobs of one chunk and one of several, in one pack of another boot."""
    with open_store(tmp_path) as store, Ingest(store) as ingest:
        found = {ingest.add_bytes(memoryview(data)): data for data in [*SMALL, LONG]}
    move_to_another_boot(tmp_path)
    return found


def zero(path: Path, at: int, length: int) -> None:
    data = path.read_bytes()
    length = min(length, len(data) - at)
    path.write_bytes(data[:at] + bytes(length) + data[at + length :])


def record_of(path: Path, data: bytes, kind: int = 1) -> Entry:
    return next(
        e for e in entries_of(path) if (e.header.id, e.header.kind) == (digest_of(data), kind)
    )


def readable(root: Path, blobs: dict[Pointer, bytes]) -> set[Pointer]:
    """What reads back; the rest must be refused and be known to be missing."""
    found = set()
    with open_store(root) as store:
        for pointer, data in blobs.items():
            if store.missing(pointer) is None:
                assert bytes(read_blob(store, pointer)) == data
                found.add(pointer)
            else:
                with pytest.raises((CorruptContent, MissingContent)):
                    read_blob(store, pointer)
    return found


def assert_heals(root: Path, blobs: dict[Pointer, bytes]) -> None:
    """Adding everything again, as the user's rerun does, makes the store whole and durable."""
    with open_store(root) as store:
        with Ingest(store) as ingest:
            for pointer, data in blobs.items():
                assert ingest.add_bytes(memoryview(data)) == pointer
        recovery.make_durable(store)
    assert readable(root, blobs) == set(blobs)
    with open_store(root) as store:
        store.rebuild_index()
    assert readable(root, blobs) == set(blobs)
    assert not list(root.glob("incoming/*"))


def test_a_pack_that_lost_nothing_is_kept_whole(
    tmp_path: Path, blobs: dict[Pointer, bytes]
) -> None:
    assert readable(tmp_path, blobs) == set(blobs)
    with open_store(tmp_path) as store:
        assert recovery.make_durable(store) == 1
    assert readable(tmp_path, blobs) == set(blobs)
    assert_heals(tmp_path, blobs)


def test_a_lost_page_takes_only_the_record_that_it_lay_in(
    tmp_path: Path, blobs: dict[Pointer, bytes]
) -> None:
    (path,) = pack_paths(tmp_path)
    victim = record_of(path, SMALL[1])
    zero(path, victim.offset + HEADER, 500)
    lost = {pointer for pointer, data in blobs.items() if data == SMALL[1]}
    assert readable(tmp_path, blobs) == set(blobs) - lost
    with open_store(tmp_path) as store:
        recovery.make_durable(store)
    (path,) = pack_paths(tmp_path)
    assert path.parent.name == "packs"
    assert victim.header.id not in {e.header.id for e in entries_of(path)}, "not in the footer"
    assert readable(tmp_path, blobs) == set(blobs) - lost
    assert_heals(tmp_path, blobs)


def test_a_lost_chunk_of_a_known_recipe_is_stored_again(
    tmp_path: Path, blobs: dict[Pointer, bytes]
) -> None:
    """The recipe survived: it must not be taken for the proof that its chunks did."""
    (path,) = pack_paths(tmp_path)
    chunks = [e for e in entries_of(path) if e.header.raw > 20_000 and e.header.kind != RECIPE]
    zero(path, chunks[2].offset + HEADER + 100, 4096)
    assert len(readable(tmp_path, blobs)) == len(blobs) - 1
    assert_heals(tmp_path, blobs)


def test_a_lost_recipe_is_stored_again(tmp_path: Path, blobs: dict[Pointer, bytes]) -> None:
    (path,) = pack_paths(tmp_path)
    zero(path, record_of(path, LONG, RECIPE).offset + HEADER + 20, 30)
    assert len(readable(tmp_path, blobs)) == len(blobs) - 1
    assert_heals(tmp_path, blobs)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_lost_header_ends_what_can_be_read_back(
    place: int, tmp_path: Path, blobs: dict[Pointer, bytes]
) -> None:
    (path,) = pack_paths(tmp_path)
    zero(path, entries_of(path)[place].offset, HEADER)
    assert len(readable(tmp_path, blobs)) == place
    assert_heals(tmp_path, blobs)


@pytest.mark.parametrize("page", [0, 1, 2, 10, -2, -1])
def test_a_lost_page_anywhere_is_never_read_as_content(
    page: int, tmp_path: Path, blobs: dict[Pointer, bytes]
) -> None:
    (path,) = pack_paths(tmp_path)
    pages = -(-path.stat().st_size // 4096)
    zero(path, (page % pages) * 4096, 4096)
    readable(tmp_path, blobs)
    assert_heals(tmp_path, blobs)


@pytest.mark.parametrize("length", [0, 1, len(PACK_HEADER), 100, 5000, 50_000])
def test_a_pack_cut_short_keeps_what_is_whole(
    length: int, tmp_path: Path, blobs: dict[Pointer, bytes]
) -> None:
    (path,) = pack_paths(tmp_path)
    whole = [e for e in entries_of(path) if e.offset + e.length <= length]
    path.write_bytes(path.read_bytes()[:length])
    assert len(readable(tmp_path, blobs)) == len(whole)
    assert_heals(tmp_path, blobs)


def test_a_pack_of_the_right_length_and_all_zeros_is_removed(
    tmp_path: Path, blobs: dict[Pointer, bytes]
) -> None:
    (path,) = pack_paths(tmp_path)
    zero(path, 0, path.stat().st_size)
    assert readable(tmp_path, blobs) == set()
    with open_store(tmp_path) as store:
        assert recovery.make_durable(store) == 0
    assert pack_paths(tmp_path) == []
    assert_heals(tmp_path, blobs)


def test_an_index_that_survived_is_not_believed_about_such_a_pack(tmp_path: Path) -> None:
    """SQLite synced its pages, the pack did not: the index names what is not there."""
    with open_store(tmp_path) as store, Ingest(store) as ingest:
        blobs = {ingest.add_bytes(memoryview(data)): data for data in [*SMALL, LONG]}
    kept = (tmp_path / "index.sqlite").read_bytes()
    (path,) = move_to_another_boot(tmp_path)
    (tmp_path / "index.sqlite").write_bytes(kept)
    path.write_bytes(path.read_bytes()[:20_000])
    whole = [e for e in scan_file(path) if e.header.kind != RECIPE]
    found = readable(tmp_path, blobs)
    assert len(found) == len([e for e in whole if e.header.id in {p.oid for p in blobs}])
    assert_heals(tmp_path, blobs)


def test_a_delta_is_lost_with_its_base(tmp_path: Path) -> None:
    """The base lies in a pack that the power cut took, the delta in one that it left."""
    old, new = content("base", 50_000), content("base", 50_000) + b"more"
    with open_store(tmp_path) as store:
        first = add(store, old)
        (base_path,) = pack_paths(tmp_path)
        second = add(store, new, previous=first)
        place = store.locate(second.oid)
        assert place is not None and place.codec == DELTA
    blobs = {first: old, second: new}
    renamed = base_path.with_name(f"{base_path.name.split('-')[0]}-{OTHER_BOOT}.pack")
    move_to_another_boot(tmp_path)
    zero(renamed, 1000, 4096)
    assert readable(tmp_path, blobs) == set()
    assert_heals(tmp_path, blobs)


@pytest.mark.parametrize("delta_first", [True, False])
def test_a_delta_is_kept_whichever_pack_its_base_lies_in(delta_first: bool, tmp_path: Path) -> None:
    old, new = content("base", 50_000), content("base", 50_000) + b"more"
    with open_store(tmp_path) as store:
        first = add(store, old)
        (base_path,) = pack_paths(tmp_path)
        second = add(store, new, previous=first)
    (delta_path,) = set(pack_paths(tmp_path)) - {base_path}
    names = ("aaaa", "bbbb") if delta_first else ("bbbb", "aaaa")
    for path, name in zip((delta_path, base_path), names, strict=True):
        path.rename(path.with_name(f"{name}-{OTHER_BOOT}.pack"))
    move_to_another_boot(tmp_path)
    blobs = {first: old, second: new}
    assert readable(tmp_path, blobs) == set(blobs)
    with open_store(tmp_path) as store:
        assert recovery.make_durable(store) == 2
    assert readable(tmp_path, blobs) == set(blobs)


def test_what_was_made_durable_beside_its_writer_survives(tmp_path: Path) -> None:
    """The writer lived at the fsync, then the power went: everything after is gone."""
    with open_store(tmp_path) as store, open_store(tmp_path) as other:
        ingest = Ingest(store)
        blobs = {ingest.add_bytes(memoryview(data)): data for data in SMALL}
        recovery.make_durable(other)
        (path,) = pack_paths(tmp_path)
        synced = path.stat().st_size
        late = ingest.add_bytes(memoryview(LONG))
        ingest.close()
    path.write_bytes(path.read_bytes()[:synced] + bytes(path.stat().st_size - synced))
    move_to_another_boot(tmp_path)
    assert readable(tmp_path, {**blobs, late: LONG}) == set(blobs)
    assert_heals(tmp_path, {**blobs, late: LONG})
