"""`log`: the versions that a file had in history, and the runs that made each of them.

git follows the file through its renames; a version is known by its content, so the run is found
whatever the file was called when it was made.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from mlver.errors import UsageError
from mlver.git import command
from mlver.git.objects import EXECUTABLE, REGULAR, pointers_of
from mlver.git.repo import Repo
from mlver.model.digest import Digest
from mlver.workflows import known_runs
from mlver.workflows.context import Context
from mlver.workflows.known_runs import KnownRun
from mlver.workflows.run_targets import blob_oid, top_path

_FORMAT = "%x01%H%x02%cI%x02%an%x02%s"


class Version(NamedTuple):
    """A file at the commit that gave it this content; `oid`: None where it was deleted."""

    commit: str
    date: str
    author: str
    subject: str
    path: str
    oid: Digest | None
    runs: list[KnownRun]


class _Change(NamedTuple):
    commit: str
    date: str
    author: str
    subject: str
    path: str
    blob: str


def history(ctx: Context, path: str, rev: str = "", limit: int | None = None) -> list[Version]:
    """Versions of a file, the newest first. Raises UsageError where history has no such file."""
    changes = _changes(ctx.repo, top_path(ctx.repo, path), rev, limit)
    if not changes:
        raise UsageError(
            f"no commit {'of ' + rev if rev else 'that HEAD reaches'} has a file {path!r}",
            why="git log knows none; an output that was never committed is in no history",
            fix="git mlver runs --filter \"path = '…'\", for the runs that used that path",
        )
    pointers = pointers_of(ctx.repo, {change.blob for change in changes if change.blob})
    oids: dict[str, Digest] = {blob: found.oid for blob, found in pointers.items()}
    versions = []
    with known_runs.known(ctx) as runs:
        for change in changes:
            if change.blob and change.blob not in oids:
                oids[change.blob] = blob_oid(ctx.repo, change.blob)
            oid = oids.get(change.blob)
            made = [] if oid is None else runs.making(oid)
            versions.append(Version(*change[:5], oid, made))
    return versions


def _changes(repo: Repo, path: str, rev: str, limit: int | None) -> list[_Change]:
    limits = [] if limit is None else [f"--max-count={limit}"]
    done = command.attempt(
        [
            "log", "--follow", "--raw", "--no-abbrev", "-z", f"--format={_FORMAT}", *limits,
            "--end-of-options", rev or "HEAD", "--", os.fsencode(f":(top,literal){path}"),
        ],
        cwd=repo.worktree or repo.git_dir,
    )  # fmt: skip
    if done.returncode != 0:
        if rev:
            raise UsageError(
                f"{rev!r} names no commit here",
                why=done.stderr.decode("utf-8", "replace").strip(),
                fix="git log --all --oneline, to see what there is",
            )
        return []  # no commit yet
    found = []
    for chunk in (b"\0" + done.stdout).split(b"\0\1")[1:]:
        head, *rest = chunk.split(b"\0")
        words = head.decode("utf-8", "replace").split("\2", 3)
        if len(words) == 4:
            commit, date, author, subject = words
            files = _files(rest)
            found += [_Change(commit, date, author, subject, *file) for file in files]
    return found


def _files(tokens: list[bytes]) -> list[tuple[str, str]]:
    """Path and new blob ("" where it went) of each raw entry."""
    found = []
    at = 0
    while at < len(tokens):
        token = tokens[at].lstrip(b"\n")
        at += 1
        if not token.startswith(b":") or token.count(b" ") != 4:
            continue
        _, mode, _, blob, status = token.decode("ascii", "replace").split(" ")
        at += status[0] in "RC"
        if at < len(tokens):
            path = os.fsdecode(tokens[at])
            at += 1
            found.append((path, blob if mode in (REGULAR, EXECUTABLE) else ""))
    return found
