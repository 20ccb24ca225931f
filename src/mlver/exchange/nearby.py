"""Records found by the footers of packs, where the index is too large to be read.

What was pushed together lies together: the rows of ten thousand files stand in ten thousand places
of a sorted index, and in some fifty packs. So few of the ids are looked up, and the footers of the
packs in which they lie tell of most others. A footer says nothing of what is condemned, and
nothing of a delta's base: it is for reading only, and deltas are left to the index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress

from mlver.errors import CorruptContent, RemoteError
from mlver.exchange import layout
from mlver.exchange.index_object import Found
from mlver.exchange.ranges import AT_ONCE
from mlver.model.digest import Digest
from mlver.remotes.base import Remote
from mlver.store import pack
from mlver.store.record import needs_base

_COST = 8 * 1024
"""Bytes that the lookup of one id costs in a large index: a block."""
_FIRST, _GROWTH = 3, 4
"""So many ids are looked up first, and so many times more in the next round."""
_TAIL = 48 * 1024
"""Read of a pack at first: the footer of most."""
_CHEAP = 1024 * 1024
"""Bytes. An index of this size is rather read whole."""

LookUp = Callable[[Collection[Digest]], Mapping[bytes, list[Found]]]


class Nearby:
    """What the footers that were read have told."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._rows: dict[bytes, list[Found]] = {}
        self._read: set[Digest] = set()

    def __contains__(self, digest: Digest) -> bool:
        return digest in self._rows

    def rows(self, digest: Digest) -> list[Found]:
        """Records of this id."""
        return self._rows.get(digest, [])

    def pays(self, ids: int, index: int) -> bool:
        """True if so many ids in an index of so many bytes are worth the search."""
        return ids > _FIRST and index > _CHEAP

    def find(self, ids: Collection[Digest], look_up: LookUp) -> None:
        """Find these ids: by `look_up`, or by the footers of packs that it has named."""
        left, size = list(ids), _FIRST
        while left:
            step = max(1, len(left) // size)
            sample = left[::step] if len(left) > size else left
            answers = look_up(sample)
            left = [digest for digest in left if digest not in answers]
            wanted = self._worth_reading(sample, answers, len(left))
            cost = self._read_footers(wanted)
            before = len(left)
            left = [digest for digest in left if digest not in self._rows]
            if (before - len(left)) * _COST < cost or (wanted and before == len(left)):
                size = len(left)  # they do not lie together
            size *= _GROWTH

    def _worth_reading(
        self, sample: Collection[Digest], answers: Mapping[bytes, list[Found]], left: int
    ) -> dict[Digest, int]:
        """Packs whose footers may tell of many that are left; how many bytes each is worth."""
        packs = Counter(row.pack for digest in sample for row in answers[digest][:1])
        worth = {p: n * left * _COST // len(sample) for p, n in packs.items()}
        return {p: n for p, n in worth.items() if p not in self._read and n >= _TAIL}

    def _read_footers(self, wanted: Mapping[Digest, int]) -> int:
        """Read the footers of packs; how many bytes that took."""
        if not wanted:
            return 0
        self._read.update(wanted)
        from concurrent.futures import ThreadPoolExecutor  # with logging: 5 ms

        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mlver-footers") as pool:
            read = list(pool.map(self._footer, wanted, wanted.values()))
        for pack_id, (entries, _) in zip(wanted, read, strict=True):
            for entry in entries:
                head = entry.header
                if not needs_base(head.codec):
                    found = Found(
                        head.id,
                        head.kind,
                        head.codec,
                        pack_id,
                        entry.offset,
                        head.stored,
                        head.raw,
                        None,
                    )
                    self._rows.setdefault(head.id, []).append(found)
        return sum(cost for _, cost in read)

    def _footer(self, pack_id: Digest, worth: int) -> tuple[Iterable[pack.Entry], int]:
        """A pack's entries, none where its footer is too long or cannot be read, and the cost."""
        name, cost = layout.pack_object(pack_id), 0
        with suppress(RemoteError, CorruptContent):
            size = self._remote.size(name)
            tail = min(size or 0, _TAIL)
            while size and tail <= max(worth, _TAIL):
                cost += tail
                found = pack.decode_footer(self._remote.read(name, size - tail, tail), size)
                if not isinstance(found, int):
                    return found, cost
                tail = found
        return (), cost
