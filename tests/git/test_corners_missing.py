"""Content that cannot be had, or comes late: no file is lost, git succeeds, one warning repairs.

The rows "Delay", "Missing blob" and "Clean failure" of the corners table.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest
from tests.support.sandbox import Clone, Done, Sandbox, content, pointer_to

OLD, NEW, OTHER = content("old"), content("new"), content("other")


def two_versions(work: Clone) -> None:
    """`old` and `main` differ in two files and have one file each to themselves."""
    work.given("old", {"a.bin": OLD, "sub/b.bin": OLD[:9000], "only-old.bin": OTHER})
    work.git("branch", "old")
    work.path("only-old.bin").unlink()
    work.given("new", {"a.bin": NEW, "sub/b.bin": NEW[:9000], "only-new.bin": NEW[:7000]})


def switch(work: Clone) -> Done:
    return work.git("switch", "-q", "old")


def detach(work: Clone) -> Done:
    return work.git("checkout", "-q", "--detach", "old")


def reset(work: Clone) -> Done:
    return work.git("reset", "--hard", "-q", "old")


def paths_of_a_commit(work: Clone) -> Done:
    return work.git("checkout", "-q", "old", "--", "a.bin", "sub/b.bin", "only-old.bin")


def restore(work: Clone) -> Done:
    return work.git("restore", "-q", "-s", "old", "-SW", "a.bin", "sub/b.bin", "only-old.bin")


WAYS = [switch, detach, reset, paths_of_a_commit, restore]
WANTED = {"a.bin": OLD, "sub/b.bin": OLD[:9000], "only-old.bin": OTHER}


@pytest.mark.parametrize("go", WAYS)
def test_missing_content_becomes_pointers_with_one_warning_and_pull_repairs(
    work: Clone, go: Callable[[Clone], Done]
) -> None:
    two_versions(work)
    lost = work.lose_content()
    done = go(work)
    assert {name: work.read(name) for name in WANTED} == {
        name: pointer_to(data) for name, data in WANTED.items()
    }
    assert len(done.warnings) == 1, done.err
    assert "3 files stay pointers" in done.warnings[0] and "git mlver pull" in done.warnings[0]
    before = work.status()
    still = work.attempt("mlver", "pull")
    assert still.code == 4 and work.read("a.bin") == pointer_to(OLD)
    work.find_content(lost)
    work.mlver("pull")
    assert {name: work.read(name) for name in WANTED} == WANTED
    assert work.status() == before
    work.fsck()


def test_deleted_files_of_the_index_come_back_as_pointers(work: Clone) -> None:
    work.given("x", {"a.bin": OLD, "b.bin": NEW})
    lost = work.lose_content()
    work.path("a.bin").unlink()
    work.write("b.bin", b"spoilt")
    done = work.git("checkout", "--", "a.bin", "b.bin")
    assert work.read("a.bin") == pointer_to(OLD) and work.read("b.bin") == pointer_to(NEW)
    assert len(done.warnings) == 1 and "git mlver pull" in done.warnings[0]
    work.settled()
    work.find_content(lost)
    work.mlver("pull")
    assert work.read("a.bin") == OLD and work.read("b.bin") == NEW
    work.settled()


def test_a_stash_whose_content_is_missing_pops_as_a_pointer(work: Clone) -> None:
    work.given("x", {"a.bin": OLD})
    work.write("a.bin", NEW)
    work.git("stash", "-q")
    assert work.read("a.bin") == OLD
    lost = work.lose_content()
    done = work.git("stash", "pop", "-q")
    assert work.read("a.bin") == pointer_to(NEW)
    assert len(done.warnings) == 1 and "git mlver pull" in done.warnings[0]
    assert work.git("stash", "list").out == ""
    work.find_content(lost)
    work.git("add", "a.bin")
    work.mlver("pull")
    assert work.read("a.bin") == NEW
    work.git("commit", "-qm", "y")
    work.settled()


def test_a_clone_whose_content_is_missing_succeeds_with_pointers(work: Clone, box: Sandbox) -> None:
    work.given("x", {"a.bin": OLD, "b.bin": NEW})
    lost = work.lose_content()
    clone, done = box.try_clone(work.top, "second", "-q")
    assert len(done.warnings) == 1 and "git mlver pull" in done.warnings[0]
    assert clone.read("a.bin") == pointer_to(OLD) and clone.read("b.bin") == pointer_to(NEW)
    clone.settled()
    work.find_content(lost)
    clone.mlver("pull")
    assert clone.read("a.bin") == OLD and clone.read("b.bin") == NEW
    clone.settled()


def test_a_linked_worktree_whose_content_is_missing_has_pointers(work: Clone, box: Sandbox) -> None:
    two_versions(work)
    lost = work.lose_content()
    done = work.git("worktree", "add", "-q", "../linked", "old")
    linked = box.at("linked")
    assert {name: linked.read(name) for name in WANTED} == {
        name: pointer_to(data) for name, data in WANTED.items()
    }
    assert len(done.warnings) == 1 and "git mlver pull" in done.warnings[0]
    work.find_content(lost)
    linked.mlver("pull")
    assert {name: linked.read(name) for name in WANTED} == WANTED
    linked.settled()


def test_where_some_content_is_missing_the_rest_is_checked_out(work: Clone, box: Sandbox) -> None:
    far = box.bare()
    work.git("remote", "add", "origin", str(far))
    work.given("x", {"a.bin": OLD, "b.bin": NEW})
    work.git("push", "-q", "origin", "main")
    work.given("y", {"c.bin": OTHER})
    work.git("push", "-q", "--no-verify", "origin", "main")
    clone, done = box.try_clone(far, "second", "-q")
    assert [clone.read(name) for name in ("a.bin", "b.bin")] == [OLD, NEW]
    assert clone.read("c.bin") == pointer_to(OTHER)
    assert len(done.warnings) == 1 and "c.bin" in done.warnings[0]
    clone.settled()
    states = {row["path"]: row["state"] for row in clone.json("status")["files"]}
    assert states["c.bin"] == "missing"
    work.mlver("push")
    clone.mlver("pull")
    assert clone.read("c.bin") == OTHER
    clone.settled()


def test_two_rounds_of_delay_in_one_rebase_bring_everything(work: Clone, box: Sandbox) -> None:
    far = box.bare()
    work.given("base", {"a.bin": OLD, "b.bin": OLD[:9000]})
    work.git("checkout", "-qb", "side")
    work.given("side 1", {"b.bin": OTHER})
    work.given("side 2", {"d.bin": OTHER[:5000]})
    work.git("checkout", "-q", "main")
    work.given("main", {"a.bin": NEW, "c.bin": NEW[:5000]})
    work.git("remote", "add", "origin", str(far))
    work.git("push", "-q", "origin", "main", "side")
    clone = box.clone(far, "second", "-q", "-b", "side")
    shutil.rmtree(clone.store)
    trace = box.root / "packets"
    clone.git("rebase", "-q", "origin/main", GIT_TRACE_PACKET=str(trace))
    asked = trace.read_text(errors="replace").count("command=list_available_blobs")
    assert asked >= 4  # each round asks until nothing is left
    assert clone.read("a.bin") == NEW and clone.read("c.bin") == NEW[:5000]
    assert clone.read("b.bin") == OTHER and clone.read("d.bin") == OTHER[:5000]
    clone.settled()


def in_the_way_of_packs(work: Clone) -> None:
    shutil.rmtree(work.store, ignore_errors=True)
    work.store.mkdir()
    (work.store / "packs").write_text("not a folder")


def in_the_way_of_the_store(work: Clone) -> None:
    shutil.rmtree(work.store, ignore_errors=True)
    work.store.write_text("not a folder")


@pytest.mark.parametrize(
    ("spoil", "size"), [(in_the_way_of_packs, 5_000_000), (in_the_way_of_the_store, 20_000)]
)
def test_a_store_that_cannot_be_written_refuses_the_add_and_the_commit(
    work: Clone, spoil: Callable[[Clone], None], size: int
) -> None:
    data = content("big", size)
    work.given("before", {"a.bin": OTHER})
    spoil(work)
    work.write("a.bin", data)
    before = work.git_dir().joinpath("index").read_bytes()
    for command in (["add", "a.bin"], ["mlver", "add", "a.bin"], ["commit", "-qam", "x"]):
        done = work.attempt(*command)
        assert done.code != 0, command
        assert "a.bin" in done.err or "mlver" in done.err
        assert "Traceback" not in done.err
        assert work.read("a.bin") == data
        assert work.git_dir().joinpath("index").read_bytes() == before
    assert not list(work.git_dir().glob("*.lock"))
    if os.path.isfile(work.store):
        work.store.unlink()
    else:
        shutil.rmtree(work.store)
    work.git("add", "a.bin")
    assert work.blob(":a.bin") == pointer_to(data)
    work.git("commit", "-qm", "x")
    work.settled()


@pytest.mark.parametrize("text", [b"<<<<<<< ours\nthreshold = 1\n", b'policy = "never heard of"\n'])
def test_a_damaged_settings_file_stops_no_checkout(work: Clone, text: bytes) -> None:
    two_versions(work)
    work.write(".mlver.toml", text)
    done = work.git("checkout", "-q", "old")
    assert work.read("a.bin") == OLD and ".mlver.toml" in done.err
    lost = work.lose_content()
    done = work.git("checkout", "-q", "main")
    assert work.read("a.bin") == pointer_to(NEW) and ".mlver.toml" in done.err
    work.find_content(lost)
    work.git("checkout", "-q", "--", ".mlver.toml")
    work.mlver("pull")
    assert work.read("a.bin") == NEW and work.read("sub/b.bin") == NEW[:9000]
    work.settled()


def test_damaged_content_is_never_checked_out(work: Clone) -> None:
    work.given("x", {"a.bin": OLD})
    pack = next(work.store.rglob("*.pack"))
    data = bytearray(pack.read_bytes())
    middle = len(data) // 2
    data[middle] ^= 0xFF
    pack.chmod(0o644)
    pack.write_bytes(data)
    work.path("a.bin").unlink()
    done = work.git("checkout", "--", "a.bin")
    assert work.read("a.bin") == pointer_to(OLD)
    assert "git mlver pull" in done.err
    work.settled()
    work.write("a.bin", OLD)
    work.git("add", "a.bin")
    work.path("a.bin").unlink()
    work.git("checkout", "--", "a.bin")
    assert work.read("a.bin") == OLD
    work.settled()
