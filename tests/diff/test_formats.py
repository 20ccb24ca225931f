"""Every format says what changed, by the names that people use in it."""

from __future__ import annotations

import io
import json
import math
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.diff.sources import Memory

from mlver.diff import registry
from mlver.diff.options import Options
from mlver.diff.rows import Tolerance
from mlver.model.change import FileDiff


def compared(old: bytes, new: bytes, name: str, options: Options = Options()) -> FileDiff:  # noqa: B008
    return registry.compare(Memory(old), Memory(new), name, name, options)


def told(found: FileDiff) -> list[tuple[Any, ...]]:
    """(kind, key's values, cells) of each change."""
    return [(c.kind, *c.key.values(), *(tuple(cell) for cell in c.cells)) for c in found.changes]


# -- parameters ------------------------------------------------------------------------------

PARAMETERS = {
    "p.json": (b'{"a": {"lr": 0.1, "n": [1, 2]}, "gone": 1, "x.y": NaN}',
               b'{"x.y": NaN, "a": {"n": [1, 3], "lr": 0.2}, "new": {"deep": true}}'),
    "p.yaml": (b"a: {lr: 0.1, n: [1, 2]}\ngone: 1\n",
               b"a:\n  lr: 0.2\n  n: [1, 3]\nnew: {deep: true}\n"),
    "p.toml": (b"gone = 1\n[a]\nlr = 0.1\nn = [1, 2]\n",
               b"[a]\nlr = 0.2\nn = [1, 3]\n[new]\ndeep = true\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_by_path(name: str) -> None:
    found = compared(*PARAMETERS[name], name)
    assert sorted(told(found), key=str) == [
        ("added", "new.deep"),
        ("modified", "a.lr", ("value", 0.1, 0.2)),
        ("modified", "a.n[1]", ("value", 2, 3)),
        ("removed", "gone"),
    ]
    assert (found.format, found.key_source) == (name[2:], "format")


def test_types_of_parameters_are_told_apart_and_tolerance_holds() -> None:
    assert told(compared(b'{"a": 1}', b'{"a": true}', "x.json"))
    assert told(compared(b'{"a": [1]}', b'{"a": [true]}', "x.json"))
    near = Options(tolerance=Tolerance(0.1))
    assert not told(compared(b'{"a": 1.0}', b'{"a": 1.05}', "x.json", near))
    assert told(compared(b'{"a b": {"": 1}}', b'{"a b": {"": 2}}', "x.json"))[0][1] == '["a b"][""]'


def test_a_list_of_objects_is_a_table() -> None:
    found = compared(b'[{"id": 1, "x": "a"}]', b'[{"id": 1, "x": "b"}, {"id": 2}]', "x.json")
    assert told(found) == [("modified", 1, ("x", "a", "b")), ("added", 2)]


# -- JSON lines ------------------------------------------------------------------------------


def _lines(rows: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_json_lines_by_key_with_values_that_nest() -> None:
    old = [{"id": n, "tags": [n, {"q": '"'}], "t": "a\nb"} for n in range(50)]
    new = [dict(row) for row in old]
    new[7]["tags"] = [7, {"q": "!"}]
    del new[20]
    new.insert(3, {"id": 99, "tags": None, "t": ""})
    found = compared(_lines(old), _lines(new), "x.jsonl")
    cell = ("tags", [7, {"q": '"'}], [7, {"q": "!"}])
    assert told(found) == [("modified", 7, cell), ("removed", 20), ("added", 99)]
    assert found.rows is not None and found.rows[:2] == (50, 50)


def test_order_and_spelling_of_json_lines_are_none() -> None:
    old = b'{"id": 1, "x": 1.0}\n{"id": 2, "x": 2}\n'
    new = b'\xef\xbb\xbf{"x":2,"id":2}\r\n\r\n{"id":1,"x":1.00}'
    found = compared(old, new, "x.ndjson")
    assert found.is_empty and found.rows is not None and found.rows[:2] == (2, 2)


def test_a_member_that_came_is_a_column_and_no_change_of_rows() -> None:
    old = [{"id": n, "x": n} for n in range(9)]
    new = [{**row, "new": 1} for row in old]
    found = compared(_lines(old), _lines(new), "x.jsonl")
    assert found.columns.added == ("new",) and found.changes == ()
    some = [*old[:4], {**old[4], "new": 1}, *old[5:]]
    back = compared(_lines([*some, {"id": 50, "x": 0, "new": 2}]), _lines(some), "x.jsonl")
    assert back.columns.removed == () and told(back) == [("removed", 50)]
    assert "new" not in compared(_lines(old), _lines([*old, {"id": 70}]), "x.jsonl").changes[0].row


# -- Parquet, Arrow, SQLite -------------------------------------------------------------------


def _parquet(table: Any, **options: Any) -> bytes:
    from pyarrow import parquet

    out = io.BytesIO()
    parquet.write_table(table, out, **options)
    return out.getvalue()


def test_parquet_by_typed_rows() -> None:
    pa = pytest.importorskip("pyarrow")
    columns: dict[str, list[Any]] = {
        "id": list(range(20_000)),
        "x": [n * 0.5 for n in range(20_000)],
    }
    old = pa.table(columns)
    columns["x"][12_345] = math.nan
    del columns["id"][5], columns["x"][5]
    new = pa.table(columns)
    found = compared(
        _parquet(old), _parquet(new, row_group_size=777, compression="none"), "x.parquet"
    )
    assert [c[:2] for c in told(found)] == [("removed", 5), ("modified", 12_345)]
    assert found.rows is not None and found.rows[:2] == (20_000, 19_999)
    assert compared(_parquet(old), _parquet(old, row_group_size=99), "x.parquet").is_empty


def test_columns_of_parquet_that_came_went_and_have_another_type() -> None:
    pa = pytest.importorskip("pyarrow")
    old = pa.table({"id": [1, 2], "n": [1, 2], "gone": ["a", "b"]})
    new = pa.table({"id": [1, 2], "n": [1.0, 2.5], "new": [b"\x00", None]})
    found = compared(_parquet(old), _parquet(new), "x.parquet")
    assert found.columns.retyped == (("n", "int64", "double"),)
    assert (found.columns.added, found.columns.removed) == (("new",), ("gone",))
    assert told(found) == [("modified", 2, ("n", 2, 2.5))]
    out = io.BytesIO()
    with pa.ipc.new_file(out, new.schema) as writer:
        writer.write_table(new)
    assert compared(out.getvalue(), out.getvalue(), "x.arrow").format == "arrow"


def _database(path: Path, *statements: str) -> bytes:
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return path.read_bytes()


def test_sqlite_by_table_and_primary_key(tmp_path: Path) -> None:
    make = "CREATE TABLE t (a TEXT, b INTEGER, v, PRIMARY KEY (a, b))"
    first = "INSERT INTO t VALUES ('x', 1, 'p'), ('x', 2, x'00ff'), ('y', 1, NULL)"
    old = _database(tmp_path / "d", make, first, "CREATE TABLE gone (q)")
    second = "INSERT INTO t VALUES ('y', 1, 1.5), ('x', 1, 'p'), ('z', 1, 1)"
    new = _database(tmp_path / "d", make, "CREATE VIEW w AS SELECT q FROM nowhere", second)
    found = compared(old, new, "x.sqlite")
    assert told(found) == [
        ("removed", "t", "x", 2),
        ("modified", "t", "y", 1, ("v", None, 1.5)),
        ("added", "t", "z", 1),
    ]
    assert found.key == ("table", "a", "b") and found.columns.removed == ("gone.q",)
    again = _database(tmp_path / "d", make, "INSERT INTO t VALUES ('y', 1, NULL)", "DELETE FROM t",
                      "INSERT INTO t VALUES ('y', 1, NULL), ('x', 2, x'00ff'), ('x', 1, 'p')",
                      "CREATE TABLE gone (q)")  # fmt: skip
    assert compared(old, again, "x.db").is_empty, "order and free pages are none"


# -- notebooks -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["t.jsonl", "t.parquet", "t.sqlite"])
def test_a_column_that_repeats_in_what_stayed_is_no_inferred_key(tmp_path: Path, name: str) -> None:
    """Of the one row that went, each column is unique; in the version that it went from, none."""
    rows = [(n % 3, n // 3 % 2, n % 2) for n in range(12)]
    sides = []
    for side in (rows, rows[1:]):
        if name == "t.jsonl":
            sides.append(_lines([dict(zip("abc", row, strict=True)) for row in side]))
        elif name == "t.parquet":
            pa = pytest.importorskip("pyarrow")
            columns = zip(*side, strict=True)
            sides.append(_parquet(pa.table(dict(zip("abc", map(list, columns), strict=True)))))
        else:
            values = ", ".join(map(str, side))
            path = tmp_path / f"{len(side)}.db"
            sides.append(
                _database(path, "create table t (a, b, c)", f"insert into t values {values}")
            )
    found = compared(sides[0], sides[1], name)
    assert (len(found.changes), found.changes[0].key.keys() - {"table"}) == (1, {"a", "b"})


def notebook(*cells: tuple[str | None, str, Any], count: int = 1) -> bytes:
    made = []
    for name, source, output in cells:
        outputs = [{"output_type": "stream", "text": output, "execution_count": count}]
        cell = {"cell_type": "code", "source": source.splitlines(True), "metadata": {}}
        cell |= {"execution_count": count, "outputs": outputs}
        made.append(cell | ({"id": name} if name else {}))
    return json.dumps({"nbformat": 4, "metadata": {"k": 1}, "cells": made}).encode()


def test_notebooks_by_cell() -> None:
    old = notebook(("a", "x = 1\ny", "1"), ("b", "z", "2"), ("c", "q", "3"))
    new = notebook(("a", "x = 2\ny", "1"), ("b", "z", "9"), ("d", "new", ""), count=7)
    found = compared(old, new, "x.ipynb")
    kinds = {c.key["cell"]: (c.kind, [cell.column for cell in c.cells]) for c in found.changes}
    assert kinds == {
        "a": ("modified", ["source"]),
        "b": ("modified", ["outputs"]),
        "c": ("removed", []),
        "d": ("added", []),
    }
    again = notebook(("a", "x = 1\ny", "1"), ("b", "z", "2"), ("c", "q", "3"), count=5)
    assert compared(old, again, "x.ipynb").is_empty


def test_cells_without_ids_are_paired_by_their_source() -> None:
    old = notebook((None, "a", ""), (None, "b", ""), (None, "c", ""))
    new = notebook((None, "new", ""), (None, "a", ""), (None, "b2", ""), (None, "c", ""))
    assert [c.kind for c in compared(old, new, "x.ipynb").changes] == ["added", "modified"]


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json", "x.safetensors", "x.npz", "x.pt",
                                  "x.onnx", "x.ipynb", "x.db", "x.parquet", "x.toml"])  # fmt: skip
def test_an_empty_version_has_nothing_in_it(name: str) -> None:
    assert compared(b"", b"", name).is_empty
