"""Files that hold their content, while git's index knows the stat of the pointer.

A pull that was killed (or met a locked index) after it had written files and before it told git's
index of them leaves these. git takes an entry of another size for modified and never looks at the
content, so `git status` would show them for good, and a checkout would refuse to go over them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from mlver.errors import MlverError
from mlver.git import command, index_file
from mlver.git.objects import pointers_of, tracked
from mlver.git.worktree import Worktree
from mlver.workflows.context import Context
from mlver.workflows.restore import holds


def settle(ctx: Context, pathspecs: Sequence[bytes] = ()) -> bool:
    """Tell git's index of such files; False where it cannot be written.

    Only of those whose every byte was just seen to be what the index names. It is no error, since
    the files are there; but it is said what git will show.
    """
    changed = set(command.fields(ctx.repo.git("diff-files", "--name-only", "-z")))
    if not changed:
        return True
    entries = [entry for entry in tracked(ctx.repo, pathspecs) if entry.path in changed]
    found = pointers_of(ctx.repo, (entry.blob for entry in entries))
    stats: dict[bytes, os.stat_result] = {}
    with Worktree(ctx.repo.top) as worktree:
        for entry in entries:
            pointer = found.get(entry.blob)
            before = worktree.stat(entry.path)
            if pointer is None or before is None or not holds(worktree, entry.path, pointer):
                continue
            after = worktree.stat(entry.path)
            if after is not None and _times(after) == _times(before):
                stats[entry.path] = before
    try:
        index_file.stamp(ctx.repo.index_path, stats, hash_name=ctx.repo.hash_name)
    except MlverError as error:
        ctx.warn(
            f"{len(stats)} file(s) are there, but git shows them as modified: {error.what}"
            f" ({error.why}); next: git mlver checkout, once git's index can be written"
        )
        return False
    return True


def _times(info: os.stat_result) -> tuple[int, int, int]:
    return info.st_size, info.st_mtime_ns, info.st_ino
