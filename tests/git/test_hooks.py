"""The shims, as git runs them: when ours runs, and what happens without its program."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.support.hook_repo import (
    POST,
    TEMPLATES,
    THEIRS,
    Repo,
    make_repo,
    on_path,
    snapshot,
)

from mlver.errors import UsageError
from mlver.git import hooks
from mlver.git.hooks import NAMES


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return make_repo(tmp_path)


def test_every_hook_has_a_template_that_is_valid_sh() -> None:
    assert sorted(NAMES) == sorted(n for n in os.listdir(TEMPLATES) if not n.startswith("."))
    for name in NAMES:
        assert os.access(TEMPLATES / name, os.X_OK)
        subprocess.run(["sh", "-n", str(TEMPLATES / name)], check=True)
        assert f'git-mlver hook {name} "$@"' in (TEMPLATES / name).read_text()


def test_the_templates_start_the_program_in_the_same_way() -> None:
    def start(name: str) -> str:
        text = (TEMPLATES / name).read_text()
        body = text[text.index("if @PRESENT@") : text.index('echo "git-mlver')]
        return "\n".join(line.strip() for line in body.replace(name, "NAME").splitlines())

    assert len({start(name) for name in NAMES}) == 1


def test_a_commit_runs_pre_commit_always_and_post_commit_when_there_is_mending(repo: Repo) -> None:
    assert set(repo.install().values()) == {"installed"}
    assert set(repo.states().values()) == {"ours"}
    assert repo.commit().returncode == 0
    assert repo.lines() == ["ours hook pre-commit"]
    repo.wait()
    repo.commit()
    assert repo.lines() == ["ours hook pre-commit", "ours hook post-commit"]


def test_a_refusal_of_ours_stops_the_commit_and_the_push(repo: Repo, tmp_path: Path) -> None:
    repo.install()
    assert repo.commit(FAKE_EXIT="8").returncode != 0
    repo.git("init", "-q", "--bare", str(tmp_path / "far.git"))
    far = str(tmp_path / "far.git")
    assert repo.attempt("push", far, "main", FAKE_EXIT="8").returncode != 0
    assert repo.attempt("push", far, "main").returncode == 0
    tip = repo.git("rev-parse", "main").strip()
    pushed = f"ours< refs/heads/main {tip} refs/heads/main {'0' * 40}"
    call = f"ours hook pre-push {far} {far}"
    assert repo.lines() == ["ours hook pre-commit", call, pushed, call, pushed]


@pytest.mark.parametrize("name", [*POST, "post-commit", "prepare-commit-msg"])
def test_without_work_a_post_hook_starts_no_process_at_all(
    repo: Repo, name: str, tmp_path: Path
) -> None:
    """PATH is empty, so anything but sh's own words would be an error on stderr."""
    repo.install()
    (repo.top / ".git/mlver/deferred").mkdir(parents=True)
    (repo.top / ".git/rebase-merge").mkdir()
    (repo.top / ".git/rebase-merge/stopped-sha").touch()
    (tmp_path / "none").mkdir()
    shim = str(repo.top / ".git/hooks" / name)
    env = repo.env | {"PATH": str(tmp_path / "none")}
    done = subprocess.run([shim, "a", "b", "1"], cwd=repo.top, env=env, capture_output=True)
    assert (done.returncode, done.stderr, repo.lines()) == (0, b"", [])


def test_checkout_merge_and_rewrite_bring_what_was_deferred(repo: Repo) -> None:
    repo.install()
    repo.git("switch", "-qc", "side")
    repo.commit()
    repo.git("switch", "-q", "main")
    assert repo.lines() == ["ours hook pre-commit"]
    repo.wait()
    repo.git("switch", "-q", "side")
    old = repo.git("rev-parse", "main").strip()
    tip = repo.git("rev-parse", "side").strip()
    assert repo.lines() == [f"ours hook post-checkout {old} {tip} 1"]
    repo.git("switch", "-q", "main")
    repo.lines()
    repo.git("merge", "-q", "side")
    assert repo.lines() == ["ours hook post-merge 0"]
    repo.git("commit", "-q", "--amend", "--allow-empty", "-m", "y", "--no-verify")
    new = repo.git("rev-parse", "HEAD").strip()
    rewrite = ["ours hook post-rewrite amend", f"ours< {tip} {new}"]
    assert sorted(repo.lines()) == sorted([*rewrite, "ours hook post-commit"])


def test_each_linked_worktree_has_its_own_deferred_work(repo: Repo, tmp_path: Path) -> None:
    repo.install()
    repo.wait()
    repo.git("worktree", "add", "-q", str(tmp_path / "wt"))
    assert repo.lines() == []
    linked = Repo(tmp_path / "wt", repo.log, repo.env, repo.program)
    git_dir = Path(linked.git("rev-parse", "--absolute-git-dir").strip())
    linked.wait(git_dir)
    linked.git("checkout", "-q", "--detach")
    assert [line.split()[2] for line in repo.lines()] == ["post-checkout"]
    # As `git worktree add` starts it: `.git` is a file, and GIT_DIR is not set.
    shim = [str(repo.top / ".git/hooks/post-checkout"), "a", "b", "1"]
    subprocess.run(shim, cwd=linked.top, env=repo.env, check=True)
    assert repo.lines() == ["ours hook post-checkout a b 1"]


def test_a_failure_of_ours_is_the_status_of_a_post_hook_of_ours_alone(repo: Repo) -> None:
    repo.install()
    repo.wait()
    assert repo.attempt("checkout", "-q", "--detach", FAKE_EXIT="7").returncode != 0
    assert repo.attempt("checkout", "-q", "--detach").returncode == 0


def stop_a_rebase(repo: Repo) -> None:
    """As a rebase that stands still, and goes on now."""
    (repo.top / ".git/rebase-merge").mkdir()
    (repo.top / ".git/rebase-merge/stopped-sha").touch()
    repo.env["GIT_REFLOG_ACTION"] = "rebase (continue)"


def test_a_commit_of_a_rebase_that_goes_on_runs_ours_though_pre_commit_is_skipped(
    repo: Repo,
) -> None:
    repo.install()
    words = ("commit", "-q", "--allow-empty", "-m", "x", "--no-verify")
    repo.git(*words)
    repo.git(*words, GIT_REFLOG_ACTION="rebase (pick)")
    assert repo.lines() == []
    stop_a_rebase(repo)
    repo.git(*words)
    assert repo.lines() == ["ours hook prepare-commit-msg .git/COMMIT_EDITMSG message"]
    assert repo.attempt(*words, FAKE_EXIT="8").returncode != 0


@pytest.mark.parametrize("end", ["", "exit 0\n", "exec true\n", "exit 3\n"])
@pytest.mark.parametrize("kind", ["sh", "sh -eu", "bash", "moved"])
def test_prepare_commit_msg_of_theirs_runs_after_ours_and_only_if_that_agrees(
    repo: Repo, kind: str, end: str
) -> None:
    text = THEIRS + end
    path = repo.hook(
        "prepare-commit-msg", text.replace("sh\n", f"{kind}\n", 1).replace("moved", "sh")
    )
    if kind == "moved":
        path.rename(repo.top / "script")
        path.symlink_to("../../script")
    repo.install()
    assert repo.states()["prepare-commit-msg"] == "chained"
    words = ("commit", "-q", "--allow-empty", "-m", "x", "--no-verify")
    assert (repo.attempt(*words).returncode != 0) == ("3" in end)
    assert [line.split()[0] for line in repo.lines()] == ["theirs"]
    stop_a_rebase(repo)
    assert (repo.attempt(*words).returncode != 0) == ("3" in end)
    assert [line.split()[0] for line in repo.lines()] == ["ours", "theirs"]
    assert repo.attempt(*words, FAKE_EXIT="8").returncode != 0
    assert [line.split()[0] for line in repo.lines()] == ["ours"]


INPUTS = [
    "",
    "one line\n",
    "no newline at its end",
    "back\\slash \\n \\\n  spaces \t\n\n\nempty lines before\n",
    "$HOME `id` 'q' \"d\" *\n%s %d\n-n\n",
    "".join(f"line {at}\n" for at in range(350)),
]


@pytest.mark.parametrize("text", INPUTS, ids=range(len(INPUTS)))
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_ours_and_theirs_read_the_same_bytes_whatever_they_are(
    repo: Repo, tmp_path: Path, text: str, shell: str
) -> None:
    keep = 'cat >"$HOOK_LOG.theirs"\n'
    for name in ("pre-push", "post-rewrite"):
        path = repo.hook(name, f"#!/usr/bin/env {shell}\n{keep}")
        repo.install()
        repo.wait()
        (Path(repo.program[0])).write_text('#!/bin/sh\ncat >"$HOOK_LOG.ours"\n')
        done = subprocess.run(
            [path, "a"], cwd=repo.top, env=repo.env, input=text.encode(), capture_output=True
        )
        assert (done.returncode, done.stderr) == (0, b"")
        # git ends every line; after a rewrite, theirs gets a last newline where it had none.
        given = (text if text.endswith("\n") or name == "pre-push" else f"{text}\n").encode()
        assert Path(f"{repo.log}.theirs").read_bytes() == given
        assert Path(f"{repo.log}.ours").read_bytes() == text.encode()


# The program


@pytest.mark.parametrize("lost", [0, 1])
def test_a_program_that_is_gone_is_looked_for_on_path(
    repo: Repo, tmp_path: Path, lost: int
) -> None:
    repo.install()
    Path(repo.program[lost]).unlink()
    assert set(repo.states().values()) == {"stale"}
    found = on_path(repo, tmp_path)
    assert repo.commit(PATH=found, PYTHONPATH="/evil").returncode == 0
    assert repo.lines() == ["found unset hook pre-commit"]


def test_without_any_program_a_commit_and_a_push_stop_and_say_what_why_next(
    repo: Repo, tmp_path: Path
) -> None:
    repo.install()
    Path(repo.program[0]).unlink()
    done = repo.commit()
    assert done.returncode != 0
    assert "nothing is committed" in done.stderr
    assert "why:" in done.stderr and repo.program[0] in done.stderr
    assert "next:" in done.stderr and "git mlver install" in done.stderr
    far = str(tmp_path / "far.git")
    repo.git("init", "-q", "--bare", far)
    done = repo.attempt("push", far, "main")
    assert done.returncode != 0 and "nothing is pushed" in done.stderr
    stop_a_rebase(repo)
    done = repo.attempt("commit", "-q", "--allow-empty", "-m", "x", "--no-verify")
    assert done.returncode != 0 and "prepare-commit-msg hook cannot run" in done.stderr


def test_without_any_program_the_other_hooks_warn_in_one_line_and_succeed(repo: Repo) -> None:
    repo.install()
    repo.wait()
    Path(repo.program[0]).unlink()
    for name in (*POST, "post-commit"):
        shim = [str(repo.top / ".git/hooks" / name), "amend"]
        done = subprocess.run(
            shim, cwd=repo.top, env=repo.env, input="", capture_output=True, text=True
        )
        assert done.returncode == 0
        assert done.stderr.count("\n") == 1 and f"{name} skipped" in done.stderr


def test_a_git_mlver_that_lies_in_the_worktree_is_never_run(repo: Repo) -> None:
    repo.install()
    Path(repo.program[0]).unlink()
    planted = repo.top / "git-mlver"
    planted.write_text('#!/bin/sh\necho planted >>"$HOOK_LOG"\n')
    planted.chmod(0o755)
    for path in (f".:{repo.env['PATH']}", f":{repo.env['PATH']}"):
        assert repo.commit(PATH=path).returncode != 0
    assert repo.lines() == []


@pytest.mark.parametrize("words", [[], ["python"], ["/a\nb"], ["/a", "b\0"], ["/a\r"]])
def test_a_program_that_cannot_be_written_down_is_refused(repo: Repo, words: list[str]) -> None:
    before = snapshot(repo.top)
    with pytest.raises(UsageError):
        hooks.install(repo.folder, TEMPLATES, words)
    assert snapshot(repo.top) == before
