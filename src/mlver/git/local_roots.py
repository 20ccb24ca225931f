"""What this clone alone names, for collection: every ref of every worktree, reflogs, indexes, and
the commits that a command under way keeps in a file (the autostash of a rebase, a merge's head).

As git's own `gc` looks, and further. A ref or an index that cannot be read is an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress

from mlver.errors import RepositoryError
from mlver.git import command, history
from mlver.git.objects import index_entries, staged
from mlver.git.repo import Repo

_ID = re.compile(rb"(?<![0-9a-f])(?:[0-9a-f]{40}|[0-9a-f]{64})(?![0-9a-f])")
_STATE = re.compile(rb"[A-Z][A-Z_]*")
"""ORIG_HEAD, MERGE_HEAD, MERGE_AUTOSTASH, CHERRY_PICK_HEAD, BISECT_LOG, …"""
_UNDER_WAY = (b"rebase-merge", b"rebase-apply", b"sequencer")
_LIMIT = 1 << 20


def revisions(repo: Repo) -> list[str]:
    """Object ids of all refs, HEADs, reflog entries and files of git's. Raises RepositoryError."""
    found = [*history.all_refs(repo), *history.reflog_commits(repo)]
    for folder, env in history.git_folders(repo):
        # It fails where a ref is broken (an empty file, after a power cut); for-each-ref warns.
        command.run(["rev-list", "--max-count=0", "--all"], cwd=folder, env=env)
        # Refs of one worktree (refs/bisect) are seen from there alone.
        refs = command.run(["for-each-ref", "--format=%(objectname)"], cwd=folder, env=env)
        found += refs.decode("ascii").split()
        found += _in_files(folder, env)
    return list(dict.fromkeys(found))


def index_blobs(repo: Repo) -> list[str]:
    """Blobs that the index of any worktree names, conflict stages and resolved ones included."""
    entries = staged(repo) if repo.worktree is not None else []
    for folder, env in history.git_folders(repo):
        if os.path.exists(os.path.join(folder, b"index")):
            for words in (["-s"], ["--resolve-undo"]):
                output = command.run(["ls-files", *words, "-z"], cwd=folder, env=env)
                entries += index_entries(output)
    return sorted({entry.blob for entry in entries if entry.is_file})


def _in_files(folder: bytes, env: dict[str, str]) -> list[str]:
    """What files of commands under way name, as far as it is there: git itself keeps not all."""
    named = {match.decode("ascii") for path in _files(folder) for match in _ids_in(path)}
    if not named:
        return []
    answer = command.run(
        ["cat-file", "--batch-check=%(objectname) %(objecttype)"],
        cwd=folder,
        env=env,
        input="\n".join(sorted(named)).encode() + b"\n",
    )
    rows = [line.split() for line in answer.decode("ascii", "replace").splitlines()]
    return [row[0] for row in rows if len(row) == 2 and row[1] != "missing"]


def _files(folder: bytes) -> Iterator[bytes]:
    for name in os.listdir(folder):
        if _STATE.fullmatch(name):
            yield os.path.join(folder, name)
    for name in _UNDER_WAY:
        inner = os.path.join(folder, name)
        with suppress(FileNotFoundError, NotADirectoryError):
            yield from (os.path.join(inner, leaf) for leaf in os.listdir(inner))


def _ids_in(path: bytes) -> list[bytes]:
    if os.path.islink(path) or not os.path.isfile(path):
        return []
    try:
        with open(path, "rb") as file:
            return _ID.findall(file.read(_LIMIT))
    except FileNotFoundError:
        return []  # that command has just ended
    except OSError as error:
        raise RepositoryError(
            f"{os.fsdecode(path)} cannot be read",
            why=f"{error.strerror}; it may name a commit that nothing else does",
            fix="make it readable, then again",
        ) from error
