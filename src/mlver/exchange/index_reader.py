"""Opens a remote's index objects: small ones whole, large paged ones where they lie.

A large one that a network lies before is read by ranges until a quarter of it was asked for, or
all of it is needed; then it is copied into the cache and read there, part by part and each part
verified: it may be larger than memory. Where it is near (a directory) it is never copied.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from mlver.errors import CorruptContent
from mlver.exchange import layout
from mlver.exchange.index_cache import IndexCache
from mlver.exchange.index_object import IndexObject, IndexRows
from mlver.exchange.paged_index import InMemory, PagedIndex
from mlver.exchange.paged_layout import Span
from mlver.exchange.ranges import AT_ONCE, coalesced, cut_out, read_all
from mlver.model.digest import Digest, digest_of
from mlver.remotes.base import Remote, RemoteObject

SMALL = 256 * 1024
"""Bytes. An object of at most this many is one request, whatever is needed of it."""
_ENOUGH = 4
"""Once a quarter of an object was read by ranges, the rest is read too."""
_COPIES = 2
"""A disk that is full, or turns bits, is not tried for ever."""
_GAP = 16 * 1024
_RANGE = 2 * 1024 * 1024


class IndexReader:
    """Opens the index objects of one remote. `cache`: where a network lies before it."""

    def __init__(self, remote: Remote, cache: IndexCache | None) -> None:
        self._remote, self._cache = remote, cache

    def open(self, row: RemoteObject) -> IndexRows | None:
        """The object of this row of a listing; None: damaged. Raises RemoteError (NotFound)."""
        digest = layout.digest_in_name(row.name)
        if digest is None:
            return None
        is_paged = row.name.startswith(layout.COMPACTED)
        try:
            if is_paged and row.size > SMALL:
                pages = RemotePages(self._remote, row, digest, self._cache)
                return PagedIndex(pages, digest, row.size)
            return self._whole(row.name, digest, is_paged)
        except CorruptContent:
            return None

    def _whole(self, name: str, digest: Digest, is_paged: bool) -> IndexRows:
        data = None if self._cache is None else self._cache.get(digest)
        if data is not None and self._cache is not None:
            with contextlib.suppress(CorruptContent):
                return _parsed(data, digest, is_paged)
            self._cache.drop(digest)
        data = self._remote.read(name)
        found = _parsed(data, digest, is_paged)
        if self._cache is not None:
            self._cache.put(digest, data)
        return found


def _parsed(data: bytes, digest: Digest, is_paged: bool) -> IndexRows:
    if is_paged:
        paged = PagedIndex(InMemory(data), digest, len(data))
        paged.verify()
        return paged
    if digest_of(data) != digest:
        raise CorruptContent("an index object does not match its name")
    return IndexObject(data)


class RemotePages:
    """The parts of a paged object on a remote, or of its copy in the cache. See `Pages`."""

    def __init__(
        self, remote: Remote, row: RemoteObject, digest: Digest, cache: IndexCache | None
    ) -> None:
        self._fd: int | None = None
        self._remote, self._name, self._size = remote, row.name, row.size
        self._digest, self._cache = digest, cache
        self._taken = self._copies = 0
        self._fd = None if cache is None else cache.open(digest)

    def read(self, spans: Sequence[Span]) -> list[bytes]:
        """See `Pages`: what lies near one another in one request, several at a time."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                return [os.pread(self._fd, length, start) for start, length in spans]
            self.heal()
        gap = _GAP if self._is_far() else 0
        ranges = coalesced(spans, gap=gap, most=_RANGE)
        wanted = sum(span.length for span in ranges)
        if self._taken + wanted > self._size // _ENOUGH and self._copy():
            return self.read(spans)
        self._taken += wanted
        return cut_out(spans, ranges, read_all(self._read, ranges, at_once=self._at_once()))

    def heal(self) -> bool:
        """See `Pages`."""
        if self._fd is None or self._cache is None:
            return False
        self.close()
        self._cache.drop(self._digest)
        return True

    def keep(self) -> None:
        """See `Pages`."""
        if self._fd is None:
            self._copy()

    def close(self) -> None:
        """Release the copy's file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __del__(self) -> None:
        self.close()

    def _is_far(self) -> bool:
        return self._cache is not None

    def _at_once(self) -> int:
        return AT_ONCE if self._is_far() else 1

    def _read(self, start: int, length: int) -> bytes:
        return self._remote.read(self._name, start, length)

    def _copy(self) -> bool:
        """Read all of it into the cache; False where there is none, or it takes no more."""
        if self._cache is None or self._copies >= _COPIES:
            return False
        self._copies += 1
        self._cache.put_parts(self._digest, self._parts())
        self._fd = self._cache.open(self._digest)
        return self._fd is not None

    def _parts(self) -> Iterator[bytes]:
        cuts = range(0, self._size, _RANGE)
        ranges = [Span(at, min(_RANGE, self._size - at)) for at in cuts]
        for at in range(0, len(ranges), AT_ONCE):
            yield from read_all(self._read, ranges[at : at + AT_ONCE])
