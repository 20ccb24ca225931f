"""A disk that is truly full: a file system of a few MiB that holds the repository, or the remote.

The command that finds no room says so, with the exit code of its family; nothing that was there is
lost, the refs stay where content could not go, and with room again the same command completes.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.cli_scenarios import FAR, V2, files_in
from tests.faults.sweep import Stage
from tests.support.sandbox import Done, Sandbox, content

from mlver.errors import LocalIOError

SIZE = 4 << 20
BIG = content("big", 1 << 20)


@pytest.fixture
def box(stage: Stage) -> Sandbox:
    return stage.fresh("pushed")


@pytest.fixture
def small_disk(box: Sandbox) -> Iterator[Path]:
    """A folder with a file system of SIZE bytes of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = box.root / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted: {os.fsdecode(done.stderr)}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """A file that takes all room but `leave` bytes."""
    stats = os.statvfs(disk)
    path = disk / "filler"
    path.write_bytes(bytes(stats.f_bavail * stats.f_frsize - leave))
    return path


def told_that_it_is_full(done: Done) -> None:
    assert "Traceback" not in done.err and "not foreseen" not in done.err, done.err
    message = "\n".join(done.warnings)
    assert "disk is full" in message or "free on this disk" in message, done.err
    assert "next: free some space" in message


def test_an_add_on_a_full_disk_changes_nothing_and_completes_once_there_is_room(
    box: Sandbox, small_disk: Path
) -> None:
    clone = box.clone(box.root / FAR, "disk/clone", "-q")
    before = clone.git("ls-files", "-s").out
    clone.write("big.bin", BIG)
    filler = fill(small_disk, 200_000)
    for words in (["mlver", "add", "big.bin"], ["add", "big.bin"]):
        done = clone.attempt(*words)
        assert done.code in (LocalIOError.exit_code, 128, 1)
        told_that_it_is_full(done)
        assert clone.git("ls-files", "-s").out == before
    filler.unlink()
    clone.mlver("add", "big.bin")
    clone.git("commit", "-qm", "big")
    clone.git("push", "-q", "origin", "main")
    fresh = box.clone(box.root / FAR, "fresh", "-q")
    assert files_in(fresh.top) == files_in(clone.top)
    assert clone.status() == ""


def test_a_checkout_on_a_full_disk_leaves_pointers_and_pull_completes_it(
    box: Sandbox, small_disk: Path
) -> None:
    work = box.at("work")
    work.given("big", {"big.bin": BIG})
    work.git("push", "-q", "origin", "main")
    filler = fill(small_disk, 900_000)
    clone, done = box.try_clone(box.root / FAR, "disk/clone", "-q")
    told_that_it_is_full(done)
    pulled = clone.attempt("mlver", "pull")
    assert pulled.code == LocalIOError.exit_code
    told_that_it_is_full(pulled)
    filler.unlink()
    clone.mlver("pull")
    assert files_in(clone.top) == files_in(work.top)
    assert clone.status() == ""


def test_a_push_to_a_full_disk_moves_no_ref_and_completes_once_there_is_room(
    box: Sandbox, small_disk: Path
) -> None:
    work = box.at("work")
    work.mlver("remote", "add", "shelf", str(small_disk / "shelf"))
    work.given("v2", V2)
    filler = fill(small_disk, 100_000)
    before = box.git("rev-parse", "main", cwd=box.root / FAR).out
    done = work.attempt("push", "-q", "origin", "main")
    assert done.code != 0
    assert "Traceback" not in done.err and "next:" in done.err and "full" in done.err, done.err
    assert box.git("rev-parse", "main", cwd=box.root / FAR).out == before
    filler.unlink()
    work.git("push", "-q", "origin", "main")
    work.mlver("fsck", "--remote")
    assert not any((small_disk / "shelf/tmp").iterdir())


def test_a_run_that_fills_the_disk_keeps_its_exit_code_and_its_record(
    box: Sandbox, small_disk: Path
) -> None:
    box.git("init", "-q", "-b", "main", str(small_disk / "work"))
    work = box.at("disk/work")
    work.commit("first", {"a.txt": b"a\n"})
    fills = f"cat a.txt; head -c {SIZE} /dev/zero > filler; exit 3"
    done = work.attempt("mlver", "run", "-q", "--", "sh", "-c", fills)
    assert (done.code, done.out) == (3, "a\n")
    assert "waits in the journal" in done.err and "Traceback" not in done.err
    again = work.attempt("mlver", "run", "-q", "--", "sh", "-c", "exit 4")
    assert again.code == 4 and "this run is not recorded" in again.err
    work.path("filler").unlink()
    (run,) = work.json("runs")["runs"]
    assert (run["status"], run["exit_code"]) == ("failed", 3)
    assert len(work.git("notes", "--ref", "mlver", "show", "HEAD").out.splitlines()) == 1
