"""A bound on the store: what a remote holds may go, the rest never does, and git works as ever."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.support.sandbox import Clone, Sandbox, content, pointer_to

KIB = 1024
SIZE = 600 * KIB
NAMES = ("a.bin", "b.bin", "deep/c.bin")
V1 = {name: content(f"1 {name}", SIZE) for name in NAMES} | {"small.bin": content("1 s")}
V2 = {name: content(f"2 {name}", SIZE) for name in NAMES} | {"small.bin": content("2 s")}
TOTAL = sum(map(len, V1.values()))


def du(folder: Path) -> int:
    """Bytes on the disk below a folder."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def packed(clone: Clone) -> int:
    """Bytes in the packs of the store."""
    return sum(path.stat().st_size for path in clone.store.rglob("*.pack"))


def worktree(clone: Clone) -> dict[str, bytes]:
    return {name: clone.read(name) for name in V1}


@pytest.fixture
def far(box: Sandbox, work: Clone) -> Path:
    """A git remote with two commits: V1 is `one`, V2 is `main`."""
    bare = box.bare()
    work.git("remote", "add", "origin", str(bare))
    work.given("one", V1)
    work.git("tag", "one")
    work.given("two", V2)
    work.git("push", "-q", "--tags", "origin", "main")
    shutil.rmtree(work.store)  # so that the clones have the remote only
    return bare


def bounded(box: Sandbox, far: Path, size: str = "0", name: str = "clone") -> Clone:
    return box.clone(far, name, "-c", f"mlver.cacheSize={size}")


def away(far: Path) -> Path:
    """Take the remote's content away, as when nobody can reach it; where it is now."""
    return Path(shutil.move(far / "mlver", far.with_suffix(".gone")))


# -- 0: the worktree is the only copy


def test_the_disk_holds_the_data_once(box: Sandbox, far: Path) -> None:
    clone = bounded(box, far)
    assert worktree(clone) == V2
    assert packed(clone) == 0 and du(clone.store) < 100 * KIB
    assert du(clone.top) < 1.2 * TOTAL
    clone.settled()
    assert du(box.clone(far, "both").top) > 1.9 * TOTAL


def test_our_clone_and_pull_come_straight_too(box: Sandbox, far: Path) -> None:
    box.git("config", "--global", "mlver.cacheSize", "0")
    box.git("mlver", "clone", str(far), "ours")
    ours = box.at("ours")
    assert worktree(ours) == V2 and packed(ours) == 0
    ours.mlver("drop", ".")
    assert {name: pointer_to(data) for name, data in V2.items()} == worktree(ours)
    ours.mlver("checkout", "a.bin")
    assert ours.read("a.bin") == V2["a.bin"]
    ours.mlver("fetch")
    assert worktree(ours) == V2 and packed(ours) == 0
    ours.settled()
    assert ours.attempt("mlver", "fetch", "--all").code == 8


def test_switching_brings_what_was_there_before(box: Sandbox, far: Path) -> None:
    clone = bounded(box, far)
    for target, expected in (("one", V1), ("-", V2), ("main~1", V1), ("main", V2)):
        assert clone.git("checkout", "-q", target).warnings == []
        assert worktree(clone) == expected and packed(clone) == 0
        clone.settled()
    clone.git("worktree", "add", "-q", "../linked", "one")
    assert worktree(box.at("linked")) == V1 and packed(clone) == 0
    assert clone.json("fsck")["ok"] and clone.attempt("mlver", "fsck").code == 0


def test_daily_work_goes_on(box: Sandbox, far: Path) -> None:
    clone = bounded(box, far)
    clone.age()
    clone.git("add", "-A")
    clone.settled()
    clone.write("a.bin", content("mine", SIZE))
    clone.git("stash", "-q")
    assert worktree(clone) == V2
    clone.git("stash", "pop", "-q")
    assert clone.read("a.bin") == content("mine", SIZE)
    clone.commit("mine", {"notes.txt": b"x"})
    clone.git("checkout", "-q", "one")
    assert worktree(clone) == V1
    clone.git("checkout", "-q", "-")
    assert worktree(clone) == V2 | {"a.bin": content("mine", SIZE)}
    clone.settled()
    clone.git("push", "-q", "origin", "main")
    clone.mlver("pull")  # git's refs have moved: now it is no longer ours alone
    assert packed(clone) == 0 and worktree(clone)["a.bin"] == content("mine", SIZE)
    assert box.clone(far, "other").read("a.bin") == content("mine", SIZE)


def test_without_the_remote_files_become_pointers_and_what_is_ours_stays(
    box: Sandbox, far: Path
) -> None:
    clone = bounded(box, far)
    clone.write("a.bin", content("mine", SIZE))
    clone.commit("mine")
    gone = away(far)
    clone.git("switch", "-q", "-c", "side")
    done = clone.git("checkout", "-q", "one")
    assert len(done.warnings) == 1 and "next: git mlver pull" in done.warnings[0]
    assert worktree(clone) == {name: pointer_to(data) for name, data in V1.items()}
    clone.settled()
    clone.git("checkout", "-q", "side")
    assert clone.read("a.bin") == content("mine", SIZE)
    clone.write("a.bin", content("more", SIZE))
    clone.git("stash", "-q")
    clone.git("stash", "pop", "-q")
    assert clone.read("a.bin") == content("more", SIZE)
    assert clone.attempt("mlver", "pull").code != 0
    shutil.move(gone, far / "mlver")
    clone.git("checkout", "-q", "a.bin")
    clone.mlver("pull")
    assert worktree(clone) == V2 | {"a.bin": content("mine", SIZE)}
    clone.settled()


def test_a_second_remote_gets_the_worktrees_files_and_the_history_from_the_first(
    box: Sandbox, far: Path
) -> None:
    clone = bounded(box, far)
    second = box.bare("second.git")
    clone.git("remote", "add", "second", str(second))
    (box.root / "dir").mkdir()
    clone.mlver("remote", "add", "dir", str(box.root / "dir"))
    assert "8 file(s) pushed" in clone.mlver("push", "dir").err
    assert packed(clone) == 0 and worktree(clone) == V2
    clone.mlver("remote", "remove", "dir")
    gone = away(far)
    refused = clone.attempt("push", "-q", "second", "main")
    assert refused.code != 0 and "freed, and cannot be fetched" in refused.err
    shallow = ("push", "-q", "second", "main^{tree}:refs/heads/none")
    assert clone.attempt(*shallow).code != 0
    clone.git("checkout", "-q", "--orphan", "fresh")
    clone.git("commit", "-q", "-m", "only what is in the worktree")
    clone.git("push", "-q", "second", "fresh")  # from the files: the first is not there
    other = box.clone(second, "other", "-b", "fresh")
    assert worktree(other) == V2
    shutil.move(gone, far / "mlver")


def test_a_changed_file_is_not_taken_for_what_the_commit_names(box: Sandbox, far: Path) -> None:
    clone = bounded(box, far)
    second = box.bare("second.git")
    clone.git("checkout", "-q", "--orphan", "fresh")
    clone.git("commit", "-q", "-m", "x")
    path = clone.path("a.bin")
    before = path.stat()
    path.write_bytes(content("other", SIZE))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    away(far)
    clone.git("remote", "add", "second", str(second))
    done = clone.attempt("push", "-q", "second", "fresh")
    assert done.code != 0 and "a.bin" in done.err


def test_what_only_another_clone_has_is_kept(box: Sandbox, work: Clone) -> None:
    """Its content came from a store beside, and no remote holds it."""
    work.given("never pushed", V1)
    clone = bounded(box, work.top)
    assert worktree(clone) == V1 and packed(clone) > TOTAL * 0.9
    clone.mlver("pull")
    shutil.rmtree(work.top)
    clone.write("a.bin", b"changed")
    clone.git("checkout", "-q", "a.bin")
    assert worktree(clone) == V1


# -- what may go, and what may not


def test_the_store_is_kept_to_its_bound_and_the_least_used_goes_first(
    box: Sandbox, far: Path
) -> None:
    clone = bounded(box, far, "1t")
    assert TOTAL < packed(clone) < 1.1 * TOTAL
    clone.git("checkout", "-q", "one")
    clone.write("a.bin", content("mine", SIZE))
    clone.commit("a third")
    clone.git("push", "-q", "origin", "HEAD:refs/heads/third")
    away_names = {path.name for path in clone.store.rglob("*.pack")}
    for path in clone.store.rglob("*.pack"):  # that of V2 was used last of all
        is_v2 = path.stat().st_mtime_ns == min(p.stat().st_mtime_ns for p in path.parent.iterdir())
        os.utime(path, (1_800_000_000 if is_v2 else 1_700_000_000, path.stat().st_mtime))
    clone.git("config", "mlver.cacheSize", f"{2 * TOTAL}")
    clone.mlver("pull")
    assert packed(clone) <= 2 * TOTAL
    assert {path.name for path in clone.store.rglob("*.pack")} < away_names
    away(far)
    clone.git("checkout", "-q", "main")
    assert worktree(clone) == V2


def named_here(clone: Clone, how: str) -> None:
    """Have content on the remote that git there does not name, and that one place here does."""
    clone.write("a.bin", content("mine", SIZE))
    clone.git("add", "a.bin")
    if how != "index":
        clone.git("commit", "-q", "-m", "mine")
    clone.mlver("push")
    if how == "reflog":
        clone.git("reset", "-q", "--hard", "origin/main")
    if how == "stash":
        clone.git("reset", "-q", "--soft", "HEAD~1")
        clone.git("stash", "-q")
        clone.git("reflog", "expire", "--expire=now", "--all", "--rewrite", "HEAD")
    if how == "linked worktree":
        clone.git("worktree", "add", "-q", "../linked", "HEAD")
        clone.git("reset", "-q", "--hard", "origin/main")
        clone.git("reflog", "expire", "--expire=now", "HEAD", "refs/heads/main")


@pytest.mark.parametrize("how", ["index", "commit", "reflog", "stash", "linked worktree"])
def test_what_only_this_clone_names_stays_though_a_remote_holds_it(
    box: Sandbox, far: Path, how: str
) -> None:
    clone = bounded(box, far)
    named_here(clone, how)
    clone.mlver("pull")
    assert SIZE < packed(clone) < 1.2 * SIZE
    away(far)
    mine = content("mine", SIZE)
    assert clone.git("mlver", "smudge", "a.bin", input=pointer_to(mine)).raw == mine


def test_a_pack_that_is_gone_from_the_remote_keeps_its_content_here(
    box: Sandbox, far: Path
) -> None:
    clone = bounded(box, far, "1t")
    for path in (far / "mlver" / "remote" / "packs").rglob("*"):
        if path.is_file():
            path.unlink()
    clone.git("config", "mlver.cacheSize", "0")
    clone.mlver("pull")
    assert packed(clone) > 0.9 * TOTAL
    clone.write("a.bin", b"changed")
    clone.git("checkout", "-q", "a.bin")
    assert worktree(clone) == V2


def test_files_of_one_chunk_are_asked_for_as_well(box: Sandbox, work: Clone) -> None:
    """They have no recipe that the remote could be asked about."""
    work.git("remote", "add", "origin", str(box.bare()))
    files = {f"{number}.bin": content(number, 9_000) for number in range(6)}
    work.given("small", files)
    work.git("push", "-q", "origin", "main")
    for path in (box.root / "far.git" / "mlver" / "remote" / "packs").rglob("*"):
        if path.is_file():
            path.unlink()
    work.git("config", "mlver.cacheSize", "0")
    work.mlver("pull")
    assert packed(work) > 6 * 9_000
    for name in files:
        work.path(name).unlink()
    work.git("checkout", "-q", ".")
    assert {name: work.read(name) for name in files} == files


def test_a_store_that_another_command_uses_is_left_alone(box: Sandbox, far: Path) -> None:
    import fcntl

    clone = bounded(box, far, "1t")
    clone.git("config", "mlver.cacheSize", "0")
    with (clone.store / "users").open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        clone.mlver("pull")
        assert packed(clone) > 0.9 * TOTAL
    clone.mlver("pull")
    assert packed(clone) == 0


def test_a_bound_that_is_none_is_told_and_stops_no_checkout(box: Sandbox, far: Path) -> None:
    clone, done = box.try_clone(far, "odd", "-c", "mlver.cacheSize=much")
    assert worktree(clone) == V2 and "'much' is not a size" in done.err
    assert clone.attempt("mlver", "doctor").code == 1


def test_the_bound_and_the_use_are_told(box: Sandbox, far: Path) -> None:
    clone = bounded(box, far, "1m")
    assert clone.json("env")["env"]["cache_size"] == 1 << 20
    store = clone.json("status")["store"]
    assert store == {"bytes": packed(clone), "bound": 1 << 20} and store["bytes"] <= 1 << 20
    assert "mlver.cacheSize is 1.0 MB" in clone.mlver("status").err
    assert "at most (mlver.cacheSize)" in clone.attempt("mlver", "doctor").out
    clone.commit("mine", {"new.bin": content("new", 2 * SIZE)})
    assert "more than mlver.cacheSize" in clone.attempt("mlver", "doctor").out
