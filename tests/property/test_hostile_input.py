"""Whatever bytes a decoder is given, it answers or raises CorruptContent: never another error,
never an allocation that the input's length does not bear out.

Digests are no secrets, so forged input has right ones here; only random input has wrong ones.
"""

from __future__ import annotations

import contextlib
import functools
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.store_material import content, open_store, scan_file

from mlver.errors import CorruptContent, MissingContent
from mlver.exchange.index_object import IndexObject
from mlver.model import pointer, recipe
from mlver.model.digest import Digest, digest_of, keyed_digest
from mlver.model.pointer import Pointer
from mlver.model.recipe import Recipe
from mlver.store import pack
from mlver.store.assemble import read_blob, stream_blob, write_file
from mlver.store.pack import PACK_HEADER, NewRecord
from mlver.store.record import (
    CHUNK,
    DELTA,
    GROUPED,
    HEADER,
    MAX_RAW,
    MAX_STORED,
    RAW,
    RECIPE,
    XOR,
    ZSTD,
    Codec,
    Header,
    decode_header,
    encode_header,
    split_record,
)
from mlver.store.session import Session

OID = digest_of(b"the blob")
BASE = content("base", 20_000)
MIB = 1 << 20


def never_but_corrupt(call: Callable[[], object]) -> None:
    with contextlib.suppress(CorruptContent):
        call()


def peak_of(call: Callable[[], object]) -> int:
    """The most memory, in bytes, that Python held more during the call than before."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def bases(digest: Digest) -> bytes:
    if digest != digest_of(BASE):
        raise MissingContent("no such base")
    return BASE


@given(st.binary(max_size=400))
def test_random_bytes_are_refused_by_every_decoder(data: bytes) -> None:
    never_but_corrupt(lambda: recipe.decode(data, OID))
    never_but_corrupt(lambda: list(recipe.decode_rows(data)))
    never_but_corrupt(lambda: decode_header(data))
    never_but_corrupt(lambda: split_record(data, OID, CHUNK))
    never_but_corrupt(lambda: pack.decode_footer(data, len(data)))
    never_but_corrupt(lambda: IndexObject(data))
    pointer.parse(data)
    pointer.is_conflicted(data)
    pointer.looks_like(data)


@given(
    st.sampled_from([CHUNK, RECIPE]),
    st.sampled_from([RAW, ZSTD, DELTA, GROUPED, XOR]),
    st.integers(0, MAX_RAW),
    st.binary(max_size=300) | st.binary(max_size=300).map(lambda rest: digest_of(BASE) + rest),
)
def test_a_random_payload_is_refused(kind: int, codec: int, raw: int, payload: bytes) -> None:
    header = Header(kind, codec, len(payload), raw, OID)
    with contextlib.suppress(CorruptContent, MissingContent):
        Codec().decode(header, payload, bases)


@given(st.integers(0, 60), st.binary(min_size=1, max_size=6), st.booleans())
def test_a_damaged_frame_is_refused(at: int, patch: bytes, delta: bool) -> None:
    data = b"some lines of text\n" * 100
    codec = Codec()
    frame = codec.delta(data, BASE) if delta else codec.compress(data)
    frame = frame[:at] + patch + frame[at + len(patch) :]
    payload = digest_of(BASE) + frame if delta else frame
    header = Header(CHUNK, DELTA if delta else ZSTD, len(payload), len(data), digest_of(data))
    with contextlib.suppress(CorruptContent):
        assert codec.decode(header, payload, bases) == data


@pytest.mark.parametrize("codec", [RAW, ZSTD, DELTA, GROUPED, XOR])
def test_a_payload_of_nothing_is_refused(codec: int) -> None:
    with pytest.raises(CorruptContent):
        Codec().decode(Header(CHUNK, codec, 0, 10, OID), b"", bases)


def test_a_delta_upon_an_empty_base_is_no_other_error() -> None:
    empty = digest_of(b"")
    frame = zstandard.ZstdCompressor().compress(b"data" * 10)
    header = Header(CHUNK, DELTA, 32 + len(frame), 40, digest_of(b"data" * 10))
    with contextlib.suppress(CorruptContent):
        assert Codec().decode(header, empty + frame, lambda _: b"") == b"data" * 10


HEADS = {
    ZSTD: b"",
    DELTA: digest_of(BASE),
    GROUPED: b"\2",
    XOR: digest_of(BASE) + b"\2",
}


@functools.cache
def bomb(states: int | None) -> bytes:
    """A frame of a few hundred bytes that becomes 64 MiB; it states its size, another or none."""
    data = bytes(64 * MIB)
    frame = bytearray(zstandard.ZstdCompressor(write_content_size=True).compress(data))
    if states is None:
        return bytes(zstandard.ZstdCompressor(write_content_size=False).compress(data))
    at = bytes(frame).index(struct.pack("<I", len(data)))
    frame[at : at + 4] = struct.pack("<I", states)
    return bytes(frame)


@pytest.mark.parametrize("states", [64 * MIB, 1000, None])
@pytest.mark.parametrize("codec", [ZSTD, DELTA, GROUPED, XOR])
def test_a_bomb_is_refused_before_it_goes_off(states: int | None, codec: int) -> None:
    frame = bomb(states)
    payload = HEADS[codec] + frame
    for raw in (0, 1000, MAX_RAW):
        header = Header(CHUNK, codec, len(payload), raw, OID)

        def blow(header: Header = header) -> None:
            with pytest.raises(CorruptContent):
                Codec().decode(header, payload, bases)

        assert peak_of(blow) < MAX_RAW + 2 * MIB


def test_a_header_that_promises_more_than_any_record_has_is_refused() -> None:
    with pytest.raises(CorruptContent):
        decode_header(encode_header(CHUNK, ZSTD, 100, MAX_RAW + 1, OID))
    with pytest.raises(CorruptContent):
        decode_header(encode_header(CHUNK, ZSTD, MAX_STORED + 1, 100, OID))
    for kind, codec in ((0, RAW), (3, RAW), (CHUNK, 5), (CHUNK, 255)):
        with pytest.raises(CorruptContent):
            decode_header(encode_header(kind, codec, 100, 100, OID))


@given(
    st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.integers(0, 255), st.integers(0, 255)
)
def test_a_forged_recipe_head_is_refused(count: int, size: int, version: int, depth: int) -> None:
    body = struct.pack("<BBHIQ", version, depth, 0, count, size) + bytes(36 * 2)
    payload = body + keyed_digest(b"mlver/1 recipe", OID + body)

    def decode() -> None:
        never_but_corrupt(lambda: recipe.decode(payload, OID))

    assert peak_of(decode) < MIB


FOOTER_ROW = struct.Struct("<32sBBHQII")


@given(
    count=st.integers(0, 2**32 - 1) | st.integers(0, 3),
    start=st.integers(0, 2**64 - 1) | st.integers(0, 400),
    offset=st.integers(0, 2**64 - 1) | st.integers(0, 400),
    stored=st.integers(0, 2**32 - 1) | st.integers(0, 200),
    kind=st.integers(0, 255),
)
def test_a_forged_footer_names_nothing_outside_of_the_pack(
    count: int, start: int, offset: int, stored: int, kind: int
) -> None:
    table = FOOTER_ROW.pack(OID, kind, 0, 0, offset, stored, 10)
    digest = keyed_digest(b"mlver/1 pack footer", table)
    tail = table + struct.pack("<IQ32s8s", count, start, digest, b"MLVREND1")
    for pack_size in (len(tail), 200 + len(tail), start + len(tail)):
        try:
            found = pack.decode_footer(tail, pack_size)
        except CorruptContent:
            continue
        if isinstance(found, int):
            assert len(tail) < found <= pack_size
            continue
        for entry in found:
            assert entry.offset >= 16 and entry.offset + entry.length <= start


@given(st.binary(max_size=500))
def test_a_pack_of_random_bytes_has_no_records(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.pack"
    for whole in (data, PACK_HEADER + data):
        path.write_bytes(whole)
        with path.open("rb") as file:
            assert pack.entries(file.fileno()) == scan_file(path) == []


def test_a_record_that_claims_four_gigabytes_ends_the_scan(tmp_path: Path) -> None:
    path = tmp_path / "long.pack"
    path.write_bytes(PACK_HEADER + encode_header(CHUNK, RAW, 2**32 - 1, 10, OID) + b"payload")
    assert peak_of(lambda: scan_file(path)) < MIB
    assert scan_file(path) == []


# -- recipes that lie, in a store ----------------------------------------------------------


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


PIECE = bytes(256 * 1024)


@pytest.mark.parametrize("depth", [0, 1])
def test_a_recipe_that_builds_too_much_is_stopped_at_the_blobs_size(
    depth: int, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    """4,096 rows of one chunk would be a gibibyte."""
    rows = tuple((digest_of(PIECE), len(PIECE)) for _ in range(4096))
    listed = recipe.encode_rows(rows)
    size = 1000 if depth else 4096 * len(PIECE)
    made = Recipe(size, depth, ((digest_of(listed), len(listed)),) if depth else rows)
    payload = made.encode(OID)
    with open_store(tmp_path / "store") as store:
        with Session(store) as session:
            session.append(
                [
                    NewRecord(CHUNK, RAW, len(PIECE), digest_of(PIECE), (PIECE,)),
                    NewRecord(CHUNK, RAW, len(listed), digest_of(listed), (listed,)),
                    NewRecord(RECIPE, RAW, len(payload), OID, (payload,)),
                ]
            )
        asked = Pointer(OID, 1000)

        def whole() -> None:
            with pytest.raises(CorruptContent):
                read_blob(store, asked)
            shown = 0
            with pytest.raises(CorruptContent):
                for parts in stream_blob(store, asked, pool):
                    shown += sum(map(len, parts))
            assert shown <= asked.size, "nothing is shown or written past the blob's size"
            with pytest.raises(CorruptContent):
                write_file(store, asked, bytes(tmp_path / "file"), pool)

        assert peak_of(whole) < 64 * MIB
        assert not (tmp_path / "file").exists()


def test_a_chunk_of_another_length_than_its_row_says_is_refused(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    """The rows add up to the size; the chunks do not."""
    one, two = b"a" * 100, b"b" * 100
    payload = Recipe(200, 0, ((digest_of(one), 150), (digest_of(one), 50))).encode(OID)
    with open_store(tmp_path) as store:
        with Session(store) as session:
            session.append(
                [
                    NewRecord(CHUNK, RAW, 100, digest_of(one), (one,)),
                    NewRecord(CHUNK, RAW, 100, digest_of(two), (two,)),
                    NewRecord(RECIPE, RAW, len(payload), OID, (payload,)),
                ]
            )
        for asked in (Pointer(OID, 150), Pointer(OID, 250)):
            with pytest.raises(CorruptContent):
                read_blob(store, asked)
            with pytest.raises(CorruptContent):
                list(stream_blob(store, asked, pool))


def test_records_that_follow_their_header_too_short_are_refused() -> None:
    whole = encode_header(CHUNK, RAW, 10, 10, OID) + b"0123456789"
    for length in range(HEADER + 10):
        with pytest.raises(CorruptContent):
            split_record(whole[:length], OID, CHUNK)
    with pytest.raises(CorruptContent):
        split_record(whole, digest_of(b"another"), CHUNK)
    with pytest.raises(CorruptContent):
        split_record(whole, OID, RECIPE)
