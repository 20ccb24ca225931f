"""Floats by planes of bytes, alone or as what differs from a base, read back whatever they are; and
a payload that lies is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.store_material import content

from mlver.errors import CorruptContent
from mlver.model.digest import Digest, digest_of
from mlver.store import planes
from mlver.store.record import CHUNK, GROUPED, XOR, Codec, Header, width_of

pairs = st.integers(0, 5000).flatmap(
    lambda size: st.tuples(*[st.binary(min_size=size, max_size=size)] * 2)
)
widths = st.sampled_from(planes.WIDTHS)
BASE = content("base", 1001)


def no_base(digest: Digest) -> bytes:
    raise AssertionError("no base is asked for")


def header_of(codec: int, payload: bytes, data: bytes) -> Header:
    return Header(CHUNK, codec, len(payload), len(data), digest_of(data))


@given(pairs, widths)
def test_both_codecs_give_the_bytes_back(pair: tuple[bytes, bytes], width: int) -> None:
    data, base = pair
    codec = Codec()
    payload = b"".join(codec.grouped(memoryview(data), width))
    header = header_of(GROUPED, payload, data)
    assert codec.decode(header, memoryview(payload), no_base) == data
    assert width_of(header, payload) == width
    payload = digest_of(base) + b"".join(codec.xor(memoryview(data), base, width))
    header = header_of(XOR, payload, data)
    assert codec.decode(header, memoryview(payload), {digest_of(base): base}.__getitem__) == data
    assert width_of(header, payload) == width


@given(st.binary(max_size=200), widths)
def test_planes_stand_one_after_the_other(data: bytes, width: int) -> None:
    split = b"".join(planes.split(data, width))
    assert split == bytes(
        data[at] for place in range(width) for at in range(place, len(data), width)
    )
    assert planes.join(split, width) == data


@pytest.mark.parametrize("width", [w for w in range(256) if w not in planes.WIDTHS])
def test_another_width_is_refused(width: int) -> None:
    codec = Codec()
    payload = bytes([width]) + codec.compress(BASE)
    with pytest.raises(CorruptContent):
        codec.decode(header_of(GROUPED, payload, BASE), payload, no_base)
    payload = digest_of(BASE) + payload
    with pytest.raises(CorruptContent):
        codec.decode(header_of(XOR, payload, BASE), payload, lambda _: BASE)


@pytest.mark.parametrize("length", [0, 1000, 1002, 100_000])
def test_a_base_of_another_length_is_refused(length: int) -> None:
    codec = Codec()
    payload = digest_of(BASE) + b"".join(codec.xor(BASE, BASE, 2))
    with pytest.raises(CorruptContent):
        codec.decode(header_of(XOR, payload, BASE), payload, lambda _: bytes(length))


@pytest.mark.parametrize("codec", [GROUPED, XOR])
def test_a_payload_cut_off_anywhere_is_refused(codec: int) -> None:
    made = Codec()
    data = bytes(1001)
    head = digest_of(BASE) if codec == XOR else b""
    parts = made.xor(data, BASE, 4) if codec == XOR else made.grouped(data, 4)
    payload = head + b"".join(parts)
    for length in range(min(len(payload), 200)):
        with pytest.raises(CorruptContent):
            made.decode(header_of(codec, payload, data), payload[:length], lambda _: BASE)
