"""Compaction: many index objects of a remote become one, in which any row is found by ranges.

The new object names every row that the old ones named, no less: also rows that a list condemns,
since what is condemned may come back to life, and rows of packs that are gone, which fsck tells of.
What goes is collection's business alone, and its lock keeps the two apart. The new object is there
before the old ones go, so at every moment each row is in an object; killed anywhere, another run
makes the same object of the same name and goes on.

Not all is merged each time: small objects, and of the large ones those that are at most twice as
large as what is merged with them. A row is so rewritten a few times in its life, and a remote
keeps few objects, each more than twice as large as the ones below it together.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from mlver.errors import CorruptContent, RemoteError
from mlver.exchange import layout, paged_writer
from mlver.exchange.gc_lock import GcLock
from mlver.exchange.index_object import Found, IndexRows
from mlver.exchange.index_reader import SMALL
from mlver.exchange.paged_writer import Written
from mlver.exchange.source import Catalog
from mlver.model.digest import Digest
from mlver.remotes.base import Remote

_TIER = 2


@dataclass(slots=True)
class Compacted:
    """What a run did: objects and bytes of the index before and after; `name` of the new one, and
    which were `merged` into it; `damaged` ones were left as they are."""

    objects_before: int = 0
    bytes_before: int = 0
    objects_after: int = 0
    bytes_after: int = 0
    merged: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    rows: int = 0
    name: str | None = None


def chosen(sizes: Mapping[str, int]) -> list[str]:
    """Which of these objects are to be merged now; none where nothing would be gained."""
    paged = sorted((size, name) for name, size in sizes.items() if _is_paged(name))
    names = sorted(name for name in sizes if not _is_paged(name))
    total = sum(sizes[name] for name in names)
    for size, name in paged:
        if names and size > max(_TIER * total, SMALL):
            break
        names.append(name)
        total += size
    is_one_small = len(names) == 1 and (_is_paged(names[0]) or total <= SMALL)
    return [] if is_one_small else names


def _is_paged(name: str) -> bool:
    return name.startswith(layout.COMPACTED)


def refuse_without_delete(remote: Remote) -> None:
    """Raise RemoteError where we may not delete: old objects and a lock would be left behind."""
    try:
        remote.delete(f"{layout.LOCKS}{'0' * 32}")
    except RemoteError as error:
        raise RemoteError(
            f"{remote.url}: compaction deletes the index objects that it replaces",
            why=f"{error.told}; nothing was changed",
            fix="git mlver remote compact, with a role that may delete there",
        ) from error


def compact(catalog: Catalog, lock: GcLock, scratch: bytes | None = None) -> Compacted:
    """Merge what is worth it; `scratch`: a folder with room for the index.

    Raises RemoteError, BusyError, OSError; every row is in some object then too.
    """
    catalog.forget()
    sizes = dict(catalog.sizes())
    done = Compacted(len(sizes), sum(sizes.values()), len(sizes), sum(sizes.values()))
    parts = _parts(catalog, sizes)
    done.damaged = sorted(catalog.damaged)
    if not parts:
        return done
    with tempfile.TemporaryFile(dir=scratch) as file:
        made = _merged(parts.values(), file)
        done.name = layout.compacted_object(made.name)
        size = _create(catalog, done.name, made.head, file)
    done.merged = sorted(parts.keys() - {done.name})
    done.rows = made.rows
    lock.check()
    _delete(catalog, done.merged)
    catalog.drop_copies(done.merged)
    catalog.forget()
    sizes[done.name] = size
    left = {name: size for name, size in sizes.items() if name not in done.merged}
    done.objects_after, done.bytes_after = len(left), sum(left.values())
    return done


def _parts(catalog: Catalog, sizes: Mapping[str, int]) -> dict[str, IndexRows]:
    """The objects to be merged, each read to its last byte. A damaged one is left to fsck."""
    parts = {}
    whole = catalog.named_objects()
    for name in chosen({name: size for name, size in sizes.items() if name in whole}):
        try:
            whole[name].verify()
            parts[name] = whole[name]
        except CorruptContent:
            catalog.damaged.append(name)
    return parts


def _merged(parts: Iterable[IndexRows], file: BinaryIO) -> Written:
    """Write the blocks of all rows to `file`, a bucket at a time."""
    objects = list(parts)
    packs: set[Digest] = {pack for item in objects for pack in item.packs()}

    def bucket(first: int) -> set[Found]:
        return {row for item in objects for row in item.bucket(first)}

    while True:
        made = paged_writer.write(file, bucket, packs)
        if not made.unused:
            return made
        packs -= made.unused  # an object listed a pack without a row in it; ours must not
        file.seek(0)
        file.truncate()


def _create(catalog: Catalog, name: str, head: bytes, file: BinaryIO) -> int:
    """Write the object and see that it is there; its size."""
    file.flush()
    size = len(head) + file.tell()
    parts: list[bytes | memoryview] = [head]
    if file.tell():  # it may be larger than memory
        blocks = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        parts.append(memoryview(blocks))
    catalog.remote.create(name, parts)
    kept = catalog.remote.size(name)
    if kept != size:
        raise RemoteError(
            f"{catalog.name} did not keep what was sent",
            why=f"{name} has {kept} bytes there, {size} were sent; nothing was deleted",
            fix="git mlver testremote, to see what the server keeps",
        )
    return size


def _delete(catalog: Catalog, names: list[str]) -> None:
    try:
        catalog.remote.delete_many(names)
    except RemoteError as error:
        raise RemoteError(
            f"{catalog.name}: {len(names)} index objects were merged, and not all could be deleted",
            why=f"{error.told}; they stay, which costs time and loses nothing",
            fix="git mlver remote compact, again, with a role that may delete there",
        ) from error
