"""Staged content becomes a pointer: the second half of the pre-commit hook (workflows/precommit).

The attribute is added, so that git treats the file so from now on; a file to which .gitattributes
gives another filter, or none on purpose, is left alone and named. `policy = "reject"` refuses the
commit instead.

`git commit PATH` commits from a temporary index and has written the real one already; what was
replaced is noted, and `mend` (post-commit) repeats it there, on just those entries.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from mlver.errors import MlverError, RefusedError
from mlver.git import attributes, command, index_file
from mlver.git.objects import (
    REGULAR,
    BlobStream,
    IndexEntry,
    filters,
    staged,
    update_index,
    write_blobs,
)
from mlver.git.worktree import Worktree, new_temporary, sweep_folder
from mlver.model.pointer import Pointer
from mlver.store.files import disk_errors, write_all
from mlver.store.ingest import Ingest
from mlver.workflows.context import Context
from mlver.workflows.staged import ATTRIBUTES, Captured, Staged


def capture(ctx: Context, wanted: Sequence[Staged]) -> list[Captured]:
    """Turn these staged files into pointers. Raises RefusedError under `policy = "reject"`."""
    if wanted and ctx.settings.policy == "reject":
        raise _rejected(wanted)
    values = filters(ctx.repo, [item.path for item in wanted])
    wanted = [item for item in wanted if not _is_left_alone(ctx, item.path, values[item.path])]
    if not wanted:
        return []
    clean = _clean_stats(ctx, wanted)
    stored = [_store_blob(ctx, item) for item in wanted]
    blobs = write_blobs(ctx.repo, stored)
    entries = [
        (item.blob, IndexEntry(item.mode, blob, 0, item.path))
        for item, blob in zip(wanted, blobs, strict=True)
    ]
    untracked = [item.path for item in wanted if values[item.path] != b"mlver"]
    staged_now = [entry for _, entry in entries]
    if untracked:
        _attribute(os.path.join(ctx.repo.top, ATTRIBUTES), untracked)
        staged_now += _attributes_entry(ctx, untracked)
    update_index(ctx.repo, staged_now)
    with suppress(MlverError, OSError):
        index_file.stamp(ctx.repo.index_path, clean, hash_name=ctx.repo.hash_name)
    _note_for_mend(ctx, entries, untracked)
    return [Captured(item.path, item.size, item.path not in untracked) for item in wanted]


def _rejected(wanted: Sequence[Staged]) -> RefusedError:
    names = ", ".join(os.fsdecode(item.path) for item in wanted[:5])
    path = shlex.quote(os.fsdecode(wanted[0].path))
    return RefusedError(
        f"{len(wanted)} staged file(s) are too large for git, or of a tracked type: {names}",
        why='.mlver.toml says policy = "reject"',
        fix=f"git mlver track {path} && git add .gitattributes && git add --renormalize {path}",
    )


def _is_left_alone(ctx: Context, path: bytes, value: bytes) -> bool:
    """True where .gitattributes gives the file another filter, or none on purpose: our line at
    the top might not prevail, and git would never give a pointer's content back."""
    if value in (b"mlver", b"unspecified", b"set"):
        return False
    said = "-filter" if value == b"unset" else f"filter={value.decode('utf-8', 'replace')}"
    ctx.warn(f"{os.fsdecode(path)} stays in git as it is: .gitattributes says {said}")
    return True


def _clean_stats(ctx: Context, wanted: Sequence[Staged]) -> dict[bytes, os.stat_result]:
    """Stat data of those files whose worktree git knows to equal what is staged."""
    stats: dict[bytes, os.stat_result] = {}
    with Worktree(ctx.repo.top) as worktree:
        for item in wanted:
            info = worktree.stat(item.path)
            if info is not None and info.st_size == item.size:
                stats[item.path] = info
    # Asked after the stats were taken: a change in between is seen now, a later one by its stat.
    for path in command.fields(ctx.repo.git("diff-files", "--name-only", "-z")):
        stats.pop(path, None)
    return stats


def _store_blob(ctx: Context, item: Staged) -> bytes:
    with BlobStream(ctx.repo, item.blob) as stream, Ingest(ctx.store) as ingest:
        pointer: Pointer | None = ingest.add(stream.read_into)
    assert pointer is not None and pointer.size == item.size
    return pointer.encode()


def _attribute(file: bytes, paths: Sequence[bytes]) -> None:
    """Attribute the filter to these paths in the worktree's file."""
    change_file(file, partial(_attributed, paths=paths))


def _attributed(text: bytes, paths: Sequence[bytes]) -> bytes:
    for path in paths:
        text = attributes.with_pattern(text, attributes.pattern_for_path(path))
    return text


def _attributes_entry(ctx: Context, paths: Sequence[bytes]) -> list[IndexEntry]:
    """The entry of .gitattributes with these paths added to what is staged; none if all are."""
    entries = staged(ctx.repo, [b":(top,literal)" + ATTRIBUTES])
    text = ctx.repo.git("cat-file", "blob", entries[0].blob) if entries else b""
    changed = _attributed(text, paths)
    if changed == text:
        return []
    mode = entries[0].mode if entries else REGULAR
    return [IndexEntry(mode, write_blobs(ctx.repo, [changed])[0], 0, ATTRIBUTES)]


def change_file(path: bytes, change: Callable[[bytes], bytes]) -> bool:
    """Rewrite a small text file through a temporary; False where nothing changed.

    Raises LocalIOError; the file is then as it was, and nothing stays beside it.
    """
    with disk_errors("reading", path):
        try:
            with open(path, "rb") as file:
                old = file.read()
        except FileNotFoundError:
            old = b""
    new = change(old)
    if new == old:
        return False
    with disk_errors("writing", path):
        _replace(path, new)
    return True


def _replace(path: bytes, data: bytes) -> None:
    sweep_folder(os.path.dirname(path))  # a commit that was killed leaves what git would add
    temporary, out, guard = new_temporary(path, None, 0o666)
    try:
        try:
            write_all(out, [data])
            os.fsync(out)
        finally:
            os.close(out)
        if os.path.exists(path):
            os.chmod(temporary, os.stat(path).st_mode & 0o7777)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        if guard is not None:
            os.close(guard)


# -- after `git commit PATH` -----------------------------------------------------------------


def _mend_file(ctx: Context) -> bytes:
    return os.path.join(ctx.repo.state_dir, b"mend")


def _note_for_mend(
    ctx: Context, entries: Sequence[tuple[str, IndexEntry]], attributed: Sequence[bytes]
) -> None:
    real = os.path.join(ctx.repo.git_dir, b"index")
    if os.path.realpath(ctx.repo.index_path) in (os.path.realpath(real), real + b".lock"):
        return
    os.makedirs(ctx.repo.state_dir, exist_ok=True)
    rows = [[old, e.mode, e.blob, e.path.hex()] for old, e in entries]
    with open(_mend_file(ctx), "w", encoding="ascii") as file:
        json.dump({"entries": rows, "attributed": [path.hex() for path in attributed]}, file)


def mend(ctx: Context) -> int:
    """The work of the post-commit hook: repeat the capture in the real index, if it is noted.

    Only an entry that still holds the very blob that was replaced is touched; what is staged of
    .gitattributes gets the captured paths too; nothing else is staged. Returns how many entries
    were mended.
    """
    try:
        with open(_mend_file(ctx), encoding="ascii") as file:
            note = json.load(file)
    except FileNotFoundError:
        return 0
    except ValueError:
        note = {"entries": [], "attributed": []}
    present = {entry.path: entry.blob for entry in staged(ctx.repo) if entry.stage == 0}
    todo = [
        IndexEntry(mode, blob, 0, bytes.fromhex(path))
        for old, mode, blob, path in note["entries"]
        if present.get(bytes.fromhex(path)) == old
    ]
    todo += _attributes_entry(ctx, [bytes.fromhex(path) for path in note["attributed"]])
    update_index(ctx.repo, todo)
    os.unlink(_mend_file(ctx))
    return len(todo)
