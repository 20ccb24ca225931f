"""A model that no run made is told, or refused, at the commit, at the push and in CI."""

from __future__ import annotations

import pytest
from tests.support.recorded import record
from tests.support.sandbox import Clone, Sandbox, content

from mlver.errors import RefusedError

REFUSED = RefusedError.exit_code


def _policy(clone: Clone, text: str) -> None:
    clone.write(".mlver.toml", f'policy = "off"\n[runs]\n{text}\n'.encode())
    clone.given("policy")


def _staged(clone: Clone, name: str, data: bytes) -> None:
    clone.write(name, data)
    clone.git("add", name)


def test_a_repository_without_runs_is_left_in_peace(work: Clone) -> None:
    _staged(work, "m.pt", content(1))
    done = work.git("commit", "-qm", "x")
    assert not any("run" in warning for warning in done.warnings)
    assert work.attempt("mlver", "verify").code == 0


def test_once_there_are_runs_a_model_without_one_is_told(work: Clone) -> None:
    record(work, {"a.pt": content(1)})
    _staged(work, "a.pt", content(1))
    assert not any("without a recorded" in w for w in work.git("commit", "-qm", "x").warnings)
    _staged(work, "b.pt", content(2))
    [warning] = [w for w in work.git("commit", "-qm", "x").warnings if "without a recorded" in w]
    assert "b.pt" in warning and "a.pt" not in warning


@pytest.mark.parametrize("tracked", [False, True])
def test_the_policy_refuses_by_content(work: Clone, tracked: bool) -> None:
    _policy(work, 'policy = "reject"')
    if tracked:
        work.mlver("track", "*.pt")
    record(work, {"elsewhere.pt": content(1)})
    _staged(work, "a.pt", content(2))
    assert work.attempt("commit", "-qm", "x").code != 0
    assert work.attempt("mlver", "hook", "pre-commit").code == REFUSED
    _staged(work, "a.pt", content(1))
    work.git("commit", "-qm", "the same content as a run's")


def test_a_move_and_other_types_are_no_change(work: Clone) -> None:
    work.given("given", {"a.pt": content(1)})
    _policy(work, 'policy = "reject"')
    record(work, {"other": b"1"})
    work.git("mv", "a.pt", "b.pt")
    work.commit("moved", {"notes.txt": b"x", "table.csv": b"a,b\n"})


def test_the_types_are_the_repositorys_choice(work: Clone) -> None:
    _policy(work, 'policy = "reject"\nmodels = ["*.weights", "out/*.txt"]')
    for name in ("m.weights", "out/a.txt"):
        _staged(work, name, b"1")
        assert work.attempt("commit", "-qm", "x").code != 0
        work.git("rm", "-qf", name)
    work.commit("another type", {"m.pt": b"1"})


@pytest.mark.parametrize("text", ['policy = "maybe"', "models = 1", 'sidecar = "yes"'])
def test_a_policy_that_is_none_stops_the_commit(work: Clone, text: str) -> None:
    _policy(work, text)
    done = work.attempt("mlver", "hook", "pre-commit")
    assert done.code == 3 and "runs." in done.err


def test_a_push_and_ci_see_what_a_commit_without_hooks_brought(box: Sandbox, work: Clone) -> None:
    far = box.bare()
    work.git("remote", "add", "origin", str(far))
    work.git("push", "-q", "origin", "main")
    _policy(work, 'policy = "reject"')
    record(work, {"good.pt": content(1)})
    work.given("past the hook", {"bad.pt": content(2), "good.pt": content(1)})
    done = work.attempt("push", "-q", "origin", "main")
    assert done.code != 0 and "bad.pt" in done.err and "good.pt" not in done.err
    for words in (["verify"], ["verify", "origin/main..HEAD"]):
        done = work.attempt("mlver", *words)
        assert done.code == REFUSED and "bad.pt" in done.out and "good.pt" not in done.out
    assert work.attempt("mlver", "verify", "HEAD~1").code == 0
    assert work.attempt("mlver", "verify", "nothing..here").code == 2
    work.git("rm", "-qf", "bad.pt")
    work.commit("without it")
    assert work.attempt("mlver", "verify").code == 0
    record(work, {"bad.pt": content(2)})
    work.git("push", "-q", "origin", "main")
    fresh = box.clone(far, "fresh")
    assert fresh.attempt("mlver", "verify").code == REFUSED
    fresh.mlver("init")
    fresh.git("fetch", "-q")
    assert fresh.attempt("mlver", "verify").code == 0
