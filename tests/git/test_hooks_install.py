"""Install, upgrade in place, uninstall: only our own text changes, and all of it goes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.hook_repo import (
    HUSKY8_HEAD,
    ROOT,
    TEMPLATES,
    THEIRS,
    Repo,
    make_repo,
    snapshot,
)

from mlver.errors import LocalIOError
from mlver.git import hook_text, hooks
from mlver.git.hooks import NAMES


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return make_repo(tmp_path)


def test_install_again_changes_nothing(repo: Repo) -> None:
    repo.hook("pre-push", THEIRS)
    repo.install()
    before = snapshot(repo.top)
    inodes = [path.stat().st_ino for path in sorted((repo.top / ".git/hooks").iterdir())]
    assert set(repo.install().values()) == {"unchanged"}
    assert snapshot(repo.top) == before
    assert [p.stat().st_ino for p in sorted((repo.top / ".git/hooks").iterdir())] == inodes


def test_another_program_is_taken_up_in_place(repo: Repo, tmp_path: Path) -> None:
    path = repo.hook("pre-commit", THEIRS)
    repo.install()
    with path.open("a") as file:
        file.write("# edited since\n")
    other = tmp_path / "other" / "python"
    other.parent.mkdir()
    Path(repo.program[0]).rename(other)
    repo.program = [str(other), repo.program[1]]
    assert set(repo.states().values()) == {"stale"}
    assert set(repo.install().values()) == {"updated"}
    assert repo.commit().returncode == 0
    assert [line.split()[0] for line in repo.lines()] == ["theirs", "ours"]
    hooks.uninstall(repo.folder)
    assert path.read_text() == THEIRS + "# edited since\n"


def test_an_older_text_of_ours_is_told_and_brought_up_to_date(repo: Repo) -> None:
    repo.install()
    path = repo.top / ".git/hooks/post-merge"
    fresh = path.read_text()
    path.write_text(fresh.replace("mlver_status=0", "mlver_status=0 # old"))
    assert repo.states()["post-merge"] == "outdated"
    path.chmod(0o644)
    assert repo.states()["post-merge"] == "off"
    assert repo.install()["post-merge"] == "updated"
    assert path.read_text() == fresh and os.access(path, os.X_OK)


def test_damaged_marker_lines_are_left_to_people(repo: Repo) -> None:
    repo.install()
    path = repo.top / ".git/hooks/pre-commit"
    damaged = path.read_text().replace("# <<< git-mlver <<<\n", "")
    path.write_text(damaged)
    assert repo.states()["pre-commit"] == "foreign"
    assert repo.install()["pre-commit"] == "skipped"
    assert [c.action for c in hooks.uninstall(repo.folder) if c.name == "pre-commit"] == ["skipped"]
    assert path.read_text() == damaged


ORIGINALS: dict[str, tuple[bytes, int]] = {
    "sh": (b"#!/bin/sh\nexit 0\n", 0o755),
    "bash without newline": (b"#!/usr/bin/env -S bash -e\nexit 0", 0o700),
    "only a first line": (b"#!/bin/sh\n", 0o755),
    "half a first line": (b"#!/bin/sh", 0o755),
    "no first line": (b"exit 0\n", 0o775),
    "empty": (b"", 0o755),
    "crlf": (b"#!/bin/sh\r\nexit 0\r\n", 0o755),
    "latin-1": (b"#!/bin/sh\n# caf\xe9\n", 0o711),
    "python": (b"#!/usr/bin/python3\n", 0o744),
    "zsh": (b"#!/bin/zsh\n", 0o755),
    "binary": (b"\x7fELF\0\1\2", 0o755),
    "switched off": (b"#!/bin/sh\n", 0o600),
}


@pytest.mark.parametrize("name", ["pre-push", "post-merge"])
@pytest.mark.parametrize("original", ORIGINALS.values(), ids=list(ORIGINALS))
def test_uninstall_gives_back_what_was_there(
    repo: Repo, original: tuple[bytes, int], name: str
) -> None:
    path = repo.hook(name, "")
    path.write_bytes(original[0])
    path.chmod(original[1])
    (path.parent / "commit-msg").symlink_to("nowhere")
    before = snapshot(repo.top)
    repo.install()
    assert snapshot(repo.top) != before
    assert repo.states()[name] == "chained"
    repo.install()
    hooks.uninstall(repo.folder)
    assert snapshot(repo.top) == before
    assert not (repo.top / ".git/hooks.before-mlver").exists()
    assert hooks.uninstall(repo.folder) == []


@given(st.binary(max_size=60), st.sampled_from([b"", b"#!/bin/sh\n", HUSKY8_HEAD.encode()]))
def test_whatever_text_the_block_goes_into_comes_back(body: bytes, head: bytes) -> None:
    text = head + body
    if hook_text.insertable(text):
        block = b"# >>> git-mlver >>>\n# chain: below\n:\n# <<< git-mlver <<<\n"
        parts = hook_text.split(hook_text.insert(text, block))
        assert parts is not None
        assert (parts.rest, parts.block, parts.chain) == (text, block, "below")


def test_no_temporary_file_stays_and_a_disk_that_refuses_is_said(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = repo.hook("pre-commit", THEIRS)
    before = snapshot(repo.top)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(LocalIOError, match="cannot be read or written"):
            repo.install()
    assert snapshot(repo.top) == before and path.read_text() == THEIRS


def test_a_bare_repository_and_one_without_a_hooks_folder(repo: Repo, tmp_path: Path) -> None:
    bare = Repo(tmp_path / "b.git", repo.log, repo.env, repo.program)
    repo.git("init", "-q", "--bare", "--template=", str(bare.top))
    folder = hooks.hooks_folder(bare.run_git, None)
    assert (folder.kind, folder.path) == ("private", bare.top / "hooks")
    assert len(hooks.install(folder, TEMPLATES, repo.program)) == len(NAMES)


def test_paths_outside_ascii_in_the_c_locale(repo: Repo, tmp_path: Path) -> None:
    """Installed by a Python in the C locale, run by a git in the C locale."""
    top = (
        tmp_path / "données\n"
        if sys.platform == "darwin"
        else tmp_path / os.fsdecode(b"d\xff \xc3\xa9")
    )
    top.mkdir()
    program = top / "prögramm"
    shutil.copy(repo.program[0], program)
    repo.program = [str(program), repo.program[1]]
    repo.top = top
    repo.env |= {"LC_ALL": "C"}
    repo.git("init", "-q")
    repo.hook("pre-commit", THEIRS.replace("theirs", "theirs é"))
    code = (
        "import sys\nfrom pathlib import Path\nfrom mlver.git import hooks\n"
        "top = Path(sys.argv[1])\n"
        "folder = hooks.HooksFolder(top / '.git/hooks', 'private')\n"
        "hooks.install(folder, Path(sys.argv[2]), sys.argv[3:])\n"
    )
    env = repo.env | {"PYTHONPATH": str(ROOT / "src")}
    words = [sys.executable, "-c", code, str(top), str(TEMPLATES), *repo.program]
    subprocess.run(words, env=env, check=True)
    assert repo.commit().returncode == 0
    assert repo.lines() == ["theirs é .git/hooks/pre-commit ", "ours hook pre-commit"]
    assert set(repo.states().values()) == {"ours", "chained"}
