"""A pack: an append-only log of records, sealed by a footer table.

    header   16 bytes: "MLVRPACK", version u32 = 1, zero u32
    records  docs/format/pack.md, one after another
    footer   one row a record, 52 bytes: id 32, kind u8, codec u8, zero u16, offset u64,
             stored u32, raw u32; sorted by id, then kind
    trailer  52 bytes: rows u32, start of the footer u64, BLAKE3 of the footer under its domain
             (32), "MLVREND1"

Invariant: every byte before `PackWriter.end` is whole records. A writer that fails in mid-record
cuts the file back to the last whole one (never further: another process may have seen it); one
that is killed leaves a tail that `scan` stops at.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mlver.errors import CorruptContent
from mlver.model.digest import Digest, keyed_digest
from mlver.store import files
from mlver.store.record import HEADER, Buffer, Header, decode_header, encode_header

PACK_HEADER = b"MLVRPACK" + struct.pack("<II", 1, 0)
_END = b"MLVREND1"
_ROW = struct.Struct("<32sBBHQII")
_TRAILER = struct.Struct("<IQ32s8s")
_DOMAIN = b"mlver/1 pack footer"
_SCAN = 256 * 1024


class Entry(NamedTuple):
    """Where a record lies in a pack: `offset` is that of its header, in bytes."""

    header: Header
    offset: int

    @property
    def length(self) -> int:
        """Header and payload together, in bytes."""
        return HEADER + self.header.stored


class NewRecord(NamedTuple):
    """A record to be written; `payload` is given in parts so that none is copied."""

    kind: int
    codec: int
    raw: int
    id: Digest
    payload: tuple[Buffer, ...]

    def parts(self) -> tuple[Header, list[Buffer]]:
        stored = sum(map(len, self.payload))
        head = encode_header(self.kind, self.codec, stored, self.raw, self.id)
        return Header(self.kind, self.codec, stored, self.raw, self.id), [head, *self.payload]


def encode_footer(entries: Iterable[Entry], start: int) -> bytes:
    """Footer and trailer of a pack whose records end at offset `start`."""
    rows = sorted(entries, key=lambda entry: (entry.header.id, entry.header.kind))
    table = b"".join(
        _ROW.pack(
            e.header.id, e.header.kind, e.header.codec, 0, e.offset, e.header.stored, e.header.raw
        )
        for e in rows
    )
    return table + _TRAILER.pack(len(rows), start, keyed_digest(_DOMAIN, table), _END)


def decode_footer(tail: Buffer, pack_size: int) -> list[Entry] | int:
    """The entries of a sealed pack, read from its last bytes.

    Returns the entries, or, where `tail` is too short to hold them, how many bytes of the
    pack's end are needed. Raises CorruptContent where there is no whole footer.
    """
    if len(tail) < _TRAILER.size:
        raise CorruptContent("a pack is too short to have a footer")
    count, start, digest, end = _TRAILER.unpack(tail[-_TRAILER.size :])
    needed: int = count * _ROW.size + _TRAILER.size
    if end != _END or start + needed != pack_size:
        raise CorruptContent("a pack has no footer")
    if needed > len(tail):
        return needed
    table = bytes(tail[-needed : -_TRAILER.size])
    if keyed_digest(_DOMAIN, table) != digest:
        raise CorruptContent("a pack's footer does not match its digest")
    found = [
        Entry(Header(kind, codec, stored, raw, Digest(id_)), offset)
        for id_, kind, codec, _zero, offset, stored, raw in _ROW.iter_unpack(table)
    ]
    if any(not len(PACK_HEADER) <= e.offset <= start - e.length for e in found):
        raise CorruptContent("a pack's footer names a place outside of its records")
    return found


def read_footer(fd: int) -> list[Entry]:
    """The entries of the sealed pack open at `fd`. Raises CorruptContent, OSError."""
    size = os.fstat(fd).st_size
    wanted = min(size, 64 * 1024)
    while True:
        found = decode_footer(files.pread(fd, wanted, size - wanted), size)
        if not isinstance(found, int):
            return found
        wanted = found


def scan(fd: int, start: int = len(PACK_HEADER)) -> Iterator[Entry]:
    """The whole records from `start` on, by their headers; ends at the first that is not whole.

    This is how an unsealed pack is read back: the footer of a sealed one ends it too. Payloads
    are not read.
    """
    size = os.fstat(fd).st_size
    if start == len(PACK_HEADER) and files.pread(fd, len(PACK_HEADER), 0) != PACK_HEADER:
        return
    window, base = b"", start
    while start + HEADER <= size:
        if not base <= start <= base + len(window) - HEADER:
            window, base = files.pread(fd, _SCAN, start), start
        try:
            header = decode_header(window[start - base : start - base + HEADER])
        except CorruptContent:
            return
        entry = Entry(header, start)
        if start + entry.length > size:
            return
        yield entry
        start += entry.length


def entries(fd: int) -> list[Entry]:
    """Every record of a pack: by its footer, or by a scan where it has none."""
    try:
        return read_footer(fd)
    except CorruptContent:
        return list(scan(fd))


def copy_record(fd: int, entry: Entry) -> NewRecord:
    """A record as it is stored, to be appended elsewhere; the payload is not verified."""
    head = entry.header
    payload = files.pread(fd, head.stored, entry.offset + HEADER)
    return NewRecord(head.kind, head.codec, head.raw, head.id, (payload,))


def _create_locked(path: files.Path) -> int:
    """A new file, locked before anyone can have taken it for one whose writer is gone."""
    while True:
        fd = os.open(path, files.APPEND_NEW, 0o644)
        files.lock(fd, wait=True)
        if os.path.exists(path):
            return fd
        os.close(fd)  # between open and lock, make_durable saw an empty pack and removed it


class PackWriter:
    """Appends records to one new pack file. Not for several threads at once: the caller locks.

    The file is locked (flock) from creation to close: whoever finds it unlocked knows that its
    writer is gone.
    """

    def __init__(self, path: files.Path) -> None:
        self.path = path
        self.entries: list[Entry] = []
        self.end = 0
        self.fd = _create_locked(path)
        try:
            self._write([PACK_HEADER], [])
        except BaseException:
            os.close(self.fd)
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise
        self.end = len(PACK_HEADER)

    def append(self, records: Iterable[NewRecord]) -> list[Entry]:
        """Write `records` in one go, and return their entries once all of them are in the file.

        Raises OSError: then those that are whole in the file stay there, and the rest is cut off.
        """
        new: list[Entry] = []
        parts: list[Buffer] = []
        end = self.end
        for record in records:
            header, record_parts = record.parts()
            new.append(Entry(header, end))
            end += new[-1].length
            parts += record_parts
        self._write(parts, new)
        self.end = end
        self.entries += new
        return new

    def _write(self, parts: list[Buffer], new: list[Entry]) -> None:
        os.lseek(self.fd, self.end, os.SEEK_SET)  # an earlier failure may have left a tail
        try:
            files.write_all(self.fd, parts)
        except BaseException:
            with contextlib.suppress(OSError):  # the first error is the one to tell
                self._cut_back(new, os.lseek(self.fd, 0, os.SEEK_CUR))
            raise

    def _cut_back(self, new: list[Entry], written: int) -> None:
        # A whole record may have been entered by another process, and content acknowledged on
        # the strength of it: it stays. A torn one is never entered (`scan`).
        for entry in new:
            if entry.offset + entry.length <= written:
                self.entries.append(entry)
                self.end = entry.offset + entry.length
        os.ftruncate(self.fd, self.end)

    def seal(self) -> None:
        """Write the footer and close. A pack without records is removed instead."""
        if self.entries:
            self._write([encode_footer(self.entries, self.end)], [])
        else:
            os.unlink(self.path)
        os.close(self.fd)

    def abandon(self) -> None:
        """Close without a footer: a later process reads the records back."""
        os.close(self.fd)
