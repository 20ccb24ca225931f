"""Pointers in the worktree become content, written directly, and git's index is told their stat.

A file is replaced only if it still holds exactly the pointer: a change of the user's is never
overwritten. What cannot be had stays a pointer. The order: fetch everything missing in one batch;
write each file beside its place, verified; rename; patch the index, if nobody holds its lock.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mlver.errors import BusyError, CorruptContent, LocalIOError, MissingContent, MlverError
from mlver.git import index_file
from mlver.git.objects import IndexEntry, blob_id, filtered, staged
from mlver.git.selection import EVERYTHING, Selection
from mlver.git.worktree import Worktree
from mlver.model import pointer as pointers
from mlver.model.pointer import MAX_SIZE, Pointer
from mlver.store import files
from mlver.store.assemble import read_blob, stream_blob
from mlver.store.local import LocalStore
from mlver.store.record import Buffer
from mlver.workflows import cache
from mlver.workflows.context import Context
from mlver.workflows.fetch import fetch_pointers
from mlver.workflows.restore import forget_damaged

_SMALL = 1024 * 1024

Content = Callable[[Pointer], Iterable[list[Buffer]]]
"""The bytes of a blob, in order. An error may come at the end: nothing is shown before that."""


@dataclass(slots=True)
class Hydrated:
    """What was written, and why the rest was not."""

    written: dict[bytes, Pointer] = field(default_factory=dict)
    failed: dict[bytes, MlverError] = field(default_factory=dict)
    skipped: list[bytes] = field(default_factory=list)


def pending(
    ctx: Context, pathspecs: Sequence[bytes] = (), chosen: Selection = EVERYTHING
) -> dict[bytes, Pointer]:
    """Tracked files whose worktree holds the very pointer that the index names."""
    found: dict[bytes, Pointer] = {}
    entries = [e for e in staged(ctx.repo, pathspecs) if e.is_file and e.stage == 0]
    entries = [entry for entry in entries if chosen.takes(entry.path)]
    with Worktree(ctx.repo.top) as worktree:
        for entry in entries:
            pointer = _pointer_in(ctx, worktree, entry)
            if pointer is not None:
                found[entry.path] = pointer
    wanted = filtered(ctx.repo, list(found))
    return {path: pointer for path, pointer in found.items() if path in wanted}


def _pointer_in(ctx: Context, worktree: Worktree, entry: IndexEntry) -> Pointer | None:
    try:
        data = worktree.read_small(entry.path, MAX_SIZE)
    except (OSError, MlverError):
        return None
    parsed = None if data is None else pointers.parse(data)
    if parsed is None or data is None or blob_id(ctx.repo, data) != entry.blob:
        return None
    return parsed


def hydrate(
    ctx: Context, wanted: dict[bytes, Pointer], *, fetch: bool = True, remote: str | None = None
) -> Hydrated:
    """Give these files their content. Never raises for a single file: see `failed`."""
    result = Hydrated()
    if not wanted:
        return result
    stats: dict[bytes, os.stat_result] = {}
    try:
        if fetch and cache.bound(ctx) is not None:
            from mlver.workflows.straight import hydrate_bounded  # which few clones need

            hydrate_bounded(ctx, wanted, remote, result, stats)
        else:
            through_store(ctx, wanted, result, stats, fetch=fetch, remote=remote)
    finally:
        _stamp(ctx, {path: (info, wanted[path]) for path, info in stats.items()})
    return result


def through_store(
    ctx: Context,
    wanted: dict[bytes, Pointer],
    result: Hydrated,
    stats: dict[bytes, os.stat_result],
    *,
    fetch: bool,
    remote: str | None,
) -> None:
    """Fetch what the store lacks, then write the files from there."""
    if fetch:
        outcome = fetch_pointers(ctx, wanted.values(), remote)
        for path, pointer in wanted.items():
            if pointer in outcome.failed:
                result.failed[path] = outcome.failed[pointer]
    todo = {path: p for path, p in wanted.items() if path not in result.failed}
    write_all(ctx, todo, result, stats, from_store(ctx, ctx.store), heal=True)


def write_all(
    ctx: Context,
    todo: dict[bytes, Pointer],
    result: Hydrated,
    stats: dict[bytes, os.stat_result],
    content: Content,
    *,
    heal: bool = False,
) -> None:
    """Write these files. `heal`: where the store's copy is damaged, with one that is fetched."""
    total = sum(pointer.size for pointer in todo.values())
    ctx.progress.start("checking out", total)
    try:
        with Worktree(ctx.repo.top) as worktree:
            if total > _SMALL:
                files.free_space_or_error(ctx.repo.top, total, "checking out")
            for path, pointer in todo.items():
                try:
                    write = _write_or_heal if heal else _write
                    info = write(ctx, worktree, path, pointer, content)
                except MlverError as error:
                    result.failed[path] = error
                except OSError as error:
                    result.failed[path] = files.local_error(error, "writing", path)
                else:
                    if info is None:
                        result.skipped.append(path)
                    else:
                        stats[path] = info
                        result.written[path] = pointer
    except MlverError as error:
        result.failed.update(dict.fromkeys(todo.keys() - stats.keys(), error))
    finally:
        ctx.progress.finish()


def from_store(ctx: Context, store: LocalStore) -> Content:
    """Gives a blob's bytes, verified, out of a store."""

    def content(pointer: Pointer) -> Iterator[list[Buffer]]:
        if pointer.size <= _SMALL:
            return iter([[read_blob(store, pointer)]])
        return stream_blob(store, pointer, ctx.pool)

    return content


def _write_or_heal(
    ctx: Context, worktree: Worktree, path: bytes, pointer: Pointer, content: Content
) -> os.stat_result | None:
    """As `_write`; where the copy here is damaged, with one that is fetched, if one can be had."""
    try:
        return _write(ctx, worktree, path, pointer, content)
    except CorruptContent:
        forget_damaged(ctx, pointer)
        if pointer not in fetch_pointers(ctx, [pointer]).fetched:
            raise
    return _write(ctx, worktree, path, pointer, content)


def _write(
    ctx: Context, worktree: Worktree, path: bytes, pointer: Pointer, content: Content
) -> os.stat_result | None:
    info = worktree.stat(path)
    if info is None or not still_pointer(worktree, path, pointer):
        return None

    def write(fd: int) -> None:
        for parts in content(pointer):
            files.write_all(fd, list(parts))
            ctx.progress.step(sum(map(len, parts)))

    mode = stat.S_IMODE(info.st_mode)
    return worktree.replace(
        path, write, mode=mode, still=lambda: still_pointer(worktree, path, pointer)
    )


def still_pointer(worktree: Worktree, path: bytes, pointer: Pointer) -> bool:
    """True if the worktree holds the very pointer: what may be replaced."""
    return worktree.read_small(path, MAX_SIZE) == pointer.encode()


def _stamp(ctx: Context, written: dict[bytes, tuple[os.stat_result, Pointer]]) -> None:
    """Spare git the reading of what was just written. Not needed for correctness.

    Only entries that name this very content: after `git stash pop` the worktree has another
    version than the index, and a stat there would hide the change from git.
    """
    if not written:
        return
    try:
        stats = {
            entry.path: written[entry.path][0]
            for entry in staged(ctx.repo)
            if entry.path in written and entry.blob == _blob_of(ctx, written[entry.path][1])
        }
        index_file.stamp(ctx.repo.index_path, stats, hash_name=ctx.repo.hash_name)
    except BusyError:
        pass  # git holds the index (we run inside it): it will look at the files itself
    except (MlverError, OSError) as error:
        ctx.warn(
            f"git's index could not be told of what was written ({error}), so git shows it as"
            " modified; next: git mlver checkout, once the index can be written"
        )


def _blob_of(ctx: Context, pointer: Pointer) -> str:
    return blob_id(ctx.repo, pointer.encode())


def explain(failed: dict[bytes, MlverError]) -> str:
    """One warning for all files that stayed pointers."""
    path, error = next(iter(failed.items()))
    count = len(failed)
    files_word = "1 file stays a pointer" if count == 1 else f"{count} files stay pointers"
    why = f": {error.told}"
    if isinstance(error, LocalIOError):
        repair = "mend that, then git mlver pull"  # git's own command is over, and not run again
    elif isinstance(error, MissingContent):
        repair = "git mlver pull"
    else:
        repair = error.fix or "git mlver pull"
    return f"{files_word} ({os.fsdecode(path)}{why}); next: {repair}"
