"""A filter chooses what MLflow's users expect it to, and says where it cannot be understood."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from tests.support.run_notes import artifacts, make, run_id

from mlver.errors import UsageError
from mlver.lineage.filters import compile_filter, compile_order, parse_key
from mlver.lineage.graph import Graph
from mlver.lineage.run_rows import Rows
from mlver.model.run import Run

RUNS = [
    make(
        1, name="one", params={"lr": 0.1, "opt": "adam", "deep": True, "a b": "x"},
        metrics={"acc": {"last": 0.95}, "val/loss": {"last": 1}},
        tags={"stage": "prod", "x.y": "z"},
        inputs=artifacts("raw/a.csv"), outputs=artifacts("m/one.bin"),
        code={"commit": "a" * 40, "branch": "main"}, actor="Ann <ann@x.org>",
    ),
    make(
        2, name="two", params={"lr": "0.10", "opt": "SGD"}, metrics={"acc": {"last": 0.5}},
        inputs=artifacts("raw/b.csv", "raw/a.csv"), status="failed", exit_code=3,
        code={"commit": "b" * 40, "branch": "dev"}, actor="Bob <bob@x.org>",
    ),
    make(3, name="três", params={"lr": "1e-1", "n": 20}, metrics={"acc": {"last": "NaN"}}),
    make(
        4, name="four", params={"n": 3}, status="killed", exit_code=137, ended="",
        tags={"stage": ""},
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def db() -> Iterator[sqlite3.Connection]:
    graph, rows = Graph(None), Rows()
    with graph.writing():
        for number, run in enumerate(RUNS, 1):
            rows.add(number, run, run.encode())
        rows.flush(graph.db)
    yield graph.db
    graph.close()


def chosen(db: sqlite3.Connection, expression: str) -> str:
    """The numbers of the runs that fulfil it, in their order."""
    found = compile_filter(expression)
    rows = db.execute(f"select num from runs r where {found.text} order by num", found.values)
    return "".join(str(num) for (num,) in rows)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", "1234"),
        # parameters: as text with a text, as number with a number
        ("params.lr = '0.1'", "1"),
        ("params.lr = 0.1", "123"),
        ("params.lr != '0.1'", "23"),
        ("params.n > 3", "3"),
        ("params.n >= 3", "34"),
        ("params.n > '3'", ""),
        ("params.n < '3'", "3"),
        ("params.deep = 'true'", "1"),
        ("params.deep = true", "1"),
        ("params.opt LIKE 's%'", ""),
        ("params.opt like 'S%'", "2"),
        ("params.opt ILIKE 's%'", "2"),
        ("params.opt NOT LIKE 'S%'", "1"),
        ("params.opt not ilike 'ADAM'", "2"),
        ("params.opt IN ('adam', 'x')", "1"),
        ("params.opt NOT IN ('adam', 'x')", "2"),
        ("params.n in (3, 4)", "4"),
        ("params.opt is null", "34"),
        ("params.opt IS NOT NULL", "12"),
        ('params."a b" = "x"', "1"),
        ("params.`a b` = 'x'", "1"),
        ("parameters.opt = 'adam'", "1"),
        # metrics
        ("metrics.acc > 0.9", "1"),
        ("metrics.acc <= .5e0", "2"),
        ("metric.acc != 0.5", "1"),
        ("metrics.acc is null", "34"),
        ("metrics.acc is not null", "12"),
        ("metrics.val/loss = 1", "1"),
        ("metrics.`val/loss` = 1", "1"),
        # tags
        ("tags.stage = 'prod'", "1"),
        ("tags.x.y = 'z'", "1"),
        ("tags.stage is null", "23"),
        ("tags.stage is not null", "14"),
        # attributes
        ("status = 'FINISHED'", "13"),
        ("attributes.status = 'failed'", "2"),
        ("attr.status in ('FAILED', 'killed')", "24"),
        ("status != 'finished'", "24"),
        ("name = 'two' or run_name = 'one'", "12"),
        ("name ilike 'TRÊS'", "3"),
        ("author like 'Ann%'", "1"),
        ("actor ilike '%BOB%'", "2"),
        ("branch = 'main'", "1"),
        ("branch is null", "34"),
        ("commit = 'aaaa'", "1"),
        ("commit = 'AAAAAAA'", "1"),
        ("commit != 'aaaa'", "2"),
        ("exit_code = 3", "2"),
        ("exit_code > 128", "4"),
        (f"run_id = '{run_id(2)}'", "2"),
        ("ended is null", "4"),
        ("duration = 1", "123"),
        ("command like '%train.py'", "1234"),
        # times
        ("started >= '2023-11-14'", "1234"),
        ("started >= '2023-11-15'", ""),
        ("started > '2023-11-14T22:13:21Z'", "234"),
        ("start_time > 1700000002000", "34"),
        ("end_time <= '2023-11-14T22:13:22.000Z'", "1"),
        # paths: any of them; none of them
        ("path = 'm/one.bin'", "1"),
        ("input = 'raw/a.csv'", "12"),
        ("output = 'raw/a.csv'", ""),
        ("path like 'raw/%'", "12"),
        ("path not like 'raw/%'", "34"),
        ("path != 'raw/b.csv'", "134"),
        ("input in ('raw/b.csv', 'q')", "2"),
        ("output is null", "234"),
        ("output is not null", "1"),
        # together
        ("params.lr = '0.1' and metrics.acc > 0.9", "1"),
        ("params.lr = '0.1' AND metrics.acc > 0.9 OR name = 'four'", "14"),
        ("params.lr = '0.1' and (metrics.acc > 0.99 or name = 'four')", ""),
        ("not params.lr = '0.1'", "234"),
        ("not not name = 'one'", "1"),
        ("not (status = 'finished' or exit_code = 3)", "4"),
        ("not exit_code = 3 and branch = 'dev'", ""),
        ("not ended > '2000-01-01'", "4"),
        ("tags.stage=='prod'and metrics.acc<>0", "1"),
        # what a quote may hold
        ("name = 'it''s'", ""),
        ("name = '1'' or 1=1 --'", ""),
        ("params.\"x'); drop table runs; --\" = 'a'", ""),
        ("params.`' or 1 or '` is null", "1234"),
    ],
)
def test_an_expression_chooses(db: sqlite3.Connection, expression: str, expected: str) -> None:
    assert chosen(db, expression) == expected


@pytest.mark.parametrize(
    ("expression", "place", "said"),
    [
        ("params.lr", "its end", "expected ="),
        ("params.lr =", "its end", "expected a value"),
        ("lr = 1", "character 1", "params.NAME"),
        ("metrics.acc > 0.9 and", "its end", "a key is"),
        ("metrics.acc > 'a'", "character 15", "number, without quotes"),
        ("status = 3", "character 10", "text, in quotes"),
        ("tags.a > 3", "character 10", "text, in quotes"),
        ("name = 'a", "character 8", "quote is not closed"),
        ("name = 'a' name = 'b'", "character 12", "`and`, `or`"),
        ("(name = 'a'", "its end", "`)`"),
        ("name = 'a')", "character 11", "the end"),
        ("params.a in ('a', 3)", "character 13", "mixed"),
        ("params.a in ()", "character 14", "expected a value"),
        ("params.a in 'a'", "character 13", "`(`"),
        ("name like 3", "character 11", "pattern"),
        ("metrics.a like 'x'", "character 16", "no text"),
        ("started > 'yesterday'", "character 11", "a time is like"),
        ("name is 3", "character 9", "`null`"),
        ("name not = 'a'", "character 6", "expected ="),
        ("name = 'a'; drop table runs", "character 11", "nothing can begin so"),
        ("params. = 'a'", "character 1", "a key is"),
        ("name = 0x10", "character 8", "nothing can begin so"),
        ("(" * 500 + "name = 'a'" + ")" * 500, "character", "too deep"),
        ("not " * 500 + "name = 'a'", "character", "too deep"),
        ("name in (" + ",".join(["'a'"] * 2000) + ")", "character", "more than 1000"),
        ("name = 'a'" + " or name = 'a'" * 3000, "character", "more than 1000"),
    ],
)
def test_what_cannot_be_understood_is_named_with_its_place(
    expression: str, place: str, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        compile_filter(expression)
    assert place in caught.value.what
    assert said in caught.value.why


def test_as_many_conditions_as_are_allowed_are_within_what_sqlite_takes(
    db: sqlite3.Connection,
) -> None:
    assert chosen(db, " or ".join(["name = 'one'"] * 900)) == "1"
    assert chosen(db, " and ".join(["params.lr = 0.1"] * 900)) == "123"
    assert chosen(db, "(" * 90 + "not " * 9 + "name = 'one'" + ")" * 90) == "234"


def ordered(db: sqlite3.Connection, *keys: str) -> str:
    found = compile_order(keys)
    rows = db.execute(f"select num from runs r order by {found.text}", found.values)
    return "".join(str(num) for (num,) in rows)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([], "4321"),
        (["started"], "1234"),
        (["-name"], "2314"),
        (["metrics.acc"], "2143"),
        (["metrics.acc desc"], "1243"),
        (["params.n", "name"], "4312"),
        (["params.n DESC", "name asc"], "3412"),
        (["status", "-started"], "2314"),
        (["params.opt"], "2143"),
        (["ended desc"], "3214"),
        (["tags.`stage` desc", "started"], "1423"),
    ],
)
def test_runs_are_sorted_and_those_without_the_value_are_last(
    db: sqlite3.Connection, keys: list[str], expected: str
) -> None:
    assert ordered(db, *keys) == expected


def test_there_is_no_order_by_paths() -> None:
    with pytest.raises(UsageError, match="cannot be understood"):
        compile_order(["input"])


@pytest.mark.parametrize("key", ["nothing", "params.a params.b", "", "metrics.a, name", "1"])
def test_a_sort_or_column_that_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(UsageError):
        compile_order([key])
    with pytest.raises(UsageError):
        parse_key(key)


def test_a_run_of_any_kind_has_rows() -> None:
    """What came with a clone is entered, or left out, and never an error."""
    graph, rows = Graph(None), Rows()
    odd = Run(
        run_id=run_id(9), name="\ud800", status="failed", started="x" * 100,
        params={"a": {"b": [1]}, "c": "9" * 400, "\udfff": 10**400},
        metrics={"m": {"last": []}, "n": {}, "i": {"last": "-Infinity"}},
        job={"argv": [1, "\udcff"]}, env={"lock": 5}, exit_code=2**70,
    )  # fmt: skip
    with graph.writing():
        rows.add(1, odd, b"{}")
        rows.flush(graph.db)
    assert chosen(graph.db, "metrics.i < 0 and exit_code is null and started is null") == "1"
