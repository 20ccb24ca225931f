"""Index objects are read from a remote once, and what is kept of them is never believed blindly."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlver.exchange import layout
from mlver.exchange.catalog import Catalog
from mlver.exchange.index_cache import IndexCache
from mlver.exchange.index_object import Found, encode
from mlver.model.digest import Digest, digest_of
from mlver.remotes.memory import MemoryRemote
from mlver.store.record import CHUNK, RAW


class Counting(MemoryRemote):
    """A remote that notes what was read of it."""

    def __init__(self) -> None:
        super().__init__("memory://")
        self.reads: list[str] = []

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        self.reads.append(name)
        return super().read(name, start, length)


def found(seed: int) -> Found:
    return Found(digest_of(b"%d" % seed), CHUNK, RAW, digest_of(b"pack"), 16, 5, 5, None)


@pytest.fixture
def remote() -> Counting:
    remote = Counting()
    layout.ensure_meta(remote)
    for seed in range(20):
        push(remote, seed)
    return remote


def push(remote: MemoryRemote, seed: int) -> str:
    data = encode([found(seed)])
    name = layout.index_object(digest_of(data))
    remote.create(name, [data])
    return name


def read_by(remote: Counting, cache: IndexCache | None) -> list[str]:
    """Index objects that a fresh catalog reads; it knows every record afterwards."""
    remote.reads.clear()
    catalog = Catalog(remote, "remote", cache)
    for seed in range(20):
        assert catalog.find(found(seed).id, CHUNK) == found(seed)
    assert not catalog.damaged
    return [name for name in remote.reads if name.startswith(layout.INDEX)]


def test_only_what_is_new_is_read(remote: Counting, tmp_path: Path) -> None:
    cache = IndexCache(os.fsencode(tmp_path / "kept"))
    assert len(read_by(remote, cache)) == 20
    assert read_by(remote, cache) == []
    name = push(remote, 99)
    assert read_by(remote, cache) == [name]
    assert len(read_by(remote, None)) == 21


def test_what_is_gone_from_the_remote_is_not_known_any_more(
    remote: Counting, tmp_path: Path
) -> None:
    cache = IndexCache(os.fsencode(tmp_path / "kept"))
    name = push(remote, 99)
    read_by(remote, cache)
    remote.delete(name)
    assert Catalog(remote, "remote", cache).find(found(99).id, CHUNK) is None


@pytest.mark.parametrize("damage", [b"", b"forged", None])
def test_a_damaged_copy_is_read_again(
    remote: Counting, tmp_path: Path, damage: bytes | None
) -> None:
    cache = IndexCache(os.fsencode(tmp_path / "kept"))
    read_by(remote, cache)
    path = min((tmp_path / "kept").iterdir())
    path.write_bytes(encode([found(7_777)]) if damage is None else damage)
    assert [name.rpartition("/")[2] for name in read_by(remote, cache)] == [path.name]
    assert read_by(remote, cache) == []


def test_a_folder_that_cannot_be_written_costs_reading_only(
    remote: Counting, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    cache = IndexCache(os.fsencode(tmp_path / "file"))
    assert len(read_by(remote, cache)) == len(read_by(remote, cache)) == 20
    cache.clear()
    assert cache.get(Digest(bytes(32))) is None


def test_clear_leaves_nothing(remote: Counting, tmp_path: Path) -> None:
    cache = IndexCache(os.fsencode(tmp_path / "kept"))
    read_by(remote, cache)
    cache.clear()
    assert not (tmp_path / "kept").exists()
