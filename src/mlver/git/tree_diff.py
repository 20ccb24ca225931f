"""Files that differ between two commits, at the cost of what changed.

git walks both trees at once and never enters a folder that is the same in both; the pointers of
what differs are then read in one go. libgit2 does the same in this process, but to load it takes
ten times as long as git's two commands, so it is asked only where git has no answer.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from mlver.errors import RepositoryError
from mlver.git import command
from mlver.git.objects import EXECUTABLE, REGULAR, pointers_of
from mlver.git.repo import Repo
from mlver.model import pointer as pointers
from mlver.model.pointer import MAX_SIZE, Pointer

Sides = tuple[dict[bytes, Pointer | str], dict[bytes, Pointer | str]]
"""Path → pointer, or the id of a blob that is none, before and after, of files that differ."""


def changed_pointers(repo: Repo, old: str, new: str, pathspecs: Sequence[bytes] = ()) -> Sides:
    """What two trees, given by their ids, have at every path where they differ. Raises
    RepositoryError where they cannot be read."""
    try:
        return _by_git(repo, old, new, pathspecs)
    except RepositoryError as error:
        try:
            if pathspecs:
                raise _Unreadable
            return _by_libgit2(repo, old, new)
        except _Unreadable:
            raise error from None


class _Unreadable(Exception):
    """libgit2 cannot answer for this repository."""


def _by_libgit2(repo: Repo, old: str, new: str) -> Sides:
    import pygit2  # 74 ms

    try:
        opened = pygit2.Repository(os.fsdecode(repo.git_dir))
        delta = opened[old].peel(pygit2.Tree).diff_to_tree(opened[new].peel(pygit2.Tree))
        before: dict[bytes, Pointer | str] = {}
        after: dict[bytes, Pointer | str] = {}
        for change in delta.deltas:
            for side, file in ((before, change.old_file), (after, change.new_file)):
                if f"{file.mode:06o}" not in (REGULAR, EXECUTABLE) or not int(str(file.id), 16):
                    continue
                side[file.raw_path] = str(file.id)
                blob = opened[file.id]
                if isinstance(blob, pygit2.Blob) and blob.size < MAX_SIZE:
                    found = pointers.parse(blob.data)
                    if found is not None:
                        side[file.raw_path] = found
        return before, after
    except (pygit2.GitError, KeyError, ValueError) as error:
        raise _Unreadable from error


def _by_git(repo: Repo, old: str, new: str, pathspecs: Sequence[bytes]) -> Sides:
    raw = repo.git(
        "diff-tree", "-r", "--raw", "--no-abbrev", "--no-renames", "-z", old, new, "--", *pathspecs
    )
    rows = command.fields(raw)
    changes = []
    for meta, path in zip(rows[::2], rows[1::2], strict=True):
        old_mode, new_mode, old_blob, new_blob, _ = meta.decode("ascii").lstrip(":").split(" ")
        changes.append((path, (old_mode, old_blob), (new_mode, new_blob)))
    files = (REGULAR, EXECUTABLE)
    blobs = [blob for _, *sides in changes for mode, blob in sides if mode in files]
    try:
        found = pointers_of(repo, blobs)
    except RepositoryError as error:
        raise RepositoryError("the two commits cannot be compared", why=error.why) from error
    return (
        {path: found.get(a[1], a[1]) for path, a, _ in changes if a[0] in files},
        {path: found.get(b[1], b[1]) for path, _, b in changes if b[0] in files},
    )
