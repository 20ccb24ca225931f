"""Brings `lineage.graph` up to date with what git and the journal hold now.

Notes are compared with the tips that were read last, so that the cost is that of what changed. A
line that cannot be understood is left out, and the note that it stands in is remembered for a
warning. Listings (inputs of which there are many) are taken from the kept trees, each text once;
where a clone does not have them yet, the record's own first twenty stand in for them.
"""

from __future__ import annotations

import gc
import json
import sqlite3
from collections.abc import Iterable

from mlver.errors import CorruptContent, RepositoryError
from mlver.git import run_notes
from mlver.git.repo import Repo
from mlver.git.run_notes import Tips
from mlver.git.run_refs import kept_path, split
from mlver.lineage import journal
from mlver.lineage.graph import Graph
from mlver.lineage.run_rows import MEMBERS, Rows, known, listed_members, remove
from mlver.model import run as records
from mlver.model.run import Run

_AT_ONCE = 10_000

Waiting = dict[str, tuple[bytes, Run]]
"""Run id → its record's line and value, for runs that are in the journal."""


def waiting(repo: Repo) -> Waiting:
    """Runs of the journal: at work, or not a note yet. What cannot be read is none."""
    found: Waiting = {}
    for entry in journal.entries(repo.store_dir):
        try:
            run = entry.seen()
            if run.run_id == entry.run_id:
                found[run.run_id] = run.encode(), run
        except (CorruptContent, ValueError):
            continue  # its recorder was killed before it wrote anything, or the disk was full
    return found


def is_current(graph: Graph, tips: Tips, runs: Waiting) -> bool:
    """True where nothing changed since the last `bring`."""
    if graph.is_empty:
        return False
    stored = dict(graph.db.execute("select ref, tip from sources"))
    rows = graph.db.execute(
        "select r.run_id, k.line from runs r join records k on k.run = r.num where r.journal"
    )
    noted = {row[0] for row in known(graph.db, "select run_id from runs where not journal"
             " and run_id", runs)}  # fmt: skip
    here = {run_id: line for run_id, (line, _) in runs.items() if run_id not in noted}
    return stored == {**tips.notes, **tips.kept} and dict(rows) == here


def bring(graph: Graph, repo: Repo, tips: Tips, runs: Waiting) -> None:
    """Enter what changed. Raises sqlite3.Error where the database cannot be written."""
    was_on = gc.isenabled()
    gc.disable()  # millions of small values, none in a circle: a third of the time otherwise
    try:
        with graph.writing():
            _Update(graph.db, repo).run(tips, runs)
    finally:
        if was_on:
            gc.enable()


class _Update:
    def __init__(self, db: sqlite3.Connection, repo: Repo) -> None:
        self.db, self.repo = db, repo
        self.rows = Rows()
        self.next = 1 + (db.execute("select max(num) from runs").fetchone()[0] or 0)
        self.fresh = self.next == 1
        self.known: dict[str, dict[int, int]] = {}
        """Run id → hash of a line → the run's number, of the runs met in this update."""
        self.listed: list[tuple[int, Run]] = []

    def run(self, tips: Tips, runs: Waiting) -> None:
        stored = {
            ref: (num, tip) for num, ref, tip in self.db.execute("select * from sources").fetchall()
        }
        for ref in stored.keys() - tips.notes.keys() - tips.kept.keys():
            self._forget_places(stored[ref][0])
            self.db.execute("delete from sources where num = ?", (stored[ref][0],))
        for ref, tip in sorted(tips.notes.items()):
            num, old = stored.get(ref, (None, None))
            if tip != old:
                self._source(self._tip(ref, tip, num), ref, old, tip)
        self._drop_unplaced()
        self._journal(runs)
        new_kept = False
        for ref, tip in tips.kept.items():
            num, old = stored.get(ref, (None, None))
            if tip != old:
                self._tip(ref, tip, num)
                new_kept = True
        if new_kept and not self.fresh:
            self._still_listed()
        self._listings(list(tips.kept.values()))
        self.rows.flush(self.db)
        self._claims()

    def _tip(self, ref: str, tip: str, num: int | None) -> int:
        if num is not None:
            self.db.execute("update sources set tip = ? where num = ?", (tip, num))
            return num
        done = self.db.execute("insert into sources (ref, tip) values (?, ?)", (ref, tip))
        assert done.lastrowid is not None
        return done.lastrowid

    # -- notes -------------------------------------------------------------------------------

    def _source(self, source: int, ref: str, old: str | None, new: str) -> None:
        """One ref's notes that changed."""
        self.db.execute("delete from problems where note = ?", (-source,))
        try:
            found = run_notes.changes(self.repo, old, new)
        except RepositoryError:
            self._forget_places(source)  # the old tip is gone, or this one is no commit
            try:
                found = run_notes.changes(self.repo, None, new)
            except RepositoryError as error:
                self._problem(-source, f"{ref}: {error.why}")
                return
        nums = self._read(sorted({change.blob for change in found if change.blob}))
        gone = [(source, change.path) for change in found if not change.blob]
        self.db.executemany("delete from places where source = ? and path = ?", gone)
        self.db.executemany(
            "insert or replace into places values (?, ?, ?)",
            [(source, change.path, nums[change.blob]) for change in found if change.blob],
        )

    def _read(self, blobs: list[str]) -> dict[str, int]:
        """The number of each note's text; those that are new are read."""
        nums: dict[str, int] = dict(known(self.db, "select blob, num from notes where blob", blobs))
        new = [blob for blob in blobs if blob not in nums]
        first = 1 + (self.db.execute("select max(num) from notes").fetchone()[0] or 0)
        nums |= {blob: first + at for at, blob in enumerate(new)}
        self.db.executemany("insert into notes values (?, ?)", [(nums[b], b) for b in new])
        for blob, text in run_notes.texts(self.repo, new):
            if text is None:
                self._problem(nums[blob], "it is too long for a note of runs, or not here")
            else:
                self._lines(nums[blob], text)
        return nums

    def _lines(self, note: int, text: bytes) -> None:
        bad, why = 0, ""
        runs = set()
        for line in split(text):
            try:
                runs.add(self._number(line, records.parse(line)))
            except CorruptContent as error:
                bad, why = bad + 1, why or f"{error.what}: {error.why}"
        self.rows.lines(note, runs)
        if bad:
            self._problem(note, why, bad)
        if self.rows.count >= _AT_ONCE:
            self.rows.flush(self.db)

    def _number(self, line: bytes, run: Run) -> int:
        """The number of the run that this very line tells of; a new one where it is new."""
        lines = self.known.get(run.run_id)
        if lines is None:
            lines = self.known[run.run_id] = {}
            if not self.fresh:
                rows = self.db.execute(
                    "select k.line, r.num from runs r join records k on k.run = r.num"
                    " where r.run_id = ?", (run.run_id,),
                )  # fmt: skip
                lines.update((hash(bytes(old)), num) for old, num in rows)
        num = lines.get(hash(line))
        if num is None:
            num = lines[hash(line)] = self.next
            self.next += 1
            self.rows.add(num, run, line)
            if listed_members(run):
                self.listed.append((num, run))
        return num

    def _problem(self, note: int, why: str, count: int = 1) -> None:
        text = why.encode("utf-8", "replace").decode("utf-8")
        self.db.execute("insert into problems values (?, ?, ?)", (note, text, count))

    def _forget_places(self, source: int) -> None:
        self.db.execute("delete from places where source = ?", (source,))
        self.db.execute("delete from problems where note = ?", (-source,))

    def _drop_unplaced(self) -> None:
        """Forget notes that lie nowhere any more, and runs that no note tells of."""
        if self.fresh:
            return
        self.rows.flush(self.db)
        gone = self.db.execute(
            "select num from notes where num not in (select note from places)"
        ).fetchall()
        for table in ("lines", "problems"):
            self.db.executemany(f"delete from {table} where note = ?", gone)
        self.db.executemany("delete from notes where num = ?", gone)
        if gone:
            self._drop("not r.journal and not exists (select 1 from lines l where l.run = r.num)")

    def _drop(self, condition: str) -> None:
        rows = self.db.execute(
            "select r.num, r.run_id, k.line from runs r join records k on k.run = r.num"
            f" where {condition}"
        ).fetchall()
        for num, run_id, line in rows:
            remove(self.db, num, records.parse(bytes(line)))
            self.known.setdefault(run_id, {}).pop(hash(bytes(line)), None)

    # -- the journal -------------------------------------------------------------------------

    def _journal(self, runs: Waiting) -> None:
        """Runs that are not a note yet; one that is has left the journal, or is about to."""
        self.rows.flush(self.db)
        is_noted = "exists (select 1 from lines l where l.run = r.num)"
        self.db.execute(f"update runs as r set journal = 0 where journal and {is_noted}")
        old = self.db.execute(
            "select r.run_id, k.line from runs r join records k on k.run = r.num where r.journal"
        ).fetchall()
        if old:
            self._drop("r.journal")
        for run_id, (line, run) in runs.items():
            noted = "select 1 from runs where run_id = ? and not journal"
            if self.db.execute(noted, (run_id,)).fetchone() is None:
                num = self._number(line, run)
                self.rows.flush(self.db)
                self.db.execute("update runs set journal = 1 where num = ?", (num,))

    # -- listings ----------------------------------------------------------------------------

    def _still_listed(self) -> None:
        """Runs whose listings were not here: they may have come."""
        rows = self.db.execute(
            "select r.num, k.line from runs r join records k on k.run = r.num where r.wants"
        )
        taken = {num for num, _ in self.listed}
        self.listed += [(num, records.parse(bytes(line))) for num, line in rows if num not in taken]

    def _listings(self, trees: list[str]) -> None:
        self.rows.flush(self.db)
        wanted = {
            f"{tree}:{kept_path(run.run_id)}/{member}.json": (num, member)
            for num, run in self.listed
            for member in listed_members(run)
            for tree in trees
        }
        found: dict[tuple[int, str], str] = {}
        for name, blob in run_notes.object_ids(self.repo, wanted).items():
            found.setdefault(wanted[name], blob)
        numbers = self._listing_numbers(
            blob for (_, member), blob in found.items() if member != "params"
        )
        for num, run in self.listed:
            for member in listed_members(run):
                blob = found.get((num, member), "")
                if member == "params":
                    self._param_listing(num, run, blob)
                else:
                    self._artifacts(num, run, member, numbers.get(blob))

    def _listing_numbers(self, blobs: Iterable[str]) -> dict[str, int]:
        """Blob → the number of its listing; those that are new are read."""
        wanted = sorted(set(blobs))
        numbers: dict[str, int] = dict(
            known(self.db, "select blob, num from listings where blob", wanted)
        )
        new = [blob for blob in wanted if blob not in numbers]
        for blob, text in run_notes.texts(self.repo, new):
            try:
                items = records.artifacts_from_listing(text or b"")
            except CorruptContent:
                continue
            done = self.db.execute("insert into listings (blob) values (?)", (blob,))
            assert done.lastrowid is not None
            numbers[blob] = done.lastrowid
            self.rows.artifacts(-done.lastrowid, items)
            self.rows.flush(self.db)
        return numbers

    def _artifacts(self, num: int, run: Run, member: str, listing: int | None) -> None:
        where = num * 4 + MEMBERS[member]
        self.db.execute("delete from artifacts where list = ?", (where,))
        if listing is None:
            self.rows.artifacts(where, getattr(run, member))
        else:
            row = (listing, num, MEMBERS[member])
            self.db.execute("insert or replace into run_lists values (?, ?, ?)", row)
        self.db.execute("update runs set wants = ? where num = ?", (listing is None, num))

    def _param_listing(self, num: int, run: Run, blob: str) -> None:
        for _, text in run_notes.texts(self.repo, [blob] if blob else []):
            try:
                values = json.loads(text or b"")
            except (ValueError, RecursionError):
                continue
            if isinstance(values, dict):
                some = [(name, num) for name in run.params]
                self.db.executemany("delete from params where key = ? and run = ?", some)
                self.rows.params(num, values)

    def _claims(self) -> None:
        """Mark the runs whose id another record claims too."""
        if self.fresh:
            self.db.execute(
                "update runs set claim = 1 where run_id in"
                " (select run_id from runs group by run_id having count(*) > 1)"
            )
            return
        for run_id in self.known:
            self.db.execute(
                "update runs set claim = (select count(*) from runs where run_id = ?) > 1"
                " where run_id = ?", (run_id, run_id),
            )  # fmt: skip
