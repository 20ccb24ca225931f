"""A pointer has exactly one spelling: whatever differs from it by a byte is content, or another
pointer. Content that only resembles a pointer comes back byte for byte because of this."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mlver.model import pointer
from mlver.model.digest import Digest
from mlver.model.pointer import MAX_SIZE, Pointer

SPELLING = re.compile(
    rb"version mlver/1\noid blake3:[0-9a-f]{64}\n"
    rb"size (?:[1-9][0-9]{0,17}|[1-8][0-9]{18}|9[0-9]{18})\n"
)
"""Written down a second time, on purpose."""

LARGEST = 2**63 - 1

oids = st.binary(min_size=32, max_size=32).map(Digest)
sizes = st.integers(1, LARGEST) | st.integers(0, 62).map(lambda bits: 1 << bits)
pointers = st.builds(Pointer, oids, sizes)


def is_spelled_right(data: bytes) -> bool:
    return bool(SPELLING.fullmatch(data)) and int(data.split()[-1]) <= LARGEST


@given(pointers)
@example(Pointer(Digest(bytes(32)), 1))
@example(Pointer(Digest(b"\xff" * 32), LARGEST))
def test_a_pointer_reads_back_and_is_short(made: Pointer) -> None:
    encoded = made.encode()
    assert pointer.parse(encoded) == made
    assert pointer.parse(memoryview(encoded)) == made
    assert len(encoded) < MAX_SIZE
    assert not pointer.looks_like(encoded)


@given(pointers, st.data())
def test_a_changed_byte_makes_content_or_another_pointer(
    made: Pointer, data: st.DataObject
) -> None:
    encoded = made.encode()
    at = data.draw(st.integers(0, len(encoded) - 1))
    byte = data.draw(st.integers(0, 255))
    assume(byte != encoded[at])
    changed = encoded[:at] + bytes([byte]) + encoded[at + 1 :]
    found = pointer.parse(changed)
    assert found != made
    assert (found is not None) == is_spelled_right(changed)
    if found is not None:
        assert found.encode() == changed


@given(pointers, st.data())
def test_a_byte_more_or_less_makes_content_or_another_pointer(
    made: Pointer, data: st.DataObject
) -> None:
    encoded = made.encode()
    at = data.draw(st.integers(0, len(encoded)))
    added = data.draw(st.binary(max_size=3))
    removed = data.draw(st.integers(0, 3))
    changed = encoded[:at] + added + encoded[at + removed :]
    assume(changed != encoded)
    found = pointer.parse(changed)
    assert found != made
    assert found is None or found.encode() == changed


@given(st.binary(max_size=600) | st.text(max_size=200).map(str.encode))
def test_what_is_taken_for_a_pointer_is_spelled_as_one(data: bytes) -> None:
    found = pointer.parse(data)
    assert (found is not None) == is_spelled_right(data)


NEAR = Pointer(Digest(b"\xab" * 32), 1234).encode()


@pytest.mark.parametrize(
    "data",
    [
        NEAR.replace(b"\n", b"\r\n"),
        NEAR[:-1] + b"\r\n",
        NEAR[:-1],
        NEAR + b"\n",
        b"\n" + NEAR,
        b"\xef\xbb\xbf" + NEAR,
        NEAR + b"files 3\n",
        NEAR + NEAR,
        NEAR.replace(b"size 1234", b"size 01234"),
        NEAR.replace(b"size 1234", b"size 0"),
        NEAR.replace(b"size 1234", b"size +1234"),
        NEAR.replace(b"size 1234", b"size -1234"),
        NEAR.replace(b"size 1234", b"size 1_234"),
        NEAR.replace(b"size 1234", b"size 1234 "),
        NEAR.replace(b"size 1234", b"size  1234"),
        NEAR.replace(b"size 1234", b"size "),
        NEAR.replace(b"size 1234", b"size 12345678901234567890"),
        NEAR.replace(b"size 1234", b"size 9223372036854775808"),
        NEAR.replace(b"size 1234", b"size 9999999999999999999"),
        NEAR.replace(b"size 1234", "size ١٢٣٤".encode()),
        NEAR.replace(b"ab", b"AB"),
        NEAR.replace(b"ab", b"Ab", 1),
        NEAR.replace(b"ab" * 32, b"ab" * 31),
        NEAR.replace(b"ab" * 32, b"ab" * 33),
        NEAR.replace(b"blake3", b"sha256"),
        NEAR.replace(b"mlver/1", b"mlver/2"),
        NEAR.replace(b"mlver/1", b"mlver/01"),
        NEAR.replace(b"oid ", b"oid\t"),
        NEAR.replace(b"\noid", b"\n\noid"),
        b"size 1234\n" + NEAR,
        NEAR[:-1] + b"\0\n",
        NEAR + bytes(MAX_SIZE),
    ],
)
def test_what_only_resembles_a_pointer_is_content(data: bytes) -> None:
    assert pointer.parse(data) is None


def test_a_text_that_means_to_be_a_pointer_is_told_apart_from_content() -> None:
    assert pointer.looks_like(NEAR.replace(b"\n", b"\r\n"))
    assert pointer.looks_like(NEAR[:-1])
    assert not pointer.looks_like(b"version 2 of the data\n")
    assert not pointer.looks_like(NEAR + bytes(MAX_SIZE))
