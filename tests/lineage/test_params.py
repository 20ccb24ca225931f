"""Parameters from words and files: as a person would read them; nothing in a file is executed."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from mlver.lineage import config_params
from mlver.lineage.argv_params import params_of, value_of
from mlver.workflows.recording import name_of


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (
            ["python", "t.py", "--lr", "0.1", "--lr2=1e-3", "-e", "3"],
            {"lr": 0.1, "lr2": 1e-3, "e": 3},
        ),
        (["python", "-u", "-m", "pkg.train", "--fp16", "--name", "x"], {"fp16": True, "name": "x"}),
        (
            ["train", "model.depth=4", "+opt=adam", "data=/a/b"],
            {"model.depth": 4, "opt": "adam", "data": "/a/b"},
        ),
        (
            ["t", "--layers", "64", "32", "--drop", "-0.5", "data.csv"],
            {"layers": [64, 32], "drop": -0.5},
        ),
        (["t", "--x", "1", "--x", "2", "--", "y=1"], {"x": [1, 2], "y": 1}),
        (["env", "A=1", "nice", "python3", "t.py", "--k", "v"], {"k": "v"}),
        (["sh", "-c", "train --lr 3"], {}),
        (
            ["t", "--id", "007", "--on", "true", "--none", "null", "--v"],
            {"id": "007", "on": True, "none": None, "v": True},
        ),
        (["ls", "-la", "data"], {"la": "data"}),
    ],
)
def test_words(argv: list[str], expected: dict[str, Any]) -> None:
    assert params_of(argv) == expected


def test_values_keep_what_they_say() -> None:
    assert [
        value_of(t) for t in ("1", "-2", "1.", ".5", "1e5", "00", "1_0", "1e999", "9" * 30)
    ] == [
        1,
        -2,
        1.0,
        0.5,
        1e5,
        "00",
        "1_0",
        "1e999",
        "9" * 30,
    ]


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["python", "-u", "dir/train.py", "--x"], "train"),
        (["python3.12", "-m", "pkg.mod"], "pkg.mod"),
        (["./run.sh"], "run"),
        (["uv", "run", "a.py"], "a"),
        (["python", "-c", "1"], "python"),
    ],
)
def test_a_run_is_named_after_its_script(argv: list[str], name: str) -> None:
    assert name_of(argv) == name


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (b"p.yaml", b"lr: 1e-3\nmodel: {depth: 3, units: [1, 2]}\nparts:\n- {a: 1}\non: true\n"),
        (
            b"p.json",
            b'{"lr": 0.001, "model": {"depth": 3, "units": [1, 2]}, "parts": [{"a": 1}], "on": true}',  # noqa: E501
        ),
        (
            b"p.toml",
            b"lr = 1e-3\non = true\n[model]\ndepth = 3\nunits = [1, 2]\n[[parts]]\na = 1\n",
        ),
    ],
)
def test_configurations_become_dotted_names(path: bytes, data: bytes) -> None:
    expected = {"lr": 0.001, "model.depth": 3, "model.units": [1, 2], "parts.0.a": 1}
    found = config_params.params(path, data)
    assert found is not None
    found.pop("on", None) or found.pop("True", None)
    assert found == expected


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (b"p.yaml", b"!!python/object/apply:os.system ['touch /tmp/pwned']"),
        (b"p.yaml", b"a: [1"),
        (b"p.json", b"[" * 100_000),
        (b"p.toml", b"a = "),
        (b"p.json", b" " * (config_params.MAX_BYTES + 1)),
        (b"p.yaml", b"\xff\xfe\x00"),
    ],
)
def test_what_cannot_be_read_says_so(path: bytes, data: bytes) -> None:
    with pytest.raises(config_params.Unreadable):
        config_params.params(path, data)


@pytest.mark.parametrize("leaf", ["[x, x, x, x, x, x, x, x, x]", "{}"])
def test_a_bomb_of_aliases_stays_small(leaf: str) -> None:
    lines = [f"a0: &a0 {leaf}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    found = config_params.params(b"p.yaml", "\n".join(lines).encode())
    assert found is None or len(found) <= config_params.MAX_LEAVES


def test_without_pyyaml_it_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(config_params.Unreadable, match="pip install PyYAML"):
        config_params.params(b"p.yaml", b"a: 1")


def test_metrics_of_every_form() -> None:
    assert config_params.metrics(b"m.json", b'{"a": {"b": 1.5}, "ok": true, "n": "x", "c": NaN}')[
        0
    ] == ("a.b", 1.5, None)
    rows = config_params.metrics(b"m.csv", b"epoch,loss,note\n1,0.5,x\n2,0.25,y\n")
    assert rows == [("loss", 0.5, 1), ("loss", 0.25, 2)]
    lines = config_params.metrics(b"m.jsonl", b'{"step": 3, "acc": 0.1}\n{"step": 4, "acc": 0.2}\n')
    assert lines == [("acc", 0.1, 3), ("acc", 0.2, 4)]


def test_metrics_files_are_known_by_name() -> None:
    for name in (b"metrics.json", b"out/val_metrics.yaml", b"scores.csv", b"eval-metrics-1.json"):
        assert config_params.is_metrics(name), name
    for name in (b"data.json", b"metrics.py", b"symmetric.json"):
        assert not config_params.is_metrics(name), name
