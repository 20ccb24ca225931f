"""From two recipes only what differs is read, and what is said is what all rows would say."""

from __future__ import annotations

import json
import os
import random
import shutil
from dataclasses import replace

import pytest
from tests.diff.sources import Cut, Memory
from tests.diff.test_delimited_paths import _pair
from tests.support.sandbox import Clone, content, pointer_in

from mlver.diff import delimited, json_lines
from mlver.diff.options import Options
from mlver.formats.base import NotThisFormat, Source
from mlver.formats.delimited import read_dialect
from mlver.model.change import FileDiff

CASES = int(os.environ.get("MLVER_CASES", "1500"))


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
            assert replace(found, method="") == replace(full, method=""), (seed, old, new)
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
    for seed in range(CASES):
        old, new = _lines(random.Random(seed))
        plain = json_lines.diff(Memory(old), Memory(new), "t", "t", Options())
        cut = Cut(old, 15), Cut(new, 15)
        for _ in ("outlines are made", "outlines are kept"):
            found = json_lines.diff(*cut, "t", "t", Options())
            assert replace(found, method="") == replace(plain, method=""), (seed, old, new)
        by_recipes += found.method == "recipes"
    assert by_recipes > CASES // 3


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
