"""Under husky: its stubs are made anew, so the user's own files are joined."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.hook_repo import (
    HUSKY8_HEAD,
    Repo,
    make_repo,
    on_path,
    snapshot,
)

from mlver.git import hooks
from mlver.git.hooks import NAMES


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return make_repo(tmp_path)


def husky9(repo: Repo) -> Path:
    """The layout of `husky` 9: stubs in `.husky/_`, made anew by every install of packages."""
    stubs = repo.top / ".husky/_"
    stubs.mkdir(parents=True)
    for name in (*NAMES, "commit-msg"):
        (stubs / name).write_text('#!/usr/bin/env sh\n. "$(dirname "$0")/h"')
        (stubs / name).chmod(0o755)
    (stubs / ".gitignore").write_text("*")
    (stubs / "h").write_text(
        'hook=$(basename "$0")\nfile=$(dirname "$(dirname "$0")")/$hook\n'
        '[ -f "$file" ] || exit 0\n[ "${HUSKY-}" = 0 ] && exit 0\n'
        'export PATH="node_modules/.bin:$PATH"\nsh -e "$file" "$@"\nexit $?\n'
    )
    repo.git("config", "core.hooksPath", ".husky/_")
    return stubs


def husky8(repo: Repo) -> Path:
    """The layout of husky 5-8: the user's file starts husky.sh, which runs that file anew."""
    (repo.top / ".husky/_").mkdir(parents=True)
    (repo.top / ".husky/_/husky.sh").write_text(
        'if [ -z "$husky_skip_init" ]; then\n'
        '  readonly hook_name="$(basename -- "$0")"\n'
        "  readonly husky_skip_init=1\n  export husky_skip_init\n"
        '  sh -e "$0" "$@"\n  exit "$?"\nfi\n'
    )
    repo.git("config", "core.hooksPath", ".husky")
    return repo.top / ".husky"


@pytest.mark.parametrize("ending", ["", "exit 0\n", "exec true\n"])
@pytest.mark.parametrize("version", [8, 9])
def test_under_husky_the_users_file_is_joined(
    repo: Repo, tmp_path: Path, version: int, ending: str
) -> None:
    (husky9 if version == 9 else husky8)(repo)
    path = repo.top / ".husky/pre-commit"
    text = ("" if version == 9 else HUSKY8_HEAD) + 'echo "theirs $0" >>"$HOOK_LOG"\n' + ending
    path.write_text(text)
    path.chmod(0o644 if version == 9 else 0o755)
    before = snapshot(repo.top)
    actions = repo.install()
    assert actions["pre-commit"] == "chained" and actions["post-merge"] == "installed"
    after = snapshot(repo.top)
    assert {n: v for n, v in after.items() if "/_/" in n} == {
        n: v for n, v in before.items() if "/_/" in n
    }
    found = on_path(repo, tmp_path)
    assert repo.commit(PATH=found).returncode == 0
    assert repo.lines() == ["theirs .husky/pre-commit", "found unset hook pre-commit"]
    assert repo.commit(PATH=found, FAKE_EXIT="8").returncode != 0
    repo.lines()
    done = repo.commit()
    assert done.returncode == 0, done.stderr
    assert repo.lines() == ["theirs .husky/pre-commit"]
    assert set(repo.states().values()) == {"ours", "chained"}
    assert set(repo.install().values()) == {"unchanged"}
    hooks.uninstall(repo.folder)
    after = snapshot(repo.top)
    assert {n: v for n, v in after.items() if ".husky" in n} == {
        n: v for n, v in before.items() if ".husky" in n
    }


@pytest.mark.parametrize("version", [8, 9])
def test_under_husky_a_push_and_a_checkout_reach_ours(
    repo: Repo, tmp_path: Path, version: int
) -> None:
    (husky9 if version == 9 else husky8)(repo)
    repo.install()
    found = on_path(repo, tmp_path)
    far = str(tmp_path / "far.git")
    repo.git("init", "-q", "--bare", far)
    repo.git("push", "-q", far, "main", PATH=found)
    assert [line.split()[0] for line in repo.lines()] == ["found", "found<"]
    repo.git("checkout", "-q", "--detach", PATH=found)
    assert repo.lines() == []
    repo.wait()
    repo.git("checkout", "-q", "main", PATH=found)
    assert [line.split()[3] for line in repo.lines()] == ["post-checkout"]
    (repo.top / ".git/rebase-merge").mkdir()
    (repo.top / ".git/rebase-merge/stopped-sha").touch()
    words = ("commit", "-q", "--allow-empty", "-m", "x", "--no-verify")
    repo.git(*words, PATH=found)
    assert "prepare-commit-msg" not in " ".join(repo.lines())
    going_on = {"PATH": found, "GIT_REFLOG_ACTION": "rebase (continue)"}
    repo.git(*words, **going_on)
    assert repo.lines()[0].split()[3] == "prepare-commit-msg"
    assert repo.attempt(*words, **going_on, FAKE_EXIT="8").returncode != 0


def test_husky_that_is_not_active_yet_is_said(repo: Repo) -> None:
    (repo.top / ".husky").mkdir()
    assert repo.folder.kind == "private" and "husky" in repo.folder.notice
