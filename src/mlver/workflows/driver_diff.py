"""What changed between the two files that git gives to its external diff driver, and one of them
as text for textconv.

git has written the content out, or the pointer where it could not be had; a pointer is followed
into the store of this machine, and nothing is fetched: a driver runs for many files in a row.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from mlver.diff import registry, summaries
from mlver.diff.options import Options
from mlver.errors import MlverError
from mlver.formats.base import Source
from mlver.model import pointer as pointers
from mlver.model.change import FileDiff
from mlver.model.pointer import MAX_SIZE, Pointer
from mlver.workflows.content_diff import Compared, compare_sources
from mlver.workflows.context import Context, open_context
from mlver.workflows.diff import FileChange
from mlver.workflows.versions import BlobSource, BytesSource, FileSource

_NOT_HERE = "its content is not on this machine: git mlver diff fetches what it needs"


def compare(
    path: bytes,
    old_file: bytes,
    new_file: bytes,
    old: Pointer | None,
    new: Pointer | None,
) -> Compared:
    """What changed in the file that git calls `path`."""
    null = os.fsencode(os.devnull)
    status = "added" if old_file == null else "removed" if new_file == null else "modified"
    change = FileChange(path, path, status, old, new)
    if old == new or registry.module_for(os.fsdecode(os.path.basename(path))) is None:
        return Compared(change, FileDiff("opaque"))
    with ExitStack() as stack:
        try:
            ctx = stack.enter_context(open_context())
            options = _options(ctx, change)
            versions = [_open(ctx, file, stack) for file in (old_file, new_file)]
            if None in versions:
                return Compared(change, FileDiff("opaque", notes=(_NOT_HERE,)))
            before, after = versions
            assert before is not None and after is not None
            return Compared(change, compare_sources(before, after, change, options))
        except MlverError as error:
            return Compared(change, FileDiff("opaque", notes=(error.what,)))


def _options(ctx: Context, change: FileChange) -> Options:
    from mlver.workflows.diff_keys import options_for

    return options_for(ctx, [change], Options())(change)


def _open(ctx: Context | None, file: bytes, stack: ExitStack) -> Source | None:
    """The content; None where the file is a pointer to what is not here."""
    if file == os.fsencode(os.devnull):
        return BytesSource(b"")
    source = stack.enter_context(FileSource(file))
    pointer = pointers.parse(source.read(0, MAX_SIZE)) if source.size < MAX_SIZE else None
    if pointer is None:
        return source
    if ctx is None or ctx.store.missing(pointer) is not None:
        return None
    return BlobSource(ctx, pointer)


def text_lines(file: bytes) -> list[str]:
    """The header summary of a file, by the end of its name."""
    with ExitStack() as stack:
        source = _open(None, file, stack)
        if source is None:
            return [_NOT_HERE]
        return summaries.summary(source, os.fsdecode(os.path.basename(file)))
