"""Writes a paged index object (paged_layout), one bucket at a time: memory holds a bucket's rows.

The same rows make the same bytes, whoever writes them: two that compact the same make one object.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import BinaryIO, NamedTuple

from mlver.exchange import layout as names
from mlver.exchange import paged_layout as layout
from mlver.exchange.index_object import Found, order, packed
from mlver.exchange.index_object import encode as encode_plain
from mlver.model.digest import Digest, digest_of, keyed_digest

LARGE = 16_384
"""An index object of more rows than this is written in pages at once."""


class Written(NamedTuple):
    """The object's name, its bytes before the blocks, its rows, and packs in which none lies."""

    name: Digest
    head: bytes
    rows: int
    unused: frozenset[Digest]


def write(
    out: BinaryIO,
    bucket: Callable[[int], Iterable[Found]],
    packs: Iterable[Digest],
    *,
    block_rows: int = layout.BLOCK_ROWS,
    page_packs: int = layout.PAGE_PACKS,
) -> Written:
    """Write the blocks to `out`. `bucket` gives the rows whose id begins with a byte, in any order,
    some of them perhaps twice. Where a pack is `unused` it was to be left out of `packs`."""
    numbers = {pack: i for i, pack in enumerate(sorted(packs))}
    used: set[Digest] = set()
    lists, counts, total = [], [], 0
    for first in range(layout.BUCKETS):
        rows = sorted(set(bucket(first)), key=order)
        used.update(row.pack for row in rows)
        table, bases = [], 0
        for at in range(0, len(rows), block_rows):
            block = rows[at : at + block_rows]
            data, count = _block(block, numbers)
            out.write(data)
            table.append(layout.BLOCK.pack(block[0].id[:8], count, keyed_digest(layout.ROWS, data)))
            bases += count
        lists.append(b"".join(table))
        counts.append(layout.BUCKET.pack(len(rows), bases, keyed_digest(layout.LIST, lists[-1])))
        total += len(rows)
    head = layout.HEAD.pack(
        layout.MAGIC, layout.VERSION, block_rows, total, len(numbers), page_packs
    )
    ids = list(numbers)
    pages = [b"".join(ids[at : at + page_packs]) for at in range(0, len(ids), page_packs)]
    root = b"".join([head, *counts, *(keyed_digest(layout.PACKS, page) for page in pages)])
    name = keyed_digest(layout.ROOT, root)
    return Written(name, b"".join([root, *pages, *lists]), total, frozenset(numbers.keys() - used))


def _block(rows: list[Found], numbers: dict[Digest, int]) -> tuple[bytes, int]:
    """A block's bytes, and how many bases it lists."""
    bases = {base: i for i, base in enumerate(sorted({row.base for row in rows if row.base}))}
    parts = [packed(row, numbers, bases) for row in rows]
    return b"".join([*parts, *bases]), len(bases)


def encode_paged(
    records: Iterable[Found],
    *,
    block_rows: int = layout.BLOCK_ROWS,
    page_packs: int = layout.PAGE_PACKS,
) -> tuple[Digest, bytes]:
    """Name and bytes of a paged index object of these records."""
    buckets: list[list[Found]] = [[] for _ in range(layout.BUCKETS)]
    packs = set()
    for row in records:
        buckets[row.id[0]].append(row)
        packs.add(row.pack)
    out = io.BytesIO()
    made = write(out, buckets.__getitem__, packs, block_rows=block_rows, page_packs=page_packs)
    return made.name, made.head + out.getvalue()


def encoded(records: list[Found]) -> tuple[str, bytes]:
    """Name on a remote and bytes of an index object of these records, in the kind that fits."""
    if len(records) > LARGE:
        digest, data = encode_paged(records)
        return names.compacted_object(digest), data
    data = encode_plain(records)
    return names.index_object(digest_of(data)), data
