"""Content ids: BLAKE3, 32 bytes, checked when they are made.

The oid of a blob is the plain BLAKE3 of its bytes, so that `b3sum` agrees; a chunk's id is the
BLAKE3 of the chunk. What is derived (a recipe's own digest) is hashed under a key of its own
domain, so that no content can be crafted that passes for it. blake3 is imported here only.
"""

from __future__ import annotations

import re
from typing import NewType

from blake3 import blake3 as Hasher

Digest = NewType("Digest", bytes)

SIZE = 32
_HEX = re.compile(r"\A[0-9a-f]{64}\Z")

__all__ = ["SIZE", "Digest", "Hasher", "digest_of", "from_hex", "from_raw", "keyed_digest", "short"]


def digest_of(data: bytes | bytearray | memoryview) -> Digest:
    """BLAKE3 of `data`. The interpreter lock is free meanwhile for all but small data."""
    return Digest(Hasher(data).digest())


def keyed_digest(domain: bytes, data: bytes | bytearray | memoryview) -> Digest:
    """BLAKE3 of `data` in key mode; `domain` (at most 32 bytes) padded with zeros is the key."""
    return Digest(Hasher(data, key=domain.ljust(SIZE, b"\0")).digest())


def from_hex(text: str) -> Digest:
    """The digest that 64 lower-case hex digits spell; ValueError for anything else."""
    if not _HEX.match(text):
        raise ValueError("a digest is 64 lower-case hex digits")
    return Digest(bytes.fromhex(text))


def from_raw(raw: bytes) -> Digest:
    """`raw` as a digest; ValueError unless it is 32 bytes."""
    if len(raw) != SIZE:
        raise ValueError("a digest is 32 bytes")
    return Digest(raw)


def short(digest: Digest) -> str:
    """The form for people: the first 12 hex digits."""
    return digest[:6].hex()
