"""What a session has stored it knows at once; packs are sealed when long, and entered once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.store_material import content, entries_of, open_store, pack_paths, records_in

from mlver.errors import CorruptContent
from mlver.model.digest import digest_of
from mlver.store import session as sessions
from mlver.store.assemble import read_blob
from mlver.store.chunker import MIN
from mlver.store.ingest import Ingest
from mlver.store.pack import NewRecord
from mlver.store.record import CHUNK, RAW, RECIPE
from mlver.store.session import Session


def record(data: bytes) -> NewRecord:
    return NewRecord(CHUNK, RAW, len(data), digest_of(data), (data,))


def test_what_was_appended_is_known_at_once(tmp_path: Path) -> None:
    with open_store(tmp_path) as store, Session(store) as session:
        assert not session.has(digest_of(b"one"))
        session.append([record(b"one")])
        assert session.has(digest_of(b"one")) and session.wrote(digest_of(b"one"))
        assert not session.has(digest_of(b"one"), RECIPE)
        session.publish()
        assert session.has(digest_of(b"one")) and not session.wrote(digest_of(b"one"))
        assert store.chunk(digest_of(b"one")) == b"one"


def test_a_long_pack_is_sealed_and_another_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "PACK_LIMIT", 10_000)
    datas = [content(number, 3000) for number in range(12)]
    with open_store(tmp_path) as store:
        with Session(store) as session:
            for data in datas:
                session.append([record(data)])
                assert session.has(digest_of(data))
        assert all(bytes(store.chunk(digest_of(data))) == data for data in datas)
    assert len(pack_paths(tmp_path)) == 3
    assert len(records_in(tmp_path)) == 12
    with open_store(tmp_path) as later:
        assert all(bytes(later.chunk(digest_of(data))) == data for data in datas)


def test_a_session_without_records_leaves_no_pack(tmp_path: Path) -> None:
    with open_store(tmp_path) as store, Session(store):
        pass
    assert pack_paths(tmp_path) == []


def test_a_session_ended_by_an_error_keeps_what_it_has_stored(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        with pytest.raises(KeyboardInterrupt), Session(store) as session:
            session.append([record(b"kept")])
            raise KeyboardInterrupt
        assert store.chunk(digest_of(b"kept")) == b"kept"
    (path,) = pack_paths(tmp_path)
    assert len(entries_of(path)) == 1


def test_what_replaces_a_damaged_record_is_found_in_its_place(tmp_path: Path) -> None:
    data = content("damaged", 3000)
    with open_store(tmp_path) as store:
        with Session(store) as session:
            session.append([record(data)])
        (path,) = pack_paths(tmp_path)
        path.write_bytes(path.read_bytes().replace(data[100:110], b"0123456789"))
        with pytest.raises(CorruptContent):
            store.chunk(digest_of(data))
        with Session(store, replace=True) as session:
            session.append([record(data)])
        assert bytes(store.chunk(digest_of(data))) == data


def test_small_files_are_written_together_and_acknowledged_by_flush(tmp_path: Path) -> None:
    datas = [content(number, 1 + number * 100) for number in range(160)]
    assert all(len(data) <= MIN for data in datas)
    with open_store(tmp_path) as store:
        with Ingest(store) as ingest:
            pointers = [ingest.add_small(data) for data in [*datas, *datas]]
            ingest.flush()
            ingest.flush()
        assert pointers[:160] == pointers[160:]
        for pointer, data in zip(pointers, datas, strict=False):
            assert bytes(read_blob(store, pointer)) == data
    assert len(records_in(tmp_path)) == 160
