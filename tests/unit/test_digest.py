"""A digest is checked when it is made, so that no later code need ask what it holds."""

from __future__ import annotations

import pytest

from mlver.model.digest import digest_of, from_hex, from_raw, keyed_digest, short

HEX = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"


def test_hex_and_raw_spell_one_digest() -> None:
    assert from_hex(HEX) == from_raw(bytes.fromhex(HEX)) == digest_of(b"abc")
    assert short(digest_of(b"abc")) == HEX[:12]


@pytest.mark.parametrize(
    "text",
    ["", HEX[:-1], HEX + "0", HEX.upper(), HEX + "\n", "\n" + HEX, " " + HEX[1:], "g" + HEX[1:]],
)
def test_anything_but_64_lower_case_hex_digits_is_no_digest(text: str) -> None:
    with pytest.raises(ValueError, match="64 lower-case hex digits"):
        from_hex(text)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_anything_but_32_bytes_is_no_digest(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        from_raw(bytes(length))


def test_content_never_passes_for_what_is_derived() -> None:
    """The same bytes, plain and under each domain, have digests that differ."""
    found = {digest_of(b"x"), keyed_digest(b"mlver/1 recipe", b"x"), keyed_digest(b"other", b"x")}
    assert len(found) == 3


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_may_be_hashed(kind: type) -> None:
    assert digest_of(kind(b"abc")).hex() == HEX
