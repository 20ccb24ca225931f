"""Content ids of blobs in git: what a pointer names, and the BLAKE3 of plain content.

And what commits bring: the blobs at which a commit differs from its first parent, so that a merge
brings what its branch brought.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mlver.git import command
from mlver.git.objects import EXECUTABLE, REGULAR, BlobReader, blob_id
from mlver.git.repo import Repo
from mlver.model import pointer
from mlver.model.digest import Digest, digest_of

LIMIT = 16 << 20
"""Bytes of a plain blob; a larger one is no pointer since nobody wanted it to be looked at."""
_ALL = 256 << 20
_PLAINLY = ("-c", "log.showSignature=false", "-c", "log.showRoot=true")
_RAW = (
    "--diff-merges=first-parent", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-notes",
    "--no-ext-diff", "--no-color", "--diff-filter=AMT", "--format=%x02%H",
)  # fmt: skip


class Brought(NamedTuple):
    """A file of a commit that its first parent has not so. `blob`: git's id of it."""

    path: bytes
    blob: str


def content_ids(repo: Repo, blobs: Iterable[str]) -> dict[str, Digest]:
    """Blob → content id. Empty ones, and plain ones that are too large, have none here."""
    wanted = sorted(set(blobs))
    if not wanted:
        return {}
    ask = "\n".join(wanted).encode() + b"\n"
    output = repo.git("cat-file", "--batch-check=%(objectname) %(objectsize)", input=ask)
    rows = (line.split() for line in output.splitlines())
    sizes = {row[0].decode(): int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
    found: dict[str, Digest] = {}
    left = _ALL
    with BlobReader(repo) as reader:
        for blob in sorted(sizes, key=lambda name: sizes[name]):
            left -= sizes[blob]
            if not 0 < sizes[blob] <= LIMIT or left < 0:
                continue
            data = reader.read(blob.encode())
            if data is not None:
                named = pointer.parse(data) if len(data) < pointer.MAX_SIZE else None
                found[blob] = digest_of(data) if named is None else named.oid
    return found


def brought(
    repo: Repo, revisions: Sequence[str], *, walk: bool = False, pathspecs: Sequence[bytes] = ()
) -> dict[str, list[Brought]]:
    """Commit → what it brings. `walk`: `revisions` is a range, else each names one commit."""
    output = repo.git(
        *_PLAINLY, "log", *([] if walk else ["--no-walk=unsorted"]), *_RAW, "--stdin",
        "--", *pathspecs, input="\n".join(revisions).encode() + b"\n",
    )  # fmt: skip
    found: dict[str, list[Brought]] = {}
    files: list[Brought] = []
    fields = iter(output.split(b"\0"))
    for field in fields:
        word = field.lstrip(b"\n")
        if word.startswith(b"\x02"):
            files = found.setdefault(word[1:].strip().decode("ascii"), [])
        elif word.startswith(b":"):
            _, mode, _, blob, _ = word.decode("ascii").lstrip(":").split(" ")
            path = next(fields)
            if mode in (REGULAR, EXECUTABLE):
                files.append(Brought(path, blob))
    return found


def empty_blob(repo: Repo) -> str:
    """The id of a blob of nothing."""
    return blob_id(repo, b"")


def parents(repo: Repo, revision: str = "HEAD") -> list[str]:
    """A commit's parents; none for the first commit, and for what is no commit."""
    done = command.attempt(
        ["rev-list", "--parents", "-1", revision, "--"], cwd=repo.worktree or repo.git_dir
    )
    return done.stdout.decode("ascii").split()[1:]
