"""Clean and smudge: what git asks of the filter, answered from the store.

Clean: a valid pointer passes through, pointer lines between conflict markers too, everything
else becomes a pointer when its content is in a pack file. Smudge never fails a checkout: what
cannot be had becomes the pointer, with one warning that names the command that repairs. Missing
content of a whole checkout is fetched in one batch (delay).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from mlver.errors import CorruptContent, LocalIOError, MissingContent, MlverError
from mlver.git.config import DEFAULT_SMUDGE_LIMIT
from mlver.git.filter_process import FilterError, ReadInto, Request
from mlver.git.history import pointer_at
from mlver.git.objects import BlobReader, blob_id
from mlver.git.selection import EVERYTHING, Selection
from mlver.model import pointer as pointers
from mlver.model.pointer import Pointer
from mlver.store.assemble import read_blob, stream_blob
from mlver.store.files import local_error
from mlver.workflows import deferred, partial
from mlver.workflows.context import Context

if TYPE_CHECKING:
    from mlver.exchange.fetch import Outcome
    from mlver.store.ingest import Ingest

Buffer = bytes | memoryview
_PEEK = 16 * 1024
_WORTH_A_BASE = 64 * 1024


class FilterHandler:
    """Serves one git command. `close` does what was put off."""

    def __init__(self, ctx: Context, *, skip_smudge: bool = False) -> None:
        self._ctx = ctx
        self._skip = skip_smudge
        self._ingest: Ingest | None = None
        self._reader: BlobReader | None = None
        self._delayed: dict[bytes, Pointer] = {}
        self._announced = False
        self._failed: dict[bytes, MlverError] = {}
        self._deferred = deferred.Deferred(ctx)
        self._warned_malformed = False
        self._served = self._fetches = False

    # -- clean -----------------------------------------------------------------------------

    def clean(self, request: Request, read_into: ReadInto) -> Buffer:
        head = memoryview(bytearray(_PEEK))
        length = 0
        while length < _PEEK and (count := read_into(head[length:])):
            length += count
        data = head[:length]
        if length < _PEEK and (pointers.parse(data) or pointers.is_conflicted(data)):
            return data
        self._served = True
        try:
            pointer = self._store(request, data, length, read_into)
        except MlverError as error:
            self._ctx.warn(f"{os.fsdecode(request.path)}: {error}")
            raise FilterError from error
        return b"" if pointer is None else pointer.encode()

    def _store(
        self, request: Request, data: memoryview, length: int, read_into: ReadInto
    ) -> Pointer | None:
        if self._ingest is None:
            from mlver.store.ingest import Ingest  # a checkout stores nothing

            self._ingest = Ingest(self._ctx.store)
        previous = self._previous(request.path)
        if length < _PEEK:
            return self._ingest.add_bytes(data, previous) if length else None
        return self._ingest.add(_prefixed(data, read_into), previous)

    def _previous(self, path: bytes) -> Callable[[], Pointer | None]:
        """The version that the index names at this path (through git's own environment)."""

        def ask() -> Pointer | None:
            if self._reader is None:
                self._reader = BlobReader(self._ctx.repo)
            return pointer_at(self._reader, path)

        return ask

    # -- smudge ----------------------------------------------------------------------------

    def smudge(self, request: Request, data: bytes) -> Iterable[Buffer] | None:
        pointer = pointers.parse(data) or self._converted(request, data)
        if pointer is None:
            self._tell_malformed(request.path, data)
            return [data]
        data = pointer.encode()
        self._served = True
        self._failed.pop(request.path, None)  # a rebase may ask for a path several times
        if self._skip:
            return [data]
        try:
            return self._smudge(request, pointer, data)
        except Exception as error:
            # git deletes the file whose smudge fails (after a delay: all of them), so whatever is
            # wrong with us, the pointer is the answer.
            self._failed[request.path] = _reason(error)
            return [data]

    def _converted(self, request: Request, data: bytes) -> Pointer | None:
        """The pointer whose line ends git itself converted before it asked us (`text` is set below
        our line in .gitattributes): told from content by the id of the blob that git names."""
        if len(data) >= pointers.MAX_SIZE:
            return None
        text = data.replace(b"\r\n", b"\n")
        pointer = pointers.parse(text) if text != data else None
        if pointer is None or request.blob != blob_id(self._ctx.repo, text).encode():
            return None
        return pointer

    def _smudge(self, request: Request, pointer: Pointer, data: bytes) -> Iterable[Buffer] | None:
        if not self._chosen.takes(request.path) and not self._is_here(pointer):
            return [data]  # a partial clone: this is as it should be
        if pointer.size > self._limit and request.can_delay:
            self._deferred.add(request.path, pointer)
            return [data]
        content = self._content(pointer)
        if content is not None:
            return content
        self._fetches = True
        if request.can_delay and self._is_bounded:
            self._deferred.add(request.path, pointer)  # not all of it into the store at once
            return [data]
        if request.can_delay:
            self._delayed[request.path] = pointer
            return None
        outcome = _fetched(self._ctx, [pointer])
        if pointer in outcome.failed:
            raise outcome.failed[pointer]
        content = self._content(pointer)
        if content is None:
            raise MissingContent("its content could not be read")
        return content

    @cached_property
    def _limit(self) -> int:
        try:
            return self._ctx.settings.smudge_limit
        except MlverError as error:  # a damaged .mlver.toml stops no checkout
            self._ctx.warn(str(error))
            return DEFAULT_SMUDGE_LIMIT

    @cached_property
    def _is_bounded(self) -> bool:
        from mlver.workflows import cache  # with all that fetches

        return cache.bound(self._ctx) is not None

    @cached_property
    def _chosen(self) -> Selection:
        try:
            return partial.configured(self._ctx.settings)
        except MlverError as error:  # as above; nothing is left out then
            self._ctx.warn(str(error))
            return EVERYTHING

    def _is_here(self, pointer: Pointer) -> bool:
        try:
            return self._ctx.store.missing(pointer) is None
        except MlverError:
            return False

    def _content(self, pointer: Pointer) -> Iterable[Buffer] | None:
        """The whole content, verified before the first byte is given; None if not to be had."""
        ctx = self._ctx
        try:
            if ctx.store.missing(pointer) is not None:
                return None
            if pointer.size <= self._limit:
                return [read_blob(ctx.store, pointer)]
            for _ in stream_blob(ctx.store, pointer, ctx.pool):
                pass  # nothing is shown before all of it was verified
            return _parts(stream_blob(ctx.store, pointer, ctx.pool))
        except CorruptContent as error:
            ctx.warn(f"{error.what}; asking the remotes for it")
            _forget_damaged(ctx, pointer)
            return None
        except (MissingContent, LocalIOError):
            return None

    def available(self) -> list[bytes]:
        if self._announced or not self._delayed:
            self._announced = False
            return []
        try:
            failed = _fetched(self._ctx, self._delayed.values()).failed
        except Exception as error:  # as in `smudge`
            failed = dict.fromkeys(self._delayed.values(), _reason(error))
        for path, pointer in self._delayed.items():
            if pointer in failed:
                self._failed[path] = failed[pointer]
        self._announced = True
        return list(self._delayed)

    def delayed(self, request: Request) -> Iterable[Buffer]:
        pointer = self._delayed.pop(request.path, None)
        if pointer is None:
            return []  # an empty file
        try:
            content = None if request.path in self._failed else self._content(pointer)
            if content is not None:
                return content
            error: Exception = MissingContent("its content could not be read")
        except Exception as raised:  # as in `smudge`
            error = raised
        self._failed.setdefault(request.path, _reason(error))
        return [pointer.encode()]

    def _tell_malformed(self, path: bytes, data: bytes) -> None:
        if not self._warned_malformed and (
            pointers.looks_like(data) or pointers.is_conflicted(data)
        ):
            self._warned_malformed = True
            self._ctx.warn(
                f"{os.fsdecode(path)} holds a damaged pointer and was left as it is;"
                " next: git mlver doctor"
            )

    # -- the end ---------------------------------------------------------------------------

    def close(self) -> None:
        """Seal what was stored, say once what is missing, write what was put off."""
        if self._reader is not None:
            self._reader.close()
        if self._ingest is not None:
            self._ingest.close()
        left = self._deferred.left() if self._deferred.rows else {}
        if left:
            self._failed.update(deferred.serve(self._ctx, left).failed)
        if self._failed:
            from mlver.workflows.hydrate import explain

            self._ctx.warn(explain(self._failed))
        if self._fetches:
            from mlver.workflows import cache

            cache.enforce(self._ctx)
        if self._served:
            self._adopt()

    def _adopt(self) -> None:
        hook = os.path.join(self._ctx.repo.common_dir, b"hooks", b"pre-push")
        if os.path.lexists(hook):
            return
        from mlver.workflows.install import adopt  # once a clone

        with contextlib.suppress(MlverError, OSError):
            adopt(self._ctx)


class WithoutRepository:
    """Serves git where our own look at the repository failed: no checkout loses a file, and
    nothing is added raw."""

    def clean(self, request: Request, read_into: ReadInto) -> Buffer:
        raise FilterError

    def smudge(self, request: Request, data: bytes) -> Iterable[Buffer]:
        return [data]

    def available(self) -> list[bytes]:
        return []

    def delayed(self, request: Request) -> Iterable[Buffer]:
        return []


def _fetched(ctx: Context, wanted: Iterable[Pointer]) -> Outcome:
    from mlver.workflows.fetch import fetch_pointers  # all that speaks to remotes

    return fetch_pointers(ctx, wanted)


def _forget_damaged(ctx: Context, pointer: Pointer) -> None:
    from mlver.workflows.restore import forget_damaged

    forget_damaged(ctx, pointer)


def _reason(error: Exception) -> MlverError:
    if isinstance(error, MlverError):
        return error
    if isinstance(error, OSError):
        return local_error(error, "reading content")
    return MlverError(f"git-mlver failed: {type(error).__name__}: {error}")


def _prefixed(head: memoryview, read_into: ReadInto) -> ReadInto:
    """`read_into` with bytes put back in front."""
    rest = head

    def read(view: memoryview) -> int:
        nonlocal rest
        if not rest:
            return read_into(view)
        count = min(len(rest), len(view))
        view[:count] = rest[:count]
        rest = rest[count:]
        return count

    return read


def _parts(stream: Iterator[list[Buffer]]) -> Iterator[Buffer]:
    for parts in stream:
        yield from parts
