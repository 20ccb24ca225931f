"""SQLite databases, read only: tables, their columns and rows. Nothing that a database brings is
run: no view, no trigger, no extension, no function but those built in; a journal beside it is not
played."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from mlver.formats.base import NotThisFormat, Source

_STEP = 4 * 1024 * 1024
MAGIC = b"SQLite format 3\0"


class Table(NamedTuple):
    """`columns` with their declared types; `key`: the primary key's columns, in its order."""

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]


class Database:
    """An open database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def tables(self) -> dict[str, Table]:
        """Ordinary tables by name; those of SQLite itself and virtual ones are left out."""
        found = {}
        rows = self._ask("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        for name, sql in rows:
            virtual = str(sql).lstrip().upper().startswith("CREATE VIRTUAL")
            if name.lower().startswith("sqlite_") or virtual:
                continue
            columns, key = {}, []
            for row in self._ask(f"PRAGMA table_xinfo({_quoted(name)})"):
                if not row[6]:  # neither hidden nor generated
                    columns[row[1]] = row[2]
                    if row[5]:
                        key.append((row[5], row[1]))
            found[name] = Table(name, columns, tuple([column for _, column in sorted(key)]))
        return found

    def rows(self, table: Table) -> Iterator[tuple[object, ...]]:
        """All rows, in the order of its columns."""
        names = ", ".join(_quoted(name) for name in table.columns)
        return self._ask(f"SELECT {names} FROM {_quoted(table.name)}")

    def _ask(self, sql: str) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(sql)
        except (sqlite3.Error, ValueError, OverflowError) as error:
            raise NotThisFormat("it is no SQLite database", why=str(error)) from error


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextlib.contextmanager
def opened(source: Source) -> Iterator[Database | None]:
    """The database, from a copy that nobody else has open; None for an empty file."""
    if not source.size:
        yield None
        return
    if source.read(0, len(MAGIC)) != MAGIC:
        raise NotThisFormat("it is no SQLite database", why="it does not begin as one")
    with tempfile.TemporaryDirectory(prefix="mlver-") as folder:
        path = os.path.join(folder, "copy.sqlite")
        with open(path, "wb") as file:
            at = 0
            while data := source.read(at, _STEP):
                file.write(data)
                at += len(data)
        uri = f"file:{quote(path)}?mode=ro&immutable=1"
        try:
            connection = sqlite3.connect(uri, uri=True)
        except sqlite3.Error as error:
            raise NotThisFormat("it is no SQLite database", why=str(error)) from error
        connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        try:
            for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON"):
                with contextlib.suppress(sqlite3.Error):
                    connection.execute(f"PRAGMA {pragma}")
            yield Database(connection)
        finally:
            connection.close()
