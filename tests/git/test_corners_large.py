"""Files above `mlver.smudgeLimit`, which are written after the checkout, and a file above 4 GiB.

The rows "Memory" and "Delay" of the corners table.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.sandbox import Clone, Sandbox, content, pointer_to
from tests.support.worlds import Worlds

LIMIT = 1000
V1, V2, V3 = content("v1"), content("v2"), content("v3")
SMALL = content("small", LIMIT)


def _limited(box: Sandbox) -> None:
    work = box.at("work")
    work.git("config", "mlver.smudgeLimit", str(LIMIT))
    work.given("one", {"a.bin": V1, "s.bin": SMALL})
    work.given("two", {"a.bin": V2, "s.bin": SMALL[::-1]})


@pytest.fixture
def limited(box: Sandbox, worlds: Worlds) -> Clone:
    """Two versions of two files, one of which is not above the limit."""
    worlds.enter(box, _limited)
    return box.at("work")


def reset(work: Clone) -> None:
    work.git("reset", "--hard", "-q", "HEAD~1")


def checkout(work: Clone) -> None:
    work.git("checkout", "-q", "HEAD~1")


def checkout_paths(work: Clone) -> None:
    work.git("checkout", "-q", "HEAD~1", "--", "a.bin", "s.bin")
    work.git("commit", "-qm", "back")


def restore(work: Clone) -> None:
    work.git("restore", "-q", "-s", "HEAD~1", "-S", "-W", ".")
    work.git("commit", "-qm", "back")


def revert(work: Clone) -> None:
    work.git("revert", "--no-edit", "HEAD")


def rebase(work: Clone) -> None:
    work.git("checkout", "-q", "-b", "side", "HEAD~1")
    work.given("side", {"other.bin": V3})
    work.git("rebase", "-q", "main")
    assert work.read("a.bin") == V2 and work.read("other.bin") == V3
    work.settled()
    work.git("checkout", "-q", "main~1")


def read_tree(work: Clone) -> None:
    work.git("read-tree", "-m", "-u", "HEAD~1")
    work.git("commit", "-qm", "back")


@pytest.mark.parametrize(
    "go", [reset, checkout, checkout_paths, restore, revert, rebase, read_tree]
)
def test_files_above_the_limit_come_back_as_content(
    limited: Clone, go: Callable[[Clone], None]
) -> None:
    go(limited)
    assert limited.read("a.bin") == V1 and limited.read("s.bin") == SMALL
    assert not (limited.git_dir() / "mlver/deferred").exists()
    trace = limited.box.root / "packets"
    limited.git("status", GIT_TRACE_PACKET=str(trace))  # what was written directly is told to git
    assert not trace.exists() or "pathname=a.bin" not in trace.read_text(errors="replace")
    limited.settled()


def test_a_stash_of_a_file_above_the_limit_pops_as_content(limited: Clone) -> None:
    limited.write("a.bin", V3)
    limited.git("stash", "-q")
    assert limited.read("a.bin") == V2
    limited.git("stash", "pop", "-q")
    assert limited.read("a.bin") == V3
    limited.git("checkout", "--", "a.bin")
    assert limited.read("a.bin") == V2
    limited.settled()


def test_a_merge_and_a_linked_worktree_have_content_above_the_limit(
    limited: Clone, box: Sandbox
) -> None:
    limited.git("worktree", "add", "-q", "../linked", "-b", "side", "HEAD~1")
    linked = box.at("linked")
    assert linked.read("a.bin") == V1
    linked.settled()
    linked.given("side", {"new.bin": V3})
    limited.git("merge", "-q", "--no-edit", "side")
    assert limited.read("new.bin") == V3 and limited.read("a.bin") == V2
    limited.settled()


def test_a_clone_has_content_above_the_limit(limited: Clone, box: Sandbox) -> None:
    box.git("config", "--global", "mlver.smudgeLimit", str(LIMIT))
    clone, done = box.try_clone(limited.top, "second", "-q")
    assert clone.read("a.bin") == V2 and clone.read("s.bin") == SMALL[::-1]
    assert done.warnings == []
    clone.settled()


def test_missing_content_above_the_limit_stays_a_pointer_with_one_warning(limited: Clone) -> None:
    lost = limited.lose_content()
    done = limited.git("checkout", "-q", "HEAD~1")
    assert limited.read("a.bin") == pointer_to(V1) and limited.read("s.bin") == pointer_to(SMALL)
    assert "git mlver pull" in done.err and len(done.warnings) <= 2
    limited.settled()
    limited.find_content(lost)
    limited.mlver("pull")
    assert limited.read("a.bin") == V1
    limited.settled()


def test_a_users_change_is_not_overwritten_by_what_was_put_off(limited: Clone) -> None:
    """The note of a killed process is served later; the file has been changed by then."""
    note = limited.git_dir() / "mlver/deferred/0123456789abcdef"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_bytes(b"a.bin\0" + pointer_to(V1) + b"\0s.bin\0" + pointer_to(SMALL) + b"\0")
    limited.write("a.bin", V3)
    limited.git("checkout", "-q", "-b", "other")
    assert limited.read("a.bin") == V3 and limited.read("s.bin") == SMALL[::-1]
    assert not note.exists()
    limited.git("checkout", "-q", "--", "a.bin")
    limited.settled()


def peak(work: Clone, *args: str) -> int:
    """The most memory that one process of this command had, in MB; it must succeed.

    Started by a small process: until its exec, a child counts the memory of who started it.
    """
    script = (
        "import os, sys; pid = os.posix_spawnp('git', ['git', *sys.argv[1:]], os.environ);"
        "_, status, usage = os.wait4(pid, 0); print(usage.ru_maxrss // 1024); sys.exit(status != 0)"
    )
    done = work.box.run([sys.executable, "-c", script, *args], work.top, MLVER_TEST_COLD="1")
    assert done.code == 0, done.err
    return int(done.out.split()[-1])


def spread(path: Path, size: int) -> dict[int, bytes]:
    """A file that is mostly holes; what stands where."""
    parts = {at: content(at, 5000) for at in (0, size // 2 - 77, (1 << 32) - 2500, size - 5000)}
    with open(path, "wb") as file:
        for at, data in parts.items():
            file.seek(at)
            file.write(data)
        file.truncate(size)
    return parts


@pytest.mark.long
def test_a_file_above_4_gib_is_added_checked_out_and_kept_in_little_memory(work: Clone) -> None:
    size = (1 << 32) + 12_345
    big = work.path("big.bin")
    parts = spread(big, size)
    work.age()
    assert peak(work, "mlver", "add", "big.bin") < 300
    assert work.blob(":big.bin").endswith(b"\nsize %d\n" % size)
    work.git("commit", "-qm", "x")
    assert work.starts_filter("status") == 0
    work.settled()
    assert sum(path.stat().st_size for path in work.store.rglob("*")) < 50_000_000
    big.unlink()
    assert peak(work, "checkout", "-q", "-f") < 300
    assert big.stat().st_size == size
    with open(big, "rb") as file:
        for at, data in parts.items():
            file.seek(at)
            assert file.read(len(data)) == data
    assert work.starts_filter("status") == 0
    work.settled()
    big.unlink()


def test_a_file_above_the_limit_goes_through_git_add_in_little_memory(work: Clone) -> None:
    """300 MB through the pipe: more would only take longer."""
    size = 300 << 20
    work.git("config", "mlver.smudgeLimit", "1m")
    with open(work.path("big.bin"), "wb") as file:
        file.write(content("head"))
        file.truncate(size)
    assert peak(work, "add", "big.bin") < 300
    work.git("commit", "-qm", "x")
    work.path("big.bin").unlink()
    assert peak(work, "checkout", "-q", "--", "big.bin") < 300
    assert work.path("big.bin").stat().st_size == size
    with open(work.path("big.bin"), "rb") as file:
        assert file.read(20_000) == content("head") and not any(file.read(1 << 20))
    work.settled()
