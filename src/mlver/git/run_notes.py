"""Notes that hold runs, read at the cost of what changed since they were last read.

Our own notes and those of git remotes, as last fetched, are read where they lie. A note is told by
its path in the notes tree, whatever git's fan-out, and its text by its blob, so that one text that
stands in several places is read once. Nothing here knows what a line means.
"""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mlver.errors import RepositoryError
from mlver.git import command
from mlver.git.objects import EMPTY_TREE, EXECUTABLE, REGULAR
from mlver.git.repo import Repo
from mlver.git.run_refs import KEPT, NOTES

REMOTES = "refs/mlver/remotes"
MAX_NOTE = 16 << 20
"""Bytes; a longer note is none that we wrote."""
_KEY = re.compile(rb"\A(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_BUFFER = 1 << 16
_MANY = ("-c", "core.deltaBaseCacheLimit=512m")
"""Notes are deltas of one another and are read in the order of their ids: with git's 96 MiB, bases
of 100,000 are made again and again."""


class Tips(NamedTuple):
    """Ref → its object: notes of runs, and what is kept for them, ours and of every remote."""

    notes: dict[str, str]
    kept: dict[str, str]


class Change(NamedTuple):
    """A note that is another than it was: its path in the tree, its blob now ("": it went)."""

    path: str
    blob: str


def tips(repo: Repo) -> Tips:
    """Where each ref of runs stands now."""
    output = repo.git("for-each-ref", "--format=%(objectname) %(refname)", NOTES, KEPT, REMOTES)
    found = Tips({}, {})
    for row in output.decode("utf-8", "surrogateescape").splitlines():
        name, _, ref = row.partition(" ")
        if ref == NOTES or (ref.startswith(REMOTES) and ref.endswith("/notes")):
            found.notes[ref] = name
        elif ref == KEPT or (ref.startswith(REMOTES) and ref.endswith("/kept")):
            found.kept[ref] = name
    return found


def changes(repo: Repo, old: str | None, new: str) -> list[Change]:
    """Notes that differ between two tips; all of `new`'s where `old` is None.

    Raises RepositoryError where git cannot compare them: one is gone, or is no commit.
    """
    output = repo.git(
        "diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames",
        old or EMPTY_TREE[repo.hash_name], new, "--",
    )  # fmt: skip
    rows = command.fields(output)
    found = []
    for meta, path in zip(rows[::2], rows[1::2], strict=True):
        if _KEY.match(path.replace(b"/", b"")):
            _, mode, _, blob, _ = meta.decode("ascii").lstrip(":").split(" ")
            is_file = mode in (REGULAR, EXECUTABLE)
            found.append(Change(path.decode("ascii"), blob if is_file else ""))
    return found


def key(path: str) -> str:
    """The object that the note at a path annotates."""
    return path.replace("/", "")


def texts(
    repo: Repo, blobs: Iterable[str], limit: int = MAX_NOTE
) -> Iterator[tuple[str, bytes | None]]:
    """Content of each object, in the order asked; None for one that is not there, is no blob, or is
    longer than `limit` bytes. Names are object ids, or `<tree>:<path>` without a line end."""
    names = list(blobs)
    if not names:
        return
    process = subprocess.Popen(
        command.argv([*(_MANY if len(names) > 1000 else ()), "cat-file", "--batch", "--buffer"]),
        cwd=repo.worktree or repo.git_dir,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=command.without_filter(),
        bufsize=_BUFFER,
    )
    asking = threading.Thread(target=_ask, args=(process, names), daemon=True)
    asking.start()
    stdout = process.stdout
    assert stdout is not None
    try:
        for name in names:
            head = stdout.readline()
            if not head:
                raise RepositoryError("git cannot read the notes of runs", fix="git fsck")
            yield name, _content(stdout, head.split(), limit)
    finally:
        stdout.close()
        process.terminate()
        process.wait()
        asking.join()


def object_ids(repo: Repo, names: Iterable[str]) -> dict[str, str]:
    """Name → its object's id, for the names (`<tree>:<path>`) that are there."""
    asked = list(names)
    if not asked:
        return {}
    done = repo.git(
        "cat-file", "--batch-check=%(objectname)", input="".join(f"{n}\n" for n in asked).encode()
    )
    rows = done.decode("utf-8", "replace").split("\n")
    return {name: row for name, row in zip(asked, rows, strict=False) if " " not in row}


def _ask(process: subprocess.Popen[bytes], names: list[str]) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write("".join(f"{name}\n" for name in names).encode("utf-8", "replace"))
        process.stdin.close()
    except OSError:
        pass  # it ended: whoever reads its answers sees that


def _content(stdout: object, head: list[bytes], limit: int) -> bytes | None:
    read = stdout.read  # type: ignore[attr-defined]
    if len(head) < 3 or not head[-1].isdigit():
        return None
    size = int(head[-1])
    if size > limit:
        left = size + 1
        while left:
            left -= len(read(min(left, _BUFFER))) or left
        return None
    data: bytes = read(size + 1)[:-1]
    return data if head[-2] == b"blob" else None
