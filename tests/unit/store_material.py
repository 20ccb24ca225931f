"""Material for tests of the store: content that is the same on every machine, and short ways to
put it into a store and to read it back.

Nothing here looks at the clock or at chance, so a failure can be had again.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from mlver.model.digest import Hasher
from mlver.model.pointer import Pointer
from mlver.store import files, pack
from mlver.store.assemble import read_blob, stream_blob, write_file
from mlver.store.chunker import Chunker, spans
from mlver.store.ingest import Ingest
from mlver.store.local import LocalStore

_IN_MEMORY = "/dev/shm"
OTHER_BOOT = "0123456789abcdef"
"""A boot's name that no machine has."""


def content(seed: object, size: int) -> bytes:
    """`size` bytes that no compressor shrinks (BLAKE3's extendable output of the seed)."""
    return Hasher(str(seed).encode()).digest(length=size)


def text(seed: object, size: int) -> bytes:
    """`size` bytes of CSV-like lines, which compress to about a third."""
    raw = content(seed, size // 4 + 16)
    lines = (
        b"%d,%d,row-%02x\n" % (at, raw[at] * 257 + raw[at + 1], raw[at + 2])
        for at in range(0, len(raw) - 3, 3)
    )
    joined = b"".join(lines)
    return (joined * (size // len(joined) + 1))[:size]


def flipped(data: bytes, at: int, mask: int = 0x01) -> bytes:
    """`data` with some bits of one byte turned."""
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def pieces_of(data: bytes) -> list[bytes]:
    """The chunks of `data`, cut as one buffer."""
    return [data[at : at + n] for at, n in spans(Chunker().cut(memoryview(data)))]


def reader(data: bytes, sizes: Sequence[int] = ()) -> Callable[[memoryview], int]:
    """A stream of `data` that gives at most `sizes[i]` bytes at its i-th read, over and over."""
    at, turn = 0, 0

    def read_into(view: memoryview) -> int:
        nonlocal at, turn
        most = sizes[turn % len(sizes)] if sizes else len(view)
        turn += 1
        count = min(len(view), most, len(data) - at)
        view[:count] = data[at : at + count]
        at += count
        return count

    return read_into


def add(store: LocalStore, data: bytes, previous: Pointer | None = None) -> Pointer:
    """Store one blob and seal the pack."""
    with Ingest(store) as ingest:
        pointer = ingest.add(reader(data), lambda: previous)
    assert pointer is not None
    return pointer


def assert_reads_back(
    store: LocalStore, pointer: Pointer, data: bytes, folder: Path, pool: ThreadPoolExecutor
) -> None:
    """Every way of reading gives exactly these bytes."""
    assert bytes(read_blob(store, pointer)) == data, "read_blob gave other bytes"
    streamed = b"".join(b"".join(parts) for parts in stream_blob(store, pointer, pool))
    assert streamed == data, "stream_blob gave other bytes"
    target = folder / "written"
    write_file(store, pointer, bytes(target), pool)
    try:
        assert target.read_bytes() == data, "write_file wrote other bytes"
    finally:
        target.unlink()


@contextmanager
def scratch_folder(otherwise: Path) -> Iterator[Path]:
    """A folder in memory where there is one: for many stores that no power cut will meet."""
    if not os.access(_IN_MEMORY, os.W_OK):
        yield otherwise
        return
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY) as folder:
        yield Path(folder)


def open_store(folder: Path) -> LocalStore:
    """A new opening of the store in `folder`: what another process would see."""
    return LocalStore(bytes(folder))


def pack_paths(folder: Path) -> list[Path]:
    """Every pack file of the store in `folder`."""
    return sorted([*folder.glob("packs/*.pack"), *folder.glob("incoming/*.pack")])


def move_to_another_boot(folder: Path) -> list[Path]:
    """As if the machine had lost its power since: incoming packs are of a boot that is over.

    The derived index goes too. It might have survived, and then names more than the packs hold:
    that case is a test of its own.
    """
    moved = []
    for path in sorted(folder.glob("incoming/*.pack")):
        name = path.name.split("-")[0].removesuffix(".pack")
        moved.append(path.rename(path.with_name(f"{name}-{OTHER_BOOT}.pack")))
    drop_index(folder)
    return moved


def drop_index(folder: Path) -> None:
    """Remove the derived index."""
    for path in folder.glob("index.sqlite*"):
        path.unlink()


def entries_of(path: Path) -> list[pack.Entry]:
    """The records of a pack file, in the order in which they lie there."""
    with path.open("rb") as file:
        return sorted(pack.entries(file.fileno()), key=lambda entry: entry.offset)


def records_in(folder: Path) -> list[pack.Entry]:
    """Every record of every pack of the store in `folder`."""
    return [entry for path in pack_paths(folder) for entry in entries_of(path)]


def scan_file(path: Path) -> list[pack.Entry]:
    """What a scan by headers finds in a pack file."""
    with path.open("rb") as file:
        return list(pack.scan(file.fileno()))


def lock_is_free(path: Path) -> bool:
    """True if no process holds the pack's lock."""
    with path.open("rb") as file:
        return files.lock(file.fileno())
