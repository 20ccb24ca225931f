"""Where each record of this machine's packs lies: SQLite, derived from the packs.

Delete the file and it is rebuilt; nothing is ever known only here. A pack is entered up to an
offset, so that a pack which another process is still writing can be followed. Waits on the
database are bounded. Where the database cannot be written (a read-only disk), the same tables
live in memory.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mlver.errors import BusyError
from mlver.model.digest import SIZE, Digest
from mlver.store.pack import Entry
from mlver.store.record import BASED, MAX_RAW, MAX_STORED, RECIPE

SEALED, CHECKED = -1, -2
"""Instead of an offset: the footer was read; every record was read and verified."""
DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What a damaged database raises; the latter where an error's text quotes the damage."""
_MOST_OFFSET = 1 << 48
_VERSION = 2
_WAIT_MS = 10_000
_AT_ONCE = 500
_SCHEMA = f"""
create table if not exists packs (num integer primary key, name text unique, upto integer);
create table if not exists records (
    id blob, kind integer, pack integer, offset integer, stored integer, raw integer,
    codec integer, primary key (id, kind, pack, offset)) without rowid;
pragma user_version = {_VERSION};
"""


# Of several copies of a record: one that stands alone before a delta (it may be somebody's base,
# and a base must not be a delta), then the newest.
_IS_BASED = f"codec in ({', '.join(map(str, sorted(BASED)))})"
_BEST = f"{_IS_BASED}, pack desc, offset desc"
_BEST_LAST = f"{_IS_BASED} desc, pack, offset"


class Location(NamedTuple):
    """A record's place: pack by name, offset of its header, lengths in bytes."""

    pack: str
    offset: int
    stored: int
    raw: int
    codec: int


class Index:
    """One connection; used by one thread at a time (the store serialises)."""

    def __init__(self, path: bytes | None) -> None:
        """Open or create the database at `path`; None keeps it in memory."""
        self.path = path
        self._names: dict[int, str] = {}
        self._db = self._open()
        self.is_empty = False
        """True while no pack was ever entered: a first add looks nothing up."""

    def _open(self) -> sqlite3.Connection:
        if self.path is None:
            return self._prepare(sqlite3.connect(":memory:", check_same_thread=False))
        try:
            return self._connect()
        except sqlite3.OperationalError as error:
            if is_busy(error):
                raise busy() from error
            self.path = None  # cannot be opened or written here: derive it in memory
            return self._open()
        except DAMAGED:
            self.delete(self.path)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        assert self.path is not None
        db = sqlite3.connect(
            os.fsdecode(self.path),
            timeout=_WAIT_MS / 1000,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            version = db.execute("pragma user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise sqlite3.DatabaseError("of another version")
            if version == 0:
                db.execute("pragma journal_mode = wal")
            db.execute("pragma synchronous = normal")
            return self._prepare(db) if version == 0 else db
        except BaseException:
            db.close()
            raise

    @staticmethod
    def _prepare(db: sqlite3.Connection) -> sqlite3.Connection:
        db.isolation_level = None
        db.executescript(_SCHEMA)
        return db

    @staticmethod
    def delete(path: bytes) -> None:
        """Remove the database's files; the next opening derives it anew."""
        for suffix in (b"", b"-wal", b"-shm", b"-journal"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path + suffix)

    def packs(self) -> dict[str, int]:
        """Name → offset up to which the pack is entered, or SEALED, or CHECKED."""
        rows = self._db.execute("select num, name, upto from packs").fetchall()
        if not all(isinstance(name, str) and isinstance(upto, int) for _, name, upto in rows):
            raise sqlite3.DatabaseError("a pack's row is damaged")
        self._names = {num: name for num, name, _ in rows}
        self.is_empty = not rows
        return {name: upto for _, name, upto in rows}

    def find(self, digest: bytes, kind: int) -> Location | None:
        """Where the record of this id and kind lies, or None."""
        row = self._db.execute(
            "select pack, offset, stored, raw, codec from records where id = ? and kind = ?"
            f" order by {_BEST} limit 1",
            (digest, kind),
        ).fetchone()
        if row is None:
            return None
        if row[0] not in self._names:
            self.packs()
        name = self._names.get(row[0])
        return None if name is None else _location(name, row[1:])

    def find_many(self, digests: Sequence[bytes], kind: int) -> dict[bytes, Location]:
        """Where records of one kind lie; those that are not here are left out."""
        found = {}
        for start in range(0, len(digests), _AT_ONCE):
            some = digests[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            rows = self._db.execute(
                "select id, pack, offset, stored, raw, codec from records"
                f" where kind = {kind:d} and id in ({marks}) order by {_BEST_LAST}",
                some,
            ).fetchall()
            for digest, pack, *place in rows:
                if pack not in self._names:
                    self.packs()
                if pack in self._names:
                    found[digest] = _location(self._names[pack], place)
        return found

    def recipes(self) -> list[Digest]:
        """The id of every recipe, each once."""
        rows = self._db.execute(f"select distinct id from records where kind = {RECIPE:d}")
        return [Digest(row[0]) for row in rows if isinstance(row[0], bytes) and len(row[0]) == SIZE]

    def deltas(self) -> list[Location]:
        """Where every record lies that needs a base."""
        self.packs()
        rows = self._db.execute(
            f"select pack, offset, stored, raw, codec from records where {_IS_BASED}"
        )
        return [_location(self._names[row[0]], row[1:]) for row in rows if row[0] in self._names]

    def enter(
        self, name: str, entries: Iterable[Entry], upto: int, *, replace: bool = False
    ) -> None:
        """Add a pack's records. `replace`: they supersede rows of the same id (a repair)."""
        self.is_empty = False
        with self._transaction():
            self._db.execute(
                "insert into packs (name, upto) values (?, ?)"
                " on conflict (name) do update set upto = excluded.upto",
                (name, upto),
            )
            num = self._db.execute("select num from packs where name = ?", (name,)).fetchone()[0]
            self._names[num] = name
            rows = [
                (h.id, h.kind, num, e.offset, h.stored, h.raw, h.codec)
                for e in entries
                for h in (e.header,)
            ]
            if replace:
                self._db.executemany(
                    "delete from records where id = ? and kind = ?", (row[:2] for row in rows)
                )
            self._db.executemany("insert or ignore into records values (?, ?, ?, ?, ?, ?, ?)", rows)

    def forget(self, digest: bytes, kind: int) -> None:
        """Drop the row that `find` gives: its record turned out to be damaged.

        Where there is another copy, that one is found from now on.
        """
        with self._transaction():
            self._db.execute(
                "delete from records where id = ?1 and kind = ?2 and (pack, offset) in ("
                " select pack, offset from records where id = ?1 and kind = ?2"
                f" order by {_BEST} limit 1)",
                (digest, kind),
            )

    def forget_pack(self, name: str) -> None:
        """Drop a pack and its rows."""
        with self._transaction():
            row = self._db.execute("select num from packs where name = ?", (name,)).fetchone()
            if row is not None:
                self._db.execute("delete from records where pack = ?", row)
                self._db.execute("delete from packs where num = ?", row)

    def clear(self) -> None:
        """Drop everything."""
        with self._transaction():
            self._db.execute("delete from records")
            self._db.execute("delete from packs")
        self._names.clear()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("begin immediate")
        except sqlite3.OperationalError as error:
            if is_busy(error):
                raise busy() from error
            raise
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("rollback")
            raise
        self._db.execute("commit")

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.close()


def _location(name: str, place: Sequence[object]) -> Location:
    """Raises DatabaseError for what no record has: a bit of the database was turned."""
    offset, stored, raw, codec = place
    for value, most in ((offset, _MOST_OFFSET), (stored, MAX_STORED), (raw, MAX_RAW), (codec, 255)):
        if not isinstance(value, int) or not 0 <= value <= most:
            raise sqlite3.DatabaseError("a record's row is damaged")
    return Location(name, *place)  # type: ignore[arg-type]


def is_busy(error: Exception) -> bool:
    """True where another process holds the database: no reason to take it for damaged."""
    code = getattr(error, "sqlite_errorcode", 0)  # what the module itself raises has none
    return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def busy() -> BusyError:
    """The error for a database that stayed locked for as long as we wait."""
    return BusyError(
        "the store's index is locked",
        why=f"another process held it for {_WAIT_MS // 1000} s",
        fix="wait for the other git-mlver command to end, then run this one again",
    )
