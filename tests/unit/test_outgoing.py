"""Records on their way into a new pack: read in long runs, verified, sent as they lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.store_material import (
    add,
    content,
    entries_of,
    flipped,
    open_store,
    pack_paths,
    text,
)

from mlver.errors import CorruptContent
from mlver.exchange.outgoing import RUN, Key, laid_out, stretches
from mlver.model.digest import digest_of
from mlver.model.recipe import Row
from mlver.remotes.s3_body import PartsBody, body_of
from mlver.store import pack
from mlver.store.index import Location
from mlver.store.local import LocalStore
from mlver.store.record import CHUNK, DELTA, RECIPE

LARGE = content("outgoing", 3 * RUN)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    with open_store(tmp_path / "store") as opened:
        yield opened


def places_of(store: LocalStore, rows: list[Row]) -> dict[Key, Location]:
    """Where these chunks lie, in the order in which they do."""
    found = {(digest, CHUNK): store.locate(digest) for digest, _ in rows}
    known = {key: place for key, place in found.items() if place is not None}
    return dict(sorted(known.items(), key=lambda item: (item[1].pack, item[1].offset)))


def joined(parts: list[bytes | memoryview]) -> bytes:
    return b"".join(parts)


def test_records_go_out_byte_for_byte_as_they_lie_in_long_runs(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pointer = add(store, LARGE)
    places = places_of(store, list(store.rows(pointer)))
    assert len(places) > 50
    reads: list[int] = []
    read = LocalStore.read_span

    def counted(self: LocalStore, name: str, offset: int, length: int) -> bytes:
        reads.append(length)
        return read(self, name, offset, length)

    monkeypatch.setattr(LocalStore, "read_span", counted)
    entries, parts = laid_out(stretches(store, list(places), places, set()))
    assert len(reads) <= 5, "a read for each record"
    assert [(entry.header.id, CHUNK) for entry in entries] == list(places)
    sent = joined(parts)
    assert pack.decode_footer(sent, len(sent)) == sorted(entries, key=lambda e: e.header.id)
    folder = Path(store.root.decode())
    here = {path.name.split("-")[0].removesuffix(".pack"): path for path in pack_paths(folder)}
    for entry in entries:
        place = places[entry.header.id, CHUNK]
        lies = here[place.pack].read_bytes()[place.offset : place.offset + entry.length]
        assert sent[entry.offset : entry.offset + entry.length] == lies


@pytest.mark.parametrize("far", [60, -60], ids=["first record", "last record"])
def test_a_record_that_is_damaged_here_is_not_sent(store: LocalStore, far: int) -> None:
    pointer = add(store, LARGE)
    places = places_of(store, list(store.rows(pointer)))
    (path,) = pack_paths(Path(store.root.decode()))
    chunks = [entry for entry in entries_of(path) if entry.header.kind == CHUNK]
    entry = chunks[0] if far > 0 else chunks[-1]
    at = entry.offset + (far if far > 0 else entry.length + far)
    path.write_bytes(flipped(path.read_bytes(), at))
    with pytest.raises(CorruptContent):
        list(stretches(store, list(places), places, set()))


def test_a_record_that_moved_since_it_was_located_is_found_anew(store: LocalStore) -> None:
    pointer = add(store, LARGE)
    rows = list(store.rows(pointer))
    places = places_of(store, rows)
    stale = {key: place._replace(pack="0" * 32) for key, place in places.items()}
    entries, parts = laid_out(stretches(store, list(places), stale, set()))
    assert [entry.header.id for entry in entries] == [digest for digest, _ in places]
    assert joined(parts).count(b"mlr1") >= len(rows)


def test_a_delta_names_its_base_or_is_made_to_need_none(store: LocalStore) -> None:
    first = text("table", 300_000)
    old = add(store, first)
    new = add(store, first[:150_000] + b"changed" + first[150_000:], old)
    places = places_of(store, list(store.rows(new)))
    (delta,) = [key for key, place in places.items() if place.codec == DELTA]
    found = list(stretches(store, list(places), places, set()))
    bases = [base for piece in found for base in piece.bases]
    assert [base for base in bases if base] == [store.base_of_chunk(delta[0])]
    found = list(stretches(store, list(places), places, {delta}))
    headers = [header for piece in found for header in piece.headers]
    assert [(header.id, CHUNK) for header in headers] == list(places)
    assert all(header.codec != DELTA for header in headers)
    assert [base for piece in found for base in piece.bases] == [None] * len(places)


def test_a_recipe_goes_out_too(store: LocalStore) -> None:
    pointer = add(store, LARGE)
    key = (pointer.oid, RECIPE)
    place = store.locate(*key)
    assert place is not None
    ((header,), _, (base,)) = next(iter(stretches(store, [key], {key: place}, set())))
    assert (header.id, header.kind, base) == (pointer.oid, RECIPE, None)


def test_a_body_of_parts_reads_as_their_concatenation_and_copies_no_part() -> None:
    parts = [content(number, size) for number, size in enumerate((10, 2_000_000, 1, 70_000))]
    body = body_of(parts)
    assert isinstance(body, PartsBody)
    whole = b"".join(parts)
    for size in (7, 4096, 131_072, len(whole), -1):
        body.seek(0)
        pieces = []
        while piece := body.read(size):
            pieces.append(bytes(piece))
            assert size < 0 or len(piece) <= size
        assert b"".join(pieces) == whole
    body.seek(100)
    piece = body.read(1000)
    assert isinstance(piece, memoryview) and piece.obj is parts[1]
    assert digest_of(piece) == digest_of(whole[100:1100])
