"""Records of the store onto a remote: only what it lacks, packs first, then one index object.

Write order, MUST: mlver.json, packs, index object; the caller lets git write its refs only when
this has returned. Before that the remote is asked once more whether all that the push relied on is
there still and none of it is condemned (docs/decisions/0015): if not, it starts again. What the
remote has is asked of the remote each time. What a killed push has left there is used, not sent
again (`orphans`). Every record is decoded and verified before it leaves: a damaged store is never
spread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from mlver.errors import CorruptContent, MissingContent, MlverError, RemoteError
from mlver.exchange import layout
from mlver.exchange.condemned import Key
from mlver.exchange.index_object import Found
from mlver.exchange.orphans import adopt, row_of
from mlver.exchange.outgoing import Stretch, laid_out, stretch_of, stretches
from mlver.exchange.paged_writer import encoded
from mlver.exchange.sending import groups, look_ahead
from mlver.exchange.source import Catalog, has_blob
from mlver.model.digest import Digest, Hasher, digest_of, short
from mlver.model.pointer import Pointer
from mlver.store import pack
from mlver.store.index import Location
from mlver.store.local import LocalStore
from mlver.store.record import CHUNK, RAW, RECIPE, Buffer, needs_base

_IN_FLIGHT = 2
_ASK_EACH = 100
"""More packs than these are looked for in one listing: it names a thousand in one answer."""
_TURNS = 5
"""A push that collection overtakes starts again so often: it sends little each time."""


@dataclass(slots=True)
class PushResult:
    """What a push did. `absent`: blobs that neither side has."""

    sent: set[Pointer] = field(default_factory=set)
    present: set[Pointer] = field(default_factory=set)
    absent: dict[Pointer, MlverError] = field(default_factory=dict)
    bytes: int = 0
    packs: int = 0


class Pusher:
    """Pushes blobs of one store to one remote."""

    def __init__(self, store: LocalStore, catalog: Catalog, tell: Callable[[int], None]) -> None:
        self._store, self._catalog = store, catalog
        self._remote = catalog.remote
        self._tell = tell
        catalog.wary = True
        self._named_packs: dict[Digest, int] = {}  # packs that our index objects name, their sizes
        self._reset()

    def _reset(self) -> None:
        self._entered: list[Found] = []
        self._index_name: str | None = None  # of the index object that this turn has written
        self._alone: set[Key] = set()  # deltas here that must stand alone there
        self._bases: set[Digest] = set()  # what must stand alone, since deltas are sent upon it

    def push(self, pointers: Iterable[Pointer], *, deep: bool = False) -> PushResult:
        """Make the remote hold these blobs. Raises RemoteError, CorruptContent.

        Returns only when everything that is in `sent` is on the remote and indexed. `deep`: every
        record of a blob is looked for, not its recipe alone (a pack may be gone).
        """
        wanted = list(dict.fromkeys(pointers))
        result = PushResult()
        layout.ensure_meta(self._remote)
        for _ in range(_TURNS):
            self._reset()
            result.absent.clear()
            if wanted:
                self._catalog.objects()  # with the lists: what this turn relies on
            self._turn(wanted, result, deep=deep or bool(self._catalog.distrusted))
            is_current = not wanted or all(
                [self._catalog.is_current(self._index_name), self._has_packs()]
            )
            if self._entered or not is_current:
                self._catalog.forget()
            if is_current:
                return result
        raise RemoteError(
            f"{self._catalog.name} changed each time that it was looked at",
            why="git mlver gc --remote works there, with a time of grace that is too short, or"
            " index objects are not kept there",
            fix="git mlver push, when that has ended",
        )

    def _turn(self, wanted: list[Pointer], result: PushResult, *, deep: bool) -> None:
        needed: dict[Key, Location] = {}
        look_ahead(self._catalog, self._store, wanted, deep=deep)
        for pointer in wanted:
            if not deep and has_blob(self._catalog, pointer.oid, pointer.size):
                if pointer not in result.sent:
                    result.present.add(pointer)
                continue
            result.present.discard(pointer)
            try:
                needed.update(self._needs(pointer, needed))
            except MissingContent as error:
                result.absent[pointer] = error
                continue
            result.sent.add(pointer)
        if needed:
            adopted = adopt(self._store, self._catalog, needed, self._bases)
            self._entered += adopted.rows
            self._named_packs |= adopted.packs
            self._send(needed, result)
            self._write_index()

    def _has_packs(self) -> bool:
        """True if the packs that we name are there still, now that an index names them.

        A pack that was there before us may be old enough to be deleted, and so may one of ours if
        this took longer than the grace. What was in it is sent again.
        """
        there = self._sizes({layout.pack_object(pack) for pack in self._named_packs})
        gone = {
            pack
            for pack, size in self._named_packs.items()
            if there.get(layout.pack_object(pack)) != size
        }
        for pack_id in gone:
            del self._named_packs[pack_id]
        self._catalog.distrusted |= gone
        return not gone

    def _sizes(self, names: set[str]) -> dict[str, int | None]:
        if len(names) <= _ASK_EACH:
            return {name: self._remote.size(name) for name in names}
        return {row.name: row.size for row in self._remote.list(layout.PACKS) if row.name in names}

    def _needs(self, pointer: Pointer, known: dict[Key, Location]) -> dict[Key, Location]:
        """Every record of the blob that the remote lacks."""
        wanted: dict[Key, Location] = {}
        for digest, _ in self._store.list_rows(pointer):
            self._need((digest, CHUNK), known, wanted)
        if self._store.locate(pointer.oid) is None:
            for digest, _ in self._store.rows(pointer):
                self._need((digest, CHUNK), known, wanted)
            self._need((pointer.oid, RECIPE), known, wanted)
        else:
            self._need((pointer.oid, CHUNK), known, wanted)
        return wanted

    def _need(self, key: Key, known: dict[Key, Location], wanted: dict[Key, Location]) -> None:
        if key in known or key in wanted or self._catalog.find(*key) is not None:
            return
        place = self._store.locate(*key)
        if place is None:
            raise MissingContent(
                f"content {short(key[0])} is neither here nor on {self._catalog.name}",
                fix="git mlver fetch, from a remote that has it",
            )
        wanted[key] = place
        if needs_base(place.codec):
            base = self._store.base_of_chunk(key[0])
            if base is None:
                raise CorruptContent(f"the base of {short(key[0])} cannot be read")
            self._need_base(key, base, known, wanted)

    def _need_base(
        self, key: Key, base: Digest, known: dict[Key, Location], wanted: dict[Key, Location]
    ) -> None:
        """See that the delta's base stands alone there; where it cannot, the delta does.

        Another clone may have pushed our base as a delta of its own; a delta upon that one could
        be read by nobody.
        """
        if self._catalog.find_alone(base) is not None:
            return
        if self._catalog.find(base, CHUNK) is not None:
            self._alone.add(key)
            return
        self._bases.add(base)
        self._need((base, CHUNK), known, wanted)

    def _send(self, needed: dict[Key, Location], result: PushResult) -> None:
        packs = list(groups(needed))
        with ThreadPoolExecutor(_IN_FLIGHT, thread_name_prefix="mlver-push") as pool:
            for entered, size in pool.map(partial(self._send_pack, needed), packs):
                self._entered += entered
                result.bytes += size
                result.packs += 1

    def _send_pack(
        self, places: Mapping[Key, Location], keys: list[Key]
    ) -> tuple[list[Found], int]:
        """Build one pack, write it, and see that it is there (on a pool thread)."""
        pieces = []
        for piece in stretches(self._store, keys, places, self._alone):
            pieces.append(piece)
            self._tell(sum(header.raw for header in piece.headers))
        pack_id, entries, parts = self._built(pieces)
        size = sum(map(len, parts))
        self._create(layout.pack_object(pack_id), parts, size)
        self._named_packs[pack_id] = size
        self._catalog.distrusted -= {pack_id}
        bases = [base for piece in pieces for base in piece.bases]
        return [row_of(pack_id, e, base) for e, base in zip(entries, bases, strict=False)], size

    def _built(self, pieces: list[Stretch]) -> tuple[Digest, list[pack.Entry], list[Buffer]]:
        """Id, entries and bytes of a pack of these records, under a name that is not condemned.

        The same records make the same pack, and one of that name may be about to be deleted: what
        is sent anew must not be that object. A record that nothing names, at the end, gives it
        another name, and the same one again to a push that was killed.
        """
        turn = 0
        while True:
            salt = b"mlver/1 salt %d" % turn
            extra = pack.NewRecord(CHUNK, RAW, len(salt), digest_of(salt), (salt,))
            entries, parts = laid_out([*pieces, stretch_of(extra)] if turn else pieces)
            hasher = Hasher()
            for part in parts:
                hasher.update(part)
            pack_id = Digest(hasher.digest())
            if pack_id not in self._catalog.condemned.packs:
                return pack_id, entries, parts
            turn += 1

    def _write_index(self) -> None:
        if self._entered:
            self._index_name, data = encoded(self._entered)
            self._create(self._index_name, [data], len(data))

    def _create(self, name: str, parts: list[Buffer], size: int) -> None:
        """Write an object and see that it is there. An index object may have been merged and
        deleted at once: then this turn is none that counts (`is_current`)."""
        self._remote.create(name, parts)
        kept = self._remote.size(name)
        if kept != size and (kept is not None or not name.startswith(layout.INDEX)):
            raise RemoteError(
                f"{self._catalog.name} did not keep what was sent",
                why=f"{name} has {kept} bytes there, {size} were sent",
                fix="git mlver push, again; then git mlver fsck --remote",
            )
