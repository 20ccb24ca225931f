"""What changed inside files: two versions, wherever they are, given to the format of their name.

A version is a blob of the store (by its pointer), a blob of git's, a file of the worktree, any
file, or nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from mlver.diff import registry
from mlver.diff.options import Options
from mlver.errors import MissingContent, MlverError
from mlver.formats.base import Source
from mlver.git.objects import BlobReader
from mlver.model.change import FileDiff
from mlver.model.pointer import Pointer
from mlver.workflows.chunk_reading import Chunks
from mlver.workflows.context import Context
from mlver.workflows.diff import FileChange, Place
from mlver.workflows.versions import BlobSource, BytesSource, FileSource

SAME_VALUES = "the same values, in other bytes"


@dataclass(frozen=True, slots=True)
class Compared:
    """A file that changed, and what changed in it."""

    file: FileChange
    content: FileDiff

    @property
    def differs(self) -> bool:
        """False where both versions were read and say the same, if in other bytes."""
        status = self.file.status
        return status != "modified" or self.content.format == "opaque" or not self.content.is_empty


def compare_one(
    ctx: Context | None, change: FileChange, options_of: Callable[[FileChange], Options]
) -> Compared:
    """What changed in this file; opaque, with the reason, where it cannot be had. `ctx`: None
    outside of a repository, where both versions are files."""
    if change.old == change.new or registry.module_for(_name(change.path)) is None:
        return Compared(change, FileDiff("opaque"))
    with ExitStack() as stack:
        try:
            old, new = open_versions(ctx, change, stack)
            return Compared(change, compare_sources(old, new, change, options_of(change)))
        except MlverError as error:
            return Compared(change, FileDiff("opaque", notes=(_reason(error),)))


def compare_sources(old: Source, new: Source, change: FileChange, options: Options) -> FileDiff:
    """As compare_one, of versions that are open."""
    names = _name(change.old_path), _name(change.path)
    found = registry.compare(old, new, *names, options)
    if change.status in ("modified", "renamed") and found.format != "opaque" and found.is_empty:
        found = replace(found, notes=(*found.notes, SAME_VALUES))
    return found


def open_versions(
    ctx: Context | None, change: FileChange, stack: ExitStack
) -> tuple[Source, Source]:
    """Both versions, for as long as `stack` is open. Raises MissingContent, RemoteError."""
    chunks = None if ctx is None else stack.enter_context(Chunks(ctx))
    return (
        open_version(ctx, change.old, change.old_place, stack, chunks),
        open_version(ctx, change.new, change.new_place, stack, chunks),
    )


def open_version(
    ctx: Context | None,
    pointer: Pointer | None,
    place: Place,
    stack: ExitStack,
    chunks: Chunks | None = None,
) -> Source:
    """One version, from where it is."""
    if place.file is not None:
        return stack.enter_context(FileSource(place.file))
    if pointer is None or ctx is None:
        return BytesSource(b"")
    if place.blob is not None:
        reader = stack.enter_context(BlobReader(ctx.repo))
        data = reader.read(place.blob.encode())
        if data is None:
            raise MissingContent(f"git does not have the blob {place.blob}", fix="git fetch")
        return BytesSource(data)
    return BlobSource(ctx, pointer, chunks or stack.enter_context(Chunks(ctx)))


def _reason(error: MlverError) -> str:
    return error.what + (f": {error.why}" if error.why else "")


def _name(path: bytes) -> str:
    return os.fsdecode(os.path.basename(path))
