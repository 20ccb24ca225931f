"""The store of one repository: `<git common directory>/mlver/`, shared by all its worktrees.

    incoming/<name>-<boot>.pack   written, not yet durable; locked while its writer lives
    packs/<name>.pack             durable: fsynced before it was moved here
    index.sqlite                  derived (store/index.py)
    users                         flock: shared by whoever adds or reads, exclusive for prune

Every read is verified: a chunk against its id, a recipe against its own digest. What is damaged
is an error, never bytes; `forget` lets the same content be stored again. How content becomes
durable and is read back after a crash: store/recovery.py. Knows nothing of git or remotes.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from mlver.errors import BusyError, CorruptContent, LocalIOError, MissingContent, MlverError
from mlver.model.digest import Digest, short
from mlver.model.pointer import Pointer
from mlver.model.recipe import Recipe, Row, decode, decode_rows
from mlver.store import files, pack, recovery
from mlver.store.index import CHECKED, DAMAGED, SEALED, Index, Location, busy, is_busy
from mlver.store.names import SUFFIX, boot_of, new_incoming_file, pack_name, packs_in, this_boot
from mlver.store.record import (
    CHUNK,
    HEADER,
    RECIPE,
    Buffer,
    Codec,
    Header,
    needs_base,
    split_record,
)
from mlver.store.users import Users

T = TypeVar("T")


class LocalStore:
    """Finds and reads what is stored; `mlver.store.session` writes."""

    def __init__(self, root: bytes, *, read_only: bool = False) -> None:
        """Open the store at `root`. Nothing is created before something is written.

        `read_only`: somebody else's; its index is derived in memory, and no byte is changed.
        """
        self.root, self._read_only = root, read_only
        self.packs_dir = os.path.join(root, b"packs")
        self.incoming_dir = os.path.join(root, b"incoming")
        self.index_path = os.path.join(root, b"index.sqlite")
        self._index: Index | None = None
        self._lock = threading.RLock()
        self._local = threading.local()
        self._paths: dict[str, bytes] = {}  # where packs were last found
        self._users = Users(root)

    # -- opening and closing ---------------------------------------------------------------

    def use(self, *, exclusive: bool = False) -> None:
        """Hold the store while content is added or moved, so that no prune runs beside it.

        `exclusive`: alone. Raises BusyError where others hold it; then it is not held at all.
        """
        if not self._users.holds:
            with files.disk_errors("opening the store", self.root):
                os.makedirs(self.packs_dir, exist_ok=True)
                os.makedirs(self.incoming_dir, exist_ok=True)
        self._users.hold(alone=exclusive)

    def share(self) -> None:
        """Let others in again, once the work that had to be alone is done."""
        self._users.share()

    def close(self) -> None:
        """Release the index and the lock."""
        with self._lock:
            self._drop_index()
        self._users.release()

    def __enter__(self) -> LocalStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the index -------------------------------------------------------------------------

    def _with_index(self, use: Callable[[Index], T]) -> T:
        """Run `use` on the index; a damaged database is derived anew, at last in memory."""
        with self._lock, files.disk_errors("reading the store", self.root):
            try:
                return use(self._opened())
            except DAMAGED as error:
                if is_busy(error):
                    raise busy() from error
            try:
                self.rebuild_index()
                return use(self._opened())
            except DAMAGED:  # the disk is full, or fails
                self._drop_index()
                return use(self._opened(in_memory=True))

    def _opened(self, *, in_memory: bool = False) -> Index:
        if self._index is None:
            on_disk = self._may_write() and not in_memory
            self._index = Index(self.index_path if on_disk else None)
            try:
                self._catch_up(self._index)
            except BaseException:
                self._drop_index()  # half caught up, it would call content missing
                raise
        return self._index

    def _drop_index(self) -> None:
        if self._index is not None:
            self._index.close()
            self._index = None

    def rebuild_index(self) -> None:
        """Throw the index away and derive it from the packs."""
        with self._lock:
            self._drop_index()
            if self._may_write():
                Index.delete(self.index_path)
            self._opened()

    def _may_write(self) -> bool:
        return not self._read_only and os.path.isdir(self.root) and os.access(self.root, os.W_OK)

    def catch_up(self) -> None:
        """Enter what other processes have written since this store was opened."""
        self._with_index(self._catch_up)

    def _catch_up(self, index: Index) -> None:
        known = index.packs()
        present = dict(self.pack_files())
        for name in known.keys() - present.keys():
            index.forget_pack(name)
        doubtful = []
        for name, path in present.items():
            upto = known.get(name, 0)
            if self.is_doubtful(path):
                if upto != CHECKED:
                    doubtful.append((name, path))
            elif upto != SEALED:
                with contextlib.suppress(FileNotFoundError):  # moved or pruned just now
                    self._enter(index, name, path, upto)
        for passing in (recovery.FULL, recovery.DELTAS) if doubtful else ():
            for name, path in doubtful:
                # Checked only with the second pass: whoever is killed in between begins anew.
                upto = CHECKED if passing is recovery.DELTAS else 0
                if passing is recovery.FULL:
                    index.forget_pack(name)
                index.enter(name, recovery.checked(self, path, passing), upto)

    def is_doubtful(self, path: bytes) -> bool:
        """True for a pack that a power cut may have taken bytes from: not fsynced, other boot."""
        return os.path.dirname(path) == self.incoming_dir and boot_of(path) != this_boot()

    def pack_files(self) -> Iterator[tuple[str, bytes]]:
        """Name and path of every pack, durable ones first."""
        # incoming/ is listed first: a pack that is moved meanwhile is then seen in packs/.
        incoming, durable = packs_in(self.incoming_dir), packs_in(self.packs_dir)
        yield from durable.items()
        yield from ((name, path) for name, path in incoming.items() if name not in durable)

    @staticmethod
    def _enter(index: Index, name: str, path: bytes, upto: int) -> None:
        fd = os.open(path, files.READ)
        try:
            entries, end = _footer_or_scan(fd, max(upto, len(pack.PACK_HEADER)))
        finally:
            os.close(fd)
        index.enter(name, entries, end)

    # -- finding ---------------------------------------------------------------------------

    def locate(self, digest: Digest, kind: int = CHUNK) -> Location | None:
        """Where a record lies, or None if this store has none."""
        return self._with_index(lambda index: index.find(digest, kind))

    def knows(self, digest: Digest, kind: int) -> bool:
        """As `locate(...) is not None`, on the path that every small file takes."""
        return not self._is_empty() and self.locate(digest, kind) is not None

    def known(self, digests: Sequence[Digest]) -> set[bytes]:
        """Those of these chunks that are here, asked in one go."""
        return set() if not digests or self._is_empty() else set(self.locate_many(digests))

    def _is_empty(self) -> bool:
        with self._lock:
            return self._index is not None and self._index.is_empty

    def holds(self, pointer: Pointer) -> bool:
        """True if the blob's record is here (its chunks are not looked at: see `missing`)."""
        found = self.locate(pointer.oid)
        if found is not None and found.raw == pointer.size:
            return True
        return self.locate(pointer.oid, RECIPE) is not None

    def missing(self, pointer: Pointer) -> Digest | None:
        """The first id without which the blob cannot be put together; None if it is whole.

        A delta whose base is gone is no use: it is forgotten, to be stored or fetched again.
        Content of another size than the pointer states is not what it names.
        """
        place = self.locate(pointer.oid)
        if place is not None and place.raw == pointer.size and self._usable_at(pointer.oid, place):
            return None
        if self.locate(pointer.oid, RECIPE) is None:
            return pointer.oid
        outer = self.recipe(pointer.oid)
        if outer.size != pointer.size:
            raise CorruptContent(
                f"a pointer to {short(pointer.oid)} states {pointer.size:,} bytes, not the"
                f" {outer.size:,} that it has"
            )
        return self._first_absent(outer.rows) or (
            self._first_absent(self.rows(pointer)) if outer.depth else None
        )

    def _first_absent(self, rows: Iterable[Row]) -> Digest | None:
        absent: Digest | None = None
        for batch in batched(rows):
            found = self.locate_many([digest for digest, _ in batch])
            for digest, _ in batch:  # to the end: every delta that is no use has to be forgotten
                if not self._usable_at(digest, found.get(digest)):
                    absent = absent or digest
        return absent

    def locate_many(self, digests: Sequence[Digest]) -> dict[bytes, Location]:
        """Where chunks lie, asked in one go; those that are not here are left out."""
        return self._with_index(lambda index: index.find_many(digests, CHUNK))

    def _usable_at(self, digest: Digest, place: Location | None) -> bool:
        if place is None or not needs_base(place.codec):
            return place is not None
        base = self.base_of_chunk(digest)
        if base is not None and self.locate(base) is not None:
            return True
        with contextlib.suppress(BusyError):
            self.forget(digest)
        return False

    def recipes(self) -> list[Digest]:
        """The oid of every blob whose recipe is here."""
        return self._with_index(lambda index: index.recipes())

    def deltas(self) -> list[Location]:
        """Where every chunk lies that needs a base."""
        return self._with_index(lambda index: index.deltas())

    # -- reading ---------------------------------------------------------------------------

    def codec(self) -> Codec:
        """This thread's codec."""
        codec: Codec | None = getattr(self._local, "codec", None)
        if codec is None:
            codec = self._local.codec = Codec()
        return codec

    def pack_path(self, name: str) -> bytes:
        """Where the pack of this name lies now. Raises FileNotFoundError."""
        durable = self.durable_path(name.encode() + SUFFIX)
        if os.path.exists(durable):
            return durable
        for found, path in self.pack_files():
            if found == name:
                return path
        raise FileNotFoundError(durable)

    def read_span(self, name: str, offset: int, length: int) -> bytes:
        """Raw bytes of a pack, at most `length`; not verified. CorruptContent if it is gone."""
        with self._open_pack(name) as fd:
            return files.pread(fd, length, offset)

    def read_span_into(self, name: str, offset: int, view: memoryview) -> memoryview:
        """As `read_span`, into memory that is there; the part of `view` that was filled."""
        with self._open_pack(name) as fd:
            return view[: files.pread_into(fd, view, offset)]

    @contextlib.contextmanager
    def _open_pack(self, name: str) -> Iterator[int]:
        fd = -1
        for _ in range(3):  # the pack may be moved to its durable place between find and open
            try:
                path = self._paths.get(name) or self.pack_path(name)
                fd = os.open(path, files.READ)
                if name not in self._paths and not self._read_only:
                    files.mark_used(fd)
                self._paths[name] = path
                break
            except FileNotFoundError:
                self._paths.pop(name, None)
            except OSError as error:
                raise files.local_error(error, "reading the store") from error
        if fd < 0:
            raise CorruptContent(f"pack {name} is gone from the store", fix="git mlver fsck")
        try:
            with files.disk_errors("reading the store", self.root):
                yield fd
        finally:
            os.close(fd)

    def record(self, digest: Digest, kind: int = CHUNK) -> tuple[Header, Buffer]:
        """A record's header and payload as stored; the payload is not verified.

        Raises MissingContent, CorruptContent.
        """
        place = self.locate(digest, kind)
        if place is None:
            raise MissingContent(f"content {short(digest)} is not in this store")
        return self.record_at(place, digest, kind)

    def record_at(
        self, place: Location, digest: Digest, kind: int = CHUNK
    ) -> tuple[Header, Buffer]:
        """As `record`, where its place is known already. Raises CorruptContent."""
        data = self.read_span(place.pack, place.offset, HEADER + place.stored)
        return split_record(data, digest, kind)

    def chunk(self, digest: Digest) -> Buffer:
        """A chunk's bytes, verified. Raises MissingContent, CorruptContent."""
        header, payload = self.record(digest)
        return self.codec().decode(header, payload, self.full_chunk)

    def full_chunk(self, digest: Digest) -> Buffer:
        """A base's bytes, verified; CorruptContent if it is itself a delta."""
        header, payload = self.record(digest)
        if needs_base(header.codec):
            raise CorruptContent(f"the base {short(digest)} is itself a delta")
        return self.codec().decode(header, payload, self.full_chunk)

    def base_of_chunk(self, digest: Digest) -> Digest | None:
        """The full chunk to take a delta against: `digest` itself, or its own base. None: gone."""
        place = self.locate(digest)
        if place is None:
            return None
        if not needs_base(place.codec):
            return digest
        with contextlib.suppress(MlverError):
            return Digest(self.read_span(place.pack, place.offset + HEADER, 32))
        return None

    def recipe(self, oid: Digest) -> Recipe:
        """A blob's recipe, checked by its own digest. Raises MissingContent, CorruptContent."""
        header, payload = self.record(oid, RECIPE)
        return decode(self.codec().decode(header, payload, self.full_chunk), oid)

    def rows(self, pointer: Pointer) -> Iterator[Row]:
        """The blob's chunks in order. Raises MissingContent, CorruptContent."""
        if self.locate(pointer.oid, RECIPE) is None:
            yield pointer.oid, pointer.size
            return
        outer = self.recipe(pointer.oid)
        if outer.depth == 0:
            yield from outer.rows
            return
        for digest, _ in outer.rows:
            yield from decode_rows(self.chunk(digest))

    def list_rows(self, pointer: Pointer) -> tuple[Row, ...]:
        """The list chunks of the blob's recipe; () where it has none."""
        if self.locate(pointer.oid, RECIPE) is None:
            return ()
        outer = self.recipe(pointer.oid)
        return outer.rows if outer.depth else ()

    def forget(self, digest: Digest, kind: int = CHUNK) -> None:
        """Take a damaged record for missing, so that the content can be stored again."""
        self._with_index(lambda index: index.forget(digest, kind))

    def enter(self, name: str, entries: list[pack.Entry], upto: int, *, replace: bool) -> bool:
        """Make written records known; False where that failed.

        That loses nothing, since the packs are read again, as long as no later call passes these
        entries over: a pack that is entered up to an offset is not read before it again.
        """
        try:
            self._with_index(lambda index: index.enter(name, entries, upto, replace=replace))
        except (sqlite3.Error, BusyError, LocalIOError):
            return False
        return True

    # -- writing -----------------------------------------------------------------------------

    def durable_path(self, incoming: bytes) -> bytes:
        """Where an incoming pack goes once it is durable."""
        return os.path.join(self.packs_dir, pack_name(os.path.basename(incoming)).encode() + SUFFIX)

    def new_incoming_path(self) -> tuple[str, bytes]:
        """A fresh pack name and its path in incoming/."""
        name, file = new_incoming_file()
        return name, os.path.join(self.incoming_dir, file)


def batched(rows: Iterable[Row], size: int = 500) -> Iterator[list[Row]]:
    """Rows in lists of at most `size`."""
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch


def _footer_or_scan(fd: int, upto: int) -> tuple[list[pack.Entry], int]:
    """Entries of a pack from `upto` on, and up to where they were read."""
    with contextlib.suppress(CorruptContent):
        return pack.read_footer(fd), SEALED
    entries = list(pack.scan(fd, upto))
    return entries, entries[-1].offset + entries[-1].length if entries else upto
