"""Records on their way into a new pack: read in long runs, each verified, sent as they lie here.

What lies side by side in a local pack is one read, and goes out as one stretch of bytes, headers
and all: the records of a pack on a remote are those of a pack here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from mlver.errors import MlverError
from mlver.exchange.condemned import Key
from mlver.model.digest import SIZE, Digest
from mlver.store import pack
from mlver.store.encode import Encoder
from mlver.store.index import Location
from mlver.store.local import LocalStore
from mlver.store.record import HEADER, Buffer, Header, needs_base, split_record, width_of

RUN = 2 * 1024 * 1024
"""A run ends with the record by which it reaches this many bytes."""


class Stretch(NamedTuple):
    """Records that follow one another: their headers, their bytes, and each one's base."""

    headers: list[Header]
    parts: list[Buffer]
    bases: list[Digest | None]


def stretch_of(record: pack.NewRecord) -> Stretch:
    """One record that was made anew."""
    header, parts = record.parts()
    return Stretch([header], parts, [_base(header, record.payload[0])])


def stretches(
    store: LocalStore, keys: Sequence[Key], places: Mapping[Key, Location], alone: set[Key]
) -> Iterator[Stretch]:
    """The records of `keys`, in that order. Those in `alone` are made to need no base.

    Every record is verified. Raises MissingContent, CorruptContent.
    """
    for run in _runs(keys, places, alone):
        if run[0] in alone:
            yield stretch_of(_standing_alone(store, *run[0]))
            continue
        try:
            yield _read(store, run, places[run[0]], places[run[-1]])
        except MlverError:  # a pack that was rewritten meanwhile; or damage, which is told of one
            yield from (stretch_of(_found_anew(store, *key)) for key in run)


def laid_out(pieces: Iterable[Stretch]) -> tuple[list[pack.Entry], list[Buffer]]:
    """Entries and bytes of the pack of these records."""
    parts: list[Buffer] = [pack.PACK_HEADER]
    entries: list[pack.Entry] = []
    end = len(pack.PACK_HEADER)
    for piece in pieces:
        for header in piece.headers:
            entries.append(pack.Entry(header, end))
            end += HEADER + header.stored
        parts += piece.parts
    return entries, [*parts, pack.encode_footer(entries, end)]


def _runs(
    keys: Sequence[Key], places: Mapping[Key, Location], alone: set[Key]
) -> Iterator[list[Key]]:
    run: list[Key] = []
    name, start, end = "", 0, 0
    for key in keys:
        place = places[key]
        follows = place.pack == name and place.offset == end and end - start < RUN
        if run and (not follows or key in alone or run[0] in alone):
            yield run
            run = []
        if not run:
            name, start = place.pack, place.offset
        run.append(key)
        end = place.offset + HEADER + place.stored
    if run:
        yield run


def _read(store: LocalStore, run: list[Key], first: Location, last: Location) -> Stretch:
    length = last.offset + HEADER + last.stored - first.offset
    data = memoryview(store.read_span(first.pack, first.offset, length))
    decode = store.codec().decode
    found = Stretch([], [data], [])
    at = 0
    for digest, kind in run:
        header, payload = split_record(data[at:], digest, kind)
        decode(header, payload, store.full_chunk)
        found.headers.append(header)
        found.bases.append(_base(header, payload))
        at += HEADER + header.stored
    return found


def _found_anew(store: LocalStore, digest: Digest, kind: int) -> pack.NewRecord:
    header, payload = store.record(digest, kind)
    store.codec().decode(header, payload, store.full_chunk)
    return pack.NewRecord(kind, header.codec, header.raw, digest, (payload,))


def _standing_alone(store: LocalStore, digest: Digest, kind: int) -> pack.NewRecord:
    header, payload = store.record(digest, kind)
    data = store.codec().decode(header, payload, store.full_chunk)
    return Encoder(store).record(digest, data, width=width_of(header, payload))


def _base(header: Header, payload: Buffer) -> Digest | None:
    return Digest(bytes(payload[:SIZE])) if needs_base(header.codec) else None
