"""Three versions of a tracked file merged by what they hold, and the result put into the store.

What is not here is fetched, all three at once. Each version is written out once to a file that has
no name: a merge looks at its bytes several times.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

from mlver.formats.base import Source
from mlver.merge import registry
from mlver.merge.base import Merged, Versions, read_parts
from mlver.merge.options import Options
from mlver.model.pointer import Pointer
from mlver.store import files
from mlver.store.assemble import stream_blob
from mlver.store.ingest import Ingest
from mlver.workflows.context import Context
from mlver.workflows.diff import FileChange
from mlver.workflows.versions import BytesSource, FileSource

STRICT = "mlver-strict"
"""The attribute that makes two changes of one row a conflict: mlver-strict=row."""

Triple = tuple[Pointer | None, Pointer | None, Pointer | None]


class Inside(NamedTuple):
    """`result`: the merged content, stored; None where it is empty."""

    merged: Merged
    result: Pointer | None


def is_known(path: bytes) -> bool:
    """Whether a file of this name is merged by what it holds."""
    return registry.strategy_for(_name(path)) is not None


def options_of(ctx: Context, path: bytes) -> Options:
    """What is set for a path: its key, and whether rows count as one."""
    from mlver.diff.options import Options as DiffOptions
    from mlver.git import command
    from mlver.workflows.diff_keys import options_for

    change = FileChange(path, path, "modified", None, None)
    found = options_for(ctx, [change], DiffOptions())(change)
    asked = ctx.repo.git("check-attr", "-z", "--stdin", STRICT, input=path + b"\0")
    strict = command.fields(asked)[2:3] == [b"row"]
    return Options(found.key, found.key_source, strict=strict)


def merge_inside(
    ctx: Context, versions: Triple, path: bytes, options: Options, *, store: bool = True
) -> Inside:
    """Merge, and store the result unless it is only asked for. Raises MissingContent,
    RemoteError, LocalIOError; nothing is changed then."""
    with ExitStack() as stack:
        sources = Versions(*_open(ctx, versions, stack))
        merged = registry.merge(sources, _name(path), options)
        if not store:
            return Inside(merged, None)
        with Ingest(ctx.store) as ingest:
            reader = _Reader(read_parts(sources, merged.parts))
            result = ingest.add(reader.read_into, lambda: versions[1])
    return Inside(merged, result)


def _open(ctx: Context, versions: Triple, stack: ExitStack) -> Iterator[Source]:
    from mlver.workflows.fetch import fetch_pointers, is_whole

    missing = [pointer for pointer in versions if pointer and not is_whole(ctx, pointer)]
    if missing:
        failed = fetch_pointers(ctx, list(dict.fromkeys(missing))).failed
        for error in failed.values():
            raise error
    for pointer in versions:
        if pointer is None:
            yield BytesSource(b"")
        else:
            yield stack.enter_context(_written_out(ctx, pointer))


def _written_out(ctx: Context, pointer: Pointer) -> FileSource:
    folder = os.fsdecode(ctx.repo.store_dir)
    with files.disk_errors("writing a version to be merged", folder):
        files.free_space_or_error(ctx.repo.store_dir, pointer.size, "merging")
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            for part in stream_blob(ctx.store, pointer, ctx.pool):
                files.write_all(file.fileno(), list(part))
            return FileSource(os.fsencode(folder), os.dup(file.fileno()))


class _Reader:
    """Parts of bytes as a stream."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts, self._rest = iter(parts), memoryview(b"")

    def read_into(self, view: memoryview) -> int:
        """Fills `view` from the front; 0 at the end."""
        while not self._rest:
            data = next(self._parts, None)
            if data is None:
                return 0
            self._rest = memoryview(data)
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _name(path: bytes) -> str:
    return os.fsdecode(os.path.basename(path))
