"""A hook that was there before and ours: both run, in the right order, each as if alone."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path

import pytest
from tests.support.hook_repo import (
    THEIRS,
    Repo,
    make_repo,
    snapshot,
)

from mlver.git import hooks


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return make_repo(tmp_path)


ENDINGS = {
    "exit": THEIRS + "exit 0\necho never\n",
    "exec": THEIRS + "exec true\n",
    "set -e": THEIRS.replace("/sh", "/sh -eu") + "false || true\n",
    "trap": THEIRS + "trap 'exit 0' EXIT\nexit 0\n",
    "bash": THEIRS.replace("/bin/sh", "/usr/bin/env bash") + "set -euo pipefail\n[[ 1 == 1 ]]\n",
    "no #!": THEIRS.removeprefix("#!/bin/sh\n"),
    "no newline": THEIRS.rstrip("\n"),
    "crlf text": THEIRS + "# \r\n",
}


@pytest.mark.parametrize("text", ENDINGS.values(), ids=list(ENDINGS))
def test_theirs_runs_first_and_whole_however_it_ends_then_ours(repo: Repo, text: str) -> None:
    path = repo.hook("pre-commit", text)
    assert repo.install()["pre-commit"] == "chained"
    assert repo.states()["pre-commit"] == "chained"
    assert repo.commit().returncode == 0
    assert repo.lines() == ["theirs .git/hooks/pre-commit ", "ours hook pre-commit"]
    repo.commit(FAKE_EXIT="8")
    assert len(repo.lines()) == 2
    hooks.uninstall(repo.folder)
    assert path.read_bytes() == text.encode()


@pytest.mark.parametrize("end", ["exit 3", "exec false", "set -e; false", "kill -9 $$"])
def test_a_failure_of_theirs_stops_the_commit_before_ours(repo: Repo, end: str) -> None:
    repo.hook("pre-commit", f"{THEIRS}{end}\n")
    repo.install()
    assert repo.commit().returncode != 0
    assert repo.lines() == ["theirs .git/hooks/pre-commit "]


def test_a_commit_inside_their_hook_still_meets_ours(repo: Repo, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    repo.git("init", "-q", str(inner))
    repo.hook(
        "pre-commit", f"{THEIRS}unset GIT_INDEX_FILE\ngit -C '{inner}' commit -qm x --allow-empty\n"
    )
    repo.install()
    other = Repo(inner, repo.log, repo.env, repo.program)
    other.install()
    assert repo.commit().returncode == 0
    assert repo.lines().count("ours hook pre-commit") == 2


PUSHES = {
    "reads": 'sed "s/^/theirs< /" >>"$HOOK_LOG"\n',
    "while read": 'while read -r a; do echo "theirs< $a" >>"$HOOK_LOG"; done\nexit 0\n',
    "ignores": "exit 0\n",
}


@pytest.mark.parametrize("how", PUSHES)
@pytest.mark.parametrize("kind", ["sh", "moved"])
def test_both_hooks_read_what_is_pushed(repo: Repo, tmp_path: Path, how: str, kind: str) -> None:
    path = repo.hook("pre-push", THEIRS + PUSHES[how])
    if kind == "moved":
        path.rename(repo.top / "script")
        path.symlink_to("../../script")
    repo.install()
    far = str(tmp_path / "far.git")
    repo.git("init", "-q", "--bare", far)
    repo.git("branch", "second")
    repo.git("push", "-q", far, "main", "second")
    tip = repo.git("rev-parse", "main").strip()
    refs = [f"refs/heads/{n} {tip} refs/heads/{n} {'0' * 40}" for n in ("main", "second")]
    lines = repo.lines()
    assert lines[0].endswith(f"/pre-push {far} {far}") and lines[0].startswith("theirs ")
    read = [] if how == "ignores" else [f"theirs< {ref}" for ref in refs]
    assert lines[1:] == [*read, f"ours hook pre-push {far} {far}", *(f"ours< {r}" for r in refs)]


def test_a_failing_check_of_theirs_stops_the_push_before_ours(repo: Repo, tmp_path: Path) -> None:
    repo.hook("pre-push", THEIRS + "exit 1\n")
    repo.install()
    far = str(tmp_path / "far.git")
    repo.git("init", "-q", "--bare", far)
    assert repo.attempt("push", far, "main").returncode != 0
    assert [line.split()[0] for line in repo.lines()] == ["theirs"]


@pytest.mark.parametrize("status", [0, 5])
@pytest.mark.parametrize("kind", ["sh", "moved"])
def test_after_a_checkout_ours_comes_first_and_theirs_ends_with_its_own_status(
    repo: Repo, kind: str, status: int
) -> None:
    path = repo.hook("post-checkout", f"{THEIRS}exit {status}\n")
    if kind == "moved":
        path.rename(repo.top / "script")
        path.symlink_to("../../script")
    repo.install()
    for expected in (["theirs"], ["ours", "theirs"]):
        done = repo.attempt("checkout", "-q", "--detach", FAKE_EXIT="7")
        assert (done.returncode != 0) == (status != 0)
        assert [line.split()[0] for line in repo.lines()] == expected
        repo.wait()


@pytest.mark.parametrize("kind", ["sh", "sh -eu", "bash", "moved"])
@pytest.mark.parametrize("wait", [False, True])
def test_both_hooks_read_the_rewritten_commits(repo: Repo, kind: str, wait: bool) -> None:
    theirs = THEIRS + 'while read -r a b; do echo "theirs< $a $b" >>"$HOOK_LOG"; done\nexit 0\n'
    path = repo.hook("post-rewrite", theirs.replace("sh\n", f"{kind}\n", 1).replace("moved", "sh"))
    if kind == "moved":
        path.rename(repo.top / "script")
        path.symlink_to("../../script")
    repo.install()
    old = repo.git("rev-parse", "HEAD").strip()
    if wait:
        repo.wait()
        (repo.top / ".git/mlver/mend").unlink()
    repo.git("commit", "-q", "--amend", "--allow-empty", "-m", "y", "--no-verify")
    new = repo.git("rev-parse", "HEAD").strip()
    lines = repo.lines()
    ours = ["ours hook post-rewrite amend", f"ours< {old} {new}"]
    assert lines[:-2] == (ours if wait else [])
    assert lines[-1] == f"theirs< {old} {new}"


def test_lines_that_someone_appends_to_our_hook_run_and_are_kept(repo: Repo) -> None:
    repo.install()
    path = repo.top / ".git/hooks/pre-commit"
    with path.open("a") as file:
        file.write('echo appended >>"$HOOK_LOG"\n')
    repo.commit()
    assert repo.lines() == ["ours hook pre-commit", "appended"]
    assert repo.install()["pre-commit"] == "updated"
    repo.commit()
    assert repo.lines() == ["appended", "ours hook pre-commit"]
    hooks.uninstall(repo.folder)
    assert path.read_text() == '#!/bin/sh\necho appended >>"$HOOK_LOG"\n'


# Chained: hooks that no shell runs


def test_a_python_hook_keeps_its_name_and_its_siblings(repo: Repo) -> None:
    text = (
        f"#!{sys.executable}\nimport os, sys, beside\n"
        "with open(os.environ['HOOK_LOG'], 'a') as log:\n"
        "    print('theirs', os.path.basename(sys.argv[0]), beside.word, file=log)\n"
    )
    repo.hook("pre-commit", text, 0o750)
    repo.hook("beside.py", "word = 'found'\n", 0o644)
    before = snapshot(repo.top)
    assert repo.install()["pre-commit"] == "chained"
    assert "before-mlver" in repo.changes[0].note
    assert repo.commit(PYTHONDONTWRITEBYTECODE="1").returncode == 0
    assert repo.lines() == ["theirs pre-commit found", "ours hook pre-commit"]
    assert repo.states()["pre-commit"] == "chained"
    assert repo.install()["pre-commit"] == "unchanged"
    hooks.uninstall(repo.folder)
    after = snapshot(repo.top)
    assert {n: after[n] for n in after if "hooks" in n} == {
        n: before[n] for n in before if "hooks" in n
    }
    assert not (repo.top / ".git/hooks.before-mlver").exists()


def test_a_binary_hook_is_kept_and_a_failing_one_stops(repo: Repo) -> None:
    path = repo.top / ".git/hooks/pre-commit"
    shutil.copy(shutil.which("false") or "/bin/false", path)
    data = path.read_bytes()
    repo.install()
    assert repo.commit().returncode != 0
    assert repo.lines() == []
    hooks.uninstall(repo.folder)
    assert path.read_bytes() == data


def test_a_relative_symlink_still_points_to_its_script_which_is_not_touched(repo: Repo) -> None:
    script = repo.top / "scripts" / "check"
    script.parent.mkdir()
    script.write_text(THEIRS)
    script.chmod(0o755)
    link = repo.top / ".git/hooks/pre-commit"
    link.symlink_to("../../scripts/check")
    repo.install()
    assert repo.commit().returncode == 0
    theirs = "theirs .git/hooks/../hooks.before-mlver/pre-commit "
    assert repo.lines() == [theirs, "ours hook pre-commit"]
    assert script.read_text() == THEIRS
    hooks.uninstall(repo.folder)
    assert os.readlink(link) == "../../scripts/check"


def test_a_hook_that_was_switched_off_stays_off(repo: Repo) -> None:
    path = repo.hook("pre-commit", THEIRS, 0o644)
    assert repo.install()["pre-commit"] == "chained"
    repo.commit()
    assert repo.lines() == ["ours hook pre-commit"]
    hooks.uninstall(repo.folder)
    assert path.read_text() == THEIRS and stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_script_that_hands_itself_to_python_is_not_written_into(repo: Repo) -> None:
    text = f"#!/bin/sh\n''''exec {sys.executable} \"$0\" \"$@\" # '''\n" + (
        "import os\nprint('theirs', file=open(os.environ['HOOK_LOG'], 'a'))\n"
    )
    repo.hook("pre-commit", text)
    repo.install()
    assert repo.commit().returncode == 0
    assert repo.lines() == ["theirs", "ours hook pre-commit"]


def test_what_is_in_the_way_is_never_overwritten(repo: Repo) -> None:
    repo.hook("pre-commit", "#!/usr/bin/env python3\nfirst\n")
    repo.install()
    moved = repo.top / ".git/hooks.before-mlver/pre-commit"
    other = repo.hook("pre-commit", "#!/usr/bin/env python3\nsecond\n")
    (repo.top / ".git/hooks/post-merge").unlink()
    (repo.top / ".git/hooks/post-merge").mkdir()
    actions = repo.install()
    assert actions["pre-commit"] == actions["post-merge"] == "skipped"
    assert "second" in other.read_text() and "first" in moved.read_text()
    assert repo.states()["pre-commit"] == "foreign"


def test_a_kept_hook_comes_back_when_only_our_shim_was_deleted(repo: Repo) -> None:
    text = "#!/usr/bin/env python3\n"
    path = repo.hook("pre-commit", text)
    repo.install()
    path.unlink()
    assert repo.states()["pre-commit"] == "missing"
    assert repo.install()["pre-commit"] == "chained"
    path.unlink()
    hooks.uninstall(repo.folder)
    assert path.read_text() == text


def test_an_install_that_was_killed_between_its_two_steps_is_taken_up(repo: Repo) -> None:
    path = repo.hook("pre-commit", "#!/usr/bin/env python3\n")
    before = snapshot(repo.top)
    moved = repo.top / ".git/hooks.before-mlver"
    moved.mkdir()
    os.link(path, moved / "pre-commit")
    hooks.uninstall(repo.folder)
    assert snapshot(repo.top) == before
    moved.mkdir()
    os.link(path, moved / "pre-commit")
    assert repo.install()["pre-commit"] == "chained"
    hooks.uninstall(repo.folder)
    assert snapshot(repo.top) == before
