"""Every run that this clone knows, in SQLite: derived from notes and journal, and nothing else.

Delete the file and it is built anew. It holds each record's own line beside columns and tables of
what people filter by (`run_rows`), which line stands in which note, and which note lies where, so
that it follows the notes at the cost of what changed. A text that stands in many notes is one run.

Many processes may use it: a writer's transaction is whole or not at all, and waits are bounded.
Where it cannot be written, or is held for too long, the same tables are built in memory. What is
damaged, or of another version, is removed and built again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator

FILE = b"lineage.sqlite"
DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What a damaged database raises; the latter where an error's text quotes the damage."""
_VERSION = 2
_WAIT_MS = 10_000
_TABLES = """
create table sources (num integer primary key, ref text unique, tip text);
create table notes (num integer primary key, blob text unique);
create table places (source integer, path text, note integer, primary key (source, path))
    without rowid;
create table lines (note integer, run integer);
create table problems (note integer, why text, count integer);
create table runs (num integer primary key, run_id text, name text, status text, started text,
    ended text, start_ms integer, end_ms integer, exit_code integer, actor text, parent text,
    commit_id text, tree text, branch text, argv text, lock blob, claim integer default 0,
    journal integer default 0, wants integer default 0);
create table records (run integer primary key, line blob);
create table params (key text, run integer, text text, number real);
create table metrics (key text, run integer, number real);
create table tags (key text, run integer, text text);
create table artifacts (list integer, path text, oid blob, size integer, role text);
create table listings (num integer primary key, blob text unique);
create table run_lists (list integer, run integer, direction integer,
    primary key (list, run, direction)) without rowid;
create view uses as
    select list / 4 as run, list % 4 as direction, path, oid, size, role
        from artifacts where list >= 0
    union all select l.run, l.direction, a.path, a.oid, a.size, a.role
        from artifacts a join run_lists l on a.list = -l.list;
"""
_INDEXES = """
create index if not exists places_note on places (note);
create index if not exists lines_note on lines (note);
create index if not exists lines_run on lines (run);
create index if not exists runs_id on runs (run_id);
create index if not exists runs_journal on runs (num) where journal;
create index if not exists runs_wants on runs (num) where wants;
create index if not exists runs_start on runs (start_ms);
create index if not exists params_key on params (key, run);
create index if not exists metrics_key on metrics (key, run);
create index if not exists tags_key on tags (key, run);
create index if not exists artifacts_list on artifacts (list);
create index if not exists artifacts_oid on artifacts (oid);
create index if not exists artifacts_path on artifacts (path);
create index if not exists run_lists_run on run_lists (run);
"""
INPUT, OUTPUT, CONFIG = 0, 1, 2
"""`direction` of an artifact. `artifacts.list` is run * 4 + direction for what a record holds
itself, and minus a listing's number for a listing, which many runs may share."""


class Graph:
    """One connection. `db` raises DAMAGED where the file is damaged."""

    def __init__(self, path: bytes | None) -> None:
        """Open or create it at `path`; None keeps it in memory."""
        self.path = path
        self.db = _connect(path)

    @property
    def is_empty(self) -> bool:
        """True before the tables are there."""
        return bool(self.db.execute("pragma user_version").fetchone()[0] == 0)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction: all of it or nothing. Others wait; they go on reading what was.

        Raises sqlite3.OperationalError where another one writes for too long, or nobody may.
        """
        self.db.execute("begin immediate")
        try:
            fresh = self.is_empty
            if fresh:
                _each(self.db, _TABLES)
            yield
            if fresh:  # an index is built faster at once than row by row
                _each(self.db, _INDEXES)
                self.db.execute(f"pragma user_version = {_VERSION}")
            self.db.execute("commit")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self.db.execute("rollback")
            raise

    def close(self) -> None:
        self.db.close()


def _each(db: sqlite3.Connection, script: str) -> None:
    """A script's statements, inside the transaction that is open (`executescript` would end it)."""
    for statement in script.split(";"):
        if statement.strip():
            db.execute(statement)


def _connect(path: bytes | None) -> sqlite3.Connection:
    name = ":memory:" if path is None else os.fsdecode(path)
    db = sqlite3.connect(name, timeout=_WAIT_MS / 1000, isolation_level=None)
    try:
        if db.execute("pragma user_version").fetchone()[0] not in (0, _VERSION):
            raise sqlite3.DatabaseError("of another version")
        db.execute("pragma synchronous = normal")
        db.execute("pragma cache_size = -65536")
        db.execute("pragma case_sensitive_like = on")
        db.create_function("fold", 1, _fold, deterministic=True)
        return db
    except BaseException:
        db.close()
        raise


def _fold(text: object) -> str | None:
    """A text as it compares where case does not count; SQLite's own knows ASCII only."""
    return text.casefold() if isinstance(text, str) else None


def delete(path: bytes) -> None:
    """Remove the database's files; whoever opens it next builds it anew."""
    for suffix in (b"", b"-journal", b"-wal", b"-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + suffix)
