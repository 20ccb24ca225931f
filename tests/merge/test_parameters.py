"""JSON, YAML and TOML: values meet by path, and the text around them stays."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import pytest
from tests.merge.merging import clean, merged, told

from mlver.merge.options import Choice, identity

CASES = int(os.environ.get("MLVER_CASES", "240"))

JSON = b"""{
  "lr": 0.10,
  "train": {"steps": 10, "name": "a"},
  "tags": ["x", "y"],
  "old": 1
}
"""
YAML = b"""\
# how it is trained
lr: 0.10  # warm-up included
train:
  steps: 10
  name: "a"   # quoted

  # a remark
  nested:
    deep: [1, 2]
old: 1
last: text
"""
TOML = b"""\
# how it is trained
lr = 0.10  # warm-up included
old = 1

[train]
steps = 10   # many
name = 'a'
"""


def changed(data: bytes, *pairs: tuple[bytes, bytes]) -> bytes:
    for old, new in pairs:
        assert old in data
        data = data.replace(old, new)
    return data


def test_json_keeps_its_layout() -> None:
    ours = changed(JSON, (b"0.10", b"0.20"), (b'"old": 1\n', b'"old": 1,\n  "mine": 2\n'))
    edits = [
        (b'"steps": 10', b'"steps": 1e3'),
        (b'"name": "a"', b'"name": "a", "b": []'),
        (b'"y"]', b'"z"]'),
        (b',\n  "old": 1', b""),
    ]
    theirs, wanted = changed(JSON, *edits), changed(ours, *edits)
    assert clean(JSON, ours, theirs, "p.json") == wanted


def test_yaml_keeps_comments_order_and_quotes() -> None:
    ours = changed(YAML, (b"lr: 0.10 ", b"lr: 0.20 "), (b"last: text", b"last: text\nmine: 2"))
    theirs = changed(
        YAML,
        (b"steps: 10\n", b"steps: 20\n  more:\n    - a\n    - b\n"),
        (b"[1, 2]", b"[1, 3]"),
        (b"old: 1\n", b""),
    )
    wanted = changed(
        ours,
        (b"steps: 10\n", b"steps: 20\n  more:\n    - a\n    - b\n"),
        (b"[1, 2]", b"[1, 3]"),
        (b"old: 1\n", b""),
    )
    assert clean(YAML, ours, theirs, "p.yaml") == wanted


def test_toml_keeps_comments_order_and_quotes() -> None:
    ours = changed(TOML, (b"lr = 0.10 ", b"lr = 0.20 "), (b"'a'", b"'b'"))
    theirs = changed(TOML, (b"steps = 10 ", b"steps = 20 "), (b"old = 1\n", b""))
    wanted = changed(ours, (b"steps = 10 ", b"steps = 20 "), (b"old = 1\n", b""))
    assert clean(TOML, ours, theirs, "p.toml") == wanted
    more = changed(TOML, (b"'a'\n", b"'a'\nbatch = 8\n"))
    assert b"batch = 8" in clean(TOML, ours, more, "p.toml")


@pytest.mark.parametrize(("name", "text"), [("p.json", JSON), ("p.yaml", YAML), ("p.toml", TOML)])
def test_one_value_changed_twice_is_a_conflict_of_its_path(name: str, text: bytes) -> None:
    ours, theirs = changed(text, (b"10", b"11")), changed(text, (b"10", b"12"), (b"0.12", b"0.10"))
    theirs = changed(text, (b"steps", b"steps"))
    ours = text.replace(b"0.10", b"0.30")
    theirs = text.replace(b"0.10", b"0.40")
    data, found = merged(text, ours, theirs, name)
    assert data == ours and found.format != "opaque", found.notes
    assert told(found) == [("path", "lr", None, 0.1, 0.3, 0.4)]
    assert clean(text, ours, theirs, name, rest=Choice("theirs")) == theirs
    chosen = {identity({"path": "lr"}, None): Choice(value=0.5)}
    assert clean(text, ours, theirs, name, choices=chosen) == text.replace(b"0.10", b"0.5")


def test_a_path_deleted_here_and_changed_there() -> None:
    ours = changed(YAML, (b"old: 1\n", b""))
    theirs = changed(YAML, (b"old: 1", b"old: 2"))
    found = merged(YAML, ours, theirs, "p.yml")[1]
    assert told(found) == [("path", "old", None, 1, None, 2)]
    assert found.conflicts[0].absent == ("ours",)


def test_what_cannot_be_edited_in_its_text_is_one_conflict_of_the_file() -> None:
    base = b"a: &x 1\nb: *x\nc: 1\n"
    ours, theirs = base.replace(b"c: 1", b"c: 2"), base.replace(b"b: *x", b"b: 3")
    data, found = merged(base, ours, theirs, "p.yaml")
    if found.format == "opaque":
        assert data == ours and found.notes
    else:
        assert data == b"a: &x 1\nb: 3\nc: 2\n"
    double = b"a: 1\na: 2\n"
    assert merged(base, ours, double, "p.yaml")[1].format == "opaque"


def _value(dice: random.Random, depth: int = 0) -> Any:
    kind = dice.randrange(6)
    if kind == 0 and depth < 2:
        return {dice.choice("abcd"): _value(dice, depth + 1) for _ in range(dice.randint(0, 3))}
    if kind == 1 and depth < 2:
        return [_value(dice, depth + 1) for _ in range(dice.randint(0, 2))]
    return dice.choice([None, True, 1, 1.5, "", "text", "a: b #", "é\n", -3])


def _edited(dice: random.Random, value: Any) -> Any:
    if isinstance(value, dict):
        value = {name: _edited(dice, part) for name, part in value.items()}
        if dice.random() < 0.2 and value:
            value.pop(dice.choice(list(value)))
        if dice.random() < 0.2:
            value[dice.choice("abcdef")] = _value(dice, 1)
        return value
    return _value(dice, 1) if dice.random() < 0.15 else value


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {p: v for k, part in value.items() for p, v in _leaves(part, f"{path}/{k}").items()}
    return {path: json.dumps(value)}


@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_no_value_is_lost_and_what_one_side_changed_is_taken(kind: str) -> None:
    import yaml

    clean_ones = 0
    for seed in range(CASES):
        dice = random.Random(seed)
        base = {name: _value(dice) for name in "abcd"}
        versions = [base, _edited(dice, base), _edited(dice, base)]
        if kind == "json":
            texts = [json.dumps(v, indent=dice.choice([None, 2])).encode() for v in versions]
        else:
            texts = [yaml.safe_dump(v, allow_unicode=True).encode() for v in versions]
        data, found = merged(*texts, f"p.{kind}")
        result = json.loads(data) if kind == "json" else yaml.safe_load(data)
        if found.format == "opaque":
            assert result == versions[1], seed
            continue
        clean_ones += 1
        o, a, b, r = map(_leaves, [*versions, result])
        known = "".join(json.dumps([c.ours, c.theirs]) for c in found.conflicts)
        for mine, other in ((a, b), (b, a)):
            for path, value in mine.items():
                if o.get(path) != value:
                    assert r.get(path) == value or value in known, (seed, path, value)
                elif path not in other and path not in r:
                    continue  # the other side took it out
        if not found.conflicts:
            back = merged(texts[0], texts[2], texts[1], f"p.{kind}")
            again = json.loads(back[0]) if kind == "json" else yaml.safe_load(back[0])
            assert back[1].format == "opaque" or again == result, seed
    assert clean_ones > CASES * 0.8


def test_first_members_go_and_others_come_in_one_object() -> None:
    base = b'{"a": 1, "b": 2, "c": 3, "d": 4}'
    ours = base.replace(b"4", b"5")
    assert clean(base, ours, b'{"c": 3, "d": 4}', "p.json") == b'{"c": 3, "d": 5}'
    theirs = b'{"x": 0, "c": 3, "y": 1, "z": 2}'
    found = merged(base, base.replace(b"3", b"33"), theirs, "p.json")[0]
    assert json.loads(found) == {"x": 0, "c": 33, "y": 1, "z": 2}
    assert list(json.loads(found))[-2:] == ["y", "z"]
    gone = merged(base, ours, b"{}", "p.json")
    assert gone[0] == b'{"d": 5}' and told(gone[1])[0][1] == "d"


def test_entries_of_yaml_go_and_come_at_one_place() -> None:
    base = b"a: 1\nb: 2\nc: 3\n"
    theirs = b"a: 1\nx: 7\ny: 8\nc: 3\n"
    assert clean(base, base + b"d: 4\n", theirs, "p.yaml") == theirs + b"d: 4\n"
