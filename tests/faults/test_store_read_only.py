"""A store that may only be read is read: from a read-only disk, as another user, with no index.

Mode bits do not stop root, so a process that is root becomes nobody first; a real read-only mount
is tried where this system lets us make one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit import store_writer
from tests.unit.store_material import drop_index

WRITER = [sys.executable, store_writer.__file__]


@pytest.fixture(params=["with its index", "without"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A store that holds every blob, and that nobody may write to."""
    store = tmp_path / "store"
    store_writer.store_all(bytes(store), tell=lambda _word: None)
    if request.param == "without":
        drop_index(store)
    for path in [store, *store.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield store
    for path in [store, *store.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def assert_was_read(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok ") == len(store_writer.blobs())
    assert done.stdout.split()[-1] == "LocalIOError", "and an add is refused in words"


def test_a_store_without_the_right_to_write_is_read(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    done = subprocess.run([*WRITER, "read", str(root)], capture_output=True, check=False, text=True)
    assert_was_read(done)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_a_store_on_a_read_only_disk_is_read(root: Path) -> None:
    mount = f"mount --bind {root} {root} && mount -o remount,ro,bind {root} && "
    if shutil.which("unshare") is None or _in_own_mounts(mount + "true").returncode != 0:
        pytest.skip("a read-only mount cannot be made here")
    done = _in_own_mounts(mount + f'exec "$0" {store_writer.__file__} read {root}')
    assert_was_read(done)


def _in_own_mounts(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", command, sys.executable],
        capture_output=True,
        check=False,
        text=True,
    )
