"""Clones that want only some of the content, for once or for good; and checkouts of pointers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.sandbox import Clone, Done, Sandbox, content, pointer_to, succeeded

FILES = {
    f"{folder}/{name}.bin": content(f"{folder}/{name}")
    for folder in ("data/raw", "data/clean", "models")
    for name in ("a", "b")
} | {"top.bin": content("top")}
MODELS = {name for name in FILES if name.startswith("models/")}


@pytest.fixture
def far(box: Sandbox, work: Clone) -> Path:
    """A git remote with two branches of seven files, which differ in all of them."""
    bare = box.bare()
    work.git("remote", "add", "origin", str(bare))
    work.commit("one", FILES)
    work.git("switch", "-q", "-c", "next")
    work.commit("two", {name: content(f"next {name}") for name in FILES})
    work.git("switch", "-q", "main")
    work.git("push", "-q", "origin", "main", "next")
    return bare


def hydrated(clone: Clone) -> set[str]:
    """The tracked files that are no pointers; each of the others is the pointer of its commit."""
    names = clone.git("ls-files", "*.bin").out.splitlines()
    pointers = {name for name in names if clone.read(name) == clone.blob(f"HEAD:{name}")}
    return set(names) - pointers


def mlver_clone(box: Sandbox, far: Path, name: str, *options: str, **env: str) -> Clone:
    args = ("mlver", "clone", *options, str(far), name)
    succeeded(args, box.run(["git", *args], box.root, **env))
    return box.at(name)


def quiet(done: Done) -> None:
    assert done.warnings == []


def partial_clones(box: Sandbox, far: Path) -> list[Clone]:
    plain = box.clone(far, "plain", "-c", "mlver.fetchInclude=models,*.onnx")
    listed = box.clone(
        far, "listed", "-c", "mlver.fetchExclude=data/", "-c", "mlver.fetchExclude=/top.bin"
    )
    return [plain, listed, mlver_clone(box, far, "ours", "--include", "models/**")]


def test_a_partial_clone_stays_partial(box: Sandbox, far: Path) -> None:
    for clone in partial_clones(box, far):
        assert hydrated(clone) == MODELS
        clone.settled()
        for args in (
            ("switch", "next"), ("switch", "main"), ("pull",), ("mlver", "pull"),
            ("merge", "-q", "origin/next"), ("reset", "-q", "--hard", "HEAD~1"),
            ("mlver", "checkout"), ("mlver", "fetch"), ("stash", "list"),
        ):  # fmt: skip
            quiet(clone.git(*args))
            assert hydrated(clone) == MODELS, args
        clone.settled()
        states = {row["path"]: row["state"] for row in clone.json("status")["files"]}
        assert {name for name, state in states.items() if state == "pointer"} == set(FILES) - MODELS
        here = {row["path"] for row in clone.json("ls")["files"] if row["state"] == "here"}
        assert here == MODELS


def test_unrelated_work_in_a_partial_clone_needs_no_other_content(
    box: Sandbox, work: Clone, far: Path
) -> None:
    clone = partial_clones(box, far)[0]
    quiet(clone.git("switch", "-q", "next"))
    clone.write("notes.txt", b"unrelated")
    clone.write("models/a.bin", content("mine"))
    before = {name: clone.blob(f"HEAD:{name}") for name in FILES}
    clone.commit("mine")
    assert "pushed 1 file(s)" in clone.git("push", "-q", "origin", "next").err
    for name in set(FILES) - {"models/a.bin"}:
        assert clone.blob(f"HEAD:{name}") == before[name]
    assert hydrated(clone) == MODELS
    everything = box.clone(far, "everything", "--branch", "next")
    assert everything.read("models/a.bin") == content("mine")
    assert hydrated(everything) == set(FILES)


def test_a_path_that_is_named_is_brought_and_stays_while_its_content_is_here(
    box: Sandbox, far: Path
) -> None:
    clone = partial_clones(box, far)[0]
    clone.mlver("checkout", "data/raw/a.bin")
    assert hydrated(clone) == MODELS | {"data/raw/a.bin"}
    quiet(clone.git("switch", "-q", "next"))
    assert hydrated(clone) == MODELS
    quiet(clone.git("switch", "-q", "main"))
    assert hydrated(clone) == MODELS | {"data/raw/a.bin"}
    clone.mlver("checkout", ".")
    assert hydrated(clone) == set(FILES)
    clone.settled()


def test_options_take_the_place_of_the_settings_for_once(box: Sandbox, far: Path) -> None:
    clone = partial_clones(box, far)[0]
    clone.mlver("pull", "--include", "top.bin,data/clean", "--exclude", "b.bin")
    assert hydrated(clone) == MODELS | {"top.bin", "data/clean/a.bin"}
    clone.mlver("checkout", "--exclude", "top.bin", "data/raw", "top.bin")
    assert {"data/raw/a.bin", "data/raw/b.bin"} <= hydrated(clone)
    clone.mlver("pull", "--include=")
    assert hydrated(clone) == set(FILES)
    wrong = clone.attempt("mlver", "pull", "--include", "models,none/*")
    assert wrong.code == 2 and "'none/*' did not match" in wrong.err
    assert clone.attempt("mlver", "checkout", "--include", "!x").code == 2


def test_a_later_empty_value_takes_back_what_was_set_before(box: Sandbox, far: Path) -> None:
    box.git("config", "--global", "mlver.fetchInclude", "models")
    assert hydrated(box.clone(far, "some")) == MODELS
    everything = box.clone(far, "everything", "-c", "mlver.fetchInclude=")
    assert hydrated(everything) == set(FILES)


def test_fetch_of_commits_takes_patterns_too(box: Sandbox, far: Path) -> None:
    clone = box.clone(far, "second", MLVER_SKIP_SMUDGE="1")
    clone.mlver("fetch", "origin", "origin/next", "--include", "models")
    clone.mlver("fetch", "--all", "--include", "/top.bin")
    here = {
        f"{branch}:{row['path']}"
        for branch in ("origin/main", "origin/next")
        for row in clone.json("ls", "--rev", branch)["files"]
        if row["state"] == "here"
    }
    assert here == {f"origin/next:{name}" for name in MODELS} | {
        "origin/main:top.bin", "origin/next:top.bin",
    }  # fmt: skip


def test_a_part_is_pushed_first_and_the_rest_with_the_commits(box: Sandbox, work: Clone) -> None:
    bare = box.bare()
    work.git("remote", "add", "origin", str(bare))
    work.commit("one", FILES)
    done = work.mlver("push", "--include", "models,data/raw", "--exclude", "b.bin")
    assert "2 file(s) pushed" in done.err
    work.git("push", "-q", "origin", "main")
    assert hydrated(box.clone(bare, "second")) == set(FILES)


def test_a_pattern_that_is_none_stops_no_checkout(box: Sandbox, far: Path) -> None:
    clone, done = box.try_clone(far, "odd", "-c", "mlver.fetchInclude=!models")
    assert len(done.warnings) == 1 and "'!models' is no pattern" in done.warnings[0]
    assert hydrated(clone) == set(FILES)


def test_doctor_asks_for_nothing_that_a_partial_clone_left_out(box: Sandbox, far: Path) -> None:
    clone = partial_clones(box, far)[0]
    said = clone.attempt("mlver", "doctor").out
    assert "partial clone: 5 file(s) stay pointers" in said and "git mlver pull" not in said


# -- pointers until they are asked for


def skipping(box: Sandbox, far: Path) -> list[Clone]:
    """Clones of somebody who wants pointers: by the environment, and by the installation."""
    box.git("mlver", "install", "--global", "--skip-smudge")
    return [
        box.clone(far, "installed"),
        mlver_clone(box, far, "ours", MLVER_SKIP_SMUDGE="1"),
    ]


def test_who_skips_smudge_has_pointers_after_clone_checkout_and_pull(
    box: Sandbox, work: Clone, far: Path
) -> None:
    for clone in skipping(box, far):
        for args in (("status",), ("switch", "next"), ("switch", "main"), ("reset", "--hard")):
            quiet(clone.git(*args))
            assert hydrated(clone) == set(), args
        clone.settled()
        clone.mlver("pull", "--include", "models")
        assert hydrated(clone) == MODELS
        quiet(clone.git("pull", "-q"))
        clone.mlver("checkout", "top.bin")
        assert hydrated(clone) == MODELS | {"top.bin"}
        clone.settled()


def test_who_skips_smudge_commits_and_pushes(box: Sandbox, far: Path) -> None:
    clone = skipping(box, far)[0]
    clone.commit("mine", {"models/a.bin": content("mine"), "new.bin": content("new")})
    assert clone.blob("HEAD:models/a.bin") == pointer_to(content("mine"))
    clone.git("push", "-q", "origin", "main")
    other = mlver_clone(box, far, "other")
    assert other.read("models/a.bin") == content("mine") and other.read("new.bin") == content("new")
    assert other.read("top.bin") == content("top")


def test_what_was_installed_to_skip_smudge_is_taken_back_by_install(
    box: Sandbox, far: Path
) -> None:
    skipping(box, far)
    box.git("mlver", "install", "--global")
    assert hydrated(box.clone(far, "whole")) == set(FILES)
    assert os.environ.get("MLVER_SKIP_SMUDGE") is None
