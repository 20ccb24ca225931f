"""Records out of packs, to free the disk. The caller holds the store exclusively, and has made sure
that what goes is elsewhere.

A pack goes only when what stays of it lies, durable, in another one: whoever is killed in between
leaves some records twice, and none of them nowhere.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping

from mlver.model.digest import SIZE, Digest
from mlver.store import files, pack, recovery
from mlver.store.local import LocalStore
from mlver.store.record import HEADER, decode_header
from mlver.store.session import Session

Key = tuple[Digest, int]


def entries_of(path: bytes) -> list[pack.Entry]:
    """The records of a pack. Raises LocalIOError."""
    with files.disk_errors("reading the store", path):
        fd = os.open(path, files.READ)
    try:
        return pack.entries(fd)
    finally:
        os.close(fd)


def bases_of_rest(store: LocalStore, doomed: Mapping[str, Container[Key]]) -> set[Digest]:
    """What deltas that stay need: a delta whose base is gone is of no use.

    `doomed`: records that go, by pack. No pack counts as used for this.
    """
    offsets: dict[str, list[int]] = {}
    for place in store.deltas():
        offsets.setdefault(place.pack, []).append(place.offset)
    bases: set[Digest] = set()
    for name, path in store.pack_files():
        if name in offsets:
            heads = _heads(path, offsets[name])
            gone = doomed.get(name, ())
            bases.update(base for key, base in heads if key not in gone)
    return bases


def _heads(path: bytes, offsets: list[int]) -> Iterator[tuple[Key, Digest]]:
    """Key and base of each delta."""
    with files.disk_errors("reading the store", path):
        fd = os.open(path, files.READ)
    try:
        for offset in offsets:
            head = files.pread(fd, HEADER + SIZE, offset)
            header = decode_header(head)
            yield (header.id, header.kind), Digest(head[HEADER:])
    finally:
        os.close(fd)


def release(store: LocalStore, doomed: Mapping[str, Container[Key]]) -> None:
    """Free these records of these packs. Raises LocalIOError."""
    paths = {name: path for name, path in store.pack_files() if name in doomed}
    with Session(store, replace=True) as session:
        for name, path in paths.items():
            _copy_rest(session, path, doomed[name])
    recovery.make_durable(store)
    for path in paths.values():
        with files.disk_errors("freeing content", path):
            os.unlink(path)
    files.fsync_folder(store.packs_dir)
    store.catch_up()


def _copy_rest(session: Session, path: bytes, doomed: Container[Key]) -> None:
    with files.disk_errors("freeing content", path):
        fd = os.open(path, files.READ)
    try:
        for entry in pack.entries(fd):
            if (entry.header.id, entry.header.kind) not in doomed:
                session.append([pack.copy_record(fd, entry)])
    finally:
        os.close(fd)
