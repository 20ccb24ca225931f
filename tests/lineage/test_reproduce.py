"""What was recorded is made again from the record alone, compared, and never unasked."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from tests.support import pipeline
from tests.support.recorded import artifact, record, run_ids
from tests.support.sandbox import Clone, Sandbox

from mlver.errors import RefusedError

REFUSED = RefusedError.exit_code


@pytest.fixture
def piped(work: Clone) -> Clone:
    """`work` with the pipeline, run once and committed."""
    pipeline.write(work)
    pipeline.run_all(work)
    return work


def _reproduced(clone: Clone, *words: str) -> tuple[int, Any]:
    done = clone.attempt("mlver", "reproduce", *words, "--json")
    return done.code, json.loads(done.raw) if done.raw else done.err


def test_a_model_is_made_again_identically_from_its_recorded_code(piped: Clone) -> None:
    first = piped.head()
    piped.commit("today's code is broken", {"train.py": b"raise SystemExit(3)\n"})
    code, found = _reproduced(piped, f"model.bin@{first}")
    assert (code, found["verdict"], len(found["steps"])) == (0, "identical", 1)
    assert {row["path"] for row in found["steps"][0]["outputs"]} == {"model.bin", "metrics.json"}
    assert piped.status() == "" and piped.git("worktree", "list").out.count("\n") == 1
    tags = piped.blob("refs/notes/mlver:" + _note_of(piped, found["steps"][0]["reproduction"]))
    assert b'"mlver.reproduces":"%s"' % found["run"].encode() in tags


def _note_of(clone: Clone, run_id: str) -> str:
    for path in clone.git("ls-tree", "-r", "--name-only", "refs/notes/mlver").out.split():
        if run_id.encode() in clone.blob(f"refs/notes/mlver:{path}"):
            return path
    raise AssertionError(f"{run_id} is in no note")


def test_from_scratch_runs_every_step_in_order(piped: Clone) -> None:
    code, found = _reproduced(piped, "model.bin", "--from-scratch")
    assert (code, [step["name"] for step in found["steps"]]) == (0, ["ingest", "features", "train"])


def _lose_content(clone: Clone) -> None:
    shutil.rmtree(clone.store / "packs")
    for path in clone.store.glob("index.sqlite*"):
        path.unlink()


def test_what_cannot_be_had_is_made_by_its_own_run(piped: Clone) -> None:
    _lose_content(piped)
    code, found = _reproduced(piped, "model.bin")
    assert (code, [step["name"] for step in found["steps"]]) == (0, ["ingest", "features", "train"])


def test_an_input_that_is_nowhere_is_named(work: Clone) -> None:
    work.commit("code", {"t.py": b"open('out.bin', 'w').write(open('in.bin').read() * 2)\n"})
    work.write("in.bin", b"raw" * 999)
    work.mlver("run", "-q", "--", "python3", "t.py")
    work.git("add", "out.bin")
    work.git("commit", "-qm", "out, and never in")
    _lose_content(work)
    done = work.attempt("mlver", "reproduce", "out.bin")
    assert done.code == 4 and "in.bin" in done.err and "next:" in done.err


def test_numbers_within_a_tolerance_and_others(work: Clone) -> None:
    script = b"""\
import json, os
bump = float(os.environ.get("BUMP", "0"))
json.dump({"acc": 0.5 + bump, "n": [1, 2]}, open("m.json", "w"))
"""
    work.commit("code", {"t.py": script})
    work.mlver("run", "-q", "--", "python3", "t.py")
    work.commit("made")
    for bump, code, verdict in (
        ("0", 0, "identical"), ("1e-9", 0, "within tolerance"), ("0.1", 1, "different"),
    ):  # fmt: skip
        done = work.attempt("mlver", "reproduce", "m.json", "--json", BUMP=bump)
        assert (done.code, json.loads(done.raw)["verdict"]) == (code, verdict)
    said = json.dumps(json.loads(done.raw))
    assert "acc: 0.5 then, 0.6 now" in said
    assert work.attempt("mlver", "reproduce", "m.json", "--rtol", "1", BUMP="0.1").code == 0


def test_another_end_is_another_result(work: Clone) -> None:
    work.commit("code", {"t.py": b"import os, sys\nsys.exit(int(os.environ.get('X', '0')))\n"})
    work.mlver("run", "-q", "--name", "t", "--", "python3", "t.py")
    assert work.attempt("mlver", "reproduce", "latest").code == 0
    done = work.attempt("mlver", "reproduce", "t", X="3")
    assert done.code == 1 and "exit code 0 then, 3 now" in done.out


def test_a_record_from_elsewhere_runs_only_after_a_yes(piped: Clone, box: Sandbox) -> None:
    far = box.bare()
    piped.git("remote", "add", "origin", str(far))
    piped.git("push", "-q", "origin", "main")
    other = box.clone(far, "other")
    other.mlver("init")
    other.git("fetch", "-q")
    before = run_ids(other)
    done = other.attempt("mlver", "reproduce", "model.bin")
    assert done.code == REFUSED and "python3 train.py 0.1" in done.err and "--yes" in done.err
    assert run_ids(other) == before
    assert other.attempt("mlver", "reproduce", "model.bin", "--yes").code == 0
    other.git("push", "-q")
    piped.git("fetch", "-q")
    assert piped.attempt("mlver", "reproduce", "model.bin").code == 0, "ours comes first"


@pytest.mark.parametrize(
    "members",
    [
        {"job": {"argv": ["sh", "-c", "touch pwned"], "cwd": ""}},
        {"job": {"argv": ["sh", "-c", "touch pwned"], "cwd": "../.."}},
        {"job": {"argv": ["sh", "-c", "touch pwned"], "cwd": "/"}},
        {"job": {"argv": "touch pwned", "cwd": ""}},
        {"job": {"argv": [], "cwd": ""}},
        {"job": {"argv": [["touch"]], "cwd": 3}},
        {"job": {"argv": ["touch\0x"], "cwd": ""}},
        {"job": {}, "code": {"tree": "--help"}},
        {"job": {"argv": ["true"]}, "inputs": (artifact("../../pwned", b"x"),)},
        {"job": {"argv": ["true"]}, "inputs": (artifact(".git/config", b"x"),)},
        {"job": {"argv": ["true"]}, "env": {"lock": "blake3:" + "0" * 64}},
        {"job": {"argv": ["true"]}, "env": {"vars": {"LD_PRELOAD": "x"}, "lock": 3}},
    ],
)
def test_a_hostile_record_executes_nothing(work: Clone, members: dict[str, Any]) -> None:
    work.commit("a model", {"m.bin": b"model" * 100})
    record(work, {"m.bin": b"model" * 100}, **members)
    before = run_ids(work)
    done = work.attempt("mlver", "reproduce", "m.bin")
    assert done.code not in (0, 10) and "Traceback" not in done.err, done.err
    if members["job"].get("argv") != ["sh", "-c", "touch pwned"] or members["job"]["cwd"]:
        done = work.attempt("mlver", "reproduce", "m.bin", "--yes")
        assert done.code not in (0, 1, 10) and "Traceback" not in done.err, done.err
    assert run_ids(work) == before
    assert not list(work.box.root.rglob("pwned"))


def test_even_after_a_yes_no_path_leaves_the_scratch(work: Clone) -> None:
    work.commit("a model", {"m.bin": b"model" * 100})
    outside = work.box.root / "outside"
    outside.mkdir()
    (work.top / "link").symlink_to(outside)
    work.commit("a link that leaves", {})
    record(
        work,
        {"m.bin": b"model" * 100},
        job={"argv": ["true"], "cwd": ""},
        inputs=(artifact("link/pwned", b"model" * 100),),
    )
    done = work.attempt("mlver", "reproduce", "m.bin", "--yes")
    assert done.code not in (0, 10) and list(outside.iterdir()) == []
    record(work, {"m.bin": b"model" * 100}, job={"argv": ["touch", "pwned"], "cwd": "link"})
    done = work.attempt("mlver", "reproduce", "latest", "--yes")
    assert done.code == REFUSED and list(outside.iterdir()) == []


def test_records_that_name_each_other_come_to_an_end(work: Clone) -> None:
    first, second = b"first" * 100, b"second" * 100
    job = {"argv": ["true"], "cwd": ""}
    record(work, {"a.bin": first}, job=job, inputs=(artifact("b.bin", second),))
    record(work, {"b.bin": second}, job=job, inputs=(artifact("a.bin", first),))
    done = work.attempt("mlver", "reproduce", "latest", "--yes")
    assert done.code not in (0, 10)


def test_a_lock_with_an_option_is_refused() -> None:
    from mlver.workflows.rebuilt_env import requirements

    assert requirements(b"a==1\ngit-mlver==0.1.0\nb @ https://x.org/b.whl\n") == [
        "a==1", "b @ https://x.org/b.whl",
    ]  # fmt: skip
    for line in (b"--index-url=http://x", b"-r /etc/passwd", b"a", b"a==1 --hash=x", b"a @ x.whl"):
        with pytest.raises(RefusedError):
            requirements(line + b"\n")
