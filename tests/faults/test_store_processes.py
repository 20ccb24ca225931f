"""Several processes at one store: none loses what another adds, or stores what it need not.

Nothing here waits for a clock: processes start together at a pipe, and races that are too narrow
to meet by chance are made by stopping one side at the very call.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.unit import store_writer
from tests.unit.store_material import (
    add,
    content,
    open_store,
    pack_paths,
    reader,
    records_in,
    scratch_folder,
)

from mlver.errors import BusyError
from mlver.store import files, pack, recovery
from mlver.store.assemble import read_blob
from mlver.store.ingest import Ingest

WRITER = [sys.executable, store_writer.__file__]


@pytest.mark.parametrize("count", [2, 8])
def test_processes_that_add_at_once_lose_nothing(count: int, tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as scratch:
        root = scratch / "store"
        subprocess.run([*WRITER, "many", str(root), str(count)], check=True)
        with open_store(root) as store:
            for seed in ("all", *range(count)):
                for size in store_writer.MANY_SIZES:
                    data = content(seed, size)
                    assert bytes(read_blob(store, store_writer.pointer_of(data))) == data
        assert not list(root.glob("incoming/*"))
        copies = Counter((e.header.id, e.header.kind) for e in records_in(root))
        assert max(copies.values()) <= count, "at worst each stored the same once"


def test_making_durable_beside_writers_loses_nothing(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as scratch:
        root = scratch / "store"
        subprocess.run([*WRITER, "beside", str(root)], check=True)
        with open_store(root) as store:
            recovery.make_durable(store)
            for number in range(25):
                for size in (20_000, 30_000):
                    data = content(number, size)
                    assert bytes(read_blob(store, store_writer.pointer_of(data))) == data
        assert not list(root.glob("incoming/*"))


def test_the_pack_of_a_live_writer_is_synced_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = content("first", 50_000), content("second", 60_000)
    synced: list[int] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino)
        real(fd)

    with open_store(tmp_path) as store, open_store(tmp_path) as other:
        with Ingest(store) as ingest:
            one = ingest.add(reader(first))
            (path,) = pack_paths(tmp_path)
            monkeypatch.setattr(os, "fsync", fsync)
            assert recovery.make_durable(other) == 1
            assert path.stat().st_ino in synced
            assert pack_paths(tmp_path) == [path], "it is not taken from its writer"
            two = ingest.add(reader(second))
        assert one is not None and two is not None
        assert recovery.make_durable(other) == 1
        assert path.parent.name == "incoming" and not path.exists()
        other.catch_up()
        assert bytes(read_blob(other, one)) == first
        assert bytes(read_blob(other, two)) == second


def test_another_process_sees_what_was_written_so_far(tmp_path: Path) -> None:
    data = content("so far", 50_000)
    with open_store(tmp_path) as store, Ingest(store) as ingest:
        pointer = ingest.add(reader(data))
        assert pointer is not None
        with open_store(tmp_path) as other:
            assert bytes(read_blob(other, pointer)) == data
            later = ingest.add(reader(data + b"more"))
            assert later is not None and other.missing(later) is not None
            other.catch_up()
            assert bytes(read_blob(other, later)) == data + b"more"


def test_a_new_pack_is_never_taken_for_an_abandoned_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process makes durable between the new file's creation and its lock."""
    real, raced = files.lock, 0
    with open_store(tmp_path) as store, open_store(tmp_path) as other:

        def lock(fd: int, **kwargs: Any) -> bool:
            nonlocal raced
            if not raced and list(tmp_path.glob("incoming/*.pack")):
                raced = 1
                recovery.make_durable(other)
            return real(fd, **kwargs)

        monkeypatch.setattr(files, "lock", lock)
        pointer = add(store, content("raced", 5000))
        monkeypatch.undo()
    assert raced
    with open_store(tmp_path) as store:
        assert bytes(read_blob(store, pointer)) == content("raced", 5000)


def test_a_pack_is_not_removed_under_the_writer_that_waits_for_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As before, but the other process holds the lock while this one asks for it."""
    path = tmp_path / "new.pack"
    real, asked = files.lock, 0

    def lock(fd: int, **kwargs: Any) -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            assert kwargs.get("wait"), "it waits for whoever looks at the empty pack"
            path.unlink()
        return real(fd, **kwargs)

    monkeypatch.setattr(files, "lock", lock)
    writer = pack.PackWriter(bytes(path))
    assert path.exists() and os.fstat(writer.fd).st_nlink == 1 and asked == 2
    writer.abandon()


def test_a_pack_that_moves_while_it_is_looked_for_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = content("moves", 40_000)
    with open_store(tmp_path) as store, open_store(tmp_path) as other:
        pointer = add(store, data)
        real = os.open
        moved = 0

        def opens(path: Any, flags: int, *rest: Any) -> int:
            nonlocal moved
            if not moved and bytes(path).endswith(b".pack"):
                moved = 1
                recovery.make_durable(other)
            return real(path, flags, *rest)

        monkeypatch.setattr(os, "open", opens)
        assert bytes(read_blob(store, pointer)) == data
        assert moved


def test_two_that_make_durable_at_once_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datas = [content(number, 3000) for number in range(3)]
    with open_store(tmp_path) as store, open_store(tmp_path) as other:
        pointers = [add(store, data) for data in datas]
        real, turns = os.rename, 0

        def rename(old: Any, new: Any) -> None:
            nonlocal turns
            turns += 1
            if turns == 1:
                recovery.make_durable(other)
            real(old, new)

        monkeypatch.setattr(os, "rename", rename)
        recovery.make_durable(store)
        monkeypatch.undo()
        for pointer, data in zip(pointers, datas, strict=True):
            assert bytes(read_blob(store, pointer)) == data
    assert not list(tmp_path.glob("incoming/*"))


def test_prune_waits_for_nobody_and_says_so(tmp_path: Path) -> None:
    with open_store(tmp_path) as store, open_store(tmp_path) as other:
        with Ingest(store), pytest.raises(BusyError):
            other.use(exclusive=True)
        store.close()
        other.use(exclusive=True)
