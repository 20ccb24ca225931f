"""Where content came from, and what was made of it: a walk over runs, by content id.

A run that wrote a content made it; whatever it read is upstream. Names, commits and branches play
no part, so renames, squashes and other repositories' runs are followed like any. The walk goes
level by level, each thing once: a circle ends it, and no depth overflows. A run that also read what
it wrote passed it on, and is no maker.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from mlver.lineage.graph import CONFIG, INPUT, OUTPUT
from mlver.lineage.run_rows import known
from mlver.model.digest import Digest, digest_of

ROLES = {INPUT: "input", OUTPUT: "output", CONFIG: "config"}


class Use(NamedTuple):
    """A run read (INPUT, CONFIG) or wrote (OUTPUT) a file. `oid`: None where it is not known."""

    run: int
    direction: int
    path: str
    oid: bytes | None
    size: int
    role: str


class RunNode(NamedTuple):
    """What a graph says of a run; `id` tells claims of one run id apart."""

    id: str
    run_id: str
    name: str
    status: str
    started: str
    command: str
    commit: str
    tree: str
    lock: bytes | None


@dataclass(slots=True)
class Ancestry:
    """`runs`: number → node. `uses`: what ties runs and contents that were met. `sizes`,
    `paths`: of each content. `cut`: the depth that was asked for ended the walk."""

    runs: dict[int, RunNode] = field(default_factory=dict)
    uses: dict[Use, None] = field(default_factory=dict)
    paths: dict[bytes, dict[str, None]] = field(default_factory=dict)
    sizes: dict[bytes, int] = field(default_factory=dict)
    cut: bool = False


def walk(
    db: sqlite3.Connection,
    oids: Iterable[bytes],
    runs: Iterable[int] = (),
    *,
    up: bool = True,
    down: bool = False,
    depth: int | None = None,
) -> Ancestry:
    """Everything upstream (and downstream) of contents and runs, at most `depth` runs far."""
    found = Ancestry()
    oids, runs = list(oids), list(runs)
    for oid in oids:
        found.paths[oid] = {}
    for wanted, direction in ((up, OUTPUT), (down, INPUT)):
        if wanted:
            _walk(db, found, set(oids), set(runs), direction, depth)
    _name_runs(db, found, {use.run for use in found.uses} | set(runs))
    return found


def _walk(
    db: sqlite3.Connection,
    found: Ancestry,
    oids: set[bytes],
    runs: set[int],
    direction: int,
    depth: int | None,
) -> None:
    """One way: `direction` OUTPUT goes to makers and what they read; INPUT to readers and what
    they made."""
    up = direction == OUTPUT
    shared = db.execute("select 1 from run_lists limit 1").fetchone() is not None
    met_oids, met_runs = set(oids), set(runs)
    front = runs
    left = -1 if depth is None else depth
    first = True
    while oids or front:
        if not first or not front:
            uses = list(by_content(db, oids, shared))
            read = {(use.run, use.oid) for use in uses if use.direction != OUTPUT}
            new = [
                use
                for use in uses
                if (use.direction == OUTPUT) == up and not (up and (use.run, use.oid) in read)
            ]
            if left == 0 and new:
                found.cut = True
                return
            left -= 1
            for use in new:
                _take(found, use)
            front = {use.run for use in new} - met_runs
            met_runs |= front
        first = False
        oids = set()
        for use in of_runs(db, front, shared):
            if (use.direction == OUTPUT) != up:
                _take(found, use)
                if use.oid is not None and use.oid not in met_oids:
                    oids.add(use.oid)
        met_oids |= oids
        front = set()


def _take(found: Ancestry, use: Use) -> None:
    found.uses[use] = None
    if use.oid is not None:
        found.paths.setdefault(use.oid, {})[use.path] = None
        found.sizes[use.oid] = use.size


_COLUMNS = "a.path, a.oid, a.size, a.role"
_OWN = f"select a.list / 4, a.list % 4, {_COLUMNS} from artifacts a where"
_SHARED = (
    f"select l.run, l.direction, {_COLUMNS} from run_lists l join artifacts a on a.list = -l.list"
    " where"
)


def by_content(db: sqlite3.Connection, oids: Iterable[bytes], shared: bool = True) -> Iterator[Use]:
    """Every use of these contents. `shared`: look into listings that runs share, too."""
    wanted = list(oids)
    sources = [f"{_OWN} a.list >= 0 and a.oid", *([f"{_SHARED} a.oid"] if shared else [])]
    for sql in sources:
        yield from (Use(*row) for row in known(db, sql, wanted))


def of_runs(db: sqlite3.Connection, runs: Iterable[int], shared: bool = True) -> Iterator[Use]:
    """Everything that these runs used, in the order of their records."""
    wanted = sorted(runs)
    lists = [run * 4 + direction for run in wanted for direction in ROLES]
    yield from (Use(*row) for row in known(db, f"{_OWN} a.list", lists))
    if shared:
        yield from (Use(*row) for row in known(db, f"{_SHARED} l.run", wanted))


def _name_runs(db: sqlite3.Connection, found: Ancestry, numbers: Iterable[int]) -> None:
    sql = (
        "select num, run_id, name, status, started, argv, commit_id, tree, lock, claim"
        " from runs where num"
    )
    for num, run_id, name, status, started, argv, commit, tree, lock, claim in known(
        db, sql, sorted(numbers)
    ):
        node_id = f"run:{run_id}"
        if claim:  # two records of one id are two nodes; the same ones in every clone
            line = db.execute("select line from records where run = ?", (num,)).fetchone()[0]
            node_id += "~" + digest_of(bytes(line)).hex()[:12]
        found.runs[num] = RunNode(
            node_id, run_id, name, status, started, argv, commit or "", tree or "", lock
        )


def artifact_id(oid: bytes) -> str:
    """A content's id in a graph, and in a record."""
    return f"blake3:{Digest(oid).hex()}"
