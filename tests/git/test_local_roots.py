"""What one clone alone names, as collection sees it: with real git, and without content."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlver.errors import RepositoryError
from mlver.git import local_roots, repo, roots
from mlver.git.repo import Repo
from mlver.model.digest import digest_of
from mlver.model.pointer import Pointer

Git = Callable[..., str]


def pointer_of(name: str) -> Pointer:
    return Pointer(digest_of(name.encode()), 1000 + len(name))


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A U Thor")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "author@example.org")
    folder = tmp_path / "work"
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    return folder


@pytest.fixture
def git(top: Path) -> Git:
    def run(*words: str, cwd: Path = top, fails: bool = False) -> str:
        done = subprocess.run(["git", *words], cwd=cwd, capture_output=True, text=True)
        assert (done.returncode != 0) == fails, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def here(top: Path, git: Git) -> Repo:
    commit(top, git, "first", "a")
    return repo.discover(bytes(top))


def commit(top: Path, git: Git, name: str, path: str) -> str:
    (top / path).write_bytes(pointer_of(name).encode())
    git("add", path, cwd=top)
    git("commit", "-q", "-m", name, cwd=top)
    return git("rev-parse", "HEAD", cwd=top)


def forget(top: Path, git: Git) -> None:
    """Nothing but what is looked for names anything."""
    git("reflog", "expire", "--expire=now", "--all")
    for path in (top / ".git").rglob("ORIG_HEAD"):
        path.unlink()


def named(here: Repo) -> set[Pointer]:
    found = roots.named_by_indexes(here)
    found.add(roots.named_in(here, local_roots.revisions(here)))
    return found.exact


def test_the_autostash_of_a_rebase_under_way(top: Path, git: Git, here: Repo) -> None:
    git("switch", "-q", "-c", "topic")
    commit(top, git, "theirs", "a")
    git("switch", "-q", "main")
    commit(top, git, "ours", "a")
    commit(top, git, "other", "b")
    (top / "b").write_bytes(pointer_of("stashed away").encode())
    git("rebase", "-q", "--autostash", "topic", fails=True)
    forget(top, git)
    assert pointer_of("stashed away") in named(here)
    assert {pointer_of(name) for name in ("first", "theirs", "ours", "other")} <= named(here)


def test_the_autostash_of_a_merge_and_its_head(top: Path, git: Git, here: Repo) -> None:
    git("switch", "-q", "--detach")
    gone = commit(top, git, "theirs", "a")
    git("switch", "-q", "main")
    commit(top, git, "ours", "a")
    commit(top, git, "other", "b")
    (top / "b").write_bytes(pointer_of("stashed away").encode())
    git("merge", "-q", "--autostash", gone, fails=True)
    forget(top, git)
    git("rm", "-q", "--cached", "a")  # its conflict stages go
    assert {pointer_of("stashed away"), pointer_of("theirs")} <= named(here)


def test_refs_indexes_and_heads_of_a_linked_worktree_whose_folder_is_away(
    top: Path, git: Git, here: Repo, tmp_path: Path
) -> None:
    linked = tmp_path / "linked"
    git("worktree", "add", "-q", "--detach", str(linked))
    bad = commit(linked, git, "bisected", "a")
    commit(linked, git, "its head", "a")
    git("update-ref", "refs/bisect/bad", bad, cwd=linked)
    git("reset", "-q", "--hard", "HEAD^^", cwd=linked)
    commit(linked, git, "its new head", "a")
    (linked / "b").write_bytes(pointer_of("its index").encode())
    git("add", "b", cwd=linked)
    linked.rename(tmp_path / "away")
    forget(top, git)
    wanted = {pointer_of(name) for name in ("bisected", "its new head", "its index", "first")}
    assert named(here) == wanted


def test_what_a_resolved_conflict_had(top: Path, git: Git, here: Repo) -> None:
    """`git checkout --merge` brings it back."""
    blobs = []
    for name in ("ours", "theirs"):
        (top / "x").write_bytes(pointer_of(name).encode())
        blobs.append(git("hash-object", "-w", "x"))
    rows = "".join(f"100644 {blob} {stage}\tc\n" for stage, blob in enumerate(blobs, 2))
    subprocess.run(
        ["git", "update-index", "--index-info"], input=rows.encode(), cwd=top, check=True
    )
    (top / "c").write_bytes(pointer_of("resolved").encode())
    git("add", "c")
    assert {pointer_of(name) for name in ("ours", "theirs", "resolved")} <= named(here)


def test_text_that_quotes_a_pointer_is_no_pointer_that_must_be_there(
    top: Path, git: Git, here: Repo
) -> None:
    quoted = b"<<<<<<< ours\n" + pointer_of("x").encode() + pointer_of("longer").encode() + b">>>\n"
    (top / "page").write_bytes(quoted)
    git("add", "page")
    git("commit", "-q", "-m", "page")
    found = roots.named_in(here, local_roots.revisions(here))
    assert found.exact == {pointer_of("first")}
    assert {pointer_of("x"), pointer_of("longer")} <= found.alike


@pytest.mark.parametrize("harm", ["ref", "object", "index", "staged"])
def test_a_root_that_cannot_be_read_is_an_error(top: Path, git: Git, here: Repo, harm: str) -> None:
    named(here)
    blob = git("rev-parse", "HEAD:a")
    if harm == "ref":
        git("branch", "other")
        (top / ".git/refs/heads/other").write_bytes(b"")  # as a power cut leaves it
    elif harm == "index":
        (top / ".git/index").write_bytes(b"DIRC broken")
    else:
        if harm == "staged":  # nothing but the index names it
            (top / "b").write_bytes(pointer_of("staged").encode())
            git("add", "b")
            blob = git("rev-parse", ":b")
        (top / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(RepositoryError):
        named(here)
