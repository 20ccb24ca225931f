"""A pack gives back what was put in, and a torn one every record before the tear."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.store_material import content, flipped, scan_file

from mlver.errors import CorruptContent
from mlver.model.digest import Digest, digest_of
from mlver.store import pack
from mlver.store.pack import PACK_HEADER, Entry, NewRecord, PackWriter
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
)

payloads = st.lists(st.binary(max_size=300), max_size=12, unique=True)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("packs") / "one.pack"


def raw_record(data: bytes, kind: int = CHUNK) -> NewRecord:
    half = len(data) // 2
    return NewRecord(kind, RAW, len(data), digest_of(data), (data[:half], data[half:]))


def no_base(digest: Digest) -> bytes:
    raise CorruptContent("no base is known")


def write(path: Path, batches: list[list[NewRecord]], *, seal: bool) -> list[Entry]:
    path.unlink(missing_ok=True)
    writer = PackWriter(bytes(path))
    entries = [entry for batch in batches for entry in writer.append(batch)]
    writer.seal() if seal else writer.abandon()
    return entries


def payload_at(path: Path, entry: Entry) -> bytes:
    with path.open("rb") as file:
        (payload,) = pack.copy_record(file.fileno(), entry).payload
    return bytes(payload)


def by_footer(path: Path) -> list[Entry]:
    with path.open("rb") as file:
        return pack.read_footer(file.fileno())


@given(
    st.sampled_from([CHUNK, RECIPE]),
    st.sampled_from([RAW, ZSTD, DELTA, GROUPED, XOR]),
    st.integers(0, MAX_STORED),
    st.integers(0, MAX_RAW),
    st.binary(min_size=32, max_size=32),
)
def test_a_header_reads_back(kind: int, codec: int, stored: int, raw: int, id_: bytes) -> None:
    encoded = encode_header(kind, codec, stored, raw, id_)
    assert len(encoded) == HEADER
    assert decode_header(encoded) == Header(kind, codec, stored, raw, Digest(id_))


def test_any_flipped_bit_of_a_header_is_refused() -> None:
    encoded = encode_header(CHUNK, ZSTD, 77, 4000, digest_of(b"x"))
    for at in range(HEADER):
        for bit in range(8):
            with pytest.raises(CorruptContent):
                decode_header(flipped(encoded, at, 1 << bit))


@given(st.binary(max_size=20_000), st.binary(min_size=1, max_size=20_000))
def test_every_codec_gives_the_bytes_back(data: bytes, base: bytes) -> None:
    codec = Codec()
    for form, payload in (
        (RAW, data),
        (ZSTD, codec.compress(data)),
        (DELTA, digest_of(base) + codec.delta(data, base)),
    ):
        header = Header(CHUNK, form, len(payload), len(data), digest_of(data))
        assert codec.decode(header, memoryview(payload), lambda _: base) == data


@given(payloads, st.booleans(), st.integers(1, 5))
@settings(max_examples=50)
def test_a_pack_gives_back_what_was_put_in(
    path: Path, datas: list[bytes], seal: bool, batch: int
) -> None:
    records = [raw_record(data) for data in datas]
    batches = [records[at : at + batch] for at in range(0, len(records), batch)]
    entries = write(path, batches, seal=seal)
    if seal and not datas:
        assert not path.exists(), "an empty pack is removed"
        return
    assert scan_file(path) == entries
    assert [payload_at(path, entry) for entry in entries] == datas
    if seal:
        assert by_footer(path) == sorted(entries, key=lambda e: (e.header.id, e.header.kind))
    else:
        with pytest.raises(CorruptContent):
            by_footer(path)
    with path.open("rb") as file:
        assert sorted(pack.entries(file.fileno()), key=lambda e: e.offset) == entries


def test_a_scan_from_any_record_goes_on_to_the_last(path: Path) -> None:
    entries = write(path, [[raw_record(content(i, 50 * i)) for i in range(8)]], seal=True)
    for place, entry in enumerate(entries):
        with path.open("rb") as file:
            assert list(pack.scan(file.fileno(), entry.offset)) == entries[place:]


def test_a_scan_reads_past_its_window(path: Path) -> None:
    sizes = [10, 200_000, 300_000, 7, 262_144, 262_144 - 52, 1, 600_000, 5]
    records = [raw_record(content(place, size)) for place, size in enumerate(sizes)]
    entries = write(path, [records], seal=False)
    assert scan_file(path) == entries


@pytest.mark.parametrize("seal", [False, True])
def test_a_pack_torn_at_any_byte_keeps_every_whole_record(path: Path, seal: bool) -> None:
    datas = [content(place, size) for place, size in enumerate((40, 0, 1, 60))]
    entries = write(path, [[raw_record(data) for data in datas]], seal=seal)
    for length in reversed(range(path.stat().st_size)):
        os.truncate(path, length)
        expected = [entry for entry in entries if entry.offset + entry.length <= length]
        assert scan_file(path) == expected, f"torn at {length}"
        with path.open("rb") as file:
            assert pack.entries(file.fileno()) == expected, f"torn at {length}"


def test_a_pack_with_any_bit_flipped_names_no_other_content(path: Path) -> None:
    datas = [content(place, size) for place, size in enumerate((40, 1, 60))]
    write(path, [[raw_record(data) for data in datas]], seal=True)
    whole, known = path.read_bytes(), {digest_of(data): data for data in datas}
    codec = Codec()
    for at in range(len(whole)):
        with path.open("r+b") as file:
            os.pwrite(file.fileno(), flipped(whole, at, 1 << at % 8)[at : at + 1], at)
            for entry in pack.entries(file.fileno()):
                (payload,) = pack.copy_record(file.fileno(), entry).payload
                try:
                    data = codec.decode(entry.header, payload, no_base)
                except CorruptContent:
                    continue
                assert known[entry.header.id] == data, f"flipped at {at}"
            os.pwrite(file.fileno(), whole[at : at + 1], at)


def test_a_footer_longer_than_the_first_read_is_read_whole(path: Path) -> None:
    records = [raw_record(b"%d" % number) for number in range(3000)]
    entries = write(path, [records], seal=True)
    size = path.stat().st_size
    assert len(records) * 52 > 64 * 1024
    assert len(by_footer(path)) == len(entries)
    tail = path.read_bytes()[-1000:]
    assert pack.decode_footer(tail, size) == len(records) * 52 + 52


def test_what_follows_the_header_of_another_version_is_not_believed(path: Path) -> None:
    write(path, [[raw_record(b"one")]], seal=False)
    data = path.read_bytes()
    path.write_bytes(PACK_HEADER[:8] + (2).to_bytes(4, "little") + data[12:])
    assert scan_file(path) == []


def test_a_failed_write_keeps_whole_records_and_cuts_the_rest_off(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.unlink(missing_ok=True)
    first, second, third = (raw_record(content(i, 100)) for i in range(3))
    writer = PackWriter(bytes(path))
    writer.append([first])
    real = os.writev

    def full(fd: int, parts: list[bytes]) -> int:
        real(fd, [b"".join(parts)[:200]])  # the second record, and 48 bytes of the third
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "writev", full)
    with pytest.raises(OSError, match="No space"):
        writer.append([second, third])
    monkeypatch.undo()
    assert path.stat().st_size == writer.end == 16 + 2 * 152
    after = writer.append([third])
    writer.seal()
    assert [e.header.id for e in scan_file(path)] == [first.id, second.id, third.id]
    assert after[0].offset == 16 + 2 * 152


def test_a_tail_that_cannot_be_cut_off_is_written_over(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.unlink(missing_ok=True)
    writer = PackWriter(bytes(path))
    writer.append([raw_record(content("first", 100))])
    real = os.writev

    def full(fd: int, parts: list[bytes]) -> int:
        real(fd, [b"".join(parts)[:500]])
        raise OSError(5, "Input/output error")

    def refused(fd: int, length: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "writev", full)
    monkeypatch.setattr(os, "ftruncate", refused)
    with pytest.raises(OSError):
        writer.append([raw_record(content("long", 5000))])
    monkeypatch.undo()
    second = content("second", 80)
    (entry,) = writer.append([raw_record(second)])
    writer.seal()
    assert payload_at(path, entry) == second
    assert [e.header.id for e in scan_file(path)][-1] == digest_of(second)
