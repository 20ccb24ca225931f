"""Reads a paged index object (paged_layout): a lookup costs its root, a list and a block.

Every part is verified against the digest that led to it before anything in it is believed, so it
is all the same where the bytes come from: a remote by ranges, a copy here, memory.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Protocol

from mlver.errors import CorruptContent
from mlver.exchange import paged_layout as layout
from mlver.exchange.index_object import ROW, Fields, Found, row_of
from mlver.exchange.paged_layout import Block, Blocks, Root, Span
from mlver.model.digest import SIZE, Digest, keyed_digest

_FIRST_READ = 24 * 1024
"""The root, and with it the packs of a remote of some ten GiB."""
_KEPT = 64
"""Blocks that stay in memory, for lookups of one id at a time."""
_BATCH = 512
"""Blocks that are read and looked through at once: some 8 MB."""

_Place = tuple[int, int]
"""A bucket and a block in it."""


class Pages(Protocol):
    """Where an object's bytes come from."""

    def read(self, spans: Sequence[Span]) -> list[bytes]:
        """The bytes of each. Raises RemoteError (NotFound), CorruptContent."""

    def heal(self) -> bool:
        """What was read was damaged: True if it came from a copy, and comes from elsewhere now."""

    def keep(self) -> None:
        """All of it is about to be read."""


class InMemory:
    """The pages of an object that is held whole."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, spans: Sequence[Span]) -> list[bytes]:
        """See `Pages`."""
        return [self._data[start : start + length] for start, length in spans]

    def heal(self) -> bool:
        """See `Pages`."""
        return False

    def keep(self) -> None:
        """See `Pages`."""


class PagedIndex:
    """A paged index object of `size` bytes. See `IndexRows` for what it answers."""

    def __init__(self, pages: Pages, name: Digest, size: int) -> None:
        """Reads the root. Raises CorruptContent, RemoteError."""
        self._pages, self._name = pages, name
        self._head = b""
        self._lists: dict[int, Blocks] = {}
        self._packs: dict[int, bytes] = {}
        self._kept: OrderedDict[_Place, bytes] = OrderedDict()
        self._root = self._read_root(size)
        if self._root.end != size:
            raise CorruptContent("an index object is not as long as its root says")

    def _read_root(self, size: int) -> Root:
        while True:
            try:
                head = self._pages.read([Span(0, min(size, _FIRST_READ))])[0]
                length = layout.root_size(head)
                if len(head) < length <= size:
                    head = self._pages.read([Span(0, length)])[0]
                root = Root(head[:length], self._name)
            except CorruptContent:
                if not self._pages.heal():
                    raise
                continue
            self._head = head
            return root

    def __len__(self) -> int:
        return int(self._root.rows)

    def __iter__(self) -> Iterator[Found]:
        self._pages.keep()
        for first in range(layout.BUCKETS):
            yield from self.bucket(first)

    def bucket(self, first: int) -> list[Found]:
        """See `IndexRows`."""
        self._load_lists([first])
        places = [(first, i) for i in range(len(self._lists[first].blocks))]
        found: list[Found] = []
        for batch in _batches(places):
            hits = [
                (fields, place, data)
                for place, data in zip(batch, self._read_blocks(batch), strict=True)
                for fields in ROW.iter_unpack(data[: self._block(place).rows * ROW.size])
            ]
            found += self._rows(hits)
        return found

    def lookup(self, ids: Collection[bytes]) -> dict[bytes, list[Found]]:
        """See `IndexRows`. All lists are read at once, and then the blocks, many at a time."""
        wanted = sorted(set(ids))
        self._load_lists(sorted({digest[0] for digest in wanted}))
        sought: dict[_Place, list[bytes]] = {}
        for digest in wanted:
            for place in self._places(digest):
                sought.setdefault(place, []).append(digest)
        found: dict[bytes, list[Found]] = {}
        for batch in _batches(list(sought)):
            hits = [
                (fields, place, data)
                for place, data in zip(batch, self._blocks(batch), strict=True)
                for digest in sought[place]
                for fields in _rows_of(digest, data, self._block(place).rows)
            ]
            for row in self._rows(hits):
                found.setdefault(row.id, []).append(row)
        return found

    def packs(self) -> list[Digest]:
        """See `IndexRows`. Reads no row."""
        self._load_packs(range(len(self._root.pages)))
        return [self._pack(place) for place in range(self._root.packs)]

    def verify(self) -> None:
        """See `IndexRows`."""
        self._pages.keep()
        self._packs.clear()
        self._kept.clear()
        self._load_packs(range(len(self._root.pages)))
        for first in range(layout.BUCKETS):
            self._lists.pop(first, None)
            self._load_lists([first])
            for batch in _batches([(first, i) for i in range(len(self._lists[first].blocks))]):
                self._read_blocks(batch)

    # -- parts -----------------------------------------------------------------------------

    def _read(self, spans: list[Span], digests: list[bytes], domain: bytes) -> list[bytes]:
        """The bytes of each span, verified."""
        while True:
            datas = self._bytes(spans)
            if all(
                len(data) == span.length and keyed_digest(domain, data) == digest
                for data, span, digest in zip(datas, spans, digests, strict=True)
            ):
                return datas
            self._head = b""
            if not self._pages.heal():
                raise CorruptContent("a part of an index object does not match its digest")

    def _bytes(self, spans: list[Span]) -> list[bytes]:
        far = [span for span in spans if span.start + span.length > len(self._head)]
        read = iter(self._pages.read(far) if far else ())
        return [
            self._head[start : start + length] if start + length <= len(self._head) else next(read)
            for start, length in spans
        ]

    def _load_lists(self, buckets: Sequence[int]) -> None:
        new = [number for number in buckets if number not in self._lists]
        spans = [self._root.buckets[number].list_span for number in new]
        digests = [self._root.buckets[number].digest for number in new]
        for number, data in zip(new, self._read(spans, digests, layout.LIST), strict=True):
            self._lists[number] = self._root.blocks_of(number, data)

    def _load_packs(self, pages: Collection[int]) -> None:
        new = [page for page in pages if page not in self._packs]
        if any(page >= len(self._root.pages) for page in new):
            raise CorruptContent("an index object names a pack that it does not list")
        spans = [self._root.page_span(page) for page in new]
        digests = [self._root.pages[page] for page in new]
        self._packs.update(zip(new, self._read(spans, digests, layout.PACKS), strict=True))

    def _places(self, digest: bytes) -> list[_Place]:
        """The blocks in which rows of this id may lie: mostly one."""
        firsts = self._lists[digest[0]].firsts
        low = max(bisect_left(firsts, digest[:8]) - 1, 0)
        return [(digest[0], i) for i in range(low, bisect_right(firsts, digest[:8]))]

    def _block(self, place: _Place) -> Block:
        return self._lists[place[0]].blocks[place[1]]

    def _blocks(self, places: list[_Place]) -> list[bytes]:
        """As `_read_blocks`, but for those that are in memory still."""
        new = [place for place in places if place not in self._kept]
        read = dict(zip(new, self._read_blocks(new), strict=True))
        datas = [read[place] if place in read else self._kept[place] for place in places]
        for place, data in zip(places, datas, strict=True):
            self._kept[place] = data
            self._kept.move_to_end(place)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return datas

    def _read_blocks(self, places: list[_Place]) -> list[bytes]:
        blocks = [self._block(place) for place in places]
        spans, digests = [b.span for b in blocks], [b.digest for b in blocks]
        return self._read(spans, digests, layout.ROWS)

    # -- rows ------------------------------------------------------------------------------

    def _rows(self, hits: list[tuple[Fields, _Place, bytes]]) -> list[Found]:
        self._load_packs({fields[4] // self._root.page_packs for fields, _, _ in hits})
        return [
            row_of(fields, self._pack, partial(_base, data, self._block(place)))
            for fields, place, data in hits
        ]

    def _pack(self, place: int) -> Digest:
        page, inside = divmod(place, self._root.page_packs)
        data = self._packs[page][inside * SIZE : inside * SIZE + SIZE]
        if len(data) != SIZE:
            raise CorruptContent("an index object names a pack that it does not list")
        return Digest(data)


def _base(data: bytes, block: Block, place: int) -> Digest:
    if place >= block.bases:
        raise CorruptContent("an index object names a base that it does not list")
    start = block.rows * ROW.size + place * SIZE
    return Digest(data[start : start + SIZE])


def _rows_of(digest: bytes, data: bytes, rows: int) -> Iterator[Fields]:
    """The rows of an id in a block."""
    low, high = 0, rows
    while low < high:
        middle = (low + high) // 2
        if data[middle * ROW.size : middle * ROW.size + SIZE] < digest:
            low = middle + 1
        else:
            high = middle
    while low < rows and data[low * ROW.size : low * ROW.size + SIZE] == digest:
        yield ROW.unpack_from(data, low * ROW.size)
        low += 1


def _batches(places: list[_Place]) -> Iterator[list[_Place]]:
    iterator = iter(places)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
