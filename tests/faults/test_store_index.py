"""The index beside the packs is derived: without it, or with any rubbish in its place, every blob
reads back all the same, and the next process finds it mended."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.store_material import add, content, drop_index, open_store, pack_paths, reader

from mlver.errors import BusyError, MlverError
from mlver.model.digest import digest_of
from mlver.model.pointer import Pointer
from mlver.store import index, recovery, session
from mlver.store.assemble import read_blob
from mlver.store.ingest import Ingest

DATAS = [content("index", size) for size in (10, 20_000, 150_000, 400_000)]


@pytest.fixture
def blobs(tmp_path: Path) -> dict[Pointer, bytes]:
    """Half of them durable, half of them not yet; the store lies in `tmp_path`."""
    found = {}
    with open_store(tmp_path) as store:
        for place, data in enumerate(DATAS):
            found[add(store, data)] = data
            if place == 1:
                recovery.make_durable(store)
        assert len(pack_paths(tmp_path)) == len(DATAS)
    return found


def assert_all_read_back(root: Path, blobs: dict[Pointer, bytes]) -> None:
    with open_store(root) as store:
        for pointer, data in blobs.items():
            assert store.missing(pointer) is None
            assert bytes(read_blob(store, pointer)) == data


def rows_of(root: Path) -> int:
    with closing(sqlite3.connect(root / "index.sqlite")) as db:
        return int(db.execute("select count(*) from records").fetchone()[0])


def deleted(path: Path) -> None:
    path.unlink()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_in_a_page(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def random_bytes(path: Path) -> None:
    path.write_bytes(content("garbage", 20_000))


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def right_head_then_rubbish(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100] + content("garbage", 16_000))


def text(path: Path) -> None:
    path.write_text("<<<<<<< a merge went wrong\n" * 100)


def another_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("pragma user_version = 99")


def without_a_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("drop table records")


def with_other_columns(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("drop table packs")
        db.execute("create table packs (something text)")


def another_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("create table theirs (a, b)")


def rows_of_the_wrong_type(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("update records set offset = 'far', stored = null")


def rows_that_ask_for_too_much(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("update records set stored = 4611686018427387904")


RUIN: list[Callable[[Path], None]] = [
    *(deleted, emptied, halved, cut_in_a_page, random_bytes, zeros, right_head_then_rubbish),
    *(text, another_version, without_a_table, with_other_columns, another_database),
    *(rows_of_the_wrong_type, rows_that_ask_for_too_much),
]


@pytest.mark.parametrize("ruin", RUIN, ids=lambda ruin: ruin.__name__)
def test_every_blob_reads_back_without_a_good_index(
    ruin: Callable[[Path], None], tmp_path: Path, blobs: dict[Pointer, bytes]
) -> None:
    rows = rows_of(tmp_path)
    ruin(tmp_path / "index.sqlite")
    assert_all_read_back(tmp_path, blobs)
    assert rows_of(tmp_path) == rows, "it was mended, not only got round"


@pytest.mark.parametrize("rubbish", [b"", b"rubbish" * 1000])
def test_rubbish_beside_the_index_is_no_hindrance(
    rubbish: bytes, tmp_path: Path, blobs: dict[Pointer, bytes]
) -> None:
    for suffix in ("-wal", "-shm", "-journal"):
        (tmp_path / f"index.sqlite{suffix}").write_bytes(rubbish)
    assert_all_read_back(tmp_path, blobs)


def test_an_index_that_is_a_folder_is_got_round(
    tmp_path: Path, blobs: dict[Pointer, bytes]
) -> None:
    drop_index(tmp_path)
    (tmp_path / "index.sqlite").mkdir()
    assert_all_read_back(tmp_path, blobs)


def test_an_index_that_goes_while_it_is_open_is_made_again(
    tmp_path: Path, blobs: dict[Pointer, bytes]
) -> None:
    with open_store(tmp_path) as store:
        assert all(store.missing(pointer) is None for pointer in blobs)
        (tmp_path / "index.sqlite").write_bytes(b"rubbish" * 3000)
        new = add(store, content("while", 50_000))
        for pointer, data in blobs.items():
            assert bytes(read_blob(store, pointer)) == data
    assert_all_read_back(tmp_path, {**blobs, new: content("while", 50_000)})


def test_an_index_that_is_behind_catches_up(tmp_path: Path, blobs: dict[Pointer, bytes]) -> None:
    old = (tmp_path / "index.sqlite").read_bytes()
    with open_store(tmp_path) as store:
        for seed in range(3):
            blobs[add(store, content(seed, 60_000))] = content(seed, 60_000)
    drop_index(tmp_path)
    (tmp_path / "index.sqlite").write_bytes(old)
    assert_all_read_back(tmp_path, blobs)


def test_an_index_that_names_packs_which_are_gone_forgets_them(
    tmp_path: Path, blobs: dict[Pointer, bytes]
) -> None:
    for path in pack_paths(tmp_path):
        path.unlink()
    with open_store(tmp_path) as store:
        assert all(store.missing(pointer) == pointer.oid for pointer in blobs)
        for pointer, data in blobs.items():
            assert add(store, data) == pointer
    assert_all_read_back(tmp_path, blobs)


def test_another_process_that_holds_the_index_is_waited_for_within_bounds(
    tmp_path: Path, blobs: dict[Pointer, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bounded wait, then content is stored all the same; the index is not thrown away."""
    monkeypatch.setattr(index, "_WAIT_MS", 20)
    data = content("held", 70_000)
    holder = sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)
    with open_store(tmp_path) as store:
        store.catch_up()
        inode = (tmp_path / "index.sqlite").stat().st_ino
        holder.execute("begin immediate")
        pointer = add(store, data)
        holder.execute("rollback")
        holder.close()
        assert (tmp_path / "index.sqlite").stat().st_ino == inode
    assert_all_read_back(tmp_path, {**blobs, pointer: data})


def test_a_locked_index_is_not_taken_for_a_damaged_one(
    tmp_path: Path, blobs: dict[Pointer, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To delete it would be to take it from under whoever holds it."""
    locked = sqlite3.OperationalError("database is locked")
    locked.sqlite_errorcode = sqlite3.SQLITE_BUSY

    def refuses(self: index.Index, digest: bytes, kind: int) -> None:
        raise locked

    with open_store(tmp_path) as store:
        store.catch_up()
        inode = (tmp_path / "index.sqlite").stat().st_ino
        monkeypatch.setattr(index.Index, "find", refuses)
        with pytest.raises(BusyError):
            store.locate(next(iter(blobs)).oid)
        monkeypatch.undo()
    assert (tmp_path / "index.sqlite").stat().st_ino == inode
    assert_all_read_back(tmp_path, blobs)


def test_records_that_could_not_be_entered_at_once_are_entered_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long add enters what it has from time to time; one such time fails."""
    monkeypatch.setattr(session, "_INDEX_EVERY", 3)
    tmp_path.joinpath("store").mkdir()
    real, calls = index.Index.enter, 0

    def refused_once(self: index.Index, *args: object, **kwargs: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise BusyError("the store's index is locked")
        real(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(index.Index, "enter", refused_once)
    datas = [content(number, 2000) for number in range(5)]
    with open_store(tmp_path / "store") as store:
        with Ingest(store) as ingest:
            pointers = [ingest.add(reader(data)) for data in datas]
        assert calls >= 2
        for pointer, data in zip(pointers, datas, strict=True):
            assert pointer is not None and bytes(read_blob(store, pointer)) == data
    assert_all_read_back(
        tmp_path / "store", {Pointer(digest_of(data), len(data)): data for data in datas}
    )


def test_a_pack_that_is_moved_while_packs_are_listed_is_not_forgotten(
    tmp_path: Path, blobs: dict[Pointer, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process makes it durable between the look into one folder and into the other."""
    real = os.listdir
    with open_store(tmp_path) as store, open_store(tmp_path) as other:
        store.catch_up()
        listed = 0

        def listdir(path: bytes) -> list[bytes]:
            nonlocal listed
            answer = real(path)
            listed += 1
            if listed == 1:
                monkeypatch.setattr(os, "listdir", real)
                recovery.make_durable(other)
                monkeypatch.setattr(os, "listdir", listdir)
            return answer

        monkeypatch.setattr(os, "listdir", listdir)
        store.catch_up()
        monkeypatch.setattr(os, "listdir", real)
        for pointer, data in blobs.items():
            assert store.missing(pointer) is None
            assert bytes(read_blob(store, pointer)) == data


def test_a_store_that_is_not_there_holds_nothing_and_is_not_made(tmp_path: Path) -> None:
    with open_store(tmp_path / "none") as store:
        pointer = Pointer(digest_of(b"x"), 1)
        assert store.missing(pointer) == pointer.oid
        assert not store.holds(pointer)
        with pytest.raises(MlverError):
            read_blob(store, pointer)
        assert recovery.make_durable(store) == 0
    assert not (tmp_path / "none").exists(), "looking makes nothing"
