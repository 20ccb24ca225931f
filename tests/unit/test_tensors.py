"""A safetensors stream is cut at its tensors, and anything odd like any other content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.store_material import add, content, open_store, pieces_of, reader, records_in

from mlver.model.digest import digest_of
from mlver.store.assemble import read_blob
from mlver.store.chunker import MAX, TARGET, Chunker
from mlver.store.ingest import Ingest
from mlver.store.record import GROUPED, XOR
from mlver.store.tensors import MAX_HEADER, STEP, layout_of
from mlver.store.windows import WINDOW

BIG = 3 * STEP + 1000
WHY = "a moved cut point stores everybody's models again, whole"


def model(tensors: list[tuple[str, str, bytes]], pad: int = 0) -> bytes:
    """A safetensors file: name, dtype and bytes of each tensor."""
    header, at = {}, 0
    for name, dtype, data in tensors:
        header[name] = {"dtype": dtype, "shape": [], "data_offsets": [at, at + len(data)]}
        at += len(data)
    return headed(header, b"".join(data for _, _, data in tensors), pad)


def headed(header: object, data: bytes, pad: int = 0) -> bytes:
    text = json.dumps(header).encode() + b" " * pad
    return len(text).to_bytes(8, "little") + text + data


def weights(seed: object, size: int, move: int = 0) -> bytes:
    """bf16 of a narrow range; `move` turns the low bits of each."""
    raw = content(seed, size // 2)
    low = bytes(byte ^ (byte >> 5 & move) for byte in raw)
    return b"".join(bytes(pair) for pair in zip(low, (0x3C | b & 1 for b in raw), strict=True))


def cuts(data: bytes) -> list[int]:
    layout = layout_of(data[:WINDOW])
    assert layout is not None
    return layout.cut(Chunker(), memoryview(data), 0)


def test_tensors_are_cut_at_their_borders_and_at_fixed_steps() -> None:
    data = model([("a", "BF16", bytes(BIG)), ("b", "F32", bytes(TARGET)), ("c", "I8", b"tail" * 9)])
    header = len(data) - BIG - TARGET - 36
    assert cuts(data) == [header, STEP, STEP, STEP, 1000, TARGET, 36], WHY
    assert STEP == MAX == 262_144, WHY


def test_small_tensors_are_joined_up_to_the_target() -> None:
    data = model([(f"t{at:04}", "F16", bytes(3000)) for at in range(1000)])
    lengths = cuts(data)
    assert sum(lengths) == len(data)
    assert set(lengths[-40:-1]) == {66_000}, WHY


def test_only_floats_of_one_width_are_told_as_such() -> None:
    small = [("a", "F32", bytes(100)), ("b", "F32", bytes(100)), ("c", "I64", bytes(TARGET))]
    data = model(
        [*small, ("d", "F16", bytes(100)), ("e", "F32", bytes(100)), ("f", "F8_E4M3", b"1")]
    )
    layout = layout_of(data)
    assert layout is not None
    begin = len(data) - 401 - TARGET
    places = (0, begin - 1, begin, begin + 199, begin + 200, len(data) - 101, len(data))
    assert [layout.width(place) for place in places] == [0, 0, 4, 4, 0, 0, 0]


@pytest.mark.parametrize("size", [WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW + 777])
def test_a_stream_is_cut_as_the_whole_would_be(size: int, tmp_path: Path) -> None:
    data = model([("a", "BF16", content("a", 700_001)), ("b", "F32", content("b", size))])
    data += content("after the last tensor", 400_000)
    with open_store(tmp_path) as store:
        with Ingest(store) as ingest:
            pointer = ingest.add(reader(data, [1 << 20, 77_777]))
        assert pointer is not None and pointer.oid == digest_of(data)
        assert [length for _, length in store.rows(pointer)] == cuts(data)
        assert bytes(read_blob(store, pointer)) == data


def test_a_stream_that_ends_early_is_stored_all_the_same(tmp_path: Path) -> None:
    data = model([("a", "BF16", content("a", 3 * STEP))])[:-100_000]
    with open_store(tmp_path) as store:
        assert bytes(read_blob(store, add(store, data))) == data


ENTRY = {"dtype": "F32", "shape": [], "data_offsets": [0, 8]}
ODD: dict[str, Any] = {
    "a list": [ENTRY],
    "no tensor": {"__metadata__": {"format": "pt"}},
    "an entry that is a number": {"a": 5},
    "no dtype": {"a": {"data_offsets": [0, 8]}},
    "three offsets": {"a": {**ENTRY, "data_offsets": [0, 8, 9]}},
    "offsets of text": {"a": {**ENTRY, "data_offsets": ["0", "8"]}},
    "true for an offset": {"a": {**ENTRY, "data_offsets": [False, True]}},
    "a negative offset": {"a": {**ENTRY, "data_offsets": [-8, 8]}},
    "an end before the start": {"a": {**ENTRY, "data_offsets": [8, 0]}},
    "a hole": {"a": ENTRY, "b": {**ENTRY, "data_offsets": [16, 24]}},
    "an overlap": {"a": ENTRY, "b": {**ENTRY, "data_offsets": [4, 12]}},
    "an endless tensor": {"a": {**ENTRY, "data_offsets": [0, 1 << 60]}},
}


@pytest.mark.parametrize("name", sorted(ODD))
def test_an_odd_header_makes_ordinary_content(name: str, tmp_path: Path) -> None:
    data = headed(ODD[name], content(name, 300_000))
    assert layout_of(data) is None
    with open_store(tmp_path) as store:
        pointer = add(store, data)
        rows = [length for _, length in store.rows(pointer)]
        assert rows == [len(piece) for piece in pieces_of(data)]


@pytest.mark.parametrize(
    "text",
    [b"{", b"{}" + bytes(5), b'{"a": ' * 100_000, b'{"a": ' + b"9" * 9000 + b"}", b'{"\xff": 1}'],
)
def test_a_header_that_is_no_json_makes_ordinary_content(text: bytes) -> None:
    assert layout_of(len(text).to_bytes(8, "little") + text + bytes(1000)) is None


def test_a_header_is_read_up_to_a_bound() -> None:
    tensor = [("a", "F32", bytes(8))]
    short = len(model(tensor)) - 8
    assert layout_of(model(tensor, MAX_HEADER - short)) is not None
    assert layout_of(model(tensor, MAX_HEADER - short + 1)) is None
    assert layout_of(b"\xff" * 8 + b"{") is None
    assert MAX_HEADER <= WINDOW, "it must lie in what is read before the first cut"


NAMES = ("q", "k", "v")


def versions(change: str) -> tuple[bytes, bytes]:
    old = [(name, "BF16", weights(name, BIG)) for name in NAMES]
    new = [(name, "BF16", weights(name, BIG, move=1)) for name in NAMES]
    if change == "header":
        return model(old), model(new, pad=4096)
    if change == "added":
        new.insert(1, ("extra", "BF16", weights("extra", BIG + 500_000)))
    if change == "resized":
        new[0] = ("q", "BF16", new[0][2] + weights("more", 600_000))
    if change == "reordered":
        new.reverse()
    return model(old), model(new)


@pytest.mark.parametrize("change", ["none", "header", "added", "resized", "reordered"])
def test_a_tensor_is_paired_with_itself(change: str, tmp_path: Path) -> None:
    """Every value has moved, so that no chunk anchors one version against the other."""
    old, new = versions(change)
    with open_store(tmp_path) as store:
        first = add(store, old)
        assert {GROUPED} == {e.header.codec for e in records_in(tmp_path) if e.header.raw == STEP}
        second = add(store, new, previous=first)
        assert bytes(read_blob(store, second)) == new
    upon = [entry for entry in records_in(tmp_path) if entry.header.codec == XOR]
    whole = sum(entry.header.raw == STEP for entry in upon)
    assert whole == (len(NAMES) * 3)
    assert sum(entry.header.stored for entry in upon) < len(old) / 3
