"""What compaction needs of a remote, beyond `contract`: an index of many objects becomes one that
is read in parts, beside readers and pushes, and no row is lost.

    class TestMineCompacts(CompactionContract):
        @pytest.fixture
        def remote(self): return MyRemote(...)   # empty, and its own for each test
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.recording import Recording
from tests.unit.store_material import add, content, open_store, scratch_folder
from tests.unit.test_paged_remote import pointer_of, push, synthetic

from mlver.errors import BusyError
from mlver.exchange import compact, gc_lock, layout
from mlver.exchange.catalog import Catalog
from mlver.exchange.compact import Compacted
from mlver.exchange.fetch import Fetcher
from mlver.exchange.index_cache import IndexCache
from mlver.exchange.index_object import Found, encode
from mlver.model.digest import digest_of
from mlver.remotes.base import Remote
from mlver.store.local import LocalStore

PUSHES = [content(f"push {i}", 20_000) for i in range(3)]
FRESH = content("fresh", 40_000)


class Killed(BaseException):
    """A process that died."""


class DiesAfter(Recording):
    """Dies when a call of this kind, on a name below this prefix, was carried out."""

    fatal = ("", "")

    def _note(self, method: str, name: str, count: int = 0) -> None:
        super()._note(method, name, count)
        self._is_over = (method, name[: len(self.fatal[1])]) == self.fatal

    def create(self, name: str, parts: Sequence[bytes | memoryview]) -> bool:
        return self._answered(super().create(name, parts))

    def delete(self, name: str) -> None:
        self._answered(super().delete(name))

    def _answered(self, answer: object) -> bool:
        if self._is_over:
            raise Killed
        return bool(answer)


class Compacting(Recording):
    """Has its remote compacted once, ahead of the first call after one of this kind."""

    def __init__(self, inner: Remote, method: str, prefix: str) -> None:
        super().__init__(inner, self._look)
        self._wanted = method, prefix
        self._turn = threading.Lock()
        self.done: Compacted | None = None

    def _look(self) -> None:
        with self._turn:
            if self.done is None and self.count(*self._wanted):
                self.done = compacted(self._inner)


def compacted(remote: Remote) -> Compacted:
    with gc_lock.held(remote) as lock:
        return compact.compact(Catalog(remote, "remote"), lock)


def rows_of(remote: Remote) -> set[Found]:
    return {row for item in Catalog(remote, "remote").objects() for row in item}


def names(remote: Remote, prefix: str = layout.INDEX) -> set[str]:
    return {row.name for row in remote.list(prefix)}


def restores(catalog: Catalog, folder: Path, *datas: bytes) -> None:
    """A fresh clone that looks at the remote by this catalog gets all of it."""
    with open_store(folder) as store, ThreadPoolExecutor(2) as pool:
        done = Fetcher(store, [catalog], pool, lambda _: None).fetch(map(pointer_of, datas))
    assert not done.failed, done.failed


class CompactionContract:
    """Everything that `git mlver remote compact` relies on, and that others rely on beside it."""

    @pytest.fixture
    def store(self, tmp_path: Path, remote: Remote) -> Iterator[LocalStore]:
        """A store whose content was pushed in as many pushes."""
        with scratch_folder(tmp_path) as folder, open_store(folder / "store") as made:
            for data in (*PUSHES, FRESH):
                add(made, data)
            for data in PUSHES:
                push(made, remote, data)
            yield made

    def test_many_objects_become_one_with_the_same_rows(
        self, remote: Remote, store: LocalStore, tmp_path: Path
    ) -> None:
        before, rows = names(remote), rows_of(remote)
        done = compacted(remote)
        assert len(before) == done.objects_before == len(PUSHES) and done.objects_after == 1
        assert names(remote) == {done.name} and rows_of(remote) == rows
        assert not names(remote, layout.LOCKS)
        assert compacted(remote).name is None, "there is nothing left to do"
        restores(Catalog(remote, "remote"), tmp_path / "fresh", *PUSHES)
        for data in (PUSHES[0], FRESH):
            push(store, remote, data)
        assert compacted(remote).objects_after == 1
        restores(Catalog(remote, "remote"), tmp_path / "again", FRESH, *PUSHES)

    def test_a_large_object_goes_up_from_a_file_and_is_read_in_parts(
        self, remote: Remote, store: LocalStore, tmp_path: Path
    ) -> None:
        """20,000 rows, 1.2 MB: more than is read whole, or sent as bytes that are joined."""
        rows = synthetic(20_000)
        for part in (rows[:12_000], rows[12_000:]):
            data = encode(part)
            remote.create(layout.index_object(digest_of(data)), [data])
        done = compacted(remote)
        size = remote.size(done.name or "")
        assert names(remote) == {done.name} and size == done.bytes_after > 1_100_000
        recording = Recording(remote)
        catalog = Catalog(recording, "remote", IndexCache(os.fsencode(tmp_path / "cache")))
        for row in rows[:: len(rows) // 3]:
            assert catalog.find(row.id, row.kind) == row
        assert recording.read_below(layout.INDEX) < size / 3
        restores(catalog, tmp_path / "fresh", *PUSHES)
        assert {*rows} <= rows_of(remote)

    @pytest.mark.parametrize(
        "fatal", [("create", layout.LOCKS), ("create", layout.COMPACTED), ("delete", layout.INDEX)]
    )
    def test_killed_it_goes_on_later_and_no_row_was_missing(
        self, remote: Remote, store: LocalStore, fatal: tuple[str, str]
    ) -> None:
        rows = rows_of(remote)
        mortal = DiesAfter(remote)
        mortal.fatal = fatal
        with pytest.raises(Killed):
            compacted(mortal)
        assert rows_of(remote) == rows
        remote.delete_many(names(remote, layout.LOCKS))  # a dead process removes none
        compacted(remote)
        assert len(names(remote)) == 1 and rows_of(remote) == rows

    def test_who_has_listed_what_goes_looks_again(
        self, remote: Remote, store: LocalStore, tmp_path: Path
    ) -> None:
        """A clone that has read nothing yet but the listing, and one that has read some of it."""
        for method in ("list", "read"):
            push(store, remote, FRESH)
            compacting = Compacting(remote, method, layout.INDEX)
            restores(Catalog(compacting, "remote"), tmp_path / method, *PUSHES)
            assert compacting.done and compacting.done.objects_after == 1

    def test_a_push_beside_it_finds_and_names_everything(
        self, remote: Remote, store: LocalStore, tmp_path: Path
    ) -> None:
        """Compaction comes when the push has sent its pack, and when it has written its index."""
        before = rows_of(remote)
        for number, prefix in enumerate((layout.PACKS, layout.INDEX)):
            data = content(f"beside {number}", 30_000)
            add(store, data)
            compacting = Compacting(remote, "create", prefix)
            push(store, compacting, data, PUSHES[0])
            assert compacting.done and before <= rows_of(remote)
            restores(Catalog(remote, "remote"), tmp_path / str(number), data, *PUSHES)

    def test_one_at_a_time(self, remote: Remote, store: LocalStore) -> None:
        rows = rows_of(remote)
        with gc_lock.held(remote) as lock:
            with pytest.raises(BusyError):
                compacted(remote)
            lock.check()
        assert not names(remote, layout.LOCKS)

        def attempt(_: int) -> bool:
            try:
                compacted(remote)
            except BusyError:
                return False
            return True

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(attempt, range(3)))
        compacted(remote)
        assert rows_of(remote) == rows and len(names(remote)) == 1
        assert not names(remote, layout.LOCKS)
