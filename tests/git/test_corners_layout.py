"""Shapes that a repository takes: linked worktrees, submodules, sparse and partial clones, GIT_DIR.

The row "worktree / submodule" of the corners table among them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.support.sandbox import Clone, Sandbox, content, pointer_to

V1, V2, V3 = content("v1"), content("v2"), content("v3")


# -- linked worktrees ------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["64m", "1000"], ids=["in the pipe", "above the limit"])
def test_linked_worktrees_share_one_store(work: Clone, box: Sandbox, limit: str) -> None:
    work.git("config", "mlver.smudgeLimit", limit)
    work.given("x", {"a.bin": V1})
    work.git("worktree", "add", "-q", "../linked", "-b", "side")
    linked = box.at("linked")
    assert linked.read("a.bin") == V1
    linked.settled()
    linked.given("y", {"a.bin": V2, "sub/b.bin": V3})
    assert linked.store == work.store
    assert not (linked.git_dir() / "mlver" / "packs").exists()
    work.git("merge", "-q", "side")
    assert work.read("a.bin") == V2 and work.read("sub/b.bin") == V3
    linked.git("checkout", "-q", "--detach", "HEAD~1")
    assert linked.read("a.bin") == V1
    for clone in (work, linked):
        assert clone.json("fsck")["ok"]
        clone.settled()


def test_prune_keeps_what_another_worktree_has_staged_stashed_or_left_in_a_reflog(
    work: Clone, box: Sandbox
) -> None:
    work.git("remote", "add", "origin", str(box.bare()))
    work.given("x", {"a.bin": V1})
    work.git("push", "-q", "origin", "main")
    work.git("worktree", "add", "-q", "../linked", "-b", "side")
    linked = box.at("linked")
    linked.given("left behind", {"r.bin": content("reflog")})
    left = linked.head()
    linked.git("reset", "-q", "--hard", "HEAD~1")
    linked.write("a.bin", content("stashed"))
    linked.git("stash", "-q")
    linked.write("a.bin", content("staged"))
    linked.git("add", "a.bin")
    linked.write("a.bin", b"something else")
    shutil.move(linked.top, box.root / "moved away")  # as a disk that is not there now
    other = str(box.root / "work/.git")
    work.mlver("prune", "--yes", "--expire-days", "0", GIT_DIR=other, GIT_WORK_TREE=str(work.top))
    shutil.move(box.root / "moved away", linked.top)
    linked.git("checkout", "--", "a.bin")
    assert linked.read("a.bin") == content("staged")
    linked.git("reset", "-q", "--hard")
    linked.git("stash", "pop", "-q")
    assert linked.read("a.bin") == content("stashed")
    linked.git("checkout", "-q", "-f", left)
    assert linked.read("r.bin") == content("reflog")
    linked.settled()
    work.settled()


# -- submodules ------------------------------------------------------------------------------


def with_submodule(work: Clone, box: Sandbox) -> Clone:
    library = box.init("library")
    library.given("in the library", {"model.bin": V1})
    work.git("submodule", "--quiet", "add", str(library.top), "lib")
    work.git("commit", "-qm", "lib")
    return box.at("work/lib")


def test_tracked_files_in_a_submodule_come_and_go(work: Clone, box: Sandbox) -> None:
    lib = with_submodule(work, box)
    assert lib.read("model.bin") == V1
    assert lib.store == work.top / ".git/modules/lib/mlver"
    lib.mlver("init")
    lib.given("changed", {"model.bin": V2})
    lib.settled()
    work.mlver("add", "lib")
    work.git("commit", "-qm", "lib goes on")
    work.settled()
    work.git("checkout", "-q", "--recurse-submodules", "HEAD~1")
    assert lib.read("model.bin") == V1
    work.git("checkout", "-q", "--recurse-submodules", "main")
    assert lib.read("model.bin") == V2
    lib.git("push", "-q", "origin", "HEAD:refs/heads/next")
    clone = box.clone(work.top, "second", "-q", "--recurse-submodules")
    assert clone.read("lib/model.bin") == V2
    clone.settled()
    box.at("second/lib").settled()


def test_add_in_a_superproject_stages_the_submodules_commit_and_no_file_of_it(
    work: Clone, box: Sandbox
) -> None:
    lib = with_submodule(work, box)
    lib.git("checkout", "-q", "-b", "topic")
    moved = lib.given("changed", {"model.bin": V2})
    lib.write("untracked.bin", V3)
    work.write("own.bin", V3)
    work.mlver("add", "--all")
    rows = {
        row.split("\t")[1]: row.split()[:2] for row in work.git("ls-files", "-s").out.splitlines()
    }
    assert rows["lib"] == ["160000", moved]
    assert work.blob(":own.bin") == pointer_to(V3)
    assert not any(path.startswith("lib/") for path in rows)
    refused = work.attempt("mlver", "add", "lib/model.bin")
    assert refused.code == 2 and "submodule" in refused.err
    work.git("commit", "-qm", "x")
    assert lib.status() == "?? untracked.bin\n"
    lib.path("untracked.bin").unlink()
    work.settled()


# -- sparse and partial ----------------------------------------------------------------------


@pytest.mark.parametrize("form", ["--cone", "--no-cone", "--sparse-index"])
def test_a_sparse_checkout_has_what_it_names_and_the_rest_when_widened(
    work: Clone, box: Sandbox, form: str
) -> None:
    files = {"top.bin": V1, "in/a.bin": V2, "out/b.bin": V3, "out/deep/c.bin": V3[:9000]}
    work.given("x", files)
    clone = box.clone(work.top, "second", "-q", "--no-checkout")
    cone = ["--cone", "--sparse-index"] if form == "--sparse-index" else [form]
    pattern = "/in/" if form == "--no-cone" else "in"
    clone.git("sparse-checkout", "set", *cone, pattern)
    clone.git("checkout", "-q", "main")
    assert clone.read("in/a.bin") == V2 and not clone.path("out").exists()
    clone.settled()
    clone.mlver("pull")
    clone.mlver("checkout")
    assert not clone.path("out").exists()
    states = {row["path"]: row["state"] for row in clone.json("status")["files"]}
    assert "modified" not in states.values() and states["in/a.bin"] == "unpushed"
    clone.write("in/a.bin", V3)
    clone.write("in/new.bin", V1)
    clone.mlver("add", "in")
    clone.git("commit", "-qm", "y")
    clone.settled()
    clone.git("sparse-checkout", "disable")
    assert clone.read("out/b.bin") == V3 and clone.read("out/deep/c.bin") == V3[:9000]
    assert clone.read("in/a.bin") == V3 and clone.read("top.bin") == V1
    clone.git("sparse-checkout", "set", *cone, pattern)
    states = {row["path"]: row["state"] for row in clone.json("status")["files"]}
    assert states["out/b.bin"] == "pointer" and states["in/a.bin"] == "unpushed"
    clone.settled()


def test_a_partial_clone_gets_content_and_pushes_back(work: Clone, box: Sandbox) -> None:
    far = box.bare()
    box.git("config", "uploadpack.allowFilter", "true", cwd=far)
    work.given("one", {"a.bin": V1, "raw.txt": b"x" * 5000})
    work.given("two", {"a.bin": V2})
    work.git("remote", "add", "origin", str(far))
    work.git("push", "-q", "origin", "main")
    clone = box.clone(f"file://{far}", "second", "-q", "--filter=blob:none")
    assert clone.read("a.bin") == V2
    clone.settled()
    clone.git("checkout", "-q", "HEAD~1")
    assert clone.read("a.bin") == V1
    clone.git("checkout", "-q", "main")
    clone.given("three", {"b.bin": V3})
    clone.git("push", "-q", "origin", "main")
    clone.settled()
    work.git("pull", "-q", "origin", "main")
    assert work.read("b.bin") == V3
    work.settled()


# -- GIT_DIR, subfolders, SHA-256 -------------------------------------------------------------


@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_a_git_dir_that_stands_elsewhere_is_used(box: Sandbox, relative: bool) -> None:
    tree = box.root / "tree"
    (tree / "deep").mkdir(parents=True)
    box.git("init", "-q", "--bare", "apart.git")
    box.git("config", "core.bare", "false", cwd=box.root / "apart.git")
    here = Clone(box, tree / "deep")
    names = {"GIT_DIR": box.root / "apart.git", "GIT_WORK_TREE": tree}
    box.env |= {k: os.path.relpath(v, here.top) if relative else str(v) for k, v in names.items()}
    here.mlver("init", "--no-policy-file")
    (tree / ".gitattributes").write_text("*.bin filter=mlver diff=mlver merge=mlver -text\n")
    here.write("a.bin", V1)
    here.write("../b.bin", V2)
    here.git("add", "-A", "..")
    here.git("commit", "-qm", "x")
    here.write("a.bin", V3)
    here.mlver("add", "a.bin", "../b.bin")
    here.git("commit", "-qm", "y")
    assert here.blob("HEAD:deep/a.bin") == pointer_to(V3)
    here.mlver("drop", "a.bin")
    assert here.read("a.bin") == pointer_to(V3)
    here.mlver("checkout", "a.bin")
    here.path("../b.bin").unlink()
    here.git("checkout", "-q", "HEAD~1", "--", "..")
    assert here.read("a.bin") == V1 and here.read("../b.bin") == V2
    here.git("reset", "-q", "--hard")
    assert here.json("fsck")["ok"] and (box.root / "apart.git/mlver").is_dir()
    here.settled()


def test_git_dir_and_work_tree_given_as_options(work: Clone, box: Sandbox) -> None:
    work.write("sub/a.bin", V1)
    options = (f"--git-dir={work.top}/.git", f"--work-tree={work.top}")
    box.git(*options, "add", "-A")
    box.git(*options, "commit", "-qm", "x")
    box.git(*options, "mlver", "status")
    assert work.blob("HEAD:sub/a.bin") == pointer_to(V1)
    work.path("sub/a.bin").unlink()
    box.git(*options, "checkout", "-q", "-f")
    assert work.read("sub/a.bin") == V1
    work.settled()


def test_commands_from_a_subfolder_mean_its_paths(work: Clone, box: Sandbox) -> None:
    work.given("x", {"a.bin": V1, "sub/deep/a.bin": V2})
    here = Clone(box, work.top / "sub/deep")
    here.write("a.bin", V3)
    work.write("a.bin", V3)
    here.mlver("add", "a.bin")
    assert work.status() == " M a.bin\nM  sub/deep/a.bin\n"
    here.git("commit", "-qm", "y")
    here.mlver("add", "../../a.bin")
    here.git("commit", "-qm", "z")
    here.mlver("drop", ".")
    assert work.read("sub/deep/a.bin") == pointer_to(V3) and work.read("a.bin") == V3
    here.mlver("checkout")
    assert here.read("a.bin") == V3
    here.git("checkout", "-q", "HEAD~2", "--", "a.bin")
    assert here.read("a.bin") == V2
    here.git("checkout", "-q", "HEAD", "--", "a.bin")
    here.mlver("track", "*.dat")
    assert b"*.dat filter=mlver" in here.read(".gitattributes")
    here.given("tracks", {"b.dat": V1})
    assert work.blob("HEAD:sub/deep/b.dat") == pointer_to(V1)
    work.settled()


def test_a_sha256_repository_works_the_same(box: Sandbox) -> None:
    work = box.init("work256", "--object-format=sha256")
    work.given("x", {"a.bin": V1, "e.bin": b""})
    work.write("b.bin", V2)
    work.age()
    work.mlver("add", ".")
    assert work.starts_filter("status") == 0
    work.write("c.parquet", V3)
    work.commit("y")
    assert work.blob("HEAD:c.parquet") == pointer_to(V3)
    work.git("checkout", "-q", "HEAD~1")
    work.git("checkout", "-q", "main")
    assert work.read("b.bin") == V2
    work.mlver("drop", "b.bin")
    work.mlver("checkout", "b.bin")
    far = Path(box.bare("far.git"))
    shutil.rmtree(far)
    box.git("init", "-q", "--bare", "--object-format=sha256", str(far))
    work.git("push", "-q", str(far), "main")
    clone = box.clone(far, "second", "-q")
    assert [clone.read(name) for name in ("a.bin", "b.bin", "c.parquet")] == [V1, V2, V3]
    assert clone.json("fsck")["ok"] and clone.json("doctor")["ok"]
    clone.settled()
    work.settled()
