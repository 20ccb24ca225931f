"""Pushing: content is there before the refs that name it, or nothing is pushed; and trust."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.support.sandbox import Clone, Sandbox, content, pointer_to

V1, V2, V3 = content("v1"), content("v2"), content("v3")


@pytest.fixture
def far(work: Clone, box: Sandbox) -> Path:
    path = box.bare()
    work.git("remote", "add", "origin", str(path))
    return path


def refs(path: Path, box: Sandbox) -> list[str]:
    return box.git("for-each-ref", "--format=%(refname)", cwd=path).out.split()


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_content_is_beside_the_bare_path_before_the_refs_come(
    work: Clone, box: Sandbox, far: Path
) -> None:
    script(
        far / "hooks/pre-receive",
        "cat >/dev/null; ls mlver/remote/packs/*/* mlver/remote/index/*/* >seen || exit 1",
    )
    work.given("x", {"a.bin": V1})
    done = work.git("push", "origin", "main")
    assert "git-mlver: pushed 1 file(s)" in done.err
    assert len((far / "seen").read_text().split()) == 2
    again = work.git("push", "origin", "main:copy")
    assert "pushed" not in again.err
    work.settled()


def test_nothing_but_what_the_pushed_commits_name_is_sent(
    work: Clone, box: Sandbox, far: Path
) -> None:
    work.given("x", {"a.bin": V1})
    work.git("checkout", "-qb", "private")
    work.given("y", {"secret.bin": V2})
    work.write("staged.bin", V3)
    work.git("add", "staged.bin")
    work.git("push", "-q", "origin", "main")
    other = box.clone(far, "second", "-q")
    assert other.read("a.bin") == V1
    (other.top / "p.bin").write_bytes(pointer_to(V2))
    assert other.attempt("mlver", "fetch").code == 0
    other.git("add", "p.bin")
    assert other.attempt("mlver", "pull").code == 4  # not there
    other.git("rm", "-q", "--cached", "p.bin")


def test_a_push_of_missing_content_is_refused_and_the_refs_stay(
    work: Clone, box: Sandbox, far: Path
) -> None:
    work.given("x", {"a.bin": V1})
    lost = work.lose_content()
    work.write("a.bin", V2)  # the worktree's file would be taken else
    done = work.attempt("push", "-q", "origin", "main")
    assert done.code != 0 and "a.bin" in done.err and "Traceback" not in done.err
    assert refs(far, box) == []
    work.find_content(lost)
    work.git("checkout", "-q", "a.bin")
    work.git("push", "-q", "origin", "main")
    assert refs(far, box) == ["refs/heads/main"]
    assert box.clone(far, "second", "-q").read("a.bin") == V1
    work.settled()


def test_a_pointer_that_nobody_ever_had_stops_the_push_too(
    work: Clone, box: Sandbox, far: Path
) -> None:
    work.given("x", {"a.bin": pointer_to(V1), "b.bin": V2})
    done = work.attempt("push", "-q", "origin", "main")
    assert done.code != 0 and "a.bin" in done.err and "b.bin" not in done.err
    assert refs(far, box) == []


@pytest.mark.parametrize("hook", ["theirs", "ours"])
def test_a_hook_that_fails_stops_the_push(work: Clone, box: Sandbox, far: Path, hook: str) -> None:
    work.given("x", {"a.bin": V1})
    if hook == "theirs":
        (work.git_dir() / "hooks/pre-push").unlink()
        script(work.git_dir() / "hooks/pre-push", "cat >/dev/null; exit 1")
        work.mlver("init")
    else:
        (far / "mlver").write_text("in the way")
    done = work.attempt("push", "-q", "origin", "main")
    assert done.code != 0 and refs(far, box) == [] and "Traceback" not in done.err
    if hook == "theirs":
        assert not (far / "mlver").exists()
        script(work.git_dir() / "hooks/pre-push", "cat >/dev/null")
        work.mlver("init")
    else:
        (far / "mlver").unlink()
    work.git("push", "-q", "origin", "main")
    assert box.clone(far, "second", "-q").read("a.bin") == V1
    work.settled()


def test_tags_deleted_refs_new_branches_and_forced_pushes(
    work: Clone, box: Sandbox, far: Path
) -> None:
    work.given("x", {"a.bin": V1})
    work.git("tag", "-a", "v1", "-m", "v1")
    work.git("push", "-q", "origin", "main", "v1")
    work.git("checkout", "-q", "-b", "topic")
    work.given("y", {"b.bin": V2})
    work.git("push", "-q", "-u", "origin", "topic")
    work.git("commit", "-q", "--amend", "-m", "z")
    work.given("w", {"b.bin": V3})
    work.git("push", "-q", "--force-with-lease")
    work.git("push", "-q", "origin", ":refs/tags/v1")
    clone = box.clone(far, "second", "-q", "-b", "topic")
    assert clone.read("a.bin") == V1 and clone.read("b.bin") == V3
    work.git("push", "-q", "origin", "--delete", "topic")
    assert refs(far, box) == ["refs/heads/main"]
    clone.settled()


def test_a_push_from_a_second_clone_sends_only_what_is_new(
    work: Clone, box: Sandbox, far: Path
) -> None:
    work.given("x", {"a.bin": V1})
    work.git("push", "-q", "origin", "main")
    clone = box.clone(far, "second", "-q")
    clone.given("y", {"b.bin": V2})
    done = clone.git("push", "origin", "main")
    assert "pushed 1 file(s)" in done.err
    work.git("pull", "-q", "origin", "main")
    assert work.read("b.bin") == V2
    work.settled()
    clone.settled()


def test_a_push_to_a_worktree_repository_keeps_content_there(work: Clone, box: Sandbox) -> None:
    other = box.clone(work.top, "second", "-q")
    other.git("checkout", "-q", "-b", "topic")
    other.given("x", {"a.bin": V1})
    other.git("push", "-q", "origin", "topic")
    shutil.rmtree(other.top)
    work.git("checkout", "-q", "topic")
    assert work.read("a.bin") == V1
    work.settled()


def test_the_configured_remote_is_used_instead_of_gits(
    work: Clone, box: Sandbox, far: Path
) -> None:
    shelf = box.root / "shelf"
    work.mlver("remote", "add", "team", str(shelf))
    work.given("x", {"a.bin": V1})
    work.git("push", "-q", "origin", "main")
    assert (shelf / "mlver.json").exists() and not (far / "mlver").exists()
    clone, done = box.try_clone(far, "second", "-q")
    assert clone.read("a.bin") == pointer_to(V1) and len(done.warnings) == 1
    clone.mlver("remote", "add", "team", str(shelf))
    clone.mlver("pull")
    assert clone.read("a.bin") == V1
    clone.settled()


# -- trust ------------------------------------------------------------------------------------


def test_a_remote_that_a_clone_names_is_not_contacted_until_it_is_trusted(
    work: Clone, box: Sandbox, far: Path
) -> None:
    name = "Team-2"  # git keeps the case of this part of a setting's name
    shelf = box.root / "shelf"
    work.mlver("remote", "add", name, str(shelf), "--share")
    work.given("x", {"a.bin": V1})
    work.git("push", "-q", "origin", "main")
    meta = (shelf / "mlver.json").read_bytes()
    (shelf / "mlver.json").unlink()
    os.mkfifo(shelf / "mlver.json")  # whoever reads it waits for ever

    clone, done = box.try_clone(far, "second", "-q")
    (warning,) = done.warnings
    assert "stays a pointer (a.bin" in warning and f"git mlver remote trust {name}" in warning
    assert clone.read("a.bin") == pointer_to(V1)
    pulled = clone.attempt("mlver", "pull")
    assert pulled.code == 4 and f"git mlver remote trust {name}" in pulled.err
    fetched = clone.attempt("mlver", "fetch")
    assert f"  next: git mlver remote trust {name} && git mlver pull" in fetched.err
    clone.mlver("status")
    clone.attempt("mlver", "doctor")
    clone.attempt("mlver", "fsck")
    clone.write("b.bin", V2)
    clone.given("y")
    refused = clone.attempt("push", "-q", "origin", "main")
    assert refused.code != 0 and f"git mlver remote trust {name}" in refused.err

    (shelf / "mlver.json").unlink()
    (shelf / "mlver.json").write_bytes(meta)
    clone.mlver("remote", "trust", name)
    clone.mlver("pull")
    assert clone.read("a.bin") == V1
    clone.git("push", "-q", "origin", "main")
    clone.settled()

    text = clone.read(".mlver.toml").replace(b"/shelf", b"/elsewhere")
    clone.write(".mlver.toml", text)
    rows = {row["name"]: row["trusted"] for row in clone.json("remote", "list")["remotes"]}
    assert rows == {name: False}
    clone.given("moved", {"c.bin": V3})
    refused = clone.attempt("push", "-q", "origin", "main")
    assert refused.code != 0 and f"git mlver remote trust {name}" in refused.err
    assert not (box.root / "elsewhere").exists()
