"""What git is in the middle of, by the files that it keeps while it is."""

from __future__ import annotations

import os

from mlver.git.repo import Repo

_REBASE = (b"rebase-merge", b"rebase-apply")
_OTHERS = (b"MERGE_HEAD", b"CHERRY_PICK_HEAD", b"REVERT_HEAD", b"SQUASH_MSG", b"sequencer")


def in_rebase(repo: Repo) -> bool:
    """Whether a rebase has stopped, or runs."""
    return any(os.path.exists(os.path.join(repo.git_dir, name)) for name in _REBASE)


def in_merge(repo: Repo) -> bool:
    """Whether a merge of any kind waits for its commit."""
    names = (*_REBASE, *_OTHERS)
    return any(os.path.exists(os.path.join(repo.git_dir, name)) for name in names)
