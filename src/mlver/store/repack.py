"""Packs written anew without what may go. The caller holds the store exclusively.

Of several copies of a record one is kept, the first that verifies, whatever the index says: it is
derived, and one that was derived again may name the copy that the disk has damaged. Packs go only
when what is kept of them lies, durable, in another one.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterator

from mlver.errors import MlverError
from mlver.model import recipe
from mlver.model.digest import Digest
from mlver.store import files, pack, recovery
from mlver.store.local import LocalStore
from mlver.store.record import RECIPE, split_record
from mlver.store.session import Session

Key = tuple[Digest, int]


def all_records(store: LocalStore) -> Iterator[tuple[str, pack.Entry]]:
    """Every record of every pack, by the pack's name."""
    for name, path in store.pack_files():
        fd = os.open(path, files.READ)
        try:
            yield from ((name, entry) for entry in pack.entries(fd))
        finally:
            os.close(fd)


def repack(store: LocalStore, keep: Container[Key] | None = None) -> None:
    """Keep these records (None: all), one copy each; free the rest. Raises LocalIOError."""
    recovery.make_durable(store)  # now, so that no pack is moved while its path is held
    store.catch_up()
    chosen = _chosen(store)
    doomed = []
    with Session(store, replace=True) as session:
        for name, path in list(store.pack_files()):
            fd = os.open(path, files.READ)
            try:
                entries = pack.entries(fd)
                wanted = [
                    entry
                    for entry in entries
                    if (keep is None or _key(entry) in keep)
                    and chosen.get(_key(entry), (name, entry.offset)) == (name, entry.offset)
                ]
                if wanted and len(wanted) == len(entries):
                    continue
                doomed.append(path)
                for entry in wanted:
                    session.append([pack.copy_record(fd, entry)])
            finally:
                os.close(fd)
    recovery.make_durable(store)
    for path in doomed:
        with files.disk_errors("repacking", path):
            os.unlink(path)
    files.fsync_folder(store.packs_dir)
    store.rebuild_index()


def repeated_records(store: LocalStore) -> set[Key]:
    """What is stored more than once: by two processes, or because one copy was healed."""
    copies = Counter(_key(entry) for _, entry in all_records(store))
    return {key for key, count in copies.items() if count > 1}


def _chosen(store: LocalStore) -> dict[Key, tuple[str, int]]:
    """Pack and offset of the copy to keep, for each record that there is more than once."""
    repeated = repeated_records(store)
    found: dict[Key, list[tuple[str, pack.Entry]]] = {}
    for name, entry in all_records(store) if repeated else ():
        if _key(entry) in repeated:
            found.setdefault(_key(entry), []).append((name, entry))
    return {key: _choice(store, places) for key, places in found.items()}


def _choice(store: LocalStore, places: list[tuple[str, pack.Entry]]) -> tuple[str, int]:
    """The first copy that verifies; the first of all where none does: nothing better is here."""
    name, entry = next((place for place in places if _verifies(store, *place)), places[0])
    return name, entry.offset


def _verifies(store: LocalStore, name: str, entry: pack.Entry) -> bool:
    head = entry.header
    try:
        data = store.read_span(name, entry.offset, entry.length)
        return verifies(store, data, head.id, head.kind)
    except MlverError:
        return False


def verifies(store: LocalStore, data: bytes, digest: Digest, kind: int) -> bool:
    """True if `data` is the whole, right record of this id and kind."""
    try:
        header, payload = split_record(data, digest, kind)
        decoded = store.codec().decode(header, payload, store.full_chunk)
        if kind == RECIPE:
            recipe.decode(decoded, digest)
    except MlverError:
        return False
    return True


def _key(entry: pack.Entry) -> Key:
    return entry.header.id, entry.header.kind
