"""A form is kept only when it pays, and none changes what is read back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.store_material import add, content, open_store, text

from mlver.errors import CorruptContent
from mlver.model.digest import digest_of
from mlver.store.encode import Encoder, Odds
from mlver.store.local import LocalStore
from mlver.store.pack import NewRecord
from mlver.store.record import DELTA, RAW, ZSTD, Header


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    with open_store(tmp_path) as opened:
        yield opened


def decoded(store: LocalStore, record: NewRecord) -> bytes:
    payload = b"".join(bytes(part) for part in record.payload)
    header = Header(record.kind, record.codec, len(payload), record.raw, record.id)
    return bytes(store.codec().decode(header, payload, store.full_chunk))


def test_what_does_not_shrink_is_stored_as_it_is(store: LocalStore) -> None:
    data = content("random", 5000)
    record = Encoder(store).record(digest_of(data), data)
    assert record.codec == RAW and decoded(store, record) == data


def test_what_shrinks_is_compressed(store: LocalStore) -> None:
    data = text("lines", 5000)
    record = Encoder(store).record(digest_of(data), data)
    assert record.codec == ZSTD and decoded(store, record) == data
    assert len(record.payload[0]) < len(data) / 2


def test_what_is_close_to_its_base_is_a_delta(store: LocalStore) -> None:
    base = content("base", 30_000)
    pointer = add(store, base)
    data = base[:10_000] + b"edit" + base[10_000:]
    record = Encoder(store).record(digest_of(data), data, pointer.oid)
    assert record.codec == DELTA and decoded(store, record) == data
    assert sum(map(len, record.payload)) < 200


@pytest.mark.parametrize("size", [100, 511])
def test_a_short_chunk_is_no_delta(size: int, store: LocalStore) -> None:
    pointer = add(store, content("base", 30_000))
    data = content("base", size)
    assert Encoder(store).record(digest_of(data), data, pointer.oid).codec == RAW


def test_an_unlike_base_is_not_used(store: LocalStore) -> None:
    pointer = add(store, content("base", 30_000))
    data = content("unlike", 30_000)
    assert Encoder(store).record(digest_of(data), data, pointer.oid).codec == RAW


def test_a_base_that_is_not_here_is_no_hindrance(store: LocalStore) -> None:
    data = content("here", 30_000)
    record = Encoder(store).record(digest_of(data), data, digest_of(b"nowhere"))
    assert record.codec == RAW and decoded(store, record) == data


def test_an_attempt_that_keeps_failing_is_made_rarely_but_again() -> None:
    odds = Odds(every=4, patience=2)
    made = []
    for _ in range(20):
        made.append(odds.worth_trying())
        if made[-1]:
            odds.tell(paid=False)
    assert made[:2] == [True, True]
    assert sum(made[2:]) == 18 // 4
    odds.tell(paid=True)
    assert odds.worth_trying() and odds.worth_trying()


def test_random_content_stops_the_attempts_and_every_byte_still_reads_back(
    store: LocalStore,
) -> None:
    encoder = Encoder(store)
    for number in range(40):
        data = content(number, 2000) if number % 7 else text(number, 2000)
        record = encoder.record(digest_of(data), data)
        assert decoded(store, record) == data


def test_a_record_decoded_under_another_id_is_refused(store: LocalStore) -> None:
    data = text("lines", 5000)
    record = Encoder(store).record(digest_of(b"another"), data)
    with pytest.raises(CorruptContent):
        decoded(store, record)
