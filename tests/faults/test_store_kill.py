"""A writer is killed (-9) at every call that changes the disk. Whatever it had acknowledged reads
back, the store opens without a word, and the same work done again completes.

Kills inside Python's calls are made by the process itself, at each call in turn until a run ends
unharmed. SQLite's writes cannot be reached that way: there strace kills.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit import store_writer
from tests.unit.store_material import lock_is_free, open_store, pack_paths, scratch_folder

from mlver.store import recovery
from mlver.store.assemble import read_blob

WRITER = [sys.executable, store_writer.__file__]


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be had: a kill asks nothing of the disk itself."""
    with scratch_folder(tmp_path) as folder:
        yield folder


def check_after_kill(root: Path, said: str) -> None:
    """The promises, after the writer of the store at `root` has died."""
    acknowledged = {line.split()[1] for line in said.splitlines() if line.startswith("ok ")}
    durable = "durable" in said.split()
    expected = {store_writer.pointer_of(data): data for data, _ in store_writer.blobs()}
    assert acknowledged <= {pointer.oid.hex() for pointer in expected}
    with open_store(root) as store:
        for pointer, data in expected.items():
            if pointer.oid.hex() in acknowledged:
                assert store.missing(pointer) is None
                assert bytes(read_blob(store, pointer)) == data
    if durable:
        assert not list(root.glob("incoming/*.pack")), "durable content left incoming/"
    store_writer.store_all(bytes(root), tell=lambda _word: None)
    with open_store(root) as store:
        for pointer, data in expected.items():
            assert store.missing(pointer) is None
            if len(data) < 1_000_000 or pointer.oid.hex() not in acknowledged:  # else: read above
                assert bytes(read_blob(store, pointer)) == data
    assert not list(root.glob("incoming/*")), "nothing of the killed one is left over"
    assert all(lock_is_free(path) for path in pack_paths(root))


@pytest.mark.parametrize(
    ("function", "when", "at_least"),
    [
        ("writev", "amid", 20),
        ("open", "before", 8),
        ("fsync", "before", 5),
        ("rename", "before", 1),
        ("rename", "after", 1),
    ],
)
def test_a_kill_at_any_call_loses_nothing_that_was_acknowledged(
    function: str, when: str, at_least: int, scratch: Path
) -> None:
    subprocess.run([*WRITER, "sweep", str(scratch), function, when], check=True)
    logs = sorted(scratch.glob("*.log"), key=lambda log: int(log.stem))
    assert len(logs) > at_least, "the sweep met the calls that it is about"
    for log in logs:
        check_after_kill(log.with_suffix(""), log.read_text())
    assert logs[-1].read_text().split()[-1] == "durable", "the last run ended by itself"


def can_trace() -> bool:
    if shutil.which("strace") is None:
        return False
    probe = ["strace", "-o", os.devnull, "-e", "inject=getpid:retval=1", "true"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


needs_strace = pytest.mark.skipif(not can_trace(), reason="strace is not here, or may not trace")


@needs_strace
@pytest.mark.parametrize("call", [2, 9, 14, 27])
def test_a_kill_within_the_index_loses_nothing_that_was_acknowledged(
    call: int, scratch: Path
) -> None:
    root = scratch / "store"
    inject = f"inject=pwrite64:signal=SIGKILL:when={call}"
    done = subprocess.run(
        ["strace", "-f", "-o", os.devnull, "-e", inject, *WRITER, "run", str(root)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL, 0), done.stderr
    check_after_kill(root, done.stdout)


@needs_strace
def test_a_kill_from_outside_in_mid_write_loses_nothing_that_was_acknowledged(
    scratch: Path,
) -> None:
    root = scratch / "store"
    inject = "inject=writev:signal=SIGKILL:when=7"
    done = subprocess.run(
        ["strace", "-f", "-o", os.devnull, "-e", inject, *WRITER, "run", str(root)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), done.stderr
    assert done.stdout.count("ok ") >= 1
    check_after_kill(root, done.stdout)


def test_what_a_killed_writer_left_is_made_durable_by_whoever_comes_next(scratch: Path) -> None:
    subprocess.run([*WRITER, "sweep", str(scratch), "rename", "before"], check=True)
    root = scratch / "1"
    assert pack_paths(root) and not list(root.glob("packs/*.pack"))
    with open_store(root) as store:
        assert recovery.make_durable(store) == 1
        assert recovery.make_durable(store) == 0
    check_after_kill(root, (scratch / "1.log").read_text() + "durable\n")
