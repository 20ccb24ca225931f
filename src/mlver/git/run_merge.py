"""Union of two clones' runs: what either has, as a merge commit with both parents.

A note's lines are a set, and so is their union; a run's folder in KEPT is written once, by whoever
made the run. Where two clones hold different folders of one run, the members that ours lacks are
taken, and a member that differs is kept beside ours under the name `<member>~<object id>`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import NamedTuple

from mlver.errors import BusyError
from mlver.git import command
from mlver.git.objects import BlobReader
from mlver.git.repo import Repo
from mlver.git.run_refs import (
    NOTES,
    TREE,
    Commit,
    file_line,
    joined,
    note_paths,
    read_note,
    swap,
    tips,
    write_commits,
)

_SECONDS = 30.0
_KEY = re.compile(r"\A(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_NAME = re.compile(r"\A[0-9A-Za-z][0-9A-Za-z._~-]*\Z")


def merge(repo: Repo, ref: str, theirs: str, who: str) -> str:
    """Bring the commit `theirs` into `ref`; the commit that `ref` has then. Raises BusyError."""
    end = time.monotonic() + _SECONDS
    while True:
        old = tips(repo, [ref])
        ours = old.get(ref)
        new = _merged(repo, ref, ours, theirs, who)
        if new == ours or swap(repo, {ref: new}, old):
            return new
        if time.monotonic() > end:
            raise BusyError(f"{ref} is being written by others all the time", fix="try again later")


def _merged(repo: Repo, ref: str, ours: str | None, theirs: str, who: str) -> str:
    if ours is None or _is_ancestor(repo, ours, theirs):
        return theirs
    if _is_ancestor(repo, theirs, ours):
        return ours
    changes = _notes(repo, ours, theirs) if ref == NOTES else _kept(repo, ours, theirs)
    return write_commits(repo, {ref: Commit([ours, theirs], changes, who)})[ref]


def _is_ancestor(repo: Repo, commit: str, other: str) -> bool:
    done = command.attempt(
        ["merge-base", "--is-ancestor", commit, other], cwd=repo.worktree or repo.git_dir
    )
    return done.returncode == 0


def _notes(repo: Repo, ours: str, theirs: str) -> bytes:
    """Changes to our notes tree: every note that theirs has and ours has not so, as a union."""
    output = repo.git("diff-tree", "-r", "-z", "--name-only", "--diff-filter=AMT", ours, theirs)
    keys = {path.decode("utf-8", "replace").replace("/", "") for path in command.fields(output)}
    changes = []
    with BlobReader(repo) as reader:
        for key in sorted(key for key in keys if _KEY.match(key)):
            mine, paths = read_note(reader, ours, key)
            lines, _ = read_note(reader, theirs, key)
            if not lines <= mine:
                path = note_paths(key)[0]
                changes += [b"D %s\n" % other.encode() for other in paths if other != path]
                changes.append(file_line(path, joined(mine | lines)))
    return b"".join(changes)


def _kept(repo: Repo, ours: str, theirs: str) -> bytes:
    """Changes to our tree of kept things: folders and members that theirs has and ours lacks."""
    changes = []
    with BlobReader(repo) as reader:
        for path, entry in _lacking(reader, repo, f"{ours}^{{tree}}", f"{theirs}^{{tree}}", "", 3):
            changes.append(f"M {entry.mode} {entry.object} {path}\n".encode())
    return b"".join(changes)


def _lacking(
    reader: BlobReader, repo: Repo, ours: str, theirs: str, folder: str, levels: int
) -> Iterator[tuple[str, TreeEntry]]:
    """Entries below `theirs` that `ours` lacks, without looking into what is the same."""
    mine, other = tree_entries(reader, repo, ours), tree_entries(reader, repo, theirs)
    for name, entry in other.items():
        have = mine.get(name)
        path = f"{folder}{name}"
        if not _NAME.match(name):
            continue  # none that we write
        if have is None:
            yield path, entry
        elif have != entry:
            if levels > 1 and have.mode == entry.mode == TREE:
                yield from _lacking(reader, repo, have.object, entry.object, path + "/", levels - 1)
            elif levels == 1 and "~" not in name:
                yield f"{path}~{entry.object[:12]}", entry


class TreeEntry(NamedTuple):
    """An entry of a git tree: mode in octal with six digits, object id in hex."""

    mode: str
    object: str


def tree_entries(reader: BlobReader, repo: Repo, name: str) -> dict[str, TreeEntry]:
    """A tree's entries by name; none where there is no such tree."""
    data = reader.read(name.encode()) or b""
    size = repo.hex_length // 2
    entries: dict[str, TreeEntry] = {}
    start = 0
    while start < len(data):
        end = data.index(b"\0", start)
        mode, _, entry = data[start:end].partition(b" ")
        start = end + 1 + size
        found = TreeEntry(mode.decode("ascii").zfill(6), data[end + 1 : start].hex())
        entries[entry.decode("utf-8", "surrogateescape")] = found
    return entries
