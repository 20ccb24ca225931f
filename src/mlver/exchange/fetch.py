"""Records from sources into the store, every byte verified before anything can name it.

For each blob: its recipe, the list chunks of a long recipe, then chunks and the bases of deltas;
only what the store lacks. Records are read in coalesced ranges, in parallel, decoded to be
checked, and appended as they are. A recipe is recorded last, after the blob that it builds was
hashed as a whole: a store never holds a recipe that was not proven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING

from mlver.errors import CorruptContent, MissingContent, MlverError, RemoteError
from mlver.exchange.index_object import Found
from mlver.exchange.record_ranges import Wanted, grouped, read_records
from mlver.exchange.source import Source
from mlver.model.digest import Digest, Hasher, short
from mlver.model.pointer import Pointer
from mlver.model.recipe import Recipe, decode, decode_rows
from mlver.store.assemble import stream_rows
from mlver.store.encode import Encoder
from mlver.store.local import LocalStore
from mlver.store.pack import NewRecord
from mlver.store.record import (
    CHUNK,
    RECIPE,
    Buffer,
    Header,
    base_of,
    needs_base,
    split_record,
    width_of,
)
from mlver.store.session import Session

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Tell = Callable[[int], None]

_Planned = tuple[NewRecord, Recipe]
"""A recipe as it will be stored, and as it is read."""


@dataclass(slots=True)
class Outcome:
    """What came, and why the rest did not."""

    fetched: set[Pointer] = field(default_factory=set)
    failed: dict[Pointer, MlverError] = field(default_factory=dict)
    bytes: int = 0


class Fetcher:
    """Fetches blobs into one store from sources, asked in order."""

    def __init__(
        self, store: LocalStore, sources: Sequence[Source], pool: ThreadPoolExecutor, tell: Tell
    ) -> None:
        self._store, self._sources = store, sources
        self._pool, self._tell = pool, tell
        self._bytes = 0
        self._failures: dict[str, MlverError] = {}
        self._asked = list(sources)  # but for those that did not answer

    def fetch(self, pointers: Iterable[Pointer]) -> Outcome:
        """Fetch what the store lacks of these blobs. One blob's failure stops no other."""
        outcome = Outcome()
        self._asked = list(self._sources)
        with Session(self._store, replace=True) as session:
            plain, recipes = self._plan(outcome, pointers)
            self._bring(session, list(plain))
            self._bring(session, [d for _, r in recipes.values() if r.depth for d, _ in r.rows])
            session.publish()
            self._bring(session, self._chunks(outcome, recipes))
            session.publish()
            for pointer, (record, recipe) in recipes.items():
                self._guard(
                    outcome,
                    pointer,
                    partial(self._prove, session, pointer, record, recipe),
                )
            for digest, pointer in plain.items():
                self._guard(outcome, pointer, partial(self._require, digest))
        outcome.bytes = self._bytes
        return outcome

    @staticmethod
    def _guard(outcome: Outcome, pointer: Pointer, step: Callable[[], bool | None]) -> None:
        if pointer in outcome.failed:
            return
        try:
            if step() is not False:
                outcome.fetched.add(pointer)
        except MlverError as error:
            outcome.fetched.discard(pointer)
            outcome.failed[pointer] = error

    def _plan(
        self, outcome: Outcome, pointers: Iterable[Pointer]
    ) -> tuple[dict[Digest, Pointer], dict[Pointer, _Planned]]:
        """What is to be fetched: blobs that are one chunk, and recipes, which are read for it."""
        lacking = []
        for pointer in dict.fromkeys(pointers):
            self._guard(outcome, pointer, partial(self._is_whole, pointer))
            if pointer not in outcome.fetched and pointer not in outcome.failed:
                lacking.append(pointer)
        self._prepare(pointer.oid for pointer in lacking)
        plain: dict[Digest, Pointer] = {}
        recipes: dict[Pointer, _Planned] = {}
        far: dict[Pointer, Wanted] = {}
        for pointer in lacking:
            choose = partial(self._choose, pointer, plain, recipes, far)
            self._guard(outcome, pointer, choose)
        read = self._read_recipes(list(far.values()))
        for pointer in far:
            self._guard(outcome, pointer, partial(self._enter, pointer, read, recipes))
        return plain, recipes

    def _is_whole(self, pointer: Pointer) -> bool:
        return self._store.missing(pointer) is None

    def _choose(
        self,
        pointer: Pointer,
        plain: dict[Digest, Pointer],
        recipes: dict[Pointer, _Planned],
        far: dict[Pointer, Wanted],
    ) -> bool:
        wanted = self._first(methodcaller("find_blob", pointer.oid, pointer.size))
        if wanted is not None and wanted.found.kind == CHUNK:
            plain[pointer.oid] = pointer
        elif self._store.locate(pointer.oid, RECIPE) is not None:
            planned = self._decoded(pointer.oid, *self._store.record(pointer.oid, RECIPE))
            self._enter(pointer, {pointer.oid: planned}, recipes)
        elif wanted is None:
            raise self._nowhere(pointer)
        else:
            far[pointer] = wanted
        return False

    @staticmethod
    def _enter(
        pointer: Pointer,
        read: Mapping[Digest, _Planned | MlverError],
        recipes: dict[Pointer, _Planned],
    ) -> bool:
        planned = read[pointer.oid]
        if isinstance(planned, MlverError):
            raise planned
        if planned[1].size != pointer.size:
            raise CorruptContent(f"the recipe of {short(pointer.oid)} is of another size")
        recipes[pointer] = planned
        return False

    def _read_recipes(self, wanted: list[Wanted]) -> dict[Digest, _Planned | MlverError]:
        read: dict[Digest, _Planned | MlverError] = {}
        for part in self._pool.map(self._recipes_in, grouped(wanted)):
            read.update(part)
        return read

    def _recipes_in(self, run: list[Wanted]) -> dict[Digest, _Planned | MlverError]:
        """The recipes in one range, each checked by its own digest (on a pool thread)."""
        try:
            records = self._records_in(run)
        except MlverError as error:
            return {item.found.id: error for item in run}
        found: dict[Digest, _Planned | MlverError] = {}
        for item, data in zip(run, records, strict=True):
            oid = item.found.id
            try:
                found[oid] = self._decoded(oid, *split_record(data, oid, RECIPE))
            except MlverError as error:
                found[oid] = error
        return found

    def _decoded(self, oid: Digest, header: Header, payload: Buffer) -> _Planned:
        body = self._store.codec().decode(header, payload, self._store.full_chunk)
        record = NewRecord(RECIPE, header.codec, header.raw, header.id, (payload,))
        return record, decode(body, oid)

    def _nowhere(self, pointer: Pointer) -> MlverError:
        """The error for a blob that no source has: another one where a source did not answer."""
        asked = "asked: " + (", ".join(source.name for source in self._sources) or "none")
        for name, error in self._failures.items():
            return RemoteError(
                f"content {short(pointer.oid)} is on none of the places that answered",
                why=f"{asked}; {name} failed: {error.told}",
                fix=error.fix,
            )
        return MissingContent(
            f"content {short(pointer.oid)} is on none of the places asked",
            why=asked,
            fix="git mlver push, in a clone that has it; git mlver remote list, to see"
            " which places are asked",
        )

    def _chunks(self, outcome: Outcome, recipes: dict[Pointer, _Planned]) -> list[Digest]:
        wanted: dict[Digest, None] = {}
        for pointer, (_, recipe) in recipes.items():
            try:
                wanted.update((digest, None) for digest, _ in self._rows(recipe))
            except MlverError as error:
                outcome.failed[pointer] = error
        return list(wanted)

    def _rows(self, recipe: Recipe) -> Iterable[tuple[Digest, int]]:
        if recipe.depth == 0:
            yield from recipe.rows
            return
        left = recipe.size
        for digest, _ in recipe.rows:
            for row in decode_rows(self._store.chunk(digest)):
                left -= row[1]
                if left < 0 or row[1] == 0:  # forged: it must not be followed without an end
                    raise CorruptContent("a recipe's lists name more than the size that it states")
                yield row

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

    def _prove(self, session: Session, pointer: Pointer, record: NewRecord, recipe: Recipe) -> None:
        hasher = Hasher()
        for parts in stream_rows(self._store, self._rows(recipe), self._pool, check=False):
            for part in parts:
                hasher.update(part)
        if hasher.digest() != pointer.oid:
            for _ in stream_rows(self._store, self._rows(recipe), self._pool):
                pass  # a chunk that is damaged here is told by its own name
            raise CorruptContent(
                f"the recipe of {short(pointer.oid)} builds other content than it promises",
                why="the remote holds a damaged or forged recipe",
                fix="git mlver fsck --remote",
            )
        session.append([record])

    def _require(self, digest: Digest) -> None:
        if self._store.locate(digest) is None:
            raise MissingContent(
                f"content {short(digest)} could not be fetched whole",
                why="what came did not match its digest, or did not come",
                fix="git mlver fsck --remote",
            )
