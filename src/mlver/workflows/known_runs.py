"""Every run that this clone knows: its own notes, those of remotes as last fetched, its journal.

    with known_runs.known(ctx) as runs:
        run = runs.find("latest")

Asked is the SQLite cache (lineage/graph), which is first brought up to date (`run_index`). Two
records that claim one run id are both given, each with `claim` set. What is read here may have come
with a clone: nothing of it is followed, and whoever shows it escapes it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from mlver.errors import CorruptContent, UsageError
from mlver.git import run_notes
from mlver.git.run_refs import NOTES, kept_path, run_key
from mlver.lineage import graph, journal
from mlver.lineage.graph import INPUT, OUTPUT, Graph
from mlver.lineage.run_rows import listed_members
from mlver.model import run as records
from mlver.model.digest import Digest
from mlver.model.run import Artifact, Run
from mlver.workflows import run_index
from mlver.workflows.context import Context

_T = TypeVar("_T")


class KnownRun(NamedTuple):
    """A run, and how this clone knows it. `number`: its own within one `KnownRuns`.

    `claim`: another record claims the same id. `in_journal`: it is at work, or no note yet.
    """

    number: int
    run: Run
    claim: bool
    in_journal: bool


class Place(NamedTuple):
    """A note that a run stands in: the ref, and the object that the note annotates (a commit, or
    the run's own blob: `is_commit`)."""

    ref: str
    key: str
    is_commit: bool


class KnownRuns:
    """The runs of one clone, as they were when it was made. Close it, or use it as a context."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._answered = False
        self._graph = self._opened()
        self._warn()

    # -- runs --------------------------------------------------------------------------------

    def all(self) -> list[KnownRun]:
        """Every run, the newest first."""
        return self._runs("1")

    def with_id(self, run_id: str) -> list[KnownRun]:
        """The records that claim this id; one, unless two clones tell two things."""
        return self._runs("r.run_id = ?", [run_id])

    def numbered(self, numbers: Sequence[int]) -> list[KnownRun]:
        """Runs by their numbers, in that order."""
        found: dict[int, KnownRun] = {}
        for start in range(0, len(numbers), 500):
            some = numbers[start : start + 500]
            marks = ",".join("?" * len(some))
            found |= {run.number: run for run in self._runs(f"r.num in ({marks})", some)}
        return [found[number] for number in numbers if number in found]

    def find(self, text: str) -> KnownRun:
        """The run that a person names: its id or the beginning or end of it, its name (the newest
        of that name), or `latest`. Raises UsageError for none, and for several."""
        found = self._runs("1", limit=1) if text == "latest" else self._named(text)
        if not found:
            raise UsageError(
                f"{text!r} names no run that is known here",
                why="it is no run's id or name, and no id begins or ends so",
                fix="git mlver runs, to see the runs; git mlver fetch, to get those of others",
            )
        if len({run.run.run_id for run in found}) > 1:
            some = ", ".join(run.run.run_id for run in found[:4])
            raise UsageError(
                f"{text!r} names {len(found)} runs", why=some, fix="give more of the id"
            )
        return found[0]

    def _named(self, text: str) -> list[KnownRun]:
        exact = self._runs("r.run_id = ?", [text])
        if exact:
            return exact
        named = self._runs("r.name = ?", [text], limit=1)
        if named or len(text) < 4:
            return named
        pattern = _literal(text.lower())
        return self._runs(
            "r.run_id like ? escape '\\' or r.run_id like ? escape '\\'",
            [f"{pattern}%", f"%{pattern}"],
        )

    def words(self, beginning: str, most: int) -> list[str]:
        """Words that name a run and begin so, for completion: `latest`, names, ids."""
        pattern = _literal(beginning) + "%"
        rows = self.ask(
            "select distinct name from runs where name like ? escape '\\' union all"
            " select run_id from runs where run_id like ? escape '\\' limit ?",
            [pattern, pattern, most],
        )
        latest = ["latest"] if "latest".startswith(beginning) else []
        return latest + [name for (name,) in rows if name.isprintable() and " " not in name]

    def making(self, oid: Digest) -> list[KnownRun]:
        """Runs with this content among their outputs, the newest first. One that read the same
        content too did not make it, and is left out."""
        return self._runs(
            "r.num in (select run from uses where oid = ? and direction = ?) and r.num not in"
            " (select run from uses where oid = ? and direction <> ?)",
            [oid, OUTPUT, oid, OUTPUT],
        )

    def lines_making(self, oid: Digest) -> list[tuple[str, bytes]]:
        """(run id, the record's very line) of the runs of `making` that are at work no more."""
        rows = self.ask(
            "select r.run_id, k.line from runs r join records k on k.run = r.num"
            " where r.num in (select run from uses where oid = ? and direction = ?) and r.num not"
            " in (select run from uses where oid = ? and direction <> ?) order by r.start_ms desc",
            [oid, OUTPUT, oid, OUTPUT],
        )
        found = [(run_id, bytes(line)) for run_id, line in rows]
        return [row for row in found if records.parse(row[1]).status != "running"]

    def line(self, run: KnownRun) -> bytes:
        """The record's very line, as it stands in a note."""
        return bytes(self.ask("select line from records where run = ?", [run.number])[0][0])

    def reading(self, oid: Digest) -> list[KnownRun]:
        """Runs with this content among their inputs or configurations, the newest first."""
        return self._runs(
            "r.num in (select run from uses where oid = ? and direction <> ?)", [oid, OUTPUT]
        )

    # -- what belongs to one run -------------------------------------------------------------

    def inputs(self, run: KnownRun) -> tuple[Artifact, ...]:
        """All its inputs, also where the record names a listing (that is here)."""
        return self._artifacts(run, INPUT)

    def outputs(self, run: KnownRun) -> tuple[Artifact, ...]:
        """All its outputs, as `inputs`."""
        return self._artifacts(run, OUTPUT)

    def params(self, run: KnownRun) -> dict[str, Any]:
        """All its parameters; those of a listing as texts."""
        found = dict(run.run.params)
        if "params" not in listed_members(run.run):
            return found
        for key, text in self.ask("select key, text from params where run = ?", [run.number]):
            found.setdefault(key, text)
        return found

    def is_complete(self, run: KnownRun) -> bool:
        """False where its listing of inputs or outputs is not in this clone."""
        return not self.ask("select wants from runs where num = ?", [run.number])[0][0]

    def places(self, run: KnownRun) -> list[Place]:
        """The notes that hold it: those of commits first, our own before those of remotes."""
        rows = self.ask(
            "select distinct s.ref, p.path from lines l join places p on p.note = l.note"
            " join sources s on s.num = p.source where l.run = ?", [run.number],
        )  # fmt: skip
        own = run_key(self._ctx.repo, run.run.run_id)
        found = [Place(ref, run_notes.key(path), run_notes.key(path) != own) for ref, path in rows]
        return sorted(found, key=lambda place: (not place.is_commit, place.ref != NOTES, place))

    def kept_file(self, run: KnownRun, name: str) -> bytes | None:
        """A member of the run's kept folder, such as `lock.txt`; None where it is not here."""
        run_id = run.run.run_id
        if run.in_journal:
            for entry in journal.entries(self._ctx.repo.store_dir):
                if entry.run_id == run_id and name in entry.kept():
                    return entry.kept()[name]
        names = [f"{tip}:{kept_path(run_id)}/{name}" for tip in self._kept_tips]
        texts = (text for _, text in run_notes.texts(self._ctx.repo, names))
        return next((text for text in texts if text is not None), None)

    @cached_property
    def _kept_tips(self) -> list[str]:
        return list(run_notes.tips(self._ctx.repo).kept.values())

    def _artifacts(self, run: KnownRun, direction: int) -> tuple[Artifact, ...]:
        given = run.run.inputs if direction == INPUT else run.run.outputs
        member = "inputs" if direction == INPUT else "outputs"
        if member not in listed_members(run.run):
            return given
        rows = self.ask(
            "select a.path, a.oid, a.size, a.role from run_lists l join artifacts a on"
            " a.list = -l.list where l.run = ? and l.direction = ?", [run.number, direction],
        )  # fmt: skip
        return (
            given
            if not rows
            else tuple(
                Artifact(path, None if oid is None else Digest(oid), size, role)
                for path, oid, size, role in rows
            )
        )

    # -- the database ------------------------------------------------------------------------

    def ask(self, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query. Raises CorruptContent where the file turns out to be damaged and
        runs were given already: built anew, it numbers them otherwise."""
        values = list(values)
        rows = self.use(lambda db: db.execute(sql, values).fetchall())
        self._answered = True
        return rows

    def use(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Work on the database, such as a walk over many runs (lineage/ancestry); as `ask`."""
        try:
            return work(self._graph.db)
        except graph.DAMAGED as error:
            if self._graph.path is None:
                raise
            self._graph.close()
            graph.delete(self._graph.path)
            if self._answered:
                raise CorruptContent(
                    "the cache of runs was damaged, and has been removed",
                    why=str(error),
                    fix="run the command again: the cache is built anew from the notes",
                ) from error
            self._graph = self._opened()
        return work(self._graph.db)

    def _runs(self, condition: str, values: Iterable[Any] = (), limit: int = -1) -> list[KnownRun]:
        rows = self.ask(
            "select r.num, k.line, r.claim, r.journal from runs r join records k on k.run = r.num"
            f" where {condition} order by r.start_ms desc, r.num desc limit {limit:d}",
            values,
        )
        return [
            KnownRun(num, records.parse(bytes(line)), bool(claim), bool(in_journal))
            for num, line, claim, in_journal in rows
        ]

    @cached_property
    def _path(self) -> bytes:
        return os.path.join(self._ctx.repo.store_dir, graph.FILE)

    def _opened(self) -> Graph:
        """The cache, brought up to date; in memory where the file cannot be had."""
        repo = self._ctx.repo
        tips, waiting = run_notes.tips(repo), run_index.waiting(repo)
        nothing = not tips.notes and not waiting and not os.path.exists(self._path)
        for path in [None] if nothing else [self._path, self._path, None]:
            opened = None
            try:
                if path is not None:
                    os.makedirs(repo.store_dir, exist_ok=True)
                opened = Graph(path)
                if not run_index.is_current(opened, tips, waiting):
                    run_index.bring(opened, repo, tips, waiting)
                return opened
            except (*graph.DAMAGED, OSError) as error:
                if opened is not None:
                    opened.close()
                if path is None:
                    raise
                if not isinstance(error, sqlite3.OperationalError | OSError):
                    graph.delete(path)
        raise AssertionError("unreachable")

    def _warn(self) -> None:
        """Say once what was left out, and where it stands."""
        rows = self.ask(
            "select p.why, p.count, n.path, s.ref from problems p left join places n on"
            " n.note = p.note left join sources s on s.num = n.source"
            " group by p.rowid order by p.rowid"
        )
        if not rows:
            return
        why, _, path, ref = rows[0]
        place = f"the note of {run_notes.key(path)[:12]} in {ref}" if path else "a ref of notes"
        count = sum(row[1] for row in rows)
        self._ctx.warn(
            f"{count} record(s) of runs cannot be understood and are left out; the first is in"
            f" {place}: {why}"
        )

    def close(self) -> None:
        self._graph.close()

    def __enter__(self) -> KnownRuns:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def known(ctx: Context) -> KnownRuns:
    """The runs that this clone knows now."""
    return KnownRuns(ctx)


def _literal(text: str) -> str:
    """A text as a pattern of LIKE that matches just itself."""
    for char in "\\%_":
        text = text.replace(char, "\\" + char)
    return text
