"""One process's writing to the store: a pack that grows, and what it holds.

Invariant: when `append` returns, the records are in the pack file (readable after a kill); they
are durable only after `recovery.make_durable`. Several threads may append. A failed write (a
full disk) leaves whole records only, and the error is raised: nothing is acknowledged.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence

from mlver.errors import LocalIOError
from mlver.model.digest import Digest
from mlver.store import files, pack
from mlver.store.index import SEALED
from mlver.store.local import LocalStore
from mlver.store.record import CHUNK

PACK_LIMIT = 128 * 1024 * 1024
"""A pack that has reached this length is sealed, and the next one begun."""

_INDEX_EVERY = 20_000


class Session:
    """Use as a context manager: sealing and entering in the index happen at its end."""

    def __init__(self, store: LocalStore, *, replace: bool = False) -> None:
        """`replace`: what is written supersedes a (damaged) record of the same id."""
        self.store = store
        self._replace = replace
        self._lock = threading.Lock()
        self._writer: pack.PackWriter | None = None
        self._name = ""
        self._entered = 0
        self._enter_at = _INDEX_EVERY
        self._new: set[tuple[bytes, int]] = set()
        self.written = 0
        store.use()

    def has(self, digest: Digest, kind: int = CHUNK) -> bool:
        """True if the record is stored: here, before, or by this session."""
        return (digest, kind) in self._new or self.store.knows(digest, kind)

    def stored(self, digests: Sequence[Digest]) -> set[bytes]:
        """Those of these chunks that are stored, asked in one go: a question to the index gives
        the interpreter lock away, and the busy threads beside it let it wait."""
        new = {digest for digest in digests if (digest, CHUNK) in self._new}
        return new | self.store.known([digest for digest in digests if digest not in new])

    def wrote(self, digest: Digest, kind: int = CHUNK) -> bool:
        """True if this session stored the record, and has not made it findable yet."""
        return (digest, kind) in self._new

    def append(self, records: Iterable[pack.NewRecord]) -> None:
        """Store records. Raises LocalIOError; then none of them counts as stored."""
        with self._lock, files.disk_errors("storing content", self.store.root):
            if self._writer is not None and self._writer.end >= PACK_LIMIT:
                self._seal()
            if self._writer is None:
                self._name, path = self.store.new_incoming_path()
                self._writer = pack.PackWriter(path)
            entries = self._writer.append(records)
            self._new.update((entry.header.id, entry.header.kind) for entry in entries)
            self.written += sum(entry.length for entry in entries)
            if len(self._writer.entries) >= self._enter_at:
                self._enter(self._writer.end)

    def publish(self) -> None:
        """Make what was written findable by this and other processes, before the end."""
        with self._lock:
            if self._writer is not None:
                self._enter(self._writer.end)

    def _enter(self, upto: int) -> None:
        assert self._writer is not None
        fresh = self._writer.entries[self._entered :]
        self._enter_at = len(self._writer.entries) + _INDEX_EVERY
        if self.store.enter(self._name, fresh, upto, replace=self._replace):
            self._entered = len(self._writer.entries)
            self._new.clear()

    def _seal(self) -> None:
        assert self._writer is not None
        writer, self._writer = self._writer, None
        try:
            writer.seal()
        except OSError:
            writer.abandon()  # a full disk: the records are whole, only the footer is missing
            raise
        finally:
            fresh = writer.entries[self._entered :]
            self._entered, self._enter_at = 0, _INDEX_EVERY
            if writer.entries and self.store.enter(
                self._name, fresh, SEALED, replace=self._replace
            ):
                self._new.clear()

    def close(self) -> None:
        """Seal the pack. An error here loses nothing: an unsealed pack is read back."""
        with self._lock:
            if self._writer is not None:
                try:
                    self._seal()
                except OSError as error:
                    raise _unsealed(error, self.store.root) from error

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _unsealed(error: OSError, root: bytes) -> LocalIOError:
    return files.local_error(error, "sealing a pack (its content is kept)", os.path.join(root, b""))
