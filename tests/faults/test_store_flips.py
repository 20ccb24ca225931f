"""A disk turns bits. Reading gives the right bytes or an error of content, never wrong bytes and
never another error; and what is damaged can be stored again.

git-lfs and DVC check out the damaged file without a word; this is the test that we do not.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.store_material import (
    add,
    content,
    drop_index,
    open_store,
    pack_paths,
    records_in,
    scratch_folder,
    text,
)

from mlver.errors import CorruptContent, MissingContent
from mlver.model.pointer import Pointer
from mlver.store import recovery
from mlver.store.assemble import read_blob, stream_blob, write_file
from mlver.store.local import LocalStore
from mlver.store.record import CHUNK

BASE = content("flips", 30_000)
DATAS = [
    b"tiny",
    text("flips", 9_000),
    BASE,
    BASE[:9_000] + b"edited" + BASE[9_000:],
    content("two", 20_000) * 5 + b"tail",
]


class Sample:
    """A small store with every form of record, closed; and what it holds."""

    def __init__(self, root: Path, *, durable: bool) -> None:
        self.root = root
        self.blobs: dict[Pointer, bytes] = {}
        self.touched: set[Path] = set()
        with open_store(root) as store:
            previous = None
            for data in DATAS:
                previous = add(store, data, previous)
                self.blobs[previous] = data
            if durable:
                recovery.make_durable(store)
        self.files = {path: path.read_bytes() for path in pack_paths(root)}
        self.index = (root / "index.sqlite").read_bytes()
        assert not (root / "index.sqlite-wal").exists()

    def restore(self) -> None:
        for path in {*pack_paths(self.root), *self.files}:
            if path not in self.files:
                path.unlink()
            elif path in self.touched:
                path.write_bytes(self.files[path])
        self.touched.clear()
        drop_index(self.root)
        (self.root / "index.sqlite").write_bytes(self.index)

    def damage(self, path: Path, data: bytes, at: int, *, keep_index: bool) -> None:
        self.restore()
        self.touched.add(path)
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
        if not keep_index:
            drop_index(self.root)


@pytest.fixture(scope="module", params=["incoming", "durable"])
def sample(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sample]:
    with scratch_folder(tmp_path_factory.mktemp("flips")) as folder:
        yield Sample(folder / "store", durable=request.param == "durable")


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def unreadable(store: LocalStore, blobs: dict[Pointer, bytes]) -> list[Pointer]:
    """Blobs that are refused; the others were compared byte for byte."""
    bad = []
    for pointer, data in blobs.items():
        try:
            store.missing(pointer)
            assert bytes(read_blob(store, pointer)) == data
        except (CorruptContent, MissingContent):
            bad.append(pointer)
    return bad


def places(files: dict[Path, bytes], step: int) -> Iterable[tuple[Path, bytes, int]]:
    """Every `step`-th byte of each pack."""
    for path, data in files.items():
        for at in range(0, len(data), step):
            yield path, data, at


def ends(files: dict[Path, bytes]) -> Iterable[tuple[Path, bytes, int]]:
    """The headers of one pack and of its first record, the end of its footer, its trailer."""
    path, data = max(files.items(), key=lambda item: len(item[1]))
    for at in [*range(80), *range(len(data) - 110, len(data))]:
        yield path, data, at


def test_a_flipped_bit_in_a_pack_is_never_read_as_content(sample: Sample) -> None:
    refused = 0
    for path, data, at in [*ends(sample.files), *places(sample.files, 331)]:
        sample.damage(path, data, at, keep_index=True)
        with open_store(sample.root) as store:
            refused += bool(unreadable(store, sample.blobs))
    assert refused > 50, "payloads were hit, and told"


def test_a_flipped_bit_is_never_read_as_content_by_an_index_made_anew(sample: Sample) -> None:
    for path, data, at in [*ends(sample.files), *places(sample.files, 997)]:
        sample.damage(path, data, at, keep_index=False)
        with open_store(sample.root) as store:
            unreadable(store, sample.blobs)


def test_a_flipped_bit_is_never_streamed_or_written_to_a_file(
    sample: Sample, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    target = tmp_path / "out"
    for path, data, at in places(sample.files, 1009):
        sample.damage(path, data, at, keep_index=True)
        with open_store(sample.root) as store:
            for pointer, expected in sample.blobs.items():
                try:
                    write_file(store, pointer, bytes(target), pool)
                except (CorruptContent, MissingContent):
                    assert not target.exists(), "a file that failed is not left"
                    with pytest.raises((CorruptContent, MissingContent)):
                        list(stream_blob(store, pointer, pool))
                    continue
                assert target.read_bytes() == expected
                target.unlink()


def test_a_flipped_bit_in_the_index_is_never_read_as_content(sample: Sample) -> None:
    sample.restore()
    path = sample.root / "index.sqlite"
    for at in [*range(0, 100), *range(100, len(sample.index), 131)]:
        sample.damage(path, sample.index, at, keep_index=True)
        with open_store(sample.root) as store:
            unreadable(store, sample.blobs)
            store.catch_up()
            unreadable(store, sample.blobs)
    sample.restore()


def test_damaged_content_is_whole_again_once_it_was_forgotten_and_stored(sample: Sample) -> None:
    for path, data, at in places(sample.files, 2003):
        sample.damage(path, data, at, keep_index=True)
        with open_store(sample.root) as store:
            for pointer in unreadable(store, sample.blobs):
                heal(store, pointer, sample.blobs)
            assert unreadable(store, sample.blobs) == []


def heal(store: LocalStore, pointer: Pointer, blobs: dict[Pointer, bytes]) -> None:
    """As `fsck --repair` does: forget what does not verify, then store it from a good copy."""
    for entry in records_in(Path(store.root.decode())):
        head = entry.header
        try:
            store.chunk(head.id) if head.kind == CHUNK else store.recipe(head.id)
        except (CorruptContent, MissingContent):
            store.forget(head.id, head.kind)
    assert add(store, blobs[pointer]) == pointer


def test_one_damaged_blob_hides_no_other(tmp_path: Path) -> None:
    datas = [content(number, 5_000) for number in range(6)]
    with open_store(tmp_path) as store:
        pointers = {add(store, data): data for data in datas}
        recovery.make_durable(store)
    victim = sorted(tmp_path.glob("packs/*.pack"))[2]
    whole = victim.read_bytes()
    victim.write_bytes(whole[:1000] + b"DAMAGED" + whole[1007:])
    for keep_index in (True, False):
        if not keep_index:
            drop_index(tmp_path)
        with open_store(tmp_path) as store:
            assert len(unreadable(store, pointers)) == 1


def test_a_pack_that_vanished_is_told_and_its_content_stored_again(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        pointer = add(store, DATAS[2])
        store.locate(pointer.oid)
        (path,) = pack_paths(tmp_path)
        path.unlink()
        with pytest.raises((CorruptContent, MissingContent)):
            read_blob(store, pointer)
    with open_store(tmp_path) as store:
        assert store.missing(pointer) == pointer.oid
        assert add(store, DATAS[2]) == pointer
        assert bytes(read_blob(store, pointer)) == DATAS[2]


def test_a_copied_store_reads_as_the_first(sample: Sample, tmp_path: Path) -> None:
    sample.restore()
    shutil.copytree(sample.root, tmp_path / "copy")
    with open_store(tmp_path / "copy") as store:
        assert unreadable(store, sample.blobs) == []
