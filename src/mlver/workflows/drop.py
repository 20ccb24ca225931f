"""`git mlver drop`: worktree files back to their pointers, to free the disk.

A file is dropped only if the store or a remote was just seen to hold its content, and its own
bytes are that content: a change is never dropped.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field

from mlver.errors import BusyError, MlverError, RefusedError
from mlver.exchange.source import Catalog, has_blob
from mlver.git import command, index_file
from mlver.git.objects import pointers_of, tracked
from mlver.git.worktree import Worktree
from mlver.model.pointer import MAX_SIZE, Pointer
from mlver.store import files
from mlver.workflows import places
from mlver.workflows.context import Context
from mlver.workflows.push import hold
from mlver.workflows.restore import holds


@dataclass(slots=True)
class Dropped:
    """`kept`: why a file was not dropped."""

    dropped: dict[bytes, Pointer] = field(default_factory=dict)
    kept: dict[bytes, str] = field(default_factory=dict)
    already: list[bytes] = field(default_factory=list)


def drop(ctx: Context, pathspecs: Sequence[bytes]) -> Dropped:
    """Turn tracked files under `pathspecs` into pointers."""
    entries = tracked(ctx.repo, pathspecs)
    if not entries:
        raise RefusedError(
            "no tracked file is there",
            why="what is there is in git itself, as content",
            fix="git mlver ls, to see the tracked files",
        )
    found = pointers_of(ctx.repo, (entry.blob for entry in entries))
    changed = set(command.fields(ctx.repo.git("diff-files", "--name-only", "-z")))
    _hold(ctx, found.values())
    result = Dropped()
    stats: dict[bytes, os.stat_result] = {}
    with Worktree(ctx.repo.top) as worktree:
        for entry in entries:
            pointer = found.get(entry.blob)
            if pointer is None:
                continue
            info = worktree.stat(entry.path)
            if worktree.read_small(entry.path, MAX_SIZE) == pointer.encode():
                result.already.append(entry.path)
                if info is not None and entry.path in changed:
                    stats[entry.path] = info  # a drop was killed before it told git's index
                continue
            why = _why_not(ctx, worktree, entry.path, pointer, entry.path in changed)
            info = None if why else _replace(worktree, entry.path, pointer)
            if info is None:
                result.kept[entry.path] = why or "it changed just now"
            else:
                stats[entry.path] = info
                result.dropped[entry.path] = pointer
    if stats:
        with suppress(BusyError):
            index_file.stamp(ctx.repo.index_path, stats, hash_name=ctx.repo.hash_name)
    return result


def _why_not(ctx: Context, worktree: Worktree, path: bytes, pointer: Pointer, changed: bool) -> str:
    info = worktree.stat(path)
    if info is None or not stat.S_ISREG(info.st_mode):
        return "it is not an ordinary file in the worktree"
    if changed and not holds(worktree, path, pointer):
        return "it has changes that are not added yet"
    if not _is_kept_elsewhere(ctx, pointer):
        return "its content is in no other place (git mlver push first)"
    return ""


def _hold(ctx: Context, pointers: Iterable[Pointer]) -> None:
    """Have remotes keep what the store lacks: collection in another clone sees no index of ours.
    Before they are asked whether they have it, so that nothing comes between."""
    wanted = [pointer for pointer in dict.fromkeys(pointers) if not _is_stored(ctx, pointer)]
    for source in places.sources(ctx, wary=True) if wanted else ():
        with closing(source):
            there = [p for p in wanted if has_blob(source, p.oid, p.size)]
            if there and isinstance(source, Catalog):
                hold(ctx, source, there)


def _is_stored(ctx: Context, pointer: Pointer) -> bool:
    with suppress(MlverError):
        return ctx.store.missing(pointer) is None
    return False


def _is_kept_elsewhere(ctx: Context, pointer: Pointer) -> bool:
    if _is_stored(ctx, pointer):
        return True
    for source in places.sources(ctx, wary=True):
        with closing(source):
            if has_blob(source, pointer.oid, pointer.size):
                return True
    return False


def _replace(worktree: Worktree, path: bytes, pointer: Pointer) -> os.stat_result | None:
    info = worktree.stat(path)
    if info is None:
        return None
    before = (info.st_size, info.st_mtime_ns, info.st_ino)

    def still() -> bool:
        now = worktree.stat(path)
        return now is not None and (now.st_size, now.st_mtime_ns, now.st_ino) == before

    with files.disk_errors("writing", path):
        return worktree.replace(
            path,
            lambda fd: files.write_all(fd, [pointer.encode()]),
            mode=stat.S_IMODE(info.st_mode),
            still=still,
        )
