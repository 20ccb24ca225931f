"""The cases: what is set up once for each peer, and what each round does and times.

Adding starts every round with a fresh repository, for a second add of the same content is another
thing. What does not change the repository (status, restoring, commits) sets it up once.
A case may have several steps; each is timed by itself. Those of transfers are in `s3_cases`.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from pathlib import Path

import workloads
from case import LARGE, SMALL, TABLE, Bench, Case, Turn
from peers import Peer
from s3_cases import S3_CASES
from scratch import CommandError, Sample

STATUS = ("status", "--porcelain")
FILTER_WORDS = ("filter-process", " clean", " smudge")


def _fresh(turn: Turn) -> tuple[Peer, Path]:
    """The peer and its repository, made anew."""
    if turn.repo.exists():
        shutil.rmtree(turn.repo)
    turn.peer.prepare(turn.repo)
    return turn.peer, turn.repo


def _add_measured(peer: Peer, repo: Path, path: str) -> Sample:
    before = peer.stored(repo)
    sample = peer.scratch.measure(peer.add([path]), repo)
    stored = peer.stored(repo) - before
    if stored <= 0:
        raise CommandError("stored nothing: its store is elsewhere, or the input is not tracked")
    return sample.storing(stored)


def _add_large(turn: Turn) -> dict[str, Sample]:
    peer, repo = _fresh(turn)
    turn.bench.place("large", repo, LARGE)
    return {"add": _add_measured(peer, repo, LARGE)}


def _add_small(turn: Turn) -> dict[str, Sample]:
    peer, repo = _fresh(turn)
    turn.bench.place("small", repo, SMALL)
    return {"add": _add_measured(peer, repo, SMALL)}


def _add_table(turn: Turn) -> dict[str, Sample]:
    peer, repo = _fresh(turn)
    turn.bench.place("table1", repo, TABLE)
    first = _add_measured(peer, repo, TABLE)
    peer.commit(repo)
    turn.bench.place("table2", repo, TABLE)
    second = _add_measured(peer, repo, TABLE)
    if peer.restores and turn.number == 0:
        peer.commit(repo)
        peer.drop(repo, TABLE)
        peer.scratch.run(peer.restore(TABLE), repo)
        _check_restored(turn, "table2", TABLE)
    return {"add": first, "add-v2": second}


def _commit_large(bench: Bench, peer: Peer, repo: Path) -> None:
    peer.prepare(repo)
    bench.place("large", repo, LARGE)
    peer.scratch.run(peer.add([LARGE]), repo)
    peer.commit(repo)


def _restore_large(turn: Turn) -> dict[str, Sample]:
    turn.peer.drop(turn.repo, LARGE)
    sample = turn.peer.scratch.measure(turn.peer.restore(LARGE), turn.repo)
    _check_restored(turn, "large", LARGE)
    return {"restore": sample}


def _check_restored(turn: Turn, name: str, path: str) -> None:
    """A store that cannot give the bytes back is fast for nothing."""
    restored = turn.peer.restored(turn.repo, path)
    if not filecmp.cmp(turn.bench.source(name), restored, shallow=False):
        raise CommandError(f"{path} came back with other bytes")


def _commit_small(bench: Bench, peer: Peer, repo: Path) -> None:
    """Add and commit the small files, and count the filters that the first two statuses start."""
    peer.prepare(repo)
    bench.place("small", repo, SMALL)
    peer.scratch.run(peer.add([SMALL]), repo)
    started = _filters_started(peer, repo)
    peer.commit(repo)
    started += _filters_started(peer, repo)
    bench.results.facts[f"filters started by status/{peer.name}"] = started
    changes = peer.git(repo, "status", "--porcelain")
    if changes:
        raise CommandError(f"git status is not clean after the commit: {changes[:60]!r}")


def _filters_started(peer: Peer, repo: Path) -> int:
    trace = peer.scratch.run(["git", *STATUS], repo, GIT_TRACE="1")
    commands = [line for line in trace.splitlines() if "run_command:" in line]
    return sum(any(word in line for word in FILTER_WORDS) for line in commands)


def _status(turn: Turn) -> dict[str, Sample]:
    return {"status": turn.peer.scratch.measure(["git", *STATUS], turn.repo)}


def _touch_and_status(turn: Turn) -> dict[str, Sample]:
    moment = workloads.OLD_TIME + 60 * (turn.number + 1)
    for path in (turn.repo / SMALL).rglob("*.bin"):
        os.utime(path, (moment, moment))
    return _status(turn)


def _commit_notes(turn: Turn) -> dict[str, Sample]:
    """Two commits of a line of text in one repository: with its hooks, and with none."""
    commit = ["commit", "--quiet", "--message=notes"]
    steps = {
        "with-hooks": ["git", *commit],
        "without-hooks": ["git", "-c", "core.hooksPath=.git/no-hooks", *commit],
    }
    samples = {}
    for step, command in steps.items():
        with (turn.repo / "notes.txt").open("a") as notes:
            notes.write(f"{step} {turn.number}\n")
        turn.peer.git(turn.repo, "add", "notes.txt")
        samples[step] = turn.peer.scratch.measure(command, turn.repo)
    return samples


def _version(turn: Turn) -> dict[str, Sample]:
    return {"version": turn.peer.scratch.measure(turn.peer.version(), turn.peer.scratch.home)}


STORES = ("mlver", "mlver-add", "git-lfs", "dvc", "xet", "oxen", "git")

CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case(
            "large",
            "add one random file of 1 GiB",
            (*STORES, "cp"),
            _add_large,
        ),
        Case(
            "small",
            "add 10,000 random files of 10 KiB",
            (*STORES, "cp"),
            _add_small,
        ),
        Case(
            "table",
            "add a CSV of 3M rows, then its second version with 151 rows changed",
            STORES,
            _add_table,
        ),
        Case(
            "hydrate",
            "bring back the content of a dropped 1 GiB file",
            ("mlver-add", "git-lfs", "dvc", "cp"),
            _restore_large,
            setup=_commit_large,
        ),
        Case(
            "status",
            "git status with 10,000 tracked files, none of them changed",
            ("mlver", "mlver-add", "git-lfs", "git"),
            _status,
            setup=_commit_small,
            times=4,
        ),
        Case(
            "touched",
            "git status after 10,000 tracked files were touched, their content unchanged",
            ("mlver", "git-lfs", "git"),
            _touch_and_status,
            setup=_commit_small,
        ),
        Case(
            "commit",
            "git commit of a line of text, with 10,000 tracked files beside it",
            ("mlver-add", "git-lfs"),
            _commit_notes,
            setup=_commit_small,
            times=4,
        ),
        Case(
            "startup",
            "print the version",
            ("mlver", "git-lfs", "dvc", "git"),
            _version,
            times=4,
        ),
        *S3_CASES,
    )
}
