"""Chunks from sources into a store: bases first, read in coalesced ranges, in parallel.

Each record is decoded and checked against its id on the thread that read it, and appended as it is.
What does not come, or does not hold, is left out: whoever needs it finds that it is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import methodcaller
from typing import TYPE_CHECKING

from mlver.errors import MlverError
from mlver.exchange.index_object import Found
from mlver.exchange.record_ranges import Wanted, grouped, read_records
from mlver.exchange.source import Source
from mlver.model.digest import Digest
from mlver.store.encode import Encoder
from mlver.store.local import LocalStore
from mlver.store.pack import NewRecord
from mlver.store.record import CHUNK, base_of, needs_base, split_record, width_of
from mlver.store.session import Session

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Tell = Callable[[int], None]


class Bringer:
    """Brings chunks into one store from sources, asked in order."""

    def __init__(
        self, store: LocalStore, sources: Sequence[Source], pool: ThreadPoolExecutor, tell: Tell
    ) -> None:
        self._store, self._sources = store, sources
        self._pool, self._tell = pool, tell
        self._bytes = 0
        self._failures: dict[str, MlverError] = {}
        self._asked = list(sources)  # but for those that did not answer

    def _prepare(self, ids: Iterable[Digest]) -> None:
        """Have the sources look for all of these at once. One that fails is not asked again."""
        left = list(dict.fromkeys(ids))
        for source in list(self._asked):
            try:
                left = source.prepare(left) if left else left
            except MlverError as error:
                self._failures.setdefault(source.name, error)
                self._asked.remove(source)

    def _first(self, ask: Callable[[Source], Found | None]) -> Wanted | None:
        for source in self._asked:
            try:
                found = ask(source)
            except MlverError as error:  # one source that fails must not hide the next
                self._failures.setdefault(source.name, error)
                continue
            if found is not None:
                return Wanted(source, found)
        return None

    def _bring(self, session: Session, chunks: Iterable[Digest]) -> None:
        """Fetch chunks that the store lacks: bases first, then the deltas upon them.

        Two clones may have stored a chunk in two ways, so a base is asked for by what it must be:
        a copy that stands alone.
        """
        alone: dict[Digest, Wanted] = {}
        deltas: dict[Digest, Wanted] = {}
        new = list(dict.fromkeys(chunks))
        here = session.stored(new)
        new = [digest for digest in new if digest not in here]
        self._prepare(new)
        for digest in new:
            wanted = self._first(methodcaller("find", digest, CHUNK))
            if wanted is not None:  # what is nowhere is told when the blob is proven
                (alone if wanted.found.base is None else deltas)[digest] = wanted
        self._prepare(base for base in (w.found.base for w in deltas.values()) if base)
        for wanted in list(deltas.values()):
            base = wanted.found.base
            if base is not None and base not in alone and not session.has(base):
                copy = self._first(methodcaller("find_alone", base))
                if copy is not None:
                    alone[base] = copy
                    deltas.pop(base, None)
        self._read(session, list(alone.values()))
        if deltas:
            session.publish()
            self._read(session, list(deltas.values()))

    def _read(self, session: Session, wanted: list[Wanted]) -> None:
        futures = [self._pool.submit(self._range, session, run) for run in grouped(wanted)]
        for future in futures:
            future.result()

    def _range(self, session: Session, run: list[Wanted]) -> None:
        """Read one range, verify each record in it, store those that hold (on a pool thread)."""
        try:
            datas = self._records_in(run)
        except MlverError:
            return  # what did not come is found missing when the blob is proven
        records = []
        for item, data in zip(run, datas, strict=True):
            record = self._verified(data, item.found.id)
            if record is not None:
                records.append(record)
        session.append(records)
        self._tell(sum(record.raw for record in records))

    def _records_in(self, run: list[Wanted]) -> list[memoryview]:
        records, count = read_records(run)
        self._bytes += count
        return records

    def _verified(self, data: memoryview, digest: Digest) -> NewRecord | None:
        try:
            header, payload = split_record(data, digest, CHUNK)
            content = self._store.codec().decode(header, payload, self._store.chunk)
            if needs_base(header.codec) and self._is_delta_here(base_of(header, payload)):
                width = width_of(header, payload)
                return Encoder(self._store).record(digest, content, width=width)  # alone
        except MlverError:
            return None
        return NewRecord(CHUNK, header.codec, header.raw, header.id, (payload,))

    def _is_delta_here(self, digest: Digest) -> bool:
        place = self._store.locate(digest)
        return place is None or needs_base(place.codec)
