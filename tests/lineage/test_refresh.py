"""What is stale is run again, in order; what is not stays as it is."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support import pipeline
from tests.support.sandbox import Clone

from mlver.lineage.code_files import code_files


@pytest.fixture
def piped(work: Clone) -> Clone:
    pipeline.write(work)
    pipeline.run_all(work)
    return work


def _steps(found: Any) -> list[str]:
    return [step["name"] for step in found["steps"]]


def test_nothing_is_stale_after_the_runs(piped: Clone) -> None:
    found = piped.json("refresh")
    assert (found["steps"], found["current"]) == ([], 3)


def test_code_that_changed_runs_its_step_and_what_follows(piped: Clone) -> None:
    piped.write("shared.py", b"def scale(x):\n    return 3 * x\n")
    planned = piped.json("refresh", "--dry-run")
    assert _steps(planned) == ["features", "train"]
    assert planned["steps"][0]["reasons"] == ["code: shared.py changed"]
    before = piped.read("model.bin")
    found = piped.json("refresh")
    assert _steps(found) == ["features", "train"] and found["current"] == 1
    assert found["steps"][1]["reasons"] == ["data: features.bin changed"]
    assert piped.read("model.bin") != before
    assert piped.json("refresh")["steps"] == []


def test_a_step_that_writes_the_same_again_stops_there(piped: Clone) -> None:
    piped.write("shared.py", b"def scale(x):\n    return x * 2.0\n")
    found = piped.json("refresh")
    assert (_steps(found), found["current"]) == (["features"], 2)


def test_data_that_changed_by_hand(piped: Clone) -> None:
    piped.write("data.csv.bin", b"0.5,0.25\n")
    piped.write("ingest.py", b"raise SystemExit('what it made is not here any more')\n")
    assert _steps(piped.json("refresh")) == ["features", "train"]


def test_only_what_was_asked_for_and_what_leads_there(piped: Clone) -> None:
    piped.write("shared.py", b"def scale(x):\n    return 3 * x\n")
    piped.write("train.py", pipeline.FILES["train.py"] + b"# a word\n")
    assert _steps(piped.json("refresh", "features.bin")) == ["features"]
    assert piped.attempt("mlver", "refresh", "nothing.bin").code == 2


def test_a_step_that_fails_stops_the_rest(piped: Clone) -> None:
    piped.write("features.py", b"raise SystemExit(7)\n")
    done = piped.attempt("mlver", "refresh")
    assert done.code == 1 and "features: exit code 7" in done.out and "train" not in done.out


def test_another_command_depends_on_every_source_file(work: Clone) -> None:
    work.commit("code", {"t.sh": b"echo made >out.bin\n", "lib.sh": b"", "notes.md": b"x"})
    work.mlver("run", "-q", "--", "sh", "t.sh")
    work.write("notes.md", b"y")
    assert work.json("refresh", "--dry-run")["steps"] == []
    work.write("lib.sh", b"# a word\n")
    [step] = work.json("refresh", "--dry-run")["steps"]
    assert step["reasons"] == ["code: lib.sh changed"]


def test_the_files_of_a_command_are_told_from_its_imports() -> None:
    tree = {
        "a/main.py": b"import helper, os\nfrom pkg.sub import thing\n",
        "a/helper.py": b"",
        "a/pkg/__init__.py": b"from . import other\n",
        "a/pkg/sub.py": b"",
        "a/pkg/other.py": b"",
        "a/unused.py": b"",
        "a/dynamic.py": b"import importlib\n",
        "a/broken.py": b"def (:\n",
    }
    expected = {"a/main.py", "a/helper.py", "a/pkg/__init__.py", "a/pkg/sub.py", "a/pkg/other.py"}
    for argv, cwd in (
        (["python3", "-u", "a/main.py", "x"], ""),
        (["/usr/bin/python3.11", "main.py"], "a"),
        (["python", "-m", "main"], "a"),
    ):
        assert code_files(argv, cwd, tree.get) == expected, argv
    for argv in (
        ["python3", "-c", "import helper"], ["sh", "train.sh"], ["python3", "a/dynamic.py"],
        ["python3", "a/broken.py"], ["python3", "gone.py"], [],
    ):  # fmt: skip
        assert code_files(argv, "", tree.get) is None, argv
