"""The bytes of a paged index object: one that is read in parts, each of them verified.

Little-endian (docs/format/index.md):

    root      header 32 bytes: "MLVRPAGE", version u32 = 1, rows a block u32, rows u64, packs u32,
              packs a page u32; 256 buckets of 40 bytes, one for each first byte of an id: rows u32,
              bases u32, digest of the bucket's list; digests of the pages of packs, 32 bytes each
    packs     32 bytes each, sorted, in pages
    lists     one a bucket, 44 bytes a block: first 8 bytes of the block's first id, bases u32,
              digest of the block
    blocks    of each bucket in turn: rows of 60 bytes (index_object.ROW), then the ids of the bases
              that they name by their place there, 32 bytes each

The object's name is the digest of its root, which has those of lists and packs, and a list has
those of its blocks: whoever has the name can verify any part of it by reading that part and what
leads there. Nothing states an offset: all of them follow from the counts.
"""

from __future__ import annotations

import struct
from itertools import accumulate, pairwise
from typing import NamedTuple

from mlver.errors import CorruptContent
from mlver.exchange.index_object import ROW
from mlver.model.digest import SIZE, Digest, keyed_digest

MAGIC = b"MLVRPAGE"
VERSION = 1
HEAD = struct.Struct("<8sIIQII")
BUCKET = struct.Struct("<II32s")
BLOCK = struct.Struct("<8sI32s")
BUCKETS = 256
BLOCK_ROWS, PAGE_PACKS = 128, 512
"""What this version writes; a reader takes what the header says. Measured: decisions/0016."""

ROOT, PACKS = b"mlver/1 index root", b"mlver/1 index packs"
LIST, ROWS = b"mlver/1 index list", b"mlver/1 index block"
"""Domains of the digests."""

_MOST = 1 << 16
"""Neither a block nor a page has more entries: a reader holds some of each in memory."""


class Span(NamedTuple):
    """A stretch of an object, in bytes."""

    start: int
    length: int


class Bucket(NamedTuple):
    """What the root says of one bucket, and where its list and its blocks begin."""

    rows: int
    bases: int
    digest: bytes
    blocks: int
    list_at: int
    blocks_at: int

    @property
    def list_span(self) -> Span:
        """Where its list lies."""
        return Span(self.list_at, self.blocks * BLOCK.size)


class Block(NamedTuple):
    """One block of rows."""

    span: Span
    rows: int
    bases: int
    digest: bytes


class Blocks(NamedTuple):
    """A bucket's list, read. `firsts`: the first 8 bytes of each block's first id."""

    firsts: list[bytes]
    blocks: list[Block]


def root_size(head: bytes) -> int:
    """How long the root is that begins with `head`. Raises CorruptContent."""
    if len(head) < HEAD.size:
        raise CorruptContent("an index object is too short")
    magic, version, block_rows, _rows, packs, page_packs = HEAD.unpack_from(head)
    if magic != MAGIC or version != VERSION:
        raise CorruptContent("an index object cannot be read", why=f"version {version}")
    if not 0 < block_rows <= _MOST or not 0 < page_packs <= _MOST:
        raise CorruptContent("an index object cannot be read", why="its parts are too large")
    return HEAD.size + BUCKETS * BUCKET.size + _parts(packs, page_packs) * SIZE


def _parts(count: int, most: int) -> int:
    return -(-count // most)


class Root:
    """A root page, verified. `end` is where the object must end."""

    def __init__(self, data: bytes, name: Digest) -> None:
        """Raises CorruptContent unless it is the root of the object of this name."""
        if root_size(data) != len(data) or keyed_digest(ROOT, data) != name:
            raise CorruptContent("the root of an index object does not match its name")
        _, _, self.block_rows, self.rows, self.packs, self.page_packs = HEAD.unpack_from(data)
        table = HEAD.size + BUCKETS * BUCKET.size
        self.pages = [data[at : at + SIZE] for at in range(table, len(data), SIZE)]
        self._packs_at = len(data)
        counts = list(BUCKET.iter_unpack(data[HEAD.size : table]))
        if sum(rows for rows, _, _ in counts) != self.rows:
            raise CorruptContent("an index object's buckets do not add up")
        blocks = [_parts(rows, self.block_rows) for rows, _, _ in counts]
        lists_at = self._packs_at + self.packs * SIZE
        lists = list(accumulate((n * BLOCK.size for n in blocks), initial=lists_at))
        sizes = (rows * ROW.size + bases * SIZE for rows, bases, _ in counts)
        areas = list(accumulate(sizes, initial=lists[-1]))
        self.end = areas[-1]
        self.buckets = [
            Bucket(rows, bases, digest, blocks[i], lists[i], areas[i])
            for i, (rows, bases, digest) in enumerate(counts)
        ]

    def page_span(self, page: int) -> Span:
        """Where a page of packs lies."""
        first = page * self.page_packs
        count = min(self.page_packs, self.packs - first)
        return Span(self._packs_at + first * SIZE, count * SIZE)

    def blocks_of(self, number: int, data: bytes) -> Blocks:
        """A bucket's list. Raises CorruptContent."""
        bucket = self.buckets[number]
        firsts, blocks = [], []
        rows, bases, at = bucket.rows, bucket.bases, bucket.blocks_at
        for first, block_bases, digest in BLOCK.iter_unpack(data):
            count = min(rows, self.block_rows)
            span = Span(at, count * ROW.size + block_bases * SIZE)
            firsts.append(first)
            blocks.append(Block(span, count, block_bases, digest))
            rows, bases, at = rows - count, bases - block_bases, at + span.length
        if bases or any(a > b for a, b in pairwise(firsts)):
            raise CorruptContent("a list of an index object does not fit its bucket")
        return Blocks(firsts, blocks)
