"""Decides how a new chunk is stored: as it is, compressed, or as a delta. Never changes what is
read back; every choice is an attempt that is kept only when it pays.

Attempts that keep failing are made rarely: a random file is not compressed 16,000 times to learn
that it does not shrink. The odds live per blob and are hints, so that threads may share them.
"""

from __future__ import annotations

from mlver.errors import MlverError
from mlver.model.digest import Digest
from mlver.store.local import LocalStore
from mlver.store.pack import NewRecord
from mlver.store.record import CHUNK, DELTA, GROUPED, RAW, XOR, ZSTD, Buffer

_PAYS = 0.97
"""A compressed form is kept if it is at most this share of the raw one."""
_DELTA_PAYS = 0.7
"""A delta costs a second read at every use, so it must save more."""
_SAMPLE = 32 * 1024
"""Bytes of a chunk of floats on which the forms are compared."""
_MIN_DELTA = 512
"""Shorter chunks are not worth a base."""


class Odds:
    """How an attempt has fared lately; says whether to make it again."""

    def __init__(self, every: int = 16, patience: int = 3) -> None:
        self.every, self.patience = every, patience
        self._failures = self._skipped = 0

    def worth_trying(self) -> bool:
        if self._failures < self.patience:
            return True
        self._skipped += 1
        return self._skipped % self.every == 0

    def tell(self, paid: bool) -> None:
        self._failures = 0 if paid else self._failures + 1


class Encoder:
    """Encodes the new chunks of one blob."""

    def __init__(self, store: LocalStore) -> None:
        self.store = store
        self.compression = Odds()
        self.deltas = Odds(every=64, patience=8)

    def record(
        self,
        digest: Digest,
        data: Buffer,
        base: Digest | None = None,
        kind: int = CHUNK,
        *,
        width: int = 0,
    ) -> NewRecord:
        """The record for `data`, by whichever form is smallest of those tried.

        `width`: of the floats of which `data` consists; 0 for anything else.
        """
        if width and len(data) >= _MIN_DELTA:
            return self._of_floats(digest, data, base, kind, width)
        best: tuple[int, tuple[Buffer, ...]] = (RAW, (data,))
        size = len(data)
        if self.compression.worth_trying():
            packed = self.store.codec().compress(data)
            paid = len(packed) <= size * _PAYS
            self.compression.tell(paid)
            if paid:
                best, size = (ZSTD, (packed,)), len(packed)
        if base is not None and len(data) >= _MIN_DELTA and self.deltas.worth_trying():
            frame = self._delta(data, base)
            paid = frame is not None and len(frame) + len(base) <= size * _DELTA_PAYS
            self.deltas.tell(paid)
            if frame is not None and paid:
                best = (DELTA, (base, frame))
        return NewRecord(kind, best[0], len(data), digest, best[1])

    def _of_floats(
        self, digest: Digest, data: Buffer, base: Digest | None, kind: int, width: int
    ) -> NewRecord:
        """As `record`: forms are compared on a sample, and only the best is made of the whole."""
        codec, old = self.store.codec(), self._full(base)
        start = max(0, (len(data) - _SAMPLE) // 2) // width * width
        sample = data[start : start + _SAMPLE]
        grouped = _size(codec.grouped(sample, width))
        plain = min(len(codec.compress(sample)), len(sample))
        if base is not None and old is not None and len(old) == len(data):
            most = min(grouped, plain) / len(sample) * _DELTA_PAYS
            old_sample = old[start : start + _SAMPLE]
            if _size(codec.xor(sample, old_sample, width)) <= len(sample) * most:
                parts: tuple[Buffer, ...] = (base, *codec.xor(data, old, width))
                if _size(parts) <= len(data) * most:
                    return NewRecord(kind, XOR, len(data), digest, parts)
        form, parts = RAW, (data,)
        if min(grouped, plain) <= len(sample) * _PAYS:
            is_grouped = grouped < plain
            form = GROUPED if is_grouped else ZSTD
            parts = codec.grouped(data, width) if is_grouped else (codec.compress(data),)
            if _size(parts) > len(data) * _PAYS:
                form, parts = RAW, (data,)
        if base is not None and old is not None and self.deltas.worth_trying():
            frame = codec.delta(data, old)  # rows that were inserted, say
            paid = len(base) + len(frame) <= _size(parts) * _DELTA_PAYS
            self.deltas.tell(paid)
            if paid:
                form, parts = DELTA, (base, frame)
        return NewRecord(kind, form, len(data), digest, parts)

    def _full(self, base: Digest | None) -> Buffer | None:
        try:
            return None if base is None else self.store.full_chunk(base)
        except MlverError:
            return None  # a base that cannot be read is no base

    def _delta(self, data: Buffer, base: Digest) -> bytes | None:
        old = self._full(base)
        return None if old is None else self.store.codec().delta(data, old)


def _size(parts: tuple[Buffer, ...]) -> int:
    return sum(map(len, parts))
