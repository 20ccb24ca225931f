"""Content from remotes to a writer without staying in a store, large or small."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.store_material import add, content, open_store

from mlver.errors import CorruptContent, MissingContent, MlverError
from mlver.exchange import through
from mlver.exchange.push import Pusher
from mlver.exchange.source import Catalog
from mlver.exchange.through import stream_through
from mlver.model.digest import digest_of
from mlver.model.pointer import Pointer
from mlver.remotes.memory import MemoryRemote
from mlver.store import flight as flights
from mlver.store.flight import flight
from mlver.workflows.straight import _proven

LARGE = content("large", 900_000)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


@pytest.fixture
def remote(tmp_path: Path) -> MemoryRemote:
    """Holds LARGE, and a second version whose chunks are deltas on it."""
    found = MemoryRemote()
    with open_store(tmp_path / "from") as store:
        first = add(store, LARGE)
        second = add(store, changed(), first)
        small = add(store, b"small")
        done = Pusher(store, Catalog(found, "remote"), lambda _: None).push([first, second, small])
        assert len(done.sent) == 3
    return found


def changed() -> bytes:
    return LARGE[:400_000] + b"changed" + LARGE[400_000:]


def pointer_of(data: bytes) -> Pointer:
    return Pointer(digest_of(data), len(data))


@pytest.mark.parametrize("data", [LARGE, changed(), b"small"])
@pytest.mark.parametrize("stretch", [1, 200_000, 1 << 30])
def test_a_blob_comes_in_stretches_and_no_store_holds_all_of_it(
    data: bytes, stretch: int, remote: MemoryRemote, tmp_path: Path, pool: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(through, "STRETCH", stretch)
    came, most = b"", 0
    with flight(os.fsencode(tmp_path / "here")) as new_store:
        stream = stream_through(new_store, [Catalog(remote, "r")], pool, pointer_of(data))
        for parts in _proven(pointer_of(data), stream):
            came += b"".join(bytes(part) for part in parts)
            packs = (tmp_path / "here").rglob("*.pack")
            most = max(most, sum(path.stat().st_size for path in packs))
    assert came == data
    assert not list((tmp_path / "here").rglob("*.pack"))
    if stretch == 200_000 and data == LARGE:
        assert most < 400_000


def test_what_is_nowhere_is_missing(
    remote: MemoryRemote, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    with flight(os.fsencode(tmp_path / "here")) as new_store, pytest.raises(MissingContent):
        list(stream_through(new_store, [Catalog(remote, "r")], pool, pointer_of(b"other")))


def test_a_pack_that_is_gone_is_an_error_and_not_a_short_file(
    remote: MemoryRemote, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    for row in list(remote.list("packs/")):
        remote.delete(row.name)
    with flight(os.fsencode(tmp_path / "here")) as new_store, pytest.raises(MlverError):
        list(stream_through(new_store, [Catalog(remote, "r")], pool, pointer_of(LARGE)))


def test_other_bytes_than_the_pointer_names_are_refused_at_the_end() -> None:
    with pytest.raises(CorruptContent):
        list(_proven(pointer_of(b"right"), iter([[b"wro"], [b"ng"]])))
    assert list(_proven(pointer_of(b"right"), iter([[b"ri"], [b"ght"]]))) == [[b"ri"], [b"ght"]]


def test_what_a_killed_process_left_goes_with_the_next_one_that_is_alone(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    left = tmp_path / "flight" / "0123456789abcdef"
    left.mkdir(parents=True)
    with flight(root) as new_store, new_store() as store:
        assert not left.exists()
        left.mkdir()
        with flight(root), flight(root):
            assert left.exists() and os.path.isdir(store.root)
    assert set(os.listdir(tmp_path / "flight")) == {os.fsdecode(flights._LOCK), left.name}
