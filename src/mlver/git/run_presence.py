"""Whether a repository has runs at all, told without starting git: hooks ask it at each commit.

The hooks' own test, in sh, is one of two folders: `mlver/runs`, where a run is journalled, and
`refs/mlver`, where what was fetched lies. A fetch whose refs were packed since leaves neither, so
whoever finds such refs makes the first.
"""

from __future__ import annotations

import contextlib
import os

from mlver.git.repo import Repo

_PACKED = (b" refs/mlver/", b" refs/notes/mlver\n")


def has_runs(repo: Repo) -> bool:
    """True where a run was made in this clone, or came with a fetch."""
    folder = os.path.join(repo.store_dir, b"runs")
    if os.path.isdir(folder) or os.path.isdir(os.path.join(repo.common_dir, b"refs/mlver")):
        return True
    if not _named(repo):
        return False
    with contextlib.suppress(OSError):
        os.makedirs(folder, exist_ok=True)
    return True


def _named(repo: Repo) -> bool:
    if os.path.isdir(os.path.join(repo.common_dir, b"reftable")):
        from mlver.git import run_refs  # not for every hook of every repository

        return bool(run_refs.tips(repo, [run_refs.NOTES, "refs/mlver/"]))
    try:
        with open(os.path.join(repo.common_dir, b"packed-refs"), "rb") as file:
            data = file.read()
    except OSError:
        return False
    return any(name in data for name in _PACKED)
