"""What changed inside files: two versions, wherever they are, given to the format of their name.

A version is a blob of the store (by its pointer), a file of the worktree, any file, or nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from mlver.diff import registry
from mlver.diff.options import Options
from mlver.errors import MlverError
from mlver.formats.base import Source
from mlver.model.change import FileDiff
from mlver.model.pointer import Pointer
from mlver.workflows.context import Context
from mlver.workflows.diff import FileChange
from mlver.workflows.versions import BlobSource, BytesSource, FileSource


@dataclass(frozen=True, slots=True)
class Compared:
    """A file that changed, and what changed in it."""

    file: FileChange
    content: FileDiff


def compare_all(
    ctx: Context, changes: Sequence[FileChange], options: Options, *, from_worktree: bool
) -> Iterator[Compared]:
    """The content of each changed file compared, one after another. A file whose content cannot be
    had is opaque, with the reason."""
    for change in changes:
        if change.status == "renamed" or registry.module_for(_name(change.path)) is None:
            yield Compared(change, FileDiff("opaque"))
            continue
        with ExitStack() as stack:
            try:
                old = _blob(ctx, change.old)
                new = (
                    _worktree_file(ctx, change.path, stack)
                    if from_worktree and change.new is not None
                    else _blob(ctx, change.new)
                )
                yield Compared(change, _compare(old, new, change, options))
            except MlverError as error:
                why = error.what + (f": {error.why}" if error.why else "")
                yield Compared(change, FileDiff("opaque", notes=(why,)))


def compare_files(old: bytes, new: bytes, options: Options) -> FileDiff:
    """Two files, of a repository or not. Raises LocalIOError."""
    with FileSource(old) as before, FileSource(new) as after:
        return registry.compare(before, after, _name(old), _name(new), options)


def _compare(old: Source, new: Source, change: FileChange, options: Options) -> FileDiff:
    return registry.compare(old, new, _name(change.old_path), _name(change.path), options)


def _name(path: bytes) -> str:
    return os.fsdecode(os.path.basename(path))


def _blob(ctx: Context, pointer: Pointer | None) -> Source:
    return BytesSource(b"") if pointer is None else BlobSource(ctx, pointer)


def _worktree_file(ctx: Context, path: bytes, stack: ExitStack) -> Source:
    return stack.enter_context(FileSource(os.path.join(ctx.repo.top, path)))
