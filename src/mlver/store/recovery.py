"""How content becomes durable, and what is believed after a crash.

Write order, MUST: records, then footer; then fsync of the file and of its folder, rename from
incoming/ to packs/, fsync of both folders, the one that gains the name first: at every moment the
pack is durable under one of its names. Only then may a commit name the content. Within one boot
a written record is there even if its writer was killed: the pack is read back to its last whole
record. After another boot (a power cut) a pack still in incoming/ may have lost any page that was
not synced: each of its records is decoded and verified before it counts.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from mlver.errors import CorruptContent, MissingContent
from mlver.model import recipe
from mlver.store import files, pack
from mlver.store.record import HEADER, RECIPE, needs_base

if TYPE_CHECKING:
    from mlver.store.local import LocalStore

FULL, DELTAS = "records that stand alone", "records that need a base"


def checked(store: LocalStore, path: bytes, passing: str) -> list[pack.Entry]:
    """Of a doubtful pack, the records that verify; FULL ones first, so that bases are known."""
    try:
        fd = os.open(path, files.READ)
    except FileNotFoundError:
        return []
    try:
        return [
            entry
            for entry in pack.scan(fd)
            if needs_base(entry.header.codec) == (passing is DELTAS) and _verifies(store, fd, entry)
        ]
    finally:
        os.close(fd)


def _verifies(store: LocalStore, fd: int, entry: pack.Entry) -> bool:
    payload = files.pread(fd, entry.header.stored, entry.offset + HEADER)
    try:
        data = store.codec().decode(entry.header, payload, store.full_chunk)
        if entry.header.kind == RECIPE:
            recipe.decode(data, entry.header.id)
    except (CorruptContent, MissingContent):
        return False
    return True


def make_durable(store: LocalStore) -> int:
    """fsync everything written so far; returns how many packs. Raises LocalIOError.

    A pack whose writer lives is synced where it is; the others are read back to their last
    whole record if need be, sealed, and moved to packs/.
    """
    try:
        names = [name for name in sorted(os.listdir(store.incoming_dir)) if name.endswith(b".pack")]
    except FileNotFoundError:
        return 0
    settled = 0
    with files.disk_errors("making the store durable", store.root):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                settled += _settle(store, os.path.join(store.incoming_dir, name))
        if names:
            parent = os.path.dirname(store.root) or b"."
            for folder in (store.packs_dir, store.incoming_dir, store.root, parent):
                files.fsync_folder(folder)
    return settled


def _settle(store: LocalStore, path: bytes) -> int:
    fd = os.open(path, files.UPDATE)
    try:
        if not files.lock(fd):
            os.fsync(fd)  # its writer lives: what it has acknowledged becomes durable
            return 1
        if not os.path.exists(path):  # settled by another process before the lock was ours
            return 0
        if not _seal_abandoned(store, path, fd):
            os.unlink(path)
            return 0
        os.fsync(fd)
        files.fsync_folder(store.incoming_dir)  # the old name holds until the new one does
        os.rename(path, store.durable_path(path))
        return 1
    finally:
        os.close(fd)


def _seal_abandoned(store: LocalStore, path: bytes, fd: int) -> bool:
    """Give a pack whose writer is gone its footer; False if it holds no record."""
    if store.is_doubtful(path):
        entries = checked(store, path, FULL) + checked(store, path, DELTAS)
        end = max((e.offset + e.length for e in pack.scan(fd)), default=0)
    else:
        with contextlib.suppress(CorruptContent):
            return bool(pack.read_footer(fd))
        entries = list(pack.scan(fd))
        end = max((e.offset + e.length for e in entries), default=0)
    if entries:
        os.ftruncate(fd, end)
        os.lseek(fd, end, os.SEEK_SET)
        files.write_all(fd, [pack.encode_footer(entries, end)])
    return bool(entries)
