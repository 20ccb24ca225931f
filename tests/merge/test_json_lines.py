"""JSON lines: members are cells, and a line keeps its spelling."""

from __future__ import annotations

import json
import os
import random

from tests.merge.merging import clean, merged, told

CASES = int(os.environ.get("MLVER_CASES", "240"))
BASE = b'{"id": 1, "v": 1.50}\n{"id":2,"v":{"a":[1]}}\n\n{"id": 3, "v": "\xc3\xa9"}\n'


def test_members_of_one_line_meet_and_the_rest_keeps_its_bytes() -> None:
    ours = BASE.replace(b"1.50", b'1.50, "w": true') + b'{"id": 4}\n'
    theirs = BASE.replace(b'"id": 1,', b'"x": 1e3, "id": 1,') + b'{"id": 5, "v": null}'
    data = clean(BASE, ours, theirs, "x.jsonl")
    wanted = b'{"id": 1, "v": 1.50, "w": true, "x": 1e3}\n{"id":2,"v":{"a":[1]}}\n\n'
    assert data == wanted + b'{"id": 3, "v": "\xc3\xa9"}\n{"id": 4}\n{"id": 5, "v": null}\n'


def test_conflicts_of_members_and_lines() -> None:
    ours = BASE.replace(b"[1]", b"[1, 2]").replace(b', "v": "\xc3\xa9"', b"")
    theirs = BASE.replace(b"[1]", b"[1.0]").replace(b"\xc3\xa9", b"e")
    data, found = merged(BASE, ours, theirs, "x.jsonl")
    assert data == ours
    assert told(found) == [
        ("cell", 2, "v", {"a": [1]}, {"a": [1, 2]}, {"a": [1.0]}),
        ("cell", 3, "v", "é", None, "e"),
    ]
    assert found.conflicts[1].absent == ("ours",)


def test_values_that_only_look_alike_are_two() -> None:
    base = b'{"id":1,"v":0}\n'
    found = merged(base, b'{"id":1,"v":1}\n', b'{"id":1,"v":true}\n', "x.jsonl", key=("id",))[1]
    assert len(found.conflicts) == 1


def test_a_merge_by_key_is_that_of_its_members() -> None:
    def table(items: dict[int, dict[str, object]]) -> bytes:
        return b"".join(json.dumps({"id": n, **i}).encode() + b"\n" for n, i in items.items())

    def edited(dice: random.Random, items: dict[int, dict[str, object]]):  # type: ignore[no-untyped-def]
        items = {n: dict(item) for n, item in items.items()}
        for _ in range(dice.randint(0, 4)):
            number = dice.randrange(14)
            if dice.random() < 0.2:
                items.pop(number, None)
            elif number in items and dice.random() < 0.3:
                items[number].pop(dice.choice("ab"), None)
            else:
                value = dice.choice([None, 1, 1.5, "x", [1], {"k": 2}])
                items.setdefault(number, {})[dice.choice("ab")] = value
        return items

    for seed in range(CASES):
        dice = random.Random(seed)
        base = {n: {"a": n, "b": "y"} for n in range(dice.randint(1, 10))}
        sides = [base, edited(dice, base), edited(dice, base)]
        data, found = merged(*map(table, sides), "x.jsonl", key=("id",))
        if found.format == "opaque":
            continue
        rows = {row.pop("id"): row for row in map(json.loads, data.splitlines())}
        clashing = {(c.key["id"], c.column) for c in found.conflicts}
        for number in {*sides[0], *sides[1], *sides[2]}:
            o, a, b = (side.get(number) for side in sides)
            if (number, None) in clashing:
                assert rows.get(number) == a, seed
            elif a is None or b is None:
                assert rows.get(number) == (a if b == o else b), seed
            else:
                for name in "ab":
                    x, y, z = ((i or {}).get(name, "absent") for i in (o, a, b))
                    wanted = y if (number, name) in clashing or z == x else z
                    assert rows[number].get(name, "absent") == wanted, (seed, number, name)
