"""Records from sources into the store, every byte verified before anything can name it.

For each blob: its recipe, the list chunks of a long recipe, then chunks and the bases of deltas;
only what the store lacks. Records are read in coalesced ranges, in parallel, decoded to be
checked, and appended as they are. A recipe is recorded last, after the blob that it builds was
hashed as a whole: a store never holds a recipe that was not proven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from operator import methodcaller

from mlver.errors import CorruptContent, MissingContent, MlverError, RemoteError
from mlver.exchange.index_object import Found
from mlver.exchange.source import Source
from mlver.model.digest import Digest, Hasher, short
from mlver.model.pointer import Pointer
from mlver.model.recipe import Recipe, decode, decode_rows
from mlver.store.assemble import stream_rows
from mlver.store.encode import Encoder
from mlver.store.local import LocalStore, split_record
from mlver.store.pack import NewRecord
from mlver.store.record import CHUNK, DELTA, HEADER, RECIPE, base_of
from mlver.store.session import Session

_GAP = 64 * 1024
_RANGE = 8 * 1024 * 1024

Tell = Callable[[int], None]


@dataclass(slots=True)
class Outcome:
    """What came, and why the rest did not."""

    fetched: set[Pointer] = field(default_factory=set)
    failed: dict[Pointer, MlverError] = field(default_factory=dict)
    bytes: int = 0


@dataclass(slots=True)
class _Wanted:
    """A record to fetch, and from where."""

    source: Source
    found: Found


class Fetcher:
    """Fetches blobs into one store from sources, asked in order."""

    def __init__(
        self, store: LocalStore, sources: Sequence[Source], pool: ThreadPoolExecutor, tell: Tell
    ) -> None:
        self._store, self._sources = store, sources
        self._pool, self._tell = pool, tell
        self._bytes = 0
        self._failures: dict[str, MlverError] = {}

    def fetch(self, pointers: Iterable[Pointer]) -> Outcome:
        """Fetch what the store lacks of these blobs. One blob's failure stops no other."""
        outcome = Outcome()
        recipes: dict[Pointer, tuple[NewRecord, Recipe]] = {}
        with Session(self._store, replace=True) as session:
            plain: dict[Digest, Pointer] = {}
            for pointer in dict.fromkeys(pointers):
                self._guard(outcome, pointer, partial(self._plan, pointer, plain, recipes))
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
        self,
        pointer: Pointer,
        plain: dict[Digest, Pointer],
        recipes: dict[Pointer, tuple[NewRecord, Recipe]],
    ) -> bool:
        """Decide what a blob needs; True if nothing, False if it is to be fetched."""
        if self._store.missing(pointer) is None:
            return True
        wanted = self._find(pointer.oid, CHUNK)
        if wanted is not None and wanted.found.raw == pointer.size:
            plain[pointer.oid] = pointer
            return False
        recipes[pointer] = self._recipe(pointer)
        return False

    def _recipe(self, pointer: Pointer) -> tuple[NewRecord, Recipe]:
        if self._store.locate(pointer.oid, RECIPE) is not None:
            header, payload = self._store.record(pointer.oid, RECIPE)
        else:
            wanted = self._find(pointer.oid, RECIPE)
            if wanted is None:
                raise self._nowhere(pointer)
            header, payload = split_record(self._raw(wanted), pointer.oid, RECIPE)
        body = self._store.codec().decode(header, payload, self._store.full_chunk)
        recipe = decode(body, pointer.oid)
        if recipe.size != pointer.size:
            raise CorruptContent(f"the recipe of {short(pointer.oid)} is of another size")
        return NewRecord(RECIPE, header.codec, header.raw, header.id, (payload,)), recipe

    def _nowhere(self, pointer: Pointer) -> MlverError:
        """The error for a blob that no source has: another one where a source did not answer."""
        asked = "asked: " + (", ".join(source.name for source in self._sources) or "none")
        for name, error in self._failures.items():
            return RemoteError(
                f"content {short(pointer.oid)} is on none of the places that answered",
                why=f"{asked}; {name} failed: {error.what}"
                + (f" ({error.why})" if error.why else ""),
                fix=error.fix,
            )
        return MissingContent(
            f"content {short(pointer.oid)} is on none of the places asked",
            why=asked,
            fix="git mlver push, in a clone that has it; git mlver remote list, to see"
            " which places are asked",
        )

    def _raw(self, wanted: _Wanted) -> bytes:
        found = wanted.found
        data = wanted.source.read(found.pack, found.offset, HEADER + found.stored)
        self._bytes += len(data)
        return data

    def _chunks(
        self, outcome: Outcome, recipes: dict[Pointer, tuple[NewRecord, Recipe]]
    ) -> list[Digest]:
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

    def _find(self, digest: Digest, kind: int) -> _Wanted | None:
        return self._first(lambda source: source.find(digest, kind))

    def _first(self, ask: Callable[[Source], Found | None]) -> _Wanted | None:
        for source in self._sources:
            try:
                found = ask(source)
            except MlverError as error:  # one source that fails must not hide the next
                self._failures.setdefault(source.name, error)
                continue
            if found is not None:
                return _Wanted(source, found)
        return None

    def _bring(self, session: Session, chunks: Iterable[Digest]) -> None:
        """Fetch chunks that the store lacks: bases first, then the deltas upon them.

        Two clones may have stored a chunk in two ways, so a base is asked for by what it must be:
        a copy that stands alone.
        """
        alone: dict[Digest, _Wanted] = {}
        deltas: dict[Digest, _Wanted] = {}
        for digest in chunks:
            if digest in alone or digest in deltas or session.has(digest):
                continue
            wanted = self._find(digest, CHUNK)
            if wanted is not None:  # what is nowhere is told when the blob is proven
                (alone if wanted.found.base is None else deltas)[digest] = wanted
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

    def _read(self, session: Session, wanted: list[_Wanted]) -> None:
        futures = [self._pool.submit(self._range, session, run) for run in _ranges(wanted)]
        for future in futures:
            future.result()

    def _range(self, session: Session, run: list[_Wanted]) -> None:
        """Read one range, verify each record in it, store those that hold (on a pool thread)."""
        first, last = run[0].found, run[-1].found
        start, end = first.offset, last.offset + HEADER + last.stored
        try:
            data = memoryview(run[0].source.read(first.pack, start, end - start))
        except MlverError:
            return  # what did not come is found missing when the blob is proven
        records = []
        for item in run:
            at = item.found.offset - start
            record = self._verified(data[at : at + HEADER + item.found.stored], item.found.id)
            if record is not None:
                records.append(record)
        session.append(records)
        self._bytes += len(data)
        self._tell(sum(record.raw for record in records))

    def _verified(self, data: memoryview, digest: Digest) -> NewRecord | None:
        try:
            header, payload = split_record(data, digest, CHUNK)
            content = self._store.codec().decode(header, payload, self._store.chunk)
            if header.codec == DELTA and self._is_delta_here(base_of(header, payload)):
                return Encoder(self._store).record(digest, content)  # a base stands alone
        except MlverError:
            return None
        return NewRecord(CHUNK, header.codec, header.raw, header.id, (payload,))

    def _is_delta_here(self, digest: Digest) -> bool:
        place = self._store.locate(digest)
        return place is None or place.codec == DELTA

    def _prove(self, session: Session, pointer: Pointer, record: NewRecord, recipe: Recipe) -> None:
        hasher = Hasher()
        for parts in stream_rows(self._store, self._rows(recipe), self._pool):
            for part in parts:
                hasher.update(part)
        if hasher.digest() != pointer.oid:
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


def _ranges(wanted: list[_Wanted]) -> list[list[_Wanted]]:
    """Records grouped into stretches of one pack that are worth one read each."""
    ordered = sorted(
        wanted, key=lambda item: (item.source.name, item.found.pack, item.found.offset)
    )
    runs: list[list[_Wanted]] = []
    for item in ordered:
        run = runs[-1] if runs else None
        if run is not None and _joins(run, item):
            run.append(item)
        else:
            runs.append([item])
    return runs


def _joins(run: list[_Wanted], item: _Wanted) -> bool:
    last, found = run[-1].found, item.found
    end = last.offset + HEADER + last.stored
    return (
        run[-1].source is item.source
        and last.pack == found.pack
        and 0 <= found.offset - end <= _GAP
        and found.offset + found.stored - run[0].found.offset <= _RANGE
    )
