"""What holds for any three versions of a table: the laws of a merge, against a model of it that
knows nothing of bytes."""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest
from tests.merge.merging import Row, cell, edited, merged, read, told, written

CASES = int(os.environ.get("MLVER_CASES", "240"))
COLUMNS = ["x", "y"]
HEADER = ["id", *COLUMNS]


def versions(dice: random.Random) -> list[list[Row]]:
    """Base, ours, theirs."""
    ids = dice.sample(range(40), dice.randint(1, 14))
    base = [{"id": str(n), **{name: cell(dice) for name in COLUMNS}} for n in ids]
    return [base, edited(dice, base, COLUMNS, 60), edited(dice, base, COLUMNS, 60)]


def by_key(rows: list[Row]) -> dict[str, Row]:
    return {row["id"]: row for row in rows}


def model(base: Row | None, ours: Row | None, theirs: Row | None) -> tuple[Row | None, list[str]]:
    """(the row, the kinds of its conflicts)."""
    if ours == theirs or theirs == base:
        return ours, []
    if ours == base:
        return theirs, []
    if base is None:
        return ours, ["add-add"]
    if ours is None or theirs is None:
        return ours, ["edit-delete"]
    row, kinds = dict(ours), []
    for name in COLUMNS:
        a, b, c = base[name], ours[name], theirs[name]
        if b == a:
            row[name] = c
        elif c not in (a, b):
            kinds.append("cell")
    return row, kinds


@pytest.mark.parametrize("part", range(4))
def test_a_merge_by_key_is_that_of_its_cells(part: int) -> None:
    for seed in range(part, CASES, 4):
        dice = random.Random(seed)
        tables = versions(dice)
        end, quoting = dice.choice(["\n", "\r\n"]), dice.choice([0, 1])
        data, found = merged(*(written(HEADER, t, end, quoting) for t in tables), key=("id",))
        sides = [by_key(rows) for rows in tables]
        rows, kinds = {}, Counter[str]()
        for key in {*sides[0], *sides[1], *sides[2]}:
            row, new = model(*(side.get(key) for side in sides))
            kinds.update(new)
            if row is not None:
                rows[key] = row
        result = read(data)
        assert by_key(result) == rows and len(result) == len(rows), seed
        assert Counter(c.kind for c in found.conflicts) == kinds, seed


def test_rows_that_nobody_touched_keep_their_bytes_and_their_order() -> None:
    for seed in range(CASES // 2):
        dice = random.Random(seed)
        tables = versions(dice)
        raw = [written(HEADER, rows, "\n", 1) for rows in tables]
        data, _ = merged(*raw, key=("id",))
        kept = [row for row in tables[0] if row in tables[1] and row in tables[2]]
        lines = [written(HEADER, [row], "\n", 1).partition(b"\n")[2] for row in kept]
        at = 0
        for line in lines:
            at = data.index(b"\n" + line, max(0, at - 1)) + 1, seed
            at = at[0] + len(line)


def test_one_side_unchanged_gives_the_other_and_both_equal_gives_it() -> None:
    for seed in range(CASES // 4):
        base, ours, theirs = (written(HEADER, t) for t in versions(random.Random(seed)))
        assert merged(base, base, theirs)[0] == theirs
        assert merged(base, ours, base)[0] == ours
        assert merged(base, ours, ours)[0] == ours


def test_sides_may_be_swapped() -> None:
    for seed in range(CASES // 2):
        base, ours, theirs = (written(HEADER, t) for t in versions(random.Random(seed)))
        data, found = merged(base, ours, theirs, key=("id",))
        other, back = merged(base, theirs, ours, key=("id",))
        mirrored = [(*rest, b, a) for *rest, a, b in told(back)]
        assert sorted(map(repr, told(found))) == sorted(map(repr, mirrored)), seed
        if not found.conflicts:
            assert by_key(read(data)) == by_key(read(other)), seed


def test_without_a_key_rows_are_counted() -> None:
    for seed in range(CASES):
        dice = random.Random(seed)
        pool = [{"id": str(n), "x": cell(dice), "y": ""} for n in range(4)]
        base = [dice.choice(pool) for _ in range(dice.randint(1, 8))]
        sides = []
        for _ in range(2):
            rows = list(base)
            for _ in range(dice.randint(0, 3)):
                if rows and dice.random() < 0.5:
                    rows.pop(dice.randrange(len(rows)))
                else:
                    rows.insert(dice.randrange(len(rows) + 1), dice.choice(pool))
            sides.append(rows)
        data, found = merged(*(written(HEADER, rows) for rows in (base, *sides)), keyless=True)
        counts = [Counter(tuple(row.values()) for row in rows) for rows in (base, *sides)]
        wanted, torn = Counter[tuple[str, ...]](), 0
        for row in {*counts[0], *counts[1], *counts[2]}:
            o, a, b = (side[row] for side in counts)
            if a in (b, o):
                wanted[row] = b
            elif b == o:
                wanted[row] = a
            elif (a > o) == (b > o):
                wanted[row] = max(0, a + b - o)
            else:
                wanted[row], torn = a, torn + 1
        if len(data) == len(b"id,x,y\n") or found.format == "opaque":
            continue  # one side emptied the table
        assert Counter(tuple(row.values()) for row in read(data)) == +wanted, seed
        assert len(found.conflicts) == torn, seed


def test_no_cell_is_lost_when_columns_come_go_and_get_other_names() -> None:
    """Each value that a side wrote is in the result, in a conflict, or was in base."""
    for seed in range(CASES):
        dice = random.Random(seed)
        tables = versions(dice)
        if seed % 2:  # without a quote, a table is cut in another way
            plain = str.maketrans({",": ";", '"': "'", "\n": " "})
            tables = [
                [{k: v.translate(plain) for k, v in row.items()} for row in t] for t in tables
            ]
        raw = [written(HEADER, tables[0])]
        for side in (1, 2):
            header, rows = list(HEADER), [dict(row) for row in tables[side]]
            for row in rows:  # every value of this side can be told from all others
                for name in COLUMNS:
                    if row not in tables[0]:
                        row[name] = row[name] and f"{row[name]}!{side}!{row['id']}"
            match dice.randrange(4):
                case 0:
                    header.insert(dice.randrange(1, 4), "new")
                    rows = [{**row, "new": f"n{side}{row['id']}"} for row in rows]
                case 1:
                    header.remove(dice.choice(COLUMNS))
                case 2:
                    header = ["named" if name == "x" else name for name in header]
                    rows = [{**row, "named": row["x"]} for row in rows]
            raw.append(written(header, rows))
        data, found = merged(*raw, key=("id",))
        known = data.decode() + "".join(
            f"{value}" for c in found.conflicts for value in (c.ours, c.theirs)
        )
        flat = known.replace("\\n", "\n").replace('""', '"')
        ids = [{row["id"] for row in read(text)} for text in raw]
        for text in raw[1:]:
            for row in read(text):
                for name, value in row.items():
                    stayed_deleted = (  # with no more than the value of a new column
                        name in ("new", "named")
                        and row["id"] in ids[0]
                        and not all(row["id"] in side for side in ids)
                    )
                    if ("!" in value or name == "new") and not stayed_deleted:
                        assert value in flat, (seed, name, value, found.conflicts)
