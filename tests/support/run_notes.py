"""Runs for tests, written into real notes of a real repository."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mlver.git import repo, run_refs
from mlver.git.repo import Repo
from mlver.git.run_refs import Addition, KeptFile
from mlver.model.digest import Digest, digest_of
from mlver.model.run import Artifact, Run

WHO = "A <a@example.com>"
BASE_MS = 1_700_000_000_000


def run_id(number: int) -> str:
    """A UUID of version 7 that begins with its time, a second a number."""
    random = hashlib.sha256(str(number).encode()).hexdigest()
    text = f"{BASE_MS + number * 1000:012x}7{random[:3]}a{random[3:18]}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def oid(text: str) -> Digest:
    return digest_of(text.encode())


def artifacts(*names: str) -> tuple[Artifact, ...]:
    """`path` (its content is told by its name) or `path=content`."""
    found = []
    for name in names:
        path, _, content = name.partition("=")
        found.append(Artifact(path, oid(content or path), 10))
    return tuple(found)


def moment(number: int) -> str:
    from mlver.lineage import journal

    return journal.moment(BASE_MS / 1000 + number)


def make(number: int, **members: Any) -> Run:
    """A finished run of that number."""
    values: dict[str, Any] = {
        "name": "train",
        "status": "finished",
        "started": moment(number),
        "ended": moment(number + 1),
        "exit_code": 0,
        "actor": WHO,
        "job": {"argv": ["python", "train.py"], "cwd": "", "kind": "command"},
    }
    return Run(run_id=run_id(number), **(values | members))


def new_repository(where: Path, hash_name: str = "sha1") -> Repo:
    """A repository with one commit."""
    where.mkdir(parents=True, exist_ok=True)
    git(where, "init", "-q", "-b", "main", f"--object-format={hash_name}")
    git(where, "config", "user.name", "A")
    git(where, "config", "user.email", "a@example.com")
    (where / "a.txt").write_text("a\n")
    git(where, "add", "a.txt")
    git(where, "commit", "-qm", "first")
    return repo.discover(str(where).encode())


def git(where: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=where, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def head(clone: Repo) -> str:
    return clone.git("rev-parse", "HEAD").decode().strip()


def note(
    clone: Repo,
    runs: Iterable[Run],
    key: str = "",
    kept: dict[str, list[KeptFile]] | None = None,
) -> None:
    """Note runs at a commit (HEAD where none is named)."""
    addition, ids = Addition(), {}
    for run in runs:
        line = run.encode()
        ids[line] = run.run_id
        addition.note(key or head(clone), line)
    addition.kept.update(kept or {})
    run_refs.add(clone, addition, ids, WHO)


def note_raw(clone: Repo, text: bytes, key: str = "", ref: str = run_refs.NOTES) -> None:
    """Put any bytes where a note of runs is expected, as a hostile clone could."""
    change = run_refs.file_line(run_refs.note_paths(key or head(clone))[0], text)
    old = run_refs.tips(clone, [ref])
    commit = run_refs.Commit(list(old.values()), change, WHO)
    assert run_refs.swap(clone, run_refs.write_commits(clone, {ref: commit}), old)


def listed(runs: Sequence[Any]) -> list[str]:
    """Names of known runs, sorted."""
    return sorted(known.run.name for known in runs)
