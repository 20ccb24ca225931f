"""Runs travel with the branch, by plain git commands, and whoever pushes at once loses nothing."""

from __future__ import annotations

import subprocess

import pytest
from tests.support.recorded import kept_ids, record, run_ids
from tests.support.sandbox import Clone, Sandbox, content

NOTES, KEPT = "refs/notes/mlver", "refs/mlver/kept"
THEIRS, THEIR_KEPT = "refs/mlver/remotes/origin/notes", "refs/mlver/remotes/origin/kept"


@pytest.fixture
def pair(box: Sandbox, work: Clone) -> tuple[Clone, Clone]:
    """Two clones of one bare repository."""
    far = box.bare()
    work.git("remote", "add", "origin", str(far))
    work.git("push", "-q", "-u", "origin", "main")
    other = box.clone(far, "other")
    other.mlver("init")
    return work, other


def _fetches(clone: Clone) -> list[str]:
    done = clone.attempt("config", "--get-all", "remote.origin.fetch")
    return [line for line in done.out.splitlines() if "mlver" in line]


def test_a_run_comes_with_a_plain_push_and_a_plain_fetch(pair: tuple[Clone, Clone]) -> None:
    ours, theirs = pair
    run_id = record(ours, {"m.bin": content(1)})
    ours.git("push", "-q")
    theirs.git("fetch", "-q")
    assert run_ids(theirs, THEIRS) == {run_id} == kept_ids(theirs, THEIR_KEPT)
    assert run_ids(theirs, NOTES) == set(), "a fetch never moves our own refs"


def test_init_adds_the_refspecs_once_and_uninstall_takes_them_out(
    pair: tuple[Clone, Clone],
) -> None:
    _, theirs = pair
    before = _fetches(theirs)
    assert len(before) == 2
    theirs.mlver("init")
    assert _fetches(theirs) == before
    theirs.mlver("uninstall", "--local")
    assert _fetches(theirs) == []
    assert theirs.git("config", "--get-all", "remote.origin.fetch").out.count("\n") == 1
    theirs.mlver("push")
    assert _fetches(theirs) == [], "who took them out does not get them again"


def test_a_remote_without_runs_is_no_error(pair: tuple[Clone, Clone]) -> None:
    _, theirs = pair
    done = theirs.git("fetch", "--prune", "origin")
    assert done.err == ""


def test_a_remote_added_later_is_known_at_the_next_push(box: Sandbox, work: Clone) -> None:
    work.git("remote", "add", "origin", str(box.bare()))
    work.git("remote", "add", "bare", str(box.bare("second.git")))
    work.git("config", "--unset-all", "remote.bare.fetch")
    assert _fetches(work) == []
    work.git("push", "-q", "origin", "main")
    assert len(_fetches(work)) == 2
    assert work.attempt("config", "--get-all", "remote.bare.fetch").out == ""


def test_a_mirror_is_left_alone(box: Sandbox, work: Clone) -> None:
    work.git("remote", "add", "--mirror=fetch", "origin", str(box.bare()))
    work.mlver("init")
    assert _fetches(work) == []


def test_both_directions_merge_and_nothing_is_forced(pair: tuple[Clone, Clone]) -> None:
    ours, theirs = pair
    first, second = record(ours, {"a": b"1"}), record(theirs, {"b": b"2"})
    ours.git("push", "-q")
    theirs.git("push", "-q")  # up to date: the hook runs all the same
    assert run_ids(theirs) == {first, second} == kept_ids(theirs)
    ours.git("fetch", "-q")
    assert run_ids(ours, THEIRS) == {first, second} == kept_ids(ours, THEIR_KEPT)
    assert ours.attempt("merge-base", "--is-ancestor", NOTES, THEIRS).code == 0


def test_without_anything_new_the_network_is_not_asked(pair: tuple[Clone, Clone]) -> None:
    ours, _ = pair
    record(ours, {"a": b"1"})
    ours.git("push", "-q")
    ours.commit("more", {"x.txt": b"x"})
    trace = ours.box.root / "trace"
    ours.git("push", "-q", GIT_TRACE=str(trace))
    started = [line for line in trace.read_text().splitlines() if "run_command:" in line]
    assert sum("git-receive-pack" in line for line in started) == 1, "the branch's own push alone"
    assert sum("git-upload-pack" in line for line in started) == 0


def test_no_verify_leaves_runs_for_the_next_push(pair: tuple[Clone, Clone]) -> None:
    ours, theirs = pair
    run_id = record(ours, {"a": b"1"})
    ours.git("push", "-q", "--no-verify")
    theirs.git("fetch", "-q")
    assert run_ids(theirs, THEIRS) == set()
    ours.mlver("push")
    theirs.git("fetch", "-q")
    assert run_ids(theirs, THEIRS) == {run_id}


def test_a_server_that_refuses_is_told_once_and_the_branch_goes_on(
    pair: tuple[Clone, Clone],
) -> None:
    ours, theirs = pair
    hook = ours.box.root / "far.git/hooks/update"
    hook.write_text("#!/bin/sh\ncase $1 in refs/heads/*) ;; *) echo no >&2; exit 1 ;; esac\n")
    hook.chmod(0o755)
    record(ours, {"a": b"1"})
    tip = ours.commit("more", {"x.txt": b"x"})
    done = ours.git("push", "-q")
    [warning] = [w for w in done.warnings if "runs" in w]
    assert "hook declined" in warning and "mlver.pushRuns" in warning
    assert theirs.git("ls-remote", "origin", "main").out.split()[0] == tip
    ours.git("config", "mlver.pushRuns", "false")
    ours.commit("still more", {"x.txt": b"y"})
    assert ours.git("push", "-q").warnings == []


def test_who_was_too_late_merges_and_pushes_again(pair: tuple[Clone, Clone]) -> None:
    """The other's push lands between ours and the server's update of its refs."""
    ours, theirs = pair
    second = record(theirs, {"b": b"2"})
    theirs.git("push", "-q")
    far = ours.box.at("far.git")
    late = {ref: far.head(ref) for ref in (NOTES, KEPT)}
    for ref in late:
        far.git("update-ref", "-d", ref)
    moves = "".join(f"git update-ref {ref} {tip}\n" for ref, tip in late.items())
    hook = far.top / "hooks/pre-receive"
    hook.write_text(
        f"#!/bin/sh\nunset GIT_QUARANTINE_PATH\n[ -e once ] || {{ {moves}touch once; }}\n"
    )
    hook.chmod(0o755)
    first = record(ours, {"a": b"1"})
    done = ours.git("push", "-q")
    assert (far.top / "once").exists() and done.warnings == []
    assert run_ids(far) == {first, second} == kept_ids(far)


def test_pushes_at_once_lose_nothing(pair: tuple[Clone, Clone]) -> None:
    """Two clones push at once, again and again; then each has what either made."""
    made: set[str] = set()
    for number in range(5):
        made |= {record(clone, {"m": b"%d" % number}) for clone in pair}
        pushes = [
            subprocess.Popen(
                ["git", "push", "-q"], cwd=clone.top, env=clone.box.env, stderr=subprocess.PIPE
            )
            for clone in pair
        ]
        for push in pushes:
            _, said = push.communicate(timeout=120)
            assert (push.returncode, said) == (0, b"")
    for clone in pair:
        clone.git("fetch", "-q")
        assert run_ids(clone, THEIRS) == made == kept_ids(clone, THEIR_KEPT)
        clone.fsck()


def test_a_push_to_a_url_carries_runs_too(box: Sandbox, work: Clone) -> None:
    far = box.bare()
    run_id = record(work, {"a": b"1"})
    work.git("push", "-q", str(far), "main")
    assert run_ids(box.at("far.git")) == {run_id}
    second = record(work, {"a": b"2"})
    work.git("push", "-q", str(far), "main")
    assert run_ids(box.at("far.git")) == {run_id, second}


def test_git_mlver_clone_brings_runs_at_once(pair: tuple[Clone, Clone], box: Sandbox) -> None:
    ours, _ = pair
    run_id = record(ours, {"a": b"1"})
    ours.git("push", "-q")
    box.git("mlver", "clone", str(box.root / "far.git"), str(box.root / "third"))
    assert run_ids(box.at("third"), THEIRS) == {run_id}


def test_refs_that_went_from_the_server_come_back(pair: tuple[Clone, Clone]) -> None:
    ours, _ = pair
    run_id = record(ours, {"a": b"1"})
    ours.git("push", "-q")
    far = ours.box.at("far.git")
    far.git("update-ref", "-d", NOTES)
    far.git("update-ref", "-d", KEPT)
    ours.mlver("push", "--all")
    assert run_ids(far) == {run_id} == kept_ids(far)
