"""A diff from the changed parts and one from all rows give the same values, for any two tables."""

from __future__ import annotations

import csv
import io
import os
import random
from dataclasses import replace

import pytest
from tests.diff.sources import Memory

from mlver.diff import delimited
from mlver.diff.options import Options
from mlver.diff.scan import scan
from mlver.diff.stretches import Stretch, by_comparison, by_pieces
from mlver.formats.base import NotThisFormat
from mlver.formats.delimited import read_dialect
from mlver.model.change import FileDiff

CASES = int(os.environ.get("MLVER_CASES", "1500"))


def _table(rows: list[list[str]], line_end: str, quoting: int) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=line_end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows(rows)
    return out.getvalue().encode()


def _cell(dice: random.Random) -> str:
    return dice.choice(
        ["", "a", "bb", "a,b", 'say "x"', "two\nlines", "\n\n", "é", "1", "1.0", '"', "x" * 30]
    )


def _edited(dice: random.Random, rows: list[list[str]]) -> list[list[str]]:
    rows = [list(row) for row in rows]
    for _ in range(dice.randint(0, 4)):
        at = dice.randrange(len(rows) + 1)
        kind = dice.randrange(5)
        if kind == 0:
            rows.insert(at, [str(dice.randrange(60)), _cell(dice), _cell(dice)])
        elif rows and kind == 1:
            del rows[at % len(rows)]
        elif rows and kind == 2:
            rows[at % len(rows)][dice.randrange(3)] = _cell(dice)
        elif rows and kind == 3:
            rows.insert(at, list(dice.choice(rows)))
        elif rows:
            moved = rows.pop(at % len(rows))
            rows.insert(dice.randrange(len(rows) + 1), moved)
    return rows


def _pair(seed: int) -> tuple[bytes, bytes]:
    dice = random.Random(seed)
    rows = [[str(n), _cell(dice), _cell(dice)] for n in range(dice.randint(0, 25))]
    versions = []
    for version in (rows, _edited(dice, rows)):
        quoting = csv.QUOTE_ALL if dice.random() < 0.2 else csv.QUOTE_MINIMAL
        data = _table([["id", "a", "b"], *version], dice.choice(["\n"] * 6 + ["\r\n"]), quoting)
        if dice.random() < 0.2:
            data = data.rstrip(b"\r\n")
        if dice.random() < 0.1:
            data = b"\xef\xbb\xbf" + data
        if dice.random() < 0.05:
            data += b'7,"never closed,\n'
        if dice.random() < 0.05:
            data += b'8,5" pipe,x\n'
        versions.append(data)
    return versions[0], versions[1]


def same_values(a: FileDiff, b: FileDiff) -> bool:
    """All but how they were found."""
    return replace(a, method="", certificate="") == replace(b, method="", certificate="")


def check_equal(stretches: list[Stretch], old: bytes, new: bytes) -> None:
    for start, to, length in stretches:
        assert length > 0 and old[start : start + length] == new[to : to + length]


@pytest.mark.parametrize("part", range(4))
def test_both_paths_give_the_same_values(part: int) -> None:
    by_parts = 0
    for seed in range(part, CASES, 4):
        old, new = _pair(seed)
        sources = Memory(old), Memory(new)
        dialects = [read_dialect(source, "t.csv") for source in sources]
        try:
            full = delimited._by_rows(*sources, *dialects, Options())
            assert full.certificate == "checked"
        except NotThisFormat:
            with pytest.raises(NotThisFormat):
                delimited.diff(*sources, "t.csv", "t.csv", Options())
            continue
        ways = [by_comparison(*sources), by_pieces(sources[0].pieces(), sources[1].pieces())]
        for stretches in ways if delimited._alike(*dialects) else []:
            check_equal(stretches, old, new)
            scanned = scan(*sources, stretches, *dialects)
            if scanned is not None:
                fast = delimited._by_parts(*sources, scanned, *dialects, Options())
                assert same_values(fast, full), (seed, old, new)
                by_parts += 1
        assert delimited.diff(*sources, "t.csv", "t.csv", Options()).changes == full.changes
    assert by_parts > CASES // 6


def test_lines_that_end_in_crlf_are_read_by_their_parts() -> None:
    old = b'id,v\r\n1,"a\r\nb"\r\n2,b\r\n3,c\r\n'
    for new in (old.replace(b"2,b", b"2,B"), old + b"4,d\r\n", old.replace(b"1,", b"0,z\r\n1,")):
        sources = Memory(old), Memory(new)
        dialects = [read_dialect(source, "x.csv") for source in sources]
        assert scan(*sources, by_comparison(*sources), *dialects) is not None
