"""What git is spared: no filter where nothing changed, no second storing of what is known.

The rows "Racy index", "Index entries with stat data", "Many small blobs" and "Nested git".
"""

from __future__ import annotations

import os

from tests.support.sandbox import Clone, content, pointer_to

MANY = {f"d{n % 10}/{n}.bin": content(n, 300 + n) for n in range(1000)}


def write_many(work: Clone) -> None:
    for name, data in MANY.items():
        work.write(name, data)
    work.age()


def stored(work: Clone) -> int:
    return sum(path.stat().st_size for path in work.store.rglob("*.pack"))


def test_after_our_add_and_checkout_status_starts_no_filter(work: Clone) -> None:
    write_many(work)
    work.mlver("add", ".")
    assert work.starts_filter("status") == 0
    work.git("commit", "-qm", "x")
    loose = int(work.git("count-objects").out.split()[0])
    assert loose < 100  # 1000 pointers went into one pack
    work.settled()
    work.mlver("drop", ".")
    assert all(work.read(name) == pointer_to(data) for name, data in MANY.items())
    assert work.starts_filter("status") == 0
    work.mlver("checkout")
    assert {name: work.read(name) for name in MANY} == MANY
    assert work.starts_filter("status") == 0
    work.settled()


def test_our_add_gives_the_same_index_as_gits(work: Clone) -> None:
    write_many(work)
    work.path("d1/1.bin").chmod(0o755)
    work.mlver("add", "-A")
    ours = work.git("ls-files", "-s").out
    work.git("read-tree", "--empty")
    work.git("add", "-A")
    assert work.git("ls-files", "-s").out == ours


def test_touching_every_file_is_answered_from_the_hash(work: Clone) -> None:
    write_many(work)
    work.git("add", "-A")
    work.git("commit", "-qm", "x")
    before = stored(work)
    for name in MANY:
        os.utime(work.path(name))
    assert work.starts_filter("status", "--porcelain") == 1
    assert work.status() == ""
    work.git("add", "-A")
    assert stored(work) == before
    work.settled()


def test_files_as_young_as_the_index_are_unchanged(work: Clone) -> None:
    """git reads them again ("racily clean"), and what it reads is known."""
    for round in range(3):
        data = content(round)
        work.write("a.bin", data)
        work.git("add", "a.bin")
        before = stored(work)
        assert work.git("diff").out == "" and work.status() in ("M  a.bin\n", "A  a.bin\n")
        assert stored(work) == before
        rows = {row["path"]: row["state"] for row in work.json("status")["files"]}
        assert rows == {"a.bin": "unpushed"}
        work.git("commit", "-qm", f"{round}")
        work.settled()


def test_a_change_of_the_same_size_within_the_same_second_is_seen(work: Clone) -> None:
    work.write("a.bin", b"a" * 3000)
    work.mlver("add", "a.bin")
    work.write("a.bin", b"b" * 3000)
    assert work.status() == "AM a.bin\n"
    work.git("commit", "-qam", "x")
    assert work.blob("HEAD:a.bin") == pointer_to(b"b" * 3000)
    work.mlver("drop", "a.bin")
    work.mlver("checkout", "a.bin")
    work.write("a.bin", b"c" * 3000)
    assert work.status() == " M a.bin\n"
    work.git("checkout", "--", "a.bin")
    assert work.read("a.bin") == b"b" * 3000
    work.settled()


def test_a_file_that_holds_another_version_than_the_index_stays_a_change(work: Clone) -> None:
    """Hydrating what a stash brought back must not tell git that the index has it."""
    work.given("x", {"a.bin": content(1)})
    work.write("a.bin", content(2))
    work.git("stash", "-q")
    work.git("-c", "mlver.smudgeLimit=1", "stash", "pop", "-q")
    assert work.read("a.bin") == content(2)
    assert work.status() == " M a.bin\n"
    work.git("checkout", "--", "a.bin")
    assert work.read("a.bin") == content(1)
    work.settled()


def test_git_never_runs_our_filter_from_inside_our_filter(work: Clone) -> None:
    work.given("x", {"a.bin": content(1)})
    work.write("a.bin", content(2))
    work.age()
    assert work.starts_filter("add", "a.bin") == 1
    assert work.starts_filter("commit", "-qm", "y") == 0
    for command in (["status"], ["ls"], ["doctor"], ["fsck"], ["diff"]):
        assert work.starts_filter("mlver", *command) == 0, command
    work.write("a.bin", content(3))
    assert work.starts_filter("mlver", "add", "a.bin") == 0
    assert work.starts_filter("mlver", "drop", "a.bin") == 0
    assert work.starts_filter("mlver", "checkout") == 0
    work.git("commit", "-qm", "z")
    work.settled()


def test_a_locked_index_fails_clearly_and_nothing_is_lost(work: Clone) -> None:
    work.given("x", {"a.bin": content(1)})
    lock = work.git_dir() / "index.lock"
    lock.write_bytes(b"")
    work.write("a.bin", content(2))
    for command in (["add", "a.bin"], ["mlver", "add", "a.bin"]):
        done = work.attempt(*command)
        assert done.code != 0 and "index.lock" in done.err and "Traceback" not in done.err
    work.write("a.bin", pointer_to(content(1)))
    work.mlver("checkout", "a.bin")
    assert work.read("a.bin") == content(1)
    assert lock.exists()
    lock.unlink()
    work.git("add", "a.bin")
    work.settled()
