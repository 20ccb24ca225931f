"""One blob on its way into the store: its rows so far, and the version that it replaces.

Chunks are noted in order; what is new is stored, as a delta where the old version has a chunk in
its place. The recipe comes last: what it names is in the pack by then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterable

from mlver.errors import MlverError
from mlver.model.digest import Digest, digest_of
from mlver.model.pointer import Pointer
from mlver.model.recipe import INLINE_ROWS, ListCutter, Recipe, Row
from mlver.store.align import Aligner
from mlver.store.encode import Encoder
from mlver.store.local import LocalStore
from mlver.store.record import RECIPE
from mlver.store.session import Session
from mlver.store.tensors import Layout, begin_of, layout_of
from mlver.store.windows import WindowReader


class BlobWriter:
    """What is known of the blob being added: its rows so far, and the version it replaces."""

    def __init__(
        self,
        store: LocalStore,
        session: Session,
        previous: Pointer | None,
        layout: Layout | None = None,
    ) -> None:
        """`layout`: where its tensors lie, if it has any."""
        self._store, self._session = store, session
        self._previous = previous
        self._layout = layout
        self._old_layout = None if layout is None else self._layout_of(previous)
        self._aligner = Aligner(self._rows_of(previous))
        self._encoder = Encoder(store)
        self._claimed: set[Digest] = set()
        self._rows: list[Row] = []
        self._outer: _ListWriter | None = None

    def _rows_of(self, previous: Pointer | None) -> Iterable[Row]:
        if previous is None:
            return ()
        try:
            return list(self._store.rows(previous))
        except MlverError:
            return ()  # not here: then there is nothing to take deltas against

    def _layout_of(self, pointer: Pointer | None) -> Layout | None:
        """Where the tensors of the old version lie; its header is read, and no more."""
        head = b""
        try:
            for digest, _ in () if pointer is None else self._store.rows(pointer):
                head += self._store.chunk(digest)
                begin = begin_of(head)
                if begin is None or begin <= len(head):
                    break
        except MlverError:
            return None
        return layout_of(head)

    def take(self, digest: Digest, start: int, length: int, stored: Container[bytes] = ()) -> bool:
        """Note the next chunk of the blob; True if it has to be stored: not among `stored`."""
        self._row((digest, length))
        self._aligner.matched(digest, start)
        if digest in self._claimed or digest in stored:
            return False
        self._claimed.add(digest)
        return True

    def _row(self, row: Row) -> None:
        if self._outer is None and len(self._rows) >= INLINE_ROWS:
            self._outer = _ListWriter(self._store, self._session, self._encoder, self._previous)
            for earlier in self._rows:
                self._outer.push(earlier)
            self._rows.clear()
        if self._outer is not None:
            self._outer.push(row)
        else:
            self._rows.append(row)

    def base(self, start: int, length: int) -> Digest | None:
        """The full chunk that the new chunk at `start` can be a delta against."""
        place = self._old_place(start)
        if place is None:
            found = self._aligner.base_for(start, length)
        else:
            found = self._aligner.covering(place + length // 2)
        return None if found is None else self._store.base_of_chunk(found)

    def _old_place(self, start: int) -> int | None:
        """Where the old version has the tensor that is at `start`, however far it was moved."""
        region = self._layout.region(start) if self._layout else None
        if region is None or self._old_layout is None:
            return None
        old = self._old_layout.start_of(region.name)
        return None if old is None else old + start - region.start

    def width(self, start: int) -> int:
        """The width of the floats of which the chunk at `start` consists, else 0."""
        return self._layout.width(start) if self._layout else 0

    def store_chunk(self, digest: Digest, data: memoryview, start: int) -> None:
        """Store one chunk now, unless it is known."""
        if not self._session.has(digest):
            base = self.base(start, len(data))
            record = self._encoder.record(digest, data, base, width=self.width(start))
            self._session.append([record])

    def encode(
        self,
        new: list[tuple[Digest, memoryview, Digest | None, int]],
        reader: WindowReader,
        buffer: bytearray,
    ) -> None:
        """Encode and append a window's new chunks (on a pool thread)."""
        try:
            self._session.append(
                [
                    self._encoder.record(digest, data, base, width=width)
                    for digest, data, base, width in new
                ]
            )
        finally:
            reader.recycle(buffer)

    def store_recipe(self, pointer: Pointer) -> None:
        """Store the recipe, last: what it names is in the pack already."""
        if self._session.has(pointer.oid, RECIPE) or self._session.has(pointer.oid):
            return
        if self._outer is not None:
            recipe = Recipe(pointer.size, 1, self._outer.finish())
        else:
            recipe = Recipe(pointer.size, 0, tuple(self._rows))
        base = None
        payload = recipe.encode(pointer.oid)
        record = Encoder(self._store).record(pointer.oid, payload, base, RECIPE)
        self._session.append([record])


class _ListWriter:
    """The list chunks of a long recipe, stored as they fill, against those of the old one."""

    def __init__(
        self,
        store: LocalStore,
        session: Session,
        encoder: Encoder,
        previous: Pointer | None,
    ) -> None:
        self._store, self._session = store, session
        self._encoder = Encoder(store)
        self._cutter = ListCutter()
        self._rows: list[Row] = []
        self._end = 0
        self._aligner = Aligner(())
        if previous is not None:
            with contextlib.suppress(MlverError):
                self._aligner = Aligner(store.list_rows(previous))

    def push(self, row: Row) -> None:
        done = self._cutter.push(row)
        if done is not None:
            self._add(done)

    def _add(self, data: bytes) -> None:
        digest = digest_of(data)
        self._aligner.matched(digest, self._end)
        if not self._session.has(digest):
            found = self._aligner.base_for(self._end, len(data))
            base = None if found is None else self._store.base_of_chunk(found)
            self._session.append([self._encoder.record(digest, memoryview(data), base)])
        self._rows.append((digest, len(data)))
        self._end += len(data)

    def finish(self) -> tuple[Row, ...]:
        done = self._cutter.finish()
        if done is not None:
            self._add(done)
        return tuple(self._rows)
