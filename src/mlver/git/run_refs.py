"""The two refs that hold runs: their records, as notes, and what must stay alive for them.

`refs/notes/mlver`  ordinary git notes. Annotated is the commit at which a run was made, or which
    brought what it made; each line is one record. A commit with FULL lines takes no more: further
    runs annotate a blob of their own (`run_key`), or a sweep of a thousand runs would write the
    same note a thousand times, longer each time.
`refs/mlver/kept`   a commit whose tree has a folder a run, `<last two digits>/<run id>/`: the
    code's tree, the lock of packages, listings, and pointers to logs. What a branch forgets lives
    on here.

Both are written by compare-and-swap in one transaction, with a retry: `git notes add` loses
concurrent writes without an error. A line is only ever added, so that two clones' notes merge by
union, whatever their order. Nothing here knows what a line means.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mlver.errors import BusyError
from mlver.git import command
from mlver.git.objects import EMPTY_TREE, BlobReader, blob_id
from mlver.git.repo import Repo

NOTES, KEPT = "refs/notes/mlver", "refs/mlver/kept"
FULL = 32
TREE, FILE = "040000", "100644"
_SECONDS = 30.0
"""So long a writer tries anew against others; after that the run waits in its journal."""


class KeptFile(NamedTuple):
    """A member of a run's folder: bytes to be written as a blob, or a tree that is here."""

    name: str
    data: bytes | None = None
    tree: str = ""


@dataclass(slots=True)
class Addition:
    """What to add: `lines`: object id → records to note there; `kept`: run id → its folder."""

    lines: dict[str, list[bytes]] = field(default_factory=dict)
    kept: dict[str, list[KeptFile]] = field(default_factory=dict)

    def note(self, commit: str, line: bytes) -> None:
        self.lines.setdefault(commit, []).append(line)


def run_key(repo: Repo, run_id: str) -> str:
    """The object that a run's own note annotates: a blob that holds its id."""
    return blob_id(repo, _key_text(run_id))


def _key_text(run_id: str) -> bytes:
    return b"mlver run %s\n" % run_id.encode()


def kept_path(run_id: str) -> str:
    """A run's folder in the tree of KEPT."""
    return f"{run_id[-2:]}/{run_id}"


def note_paths(key: str) -> list[str]:
    """Where a note may lie in a notes tree: git spreads it over folders as it likes."""
    return [f"{key[:2]}/{key[2:]}", key, f"{key[:2]}/{key[2:4]}/{key[4:]}"]


def identity(repo: Repo) -> str:
    """`Name <mail>` of whoever commits here; a name of ours where git knows none."""
    done = command.attempt(["var", "GIT_COMMITTER_IDENT"], cwd=repo.worktree or repo.git_dir)
    ident = done.stdout.decode("utf-8", "replace").strip()
    return ident.rsplit(" ", 2)[0] if done.returncode == 0 and ident else "git-mlver <>"


def tips(repo: Repo, names: Iterable[str] = (NOTES, KEPT)) -> dict[str, str]:
    """The commit of each of these refs that is there."""
    output = repo.git("for-each-ref", "--format=%(objectname) %(refname)", *names)
    rows = (line.split(" ", 1) for line in output.decode("utf-8", "replace").splitlines())
    return {name: commit for commit, name in rows}


def add(
    repo: Repo,
    addition: Addition,
    run_ids: Mapping[bytes, str],
    who: str,
    *,
    seconds: float = _SECONDS,
) -> None:
    """Add lines and folders to what is there. `run_ids`: line → the run that it tells of.
    `seconds`: how long to try against others (and against a lock that somebody left).

    Raises BusyError where others wrote all the time, RepositoryError where git refuses.
    """
    end = time.monotonic() + seconds
    while True:
        old = tips(repo)
        with BlobReader(repo) as reader:
            placed = _placed(repo, reader, addition, run_ids, old.get(NOTES))
        commits = _commits(repo, addition, placed, old, who)
        if not commits or swap(repo, write_commits(repo, commits), old):
            return
        if time.monotonic() > end:
            raise BusyError(
                "the notes of this repository are being written by others all the time",
                why=f"{NOTES} was another each time in {seconds:.0f} seconds",
                fix="git mlver runs, later: what could not be noted waits in the journal",
            )
        time.sleep(0.002 + os.urandom(1)[0] / 5000)  # others wait for another time


def _placed(
    repo: Repo,
    reader: BlobReader,
    addition: Addition,
    run_ids: Mapping[bytes, str],
    tip: str | None,
) -> dict[str, tuple[bytes, list[str]]]:
    """Path in the notes tree → (its whole new text, paths to remove), for notes that change."""
    texts: dict[str, set[bytes]] = {}
    found: dict[str, tuple[set[bytes], list[str]]] = {}

    def text(key: str) -> set[bytes]:
        if key not in texts:
            found[key] = read_note(reader, tip, key)
            texts[key] = set(found[key][0])
        return texts[key]

    for commit, lines in addition.lines.items():
        for line in lines:
            there = text(commit)
            if line not in there and len(there) >= FULL:
                there = text(run_key(repo, run_ids[line]))
            there.add(line)
    return {
        note_paths(key)[0]: (joined(lines), found[key][1])
        for key, lines in texts.items()
        if lines != found[key][0]
    }


def read_note(reader: BlobReader, tip: str | None, key: str) -> tuple[set[bytes], list[str]]:
    """The lines of a note, and the paths at which they lie."""
    lines: set[bytes] = set()
    paths = []
    if tip is not None:
        for path in note_paths(key):
            data = reader.read(f"{tip}:{path}".encode())
            if data is not None:
                paths.append(path)
                lines.update(split(data))
    return lines, paths


def split(note: bytes) -> list[bytes]:
    """The lines of a note, without empty ones (git's own merge strategies put some between)."""
    return [line for line in note.split(b"\n") if line.strip()]


def joined(lines: Iterable[bytes]) -> bytes:
    """The one text of a set of lines: sorted, as git's cat_sort_uniq gives it too."""
    return b"".join(line + b"\n" for line in sorted(lines))


def _commits(
    repo: Repo,
    addition: Addition,
    placed: Mapping[str, tuple[bytes, list[str]]],
    old: Mapping[str, str],
    who: str,
) -> dict[str, Commit]:
    """The commit that each ref is to have, for those that change."""
    commits: dict[str, Commit] = {}
    if placed:
        changes = []
        for path, (text, others) in placed.items():
            changes += [b"D %s\n" % other.encode() for other in others if other != path]
            changes.append(file_line(path, text))
        commits[NOTES] = Commit([old[NOTES]] if NOTES in old else [], b"".join(changes), who)
    if addition.kept:
        changes = []
        for run_id, members in addition.kept.items():
            for member in members:
                path = f"{kept_path(run_id)}/{member.name}"
                if member.tree == EMPTY_TREE[repo.hash_name]:
                    continue  # git keeps no empty folders
                if member.data is None:
                    changes.append(f"M {TREE} {member.tree} {path}\n".encode())
                else:
                    changes.append(file_line(path, member.data))
        commits[KEPT] = Commit([old[KEPT]] if KEPT in old else [], b"".join(changes), who)
    return commits


class Commit(NamedTuple):
    """A commit to be written: `changes` (lines of git fast-import) to the tree of its first
    parent."""

    parents: list[str]
    changes: bytes
    who: str


def file_line(path: str, data: bytes) -> bytes:
    """A file of a commit's tree, with its content."""
    return b"M %s inline %s\ndata %d\n%s\n" % (FILE.encode(), path.encode(), len(data), data)


def write_commits(repo: Repo, commits: Mapping[str, Commit]) -> dict[str, str]:
    """Write commits and no ref; ref → id. Raises RepositoryError."""
    scratch = f"refs/mlver/tmp/{os.getpid()}-{os.urandom(4).hex()}"
    when = int(time.time())
    parts = []
    for mark, (ref, commit) in enumerate(commits.items(), 1):
        message = f"mlver: {_MESSAGES.get(ref, ref)}\n"
        parents = [
            f"{'merge' if number else 'from'} {name}\n"
            for number, name in enumerate(commit.parents)
        ]
        head = (
            f"commit {scratch}\nmark :{mark}\ncommitter {commit.who} {when} +0000\n"
            f"data {len(message)}\n{message}{''.join(parents)}"
        )
        # The branch goes again at once: a ref that fast-import moves is moved without a look at
        # what it was.
        gone = f"\nget-mark :{mark}\nreset {scratch}\nfrom {'0' * repo.hex_length}\n\n"
        parts += [head.encode(), commit.changes, gone.encode()]
    output = command.run(
        ["fast-import", "--quiet", "--done", "--date-format=raw"],
        cwd=repo.worktree or repo.git_dir,
        input=b"".join(parts) + b"done\n",
    )
    return dict(zip(commits, output.decode("ascii").split(), strict=True))


_MESSAGES = {NOTES: "runs", KEPT: "kept for runs"}


def swap(repo: Repo, new: Mapping[str, str], old: Mapping[str, str]) -> bool:
    """Move refs from `old` to `new`, all or none; False where another was faster.

    Raises RepositoryError for every other failure.
    """
    none = "0" * repo.hex_length
    lines = [f"update {ref} {commit} {old.get(ref, none)}\n" for ref, commit in new.items()]
    done = command.attempt(
        ["update-ref", "--create-reflog", "--stdin"],
        cwd=repo.worktree or repo.git_dir,
        input="".join(lines).encode(),
    )
    if done.returncode == 0:
        return True
    error = command.failure("git could not move the refs of runs", done.stderr)
    if isinstance(error, BusyError) or any(tips(repo, new).get(ref) != old.get(ref) for ref in new):
        return False
    raise error
