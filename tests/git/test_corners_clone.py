"""Clones of every kind, and machines where the filter is not there, or is there no more.

The rows "Filter not installed" and "Missing blob" of the corners table among them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.support.sandbox import Clone, Sandbox, content, copy_of, pointer_to

V1, V2, V3 = content("v1"), content("v2"), content("v3")


@pytest.fixture(scope="module")
def pushed_template(sandbox_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    box = copy_of(sandbox_template, tmp_path_factory.mktemp("pushed") / "box")
    work = box.at("work")
    box.bare()
    work.git("remote", "add", "origin", "../far.git")
    work.given("one", {"a.bin": V1})
    work.git("tag", "v1")
    work.given("two", {"a.bin": V2, "sub/b.bin": V3})
    work.git("push", "-q", "origin", "main", "v1")
    return box.root


@pytest.fixture
def pushed(pushed_template: Path, tmp_path: Path) -> Sandbox:
    return copy_of(pushed_template, tmp_path / "pushed")


@pytest.fixture
def far(pushed: Sandbox) -> Path:
    """A bare repository with two commits, its content beside it; the origin of `work`."""
    return pushed.root / "far.git"


# -- from where -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["path", "file url", "relative", "without .git"])
def test_a_clone_of_a_bare_path_just_works(pushed: Sandbox, far: Path, form: str) -> None:
    urls = {"path": str(far), "file url": f"file://{far}", "relative": "./far.git"}
    clone, done = pushed.try_clone(urls.get(form, str(far.with_suffix(""))), "second", "-q")
    assert done.warnings == []
    assert clone.read("a.bin") == V2 and clone.read("sub/b.bin") == V3
    clone.git("checkout", "-q", "v1")
    assert clone.read("a.bin") == V1
    clone.settled()


def test_a_clone_of_a_repository_that_never_pushed_reads_its_store(
    work: Clone, box: Sandbox
) -> None:
    work.given("one", {"a.bin": V1})
    work.given("two", {"a.bin": V2, "sub/b.bin": V3})
    clone, done = box.try_clone(work.top, "second", "-q")
    assert done.warnings == []
    assert clone.read("a.bin") == V2 and clone.read("sub/b.bin") == V3
    clone.git("checkout", "-q", "HEAD~1")
    assert clone.read("a.bin") == V1
    clone.settled()
    third = box.clone(clone.top, "third", "-q", "-b", "main")
    assert third.read("a.bin") == V2
    third.settled()


@pytest.mark.parametrize("how", ["--shared", "--reference", "--depth=1", "--mirror first"])
def test_shared_reference_shallow_and_mirror_clones_have_content(
    pushed: Sandbox, far: Path, how: str
) -> None:
    url, options = f"file://{far}", [how]
    if how == "--shared":
        url = str(far)
    elif how == "--reference":
        options = ["--reference", str(pushed.at("work").top)]
    elif how == "--mirror first":
        pushed.git("clone", "-q", "--mirror", str(far), "mirror.git")
        shutil.copytree(far / "mlver", pushed.root / "mirror.git/mlver")
        url, options = str(pushed.root / "mirror.git"), []
    clone, done = pushed.try_clone(url, "second", "-q", *options)
    assert done.warnings == []
    assert clone.read("a.bin") == V2 and clone.read("sub/b.bin") == V3
    clone.settled()
    clone.given("three", {"c.bin": V1[:9000]})
    clone.git("push", "-q", "origin", "main")
    clone.settled()


def test_a_clone_fetches_what_is_checked_out_and_not_the_history(
    pushed: Sandbox, far: Path
) -> None:
    clone = pushed.clone(far, "second", "-q")
    states = {row["path"]: row["state"] for row in clone.json("ls", "--rev", "HEAD~1")["files"]}
    assert states == {"a.bin": "absent"}
    states = {row["path"]: row["state"] for row in clone.json("ls")["files"]}
    assert states == {"a.bin": "here", "sub/b.bin": "here"}


def test_a_clone_from_a_bundle_has_pointers_one_warning_and_pull_repairs(
    pushed: Sandbox, far: Path
) -> None:
    bundle = pushed.root / "all.bundle"
    pushed.at("work").git("bundle", "create", "-q", str(bundle), "--all", "HEAD")
    clone, done = pushed.try_clone(bundle, "second", "-q")
    assert len(done.warnings) == 1 and "git mlver pull" in done.warnings[0]
    assert clone.read("a.bin") == pointer_to(V2)
    clone.settled()
    assert clone.attempt("mlver", "pull").code == 4
    clone.git("remote", "set-url", "origin", str(far))
    clone.mlver("pull")
    assert clone.read("a.bin") == V2 and clone.read("sub/b.bin") == V3
    clone.settled()


def test_our_clone_does_all_of_it_in_one_go(pushed: Sandbox, far: Path) -> None:
    pushed.git("mlver", "clone", str(far), "second")
    clone = pushed.at("second")
    assert clone.read("a.bin") == V2 and clone.read("sub/b.bin") == V3
    assert clone.starts_filter("status") == 0
    assert clone.json("doctor")["ok"]
    clone.settled()
    pushed.git("mlver", "clone", "--branch", "v1", "--depth", "1", f"file://{far}", "third")
    assert pushed.at("third").read("a.bin") == V1
    pushed.at("third").settled()
    refused = pushed.run(["git", "mlver", "clone", str(far), "second"])
    assert refused.code == 3 and clone.read("a.bin") == V2


# -- the filter is not installed, or gone -------------------------------------------------------


def test_a_clone_without_the_filter_has_pointers_and_gets_content_later(
    pushed: Sandbox, far: Path
) -> None:
    other = pushed.another_person()
    clone = other.clone(far, "second", "-q")
    assert clone.read("a.bin") == pointer_to(V2)
    clone.settled()
    other.git("mlver", "install", "--global")
    clone.mlver("init")
    clone.mlver("pull")
    assert clone.read("a.bin") == V2 and clone.read("sub/b.bin") == V3
    clone.git("checkout", "-q", "--", ".mlver.toml")
    clone.settled()
    assert clone.json("doctor")["ok"]
    clone.git("checkout", "-q", "v1")
    assert clone.read("a.bin") == V1
    clone.settled()


def test_what_was_committed_raw_without_the_filter_is_named_and_repaired(
    pushed: Sandbox, far: Path
) -> None:
    other = pushed.another_person()
    clone = other.clone(far, "second", "-q")
    clone.given("raw", {"a.bin": V1, "new.bin": V3[:9000]})
    assert clone.blob("HEAD:a.bin") == V1  # no git-mlver took part
    other.git("mlver", "install", "--global")
    clone.mlver("init", "--no-policy-file")
    found = clone.json("fsck", "--pointers")
    assert not found["ok"]
    assert {(row["kind"], row["path"]) for row in found["problems"]} == {
        ("raw", "a.bin"),
        ("raw", "new.bin"),
    }
    assert not clone.json("doctor")["ok"]
    assert {row["repair"] for row in found["problems"]} == {
        "git add --renormalize a.bin",
        "git add --renormalize new.bin",
    }
    clone.git("add", "--renormalize", "a.bin", "new.bin")
    clone.git("commit", "-qm", "repaired")
    assert clone.blob("HEAD:a.bin") == pointer_to(V1)
    clone.mlver("pull")
    assert clone.json("fsck", "--pointers")["ok"] and clone.json("doctor")["ok"]
    assert clone.read("a.bin") == V1 and clone.read("sub/b.bin") == V3
    clone.settled()


GONE = "/no/such/python -P -E /no/such/__main__.py"


@pytest.mark.parametrize("keys", [("process", "clean", "smudge"), ("process",)])
def test_a_filter_whose_program_is_gone_lets_nothing_in_raw(
    work: Clone, box: Sandbox, keys: tuple[str, ...]
) -> None:
    work.given("x", {"a.bin": V1})
    for key in keys:
        work.git("config", f"filter.mlver.{key}", f"{GONE} {key}")
    if len(keys) > 1:
        work.git("config", "filter.mlver.process", "")  # a git that has the one-shot filter alone
    work.write("a.bin", V2)
    head = work.head()
    for command in (["add", "a.bin"], ["commit", "-qam", "y"], ["stash"]):
        assert work.attempt(*command).code != 0, command
        assert work.read("a.bin") == V2
        assert work.blob(":a.bin") == pointer_to(V1) and work.head() == head
    found = work.json("doctor")
    assert any("stale" in row["what"] for row in found["findings"]) and not found["ok"]
    for key in keys:
        work.git("config", "--unset", f"filter.mlver.{key}")
    work.git("commit", "-qam", "y")
    assert work.blob("HEAD:a.bin") == pointer_to(V2)
    work.settled()


def test_a_clone_by_a_filter_whose_program_is_gone_is_repaired_by_install(
    pushed: Sandbox, far: Path
) -> None:
    pushed.git("config", "--global", "filter.mlver.process", f"{GONE} filter-process")
    done = pushed.run(["git", "clone", "-q", str(far), "second"])
    clone = pushed.at("second")
    assert (
        done.code != 0 and clone.head() == pushed.at("work").head()
    )  # git's own behaviour: no files
    pushed.git("mlver", "install", "--global")
    clone.git("reset", "--hard", "-q")
    assert clone.read("a.bin") == V2 and clone.read("sub/b.bin") == V3
    clone.settled()


def test_skip_smudge_leaves_pointers_until_they_are_asked_for(pushed: Sandbox, far: Path) -> None:
    pushed.git("mlver", "install", "--global", "--skip-smudge")
    clone, done = pushed.try_clone(far, "second", "-q")
    assert clone.read("a.bin") == pointer_to(V2) and done.warnings == []
    clone.settled()
    clone.mlver("pull", "--include", "sub/*")
    assert clone.read("a.bin") == pointer_to(V2) and clone.read("sub/b.bin") == V3
    clone.mlver("checkout", "a.bin")
    assert clone.read("a.bin") == V2
    clone.settled()
