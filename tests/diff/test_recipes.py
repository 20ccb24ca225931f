"""From two recipes only what differs is read, and what is said is what all rows would say."""

from __future__ import annotations

import json
import os
import random
import shutil
from typing import Any

import pytest
from tests.diff.sources import Cut, CutAt, Memory
from tests.diff.test_delimited_paths import _pair, same_values
from tests.support.sandbox import Clone, content, pointer_in

from mlver.diff import delimited, json_lines, outline, recipes
from mlver.diff.options import Options
from mlver.diff.rows import pair
from mlver.diff.scan import scan
from mlver.formats.base import NotThisFormat, Source
from mlver.formats.delimited import read_dialect
from mlver.model.change import FileDiff

CASES = int(os.environ.get("MLVER_CASES", "900"))


def _by_all_rows(old: Source, new: Source) -> FileDiff | None:
    try:
        dialects = [read_dialect(source, "t.csv") for source in (old, new)]
        return delimited._by_rows(old, new, *dialects, Options())
    except NotThisFormat:
        return None


def _by_recipes(old: Source, new: Source) -> FileDiff | None:
    try:
        return delimited.diff(old, new, "t.csv", "t.csv", Options())
    except NotThisFormat:
        return None


@pytest.mark.parametrize("part", range(3))
def test_recipes_and_all_rows_give_the_same_values(part: int) -> None:
    by_recipes = 0
    for seed in range(part, CASES, 3):
        old, new = _pair(seed)
        often = (4, 12, 40)[seed // 3 % 3]
        sources = Cut(old, often), Cut(new, often)
        full = _by_all_rows(*sources)
        for _ in ("outlines are made", "outlines are kept"):
            found = _by_recipes(*sources)
            if full is None or found is None:
                assert found is full is None, (seed, old, new)
                continue
            assert same_values(found, full), (seed, old, new)
            by_recipes += found.method == "recipes"
    assert by_recipes > CASES // 4


def test_an_outline_that_is_damaged_or_of_other_content_is_made_again() -> None:
    old, new, other = (Cut(data) for data in (*_pair(5), _pair(6)[0]))
    expected = _by_recipes(old, new)
    assert expected is not None and expected.method == "recipes"
    _by_recipes(other, other)
    for kept in (b"", b"x" * 300, *other.kept.values(), old.kept["outline-2c"][:-1] + b"\7"):
        old.kept["outline-2c"] = kept
        assert _by_recipes(old, new) == expected


def _rows(count: int) -> list[str]:
    dice = random.Random(1)
    return [f'{n},"{dice.random()}, ""x""\nsecond line",{n % 7}\n' for n in range(count)]


def _table(rows: list[str]) -> bytes:
    return "".join(["id,text,label\n", *rows]).encode()


def test_what_both_share_is_not_read_again() -> None:
    rows = _rows(12000)
    old = _table(rows)
    rows[6000] = rows[6000].replace("second", "third")
    del rows[9000]
    new = _table(rows)
    sources = Cut(old, 300), Cut(new, 300)
    _by_recipes(*sources)
    heads = 256 * 1024 + 64 * 1024  # for the dialect, and for the key
    assert sources[1].asked < heads + 20_000
    for source in sources:
        source.asked = 0
    found = _by_recipes(*sources)
    assert found is not None and found.rows is not None
    assert (found.method, found.rows) == ("recipes", (12000, 11999, 0, 1, 1, 0))
    assert sum(source.asked for source in sources) < 2 * heads + 20_000


def _lines(dice: random.Random) -> tuple[bytes, bytes]:
    versions = []
    values = [dice.choice([1, 1.0, "a\nb", None, {"x": [1]}, "é"]) for _ in range(20)]
    for _ in "two":
        rows = [{"id": n, "v": value} for n, value in enumerate(values)]
        for _ in range(dice.randint(0, 3)):
            dice.choice(rows)["v"] = dice.randrange(9)
        if dice.random() < 0.3:
            rows.insert(dice.randrange(20), {"id": 99})
        if dice.random() < 0.3:
            rows.append(rows.pop(dice.randrange(20)))
        end = "\r\n" if dice.random() < 0.1 else "\n"
        text = end.join(json.dumps(row, ensure_ascii=False) for row in rows)
        text += dice.choice(["", end, end, end, "\n\n", "\n  \n"])
        versions.append((" " if dice.random() < 0.1 else "") + text)
    return versions[0].encode(), versions[1].encode()


def test_json_lines_by_recipes_and_by_comparison_give_the_same_values() -> None:
    by_recipes = 0
    for seed in range(0, CASES, 2):
        old, new = _lines(random.Random(seed))
        plain = json_lines.diff(Memory(old), Memory(new), "t", "t", Options())
        cut = Cut(old, 15), Cut(new, 15)
        for _ in ("outlines are made", "outlines are kept"):
            found = json_lines.diff(*cut, "t", "t", Options())
            assert same_values(found, plain), (seed, old, new)
        by_recipes += found.method == "recipes"
    assert by_recipes > CASES // 8


@pytest.fixture
def elsewhere(work: Clone) -> Clone:
    """A clone without content of a remote with two versions of a table, `one` and `two`."""
    work.mlver("track", "*.csv")
    rows = [f"{n},{content(n, 24).hex()},{n % 7}\n" for n in range(12_000)]
    for name, label in (("one", "a"), ("two", "b")):
        rows[6_000] = f"6000,changed,{label}\n"
        work.given(name, {"t.csv": "".join(["id,text,label\n", *rows]).encode()})
        work.git("tag", name)
    work.git("remote", "add", "origin", str(work.box.bare()))
    work.git("push", "-q", "origin", "main", "one", "two")
    return work.box.clone(work.box.root / "far.git", "other", MLVER_SKIP_SMUDGE="1")


def _stored(clone: Clone) -> int:
    return sum(path.stat().st_size for path in clone.store.rglob("*.pack"))


def _method(clone: Clone) -> str:
    row = clone.json("diff", "one", "two")["files"][0]
    assert row["rows"]["modified"] == 1 and row["rows"]["new"] == 12_000, row
    return str(row["method"])


def test_only_chunks_that_changed_are_fetched(elsewhere: Clone) -> None:
    whole = pointer_in(elsewhere.read("t.csv")).size
    assert _method(elsewhere) == "recipes"  # no outline yet: each chunk is needed, once
    assert whole * 0.3 < _stored(elsewhere) < whole * 1.1
    shutil.rmtree(elsewhere.store / "packs")
    shutil.rmtree(elsewhere.store / "incoming")
    assert _method(elsewhere) == "recipes"  # the outlines are kept
    assert 0 < _stored(elsewhere) < whole * 0.5
    elsewhere.mlver("pull")
    elsewhere.settled()


PLAIN = [b'a,b\n1,"x\n\n,y"\n2,""\n', b'a,b\r\n1,"q""q"\r\n"",2', b"a,b\n1,2\n"]
ODD = [b"a,b\n1,2\n\n3,4\n", b"a,b\r\n1,2\r\n\r\n", b"a,b\n1,2\r3,4\n", b'a,b\n1,x"y"\n']
ODD += [b'a,b\n1,"x"y\n', b'a,b\n"\r"\r1,2\n', b'a,b\n1,"x\n', b"\na,b\n"]


@pytest.mark.parametrize("data", [*PLAIN, *ODD])
def test_an_outline_says_the_same_wherever_a_file_is_cut(data: bytes) -> None:
    whole = outline._made(CutAt(data, ()), b",", 0, {})
    assert whole.is_plain == (data in PLAIN)
    for one in range(len(data)):
        for two in range(one, len(data)):
            source = CutAt(data, (one, two))
            found = outline._made(source, b",", 0, {})
            assert found.is_plain == whole.is_plain, (one, two)
            assert (found.records, found.delimiters) == (whole.records, whole.delimiters)
            states = [data.count(b'"', 0, piece.offset) & 1 for piece in source.pieces()]
            assert not found.is_plain or list(found.states) == states


def test_files_with_returns_are_read_by_parts_too() -> None:
    old = b"a,b\r\n" + b"".join(b"%d,x\r\n" % n for n in range(90))
    new = old.replace(b"7,x", b"7,y", 1)
    assert scan(Memory(old), Memory(new), [], *[read_dialect(Memory(old), "t.csv")] * 2)
    found = delimited.diff(Cut(old), Cut(new), "t.csv", "t.csv", Options())
    assert (found.method, found.rows and found.rows.modified) == ("recipes", 1)


def test_stretches_that_are_made_longer_are_equal_and_apart() -> None:
    for seed in range(0, CASES, 5):
        old, new = _pair(seed)
        found = recipes.grown(Cut(old, 9), Cut(new, 9))
        for side in ([(s.old, s.length) for s in found], [(s.new, s.length) for s in found]):
            at = 0
            for start, length in sorted(side):
                assert start >= at
                at = start + length
        for start, to, length in found:
            assert old[start : start + length] == new[to : to + length]


def test_an_outline_that_counts_wrong_is_not_believed() -> None:
    old, new = Cut(_table(_rows(50)), 60), Cut(_table(_rows(51)), 60)
    found = _by_recipes(old, new)
    assert found is not None and found.rows is not None and found.method == "recipes"
    right = outline.outlines(old, new, b",")
    for wrong in (right[0]._replace(records=99, delimiters=198), right[0]):
        old.kept["outline-2c"] = outline._packed(old.pieces(), wrong)
        again = _by_recipes(old, new)
        assert again is not None and same_values(again, found)
        assert again.method == ("recipes" if wrong == right[0] else "full")


@pytest.mark.parametrize("kind", ["lost", "made up", "another value"])
def test_changes_that_do_not_add_up_are_no_answer(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*args: Any) -> Any:
        found = pair(*args)
        first, *rest = found.changes
        if kind == "another value":
            first = first._replace(row={**first.row, "label": "8"})
        changes = {"lost": rest, "made up": [first, first, *rest]}.get(kind, [first, *rest])
        return found._replace(changes=tuple(changes))

    old, new = (Memory(_table(_rows(count))) for count in (30, 31))
    dialects = [read_dialect(source, "t.csv") for source in (old, new)]
    assert delimited._by_rows(old, new, *dialects, Options()).certificate == "checked"
    monkeypatch.setattr(delimited, "pair", wrong)
    with pytest.raises(NotThisFormat, match="add up"):
        delimited._by_rows(old, new, *dialects, Options())


def test_tables_that_are_none_are_none_by_recipes_too() -> None:
    whole = b"a,b\n" + b"1,2\n" * 40
    for bad in (b"1\n", b"1,2,3\n", b'"x\n', b"1,2\n\n1,2\n", b'1,x"y\n', b"1,2\r1,2\n"):
        for old, new in ((whole, whole + bad), (bad.join([whole[:44], whole[44:]]), whole)):
            cut, plain = (Cut(old), Cut(new)), (Memory(old), Memory(new))
            ways = []
            for sources in (cut, cut, plain):
                try:
                    ways.append(delimited.diff(*sources, "t.csv", "t.csv", Options()))
                except NotThisFormat as error:
                    ways.append(FileDiff("opaque", notes=(error.what,)))
            assert all(same_values(ways[0], way) for way in ways), (bad, ways)
