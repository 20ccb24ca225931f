"""Content between clones and a directory remote: only what is needed moves, once, whatever stops
it on the way."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from tests.support.sandbox import Clone, Sandbox, content, pointer_to

KIB = 1024


def far_store(bare: Path) -> Path:
    return bare / "mlver" / "remote"


def stored(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def objects(folder: Path, kind: str) -> set[Path]:
    return {path for path in (folder / kind).rglob("*") if path.is_file()}


@pytest.fixture
def far(box: Sandbox, work: Clone) -> Path:
    bare = box.bare()
    work.git("remote", "add", "origin", str(bare))
    return bare


def rows(count: int, seed: int = 1) -> list[bytes]:
    rng = random.Random(seed)
    return [
        b"%d,%.6f,%d,label%d,user_%d\n"
        % (i, rng.gauss(0, 1), rng.randrange(1000), rng.randrange(7), rng.randrange(10**6))
        for i in range(count)
    ]


def test_a_second_version_adds_little_to_the_store_and_sends_little(
    box: Sandbox, work: Clone, far: Path
) -> None:
    table = rows(400_000)
    work.commit("one", {"t.bin": b"".join(table)})
    work.git("push", "-q", "-u", "origin", "main")
    before_here, before_there = stored(work.store), stored(far_store(far))
    for place in range(17, len(table), len(table) // 20):
        table[place] = table[place].replace(b"label", b"Label")
    second = b"".join(table)
    work.commit("two", {"t.bin": second})
    work.git("push", "-q")
    assert stored(work.store) - before_here < 30 * KIB
    assert stored(far_store(far)) - before_there < 20 * KIB
    assert box.clone(far, "second").read("t.bin") == second


def test_a_clone_fetches_what_is_checked_out_and_not_the_history(
    box: Sandbox, work: Clone, far: Path
) -> None:
    for number in range(8):
        work.commit(f"version {number}", {"m.bin": content(number, 300 * KIB)})
        work.git("commit", "-q", "--allow-empty", "-m", "nothing")
    work.git("push", "-q", "origin", "main")
    clone = box.clone(far, "second")
    assert clone.read("m.bin") == content(7, 300 * KIB)
    assert 300 * KIB <= stored(clone.store) < 400 * KIB
    clone.git("checkout", "-q", "HEAD~5")
    assert clone.read("m.bin") == content(5, 300 * KIB)
    clone.settled()


def test_a_push_sends_nothing_twice(work: Clone, far: Path) -> None:
    work.commit("one", {"a.bin": content(1), "b.bin": content(2, 200 * KIB)})
    work.git("push", "-q", "-u", "origin", "main")
    there = objects(far_store(far), "packs")
    work.git("switch", "-q", "-c", "topic")
    work.commit("same content, other name", {"c.bin": content(2, 200 * KIB)})
    work.git("push", "-q", "origin", "topic")
    work.mlver("push", "--all")
    assert objects(far_store(far), "packs") == there


def test_packs_of_a_push_that_was_killed_before_its_index_are_used_and_not_sent_again(
    box: Sandbox, work: Clone, far: Path
) -> None:
    work.commit("one", {"a.bin": content(1, 500 * KIB), "b.bin": content(2)})
    work.git("push", "-q", "-u", "origin", "main")
    packs = objects(far_store(far), "packs")
    shutil.rmtree(far_store(far) / "index")
    work.mlver("push")
    assert objects(far_store(far), "packs") == packs
    assert len(objects(far_store(far), "index")) == 1
    assert box.clone(far, "second").read("a.bin") == content(1, 500 * KIB)


def test_nothing_is_pushed_to_git_when_content_cannot_be_kept(work: Clone, far: Path) -> None:
    work.commit("one", {"a.bin": content(1)})
    work.lose_content()
    work.write("a.bin", content(2))  # the worktree's file would be taken else
    done = work.attempt("push", "-q", "origin", "main")
    assert done.code != 0
    assert "neither here nor on the remote" in done.err and "next:" in done.err
    assert not list((far / "refs" / "heads").iterdir())


def test_content_that_was_lost_here_is_pushed_from_the_worktrees_file(
    box: Sandbox, work: Clone, far: Path
) -> None:
    work.commit("one", {"a.bin": content(1, 300 * KIB)})
    work.lose_content()
    work.git("push", "-q", "origin", "main")
    assert box.clone(far, "second").read("a.bin") == content(1, 300 * KIB)


def test_a_remote_of_its_own_gets_the_whole_history_of_what_is_pushed_to_it_first(
    box: Sandbox, work: Clone, far: Path
) -> None:
    work.commit("one", {"a.bin": content(1)})
    work.git("push", "-q", "-u", "origin", "main")
    work.commit("two", {"a.bin": content(2)})
    work.mlver("remote", "add", "store", str(box.root / "store"))
    work.git("push", "-q")
    shutil.rmtree(far_store(far))
    clone = box.clone(far, "second")
    assert clone.read("a.bin") == pointer_to(content(2))
    clone.mlver("remote", "add", "store", str(box.root / "store"))
    clone.mlver("pull")
    clone.git("checkout", "-q", "HEAD~1")
    assert clone.read("a.bin") == content(1)


def test_prune_frees_what_the_remote_holds_and_keeps_everything_else(
    box: Sandbox, work: Clone, far: Path
) -> None:
    pushed, stashed, staged, unpushed = (content(i, 100 * KIB) for i in range(4))
    work.commit("one", {"a.bin": pushed})
    work.git("push", "-q", "-u", "origin", "main")
    work.write("a.bin", stashed)
    work.git("stash", "-q")
    work.commit("local", {"c.bin": unpushed})
    work.write("b.bin", staged)
    work.git("add", "b.bin")
    before = stored(work.store)
    assert "would be freed" in work.mlver("prune").out
    assert stored(work.store) == before
    work.mlver("prune", "--yes", "--expire-days", "0")
    assert stored(work.store) < before - 90 * KIB
    for name in ("b.bin", "c.bin"):
        work.path(name).unlink()
        work.git("checkout", "-q", "--", name)
    assert (work.read("b.bin"), work.read("c.bin")) == (staged, unpushed)
    work.git("reset", "-q", "--hard")
    work.git("stash", "pop", "-q")
    assert work.read("a.bin") == stashed
    work.git("checkout", "-q", "HEAD", "--", "a.bin")
    assert work.read("a.bin") == pushed


def test_content_that_nothing_names_is_freed_only_after_its_time(work: Clone, far: Path) -> None:
    work.commit("one", {"a.bin": content(1)})
    work.git("push", "-q", "-u", "origin", "main")
    work.write("scrap.bin", content(2, 100 * KIB))
    work.git("add", "scrap.bin")
    work.git("rm", "-q", "-f", "scrap.bin")
    work.mlver("prune", "--yes")
    assert stored(work.store / "packs") > 100 * KIB
    work.mlver("prune", "--yes", "--expire-days", "0")
    assert stored(work.store / "packs") < 10 * KIB


def test_dropped_files_are_pointers_until_they_are_checked_out(work: Clone) -> None:
    work.commit("one", {"a.bin": content(1), "b.bin": content(2, 2048 * KIB)})
    work.mlver("drop", ".")
    assert work.read("a.bin") == pointer_to(content(1))
    work.settled()
    work.mlver("checkout")
    assert work.read("b.bin") == content(2, 2048 * KIB)
    work.settled()


def test_a_file_with_changes_is_not_dropped(work: Clone) -> None:
    work.commit("one", {"a.bin": content(1)})
    work.write("a.bin", content(2))
    done = work.attempt("mlver", "drop", "a.bin")
    assert done.code == 8 and "changes that are not added" in done.err
    assert work.read("a.bin") == content(2)


def test_a_file_whose_content_is_nowhere_else_is_not_dropped(work: Clone) -> None:
    work.commit("one", {"a.bin": content(1)})
    work.lose_content()
    done = work.attempt("mlver", "drop", "a.bin")
    assert done.code == 8 and "no other place" in done.err
    assert work.read("a.bin") == content(1)


def test_fetch_and_pull_take_patterns(box: Sandbox, work: Clone, far: Path) -> None:
    work.commit("one", {"train/a.bin": content(1), "test/b.bin": content(2)})
    work.git("push", "-q", "-u", "origin", "main")
    clone = box.clone(far, "second", MLVER_SKIP_SMUDGE="1")
    clone.mlver("pull", "--include", "train/")
    assert clone.read("train/a.bin") == content(1)
    assert clone.read("test/b.bin") == pointer_to(content(2))
    clone.mlver("pull", "--exclude", "test/")
    assert clone.read("test/b.bin") == pointer_to(content(2))
    clone.mlver("pull")
    clone.settled()


def test_mlver_clone_brings_everything_in_one_command(box: Sandbox, work: Clone, far: Path) -> None:
    work.commit("one", {"a.bin": content(1)})
    work.git("push", "-q", "-u", "origin", "main")
    box.git("mlver", "clone", str(far), str(box.root / "second"))
    clone = box.at("second")
    assert clone.read("a.bin") == content(1)
    assert os.access(clone.git_dir() / "hooks" / "pre-push", os.X_OK)
    clone.settled()


def test_fsck_names_lost_content_and_repair_brings_it_back(
    box: Sandbox, work: Clone, far: Path
) -> None:
    work.commit("one", {"a.bin": content(1), "b.bin": content(2)})
    assert work.json("fsck") == {"version": 1, "ok": True, "problems": []}
    work.path("b.bin").unlink()
    work.lose_content()
    report = work.json("fsck")
    assert {problem["path"] for problem in report["problems"]} == {"a.bin", "b.bin"}
    done = work.attempt("mlver", "fsck", "--repair", "--json")
    assert done.code == 1 and "b.bin" in done.out and "a.bin" not in done.out
    work.write("b.bin", content(2))
    work.mlver("fsck", "--repair")
    assert work.json("fsck")["ok"]


def test_a_plain_clone_gets_hooks_at_its_first_use_so_that_content_goes_before_refs(
    box: Sandbox, work: Clone, far: Path
) -> None:
    work.commit("one", {"a.bin": content(1)})
    work.git("push", "-q", "-u", "origin", "main")
    clone = box.clone(far, "second")
    clone.commit("two", {"a.bin": content(2)})
    clone.git("push", "-q")
    assert box.clone(far, "third").read("a.bin") == content(2)


def test_hooks_that_were_taken_out_do_not_come_back_by_themselves(work: Clone) -> None:
    work.mlver("uninstall", "--local")
    work.commit("one", {"a.bin": content(1)})
    assert not (work.git_dir() / "hooks" / "pre-push").exists()
    work.mlver("init")
    assert (work.git_dir() / "hooks" / "pre-push").exists()


@pytest.mark.parametrize("harm", ["flipped", "gone"])
def test_a_clone_that_has_the_content_heals_the_remote(
    box: Sandbox, work: Clone, far: Path, harm: str
) -> None:
    work.commit("one", {"a.bin": content(1, 500 * KIB), "b.bin": content(2)})
    work.git("push", "-q", "-u", "origin", "main")
    (pack,) = objects(far_store(far), "packs")
    if harm == "gone":
        pack.unlink()
    else:
        data = bytearray(pack.read_bytes())
        data[1000] ^= 1
        pack.chmod(0o644)
        pack.write_bytes(data)
    report = work.json("fsck", "--remote")
    assert [problem["kind"] for problem in report["problems"]] in (
        ["remote-corrupt"],
        ["remote-missing"],
    )
    work.mlver("fsck", "--remote", "--repair")
    assert work.json("fsck", "--remote")["ok"]
    assert box.clone(far, "second").read("a.bin") == content(1, 500 * KIB)


def test_a_damaged_index_object_is_made_again_from_the_packs(
    box: Sandbox, work: Clone, far: Path
) -> None:
    work.commit("one", {"a.bin": content(1, 500 * KIB)})
    work.git("push", "-q", "-u", "origin", "main")
    packs = objects(far_store(far), "packs")
    (index,) = objects(far_store(far), "index")
    index.chmod(0o644)
    index.write_bytes(index.read_bytes()[:-1] + b"x")
    assert not work.json("fsck", "--remote")["ok"]
    work.mlver("fsck", "--remote", "--repair")
    assert work.json("fsck", "--remote")["ok"]
    assert objects(far_store(far), "packs") == packs
    assert box.clone(far, "second").read("a.bin") == content(1, 500 * KIB)


def test_repair_of_a_damaged_store_is_complete_and_survives_a_prune(
    box: Sandbox, work: Clone, far: Path
) -> None:
    data = content(1, 500 * KIB)
    work.commit("one", {"a.bin": data})
    (pack,) = objects(work.store, "packs")
    damaged = bytearray(pack.read_bytes())
    damaged[100_000] ^= 1
    pack.write_bytes(damaged)
    assert not work.json("fsck")["ok"]
    assert work.json("fsck", "--repair")["ok"]
    assert work.json("fsck")["ok"]
    (work.store / "index.sqlite").unlink()
    work.mlver("prune", "--yes")
    assert work.json("fsck")["ok"]
    work.git("push", "-q", "-u", "origin", "main")
    assert box.clone(far, "second").read("a.bin") == data
