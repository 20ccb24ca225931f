"""Staged content becomes a pointer: the second half of the pre-commit hook (workflows/precommit).

The attribute is added, so that git treats the file so from now on. `policy = "reject"` refuses the
commit instead.

`git commit PATH` commits from a temporary index and has written the real one already; what was
replaced is noted, and `mend` (post-commit) repeats it there, on just those entries.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from mlver.errors import MlverError, RefusedError
from mlver.git import attributes, command, index_file
from mlver.git.objects import (
    REGULAR,
    BlobStream,
    IndexEntry,
    filtered,
    staged,
    update_index,
    write_blobs,
)
from mlver.git.worktree import Worktree
from mlver.model.pointer import Pointer
from mlver.store.ingest import Ingest
from mlver.workflows.context import Context
from mlver.workflows.staged import ATTRIBUTES, Captured, Staged


def capture(ctx: Context, wanted: Sequence[Staged]) -> list[Captured]:
    if not wanted:
        return []
    if ctx.settings.policy == "reject":
        names = ", ".join(os.fsdecode(item.path) for item in wanted[:5])
        raise RefusedError(
            f"{len(wanted)} staged file(s) are too large for git, or of a tracked type: {names}",
            why='.mlver.toml says policy = "reject"',
            fix=f"git mlver track {os.fsdecode(wanted[0].path)} && git mlver add"
            f" {os.fsdecode(wanted[0].path)}",
        )
    tracked = filtered(ctx.repo, [item.path for item in wanted])
    clean = _clean_stats(ctx, wanted)
    stored = [_store_blob(ctx, item) for item in wanted]
    blobs = write_blobs(ctx.repo, stored)
    entries = [
        (item.blob, IndexEntry(item.mode, blob, 0, item.path))
        for item, blob in zip(wanted, blobs, strict=True)
    ]
    untracked = [item.path for item in wanted if item.path not in tracked]
    if untracked:
        entries.append(_add_attributes(ctx, untracked))
    update_index(ctx.repo, [entry for _, entry in entries])
    with suppress(MlverError, OSError):
        index_file.stamp(ctx.repo.index_path, clean, hash_name=ctx.repo.hash_name)
    _note_for_mend(ctx, entries)
    return [Captured(item.path, item.size, item.path in tracked) for item in wanted]


def _clean_stats(ctx: Context, wanted: Sequence[Staged]) -> dict[bytes, os.stat_result]:
    """Stat data of those files whose worktree git knows to equal what is staged."""
    stats: dict[bytes, os.stat_result] = {}
    raw = ctx.repo.git("diff-files", "--name-only", "-z")
    dirty = set(command.fields(raw))
    with Worktree(ctx.repo.top) as worktree:
        for item in wanted:
            info = worktree.stat(item.path)
            if item.path not in dirty and info is not None and info.st_size == item.size:
                stats[item.path] = info
    return stats


def _store_blob(ctx: Context, item: Staged) -> bytes:
    with BlobStream(ctx.repo, item.blob) as stream, Ingest(ctx.store) as ingest:
        pointer: Pointer | None = ingest.add(stream.read_into)
    assert pointer is not None and pointer.size == item.size
    return pointer.encode()


def _add_attributes(ctx: Context, paths: Sequence[bytes]) -> tuple[str, IndexEntry]:
    """Attribute the filter to these paths, in the worktree's file and in the staged one."""

    def added(text: bytes) -> bytes:
        for path in paths:
            text = attributes.with_pattern(text, attributes.pattern_for_path(path))
        return text

    file = os.path.join(ctx.repo.top, ATTRIBUTES)
    change_file(file, added)
    entries = staged(ctx.repo, [b":(top,literal)" + ATTRIBUTES])
    old = entries[0].blob if entries else ""
    text = ctx.repo.git("cat-file", "blob", old) if old else b""
    blob = write_blobs(ctx.repo, [added(text)])[0]
    return old, IndexEntry(entries[0].mode if entries else REGULAR, blob, 0, ATTRIBUTES)


def change_file(path: bytes, change: Callable[[bytes], bytes]) -> bool:
    """Rewrite a small text file through a temporary; False where nothing changed."""
    try:
        with open(path, "rb") as file:
            old = file.read()
    except FileNotFoundError:
        old = b""
    new = change(old)
    if new == old:
        return False
    temporary = path + b".mlver-new"
    with open(temporary, "wb") as file:
        file.write(new)
        file.flush()
        os.fsync(file.fileno())
    if os.path.exists(path):
        os.chmod(temporary, os.stat(path).st_mode & 0o7777)
    os.replace(temporary, path)
    return True


# -- after `git commit PATH` -----------------------------------------------------------------


def _mend_file(ctx: Context) -> bytes:
    return os.path.join(ctx.repo.state_dir, b"mend")


def _note_for_mend(ctx: Context, entries: Sequence[tuple[str, IndexEntry]]) -> None:
    real = os.path.join(ctx.repo.git_dir, b"index")
    if os.path.realpath(ctx.repo.index_path) in (os.path.realpath(real), real + b".lock"):
        return
    os.makedirs(ctx.repo.state_dir, exist_ok=True)
    rows = [[old, e.mode, e.blob, e.path.hex()] for old, e in entries]
    with open(_mend_file(ctx), "w", encoding="ascii") as file:
        json.dump(rows, file)


def mend(ctx: Context) -> int:
    """The work of the post-commit hook: repeat the capture in the real index, if it is noted.

    Only an entry that still holds the very blob that was replaced is touched; nothing else is
    staged. Returns how many entries were mended.
    """
    try:
        with open(_mend_file(ctx), encoding="ascii") as file:
            rows = json.load(file)
    except FileNotFoundError:
        return 0
    except ValueError:
        rows = []
    present = {entry.path: entry for entry in staged(ctx.repo) if entry.stage == 0}
    todo = []
    for old, mode, blob, path_hex in rows:
        path = bytes.fromhex(path_hex)
        there = present.get(path)
        if (there.blob if there else "") == old:
            todo.append(IndexEntry(mode, blob, 0, path))
    update_index(ctx.repo, todo)
    os.unlink(_mend_file(ctx))
    return len(todo)
