"""Disks that refuse a directory remote: no permission, full, read-only, unmounted; none faked."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conformance.remotes.contract import temporaries
from tests.conformance.remotes.dying_writer import CONTENT

from mlver.errors import RemoteError
from mlver.remotes.base import NotFound
from mlver.remotes.directory import DirectoryRemote

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes and modes")

NOBODY = 65534


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to ignore modes."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def others_root(tmp_path: Path) -> Iterator[Path]:
    """A root that may be reached by any user, holding a/b."""
    for path in (tmp_path, *tmp_path.parents):
        if os.geteuid() == 0 and path.stat().st_mode & 0o011 != 0o011:
            path.chmod(path.stat().st_mode | 0o011)
    root = tmp_path / "remote"
    DirectoryRemote(root).create("a/b", [b"x"])
    yield root
    for path in (root, *root.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


def test_a_read_only_root_can_be_read_and_says_why_it_takes_nothing(others_root: Path) -> None:
    remote = DirectoryRemote(others_root)
    for path in (others_root, others_root / "a", others_root / "tmp"):
        path.chmod(0o555)
    with as_nobody():
        assert remote.read("a/b") == b"x"
        assert [row.name for row in remote.list("")] == ["a/b"]
        calls: list[Callable[[], object]] = [
            lambda: remote.create("a/c", [b"y"]),
            lambda: remote.delete("a/b"),
        ]
        for call in calls:
            with pytest.raises(RemoteError) as caught:
                call()
            assert "permission was refused" in caught.value.why
            assert str(others_root) in caught.value.fix
    assert remote.read("a/b") == b"x"


@pytest.mark.parametrize("closed", ["", "a", "a/b"])
def test_no_permission_is_never_not_found(others_root: Path, closed: str) -> None:
    remote = DirectoryRemote(others_root)
    (others_root / closed).chmod(0)
    calls: list[Callable[[], object]] = [lambda: remote.read("a/b")]
    if closed != "a/b":
        calls += [lambda: remote.size("a/b"), lambda: [*remote.list("")]]
    with as_nobody():
        assert others_root.exists()
        for call in calls:
            with pytest.raises(RemoteError, match="permission was refused") as caught:
                call()
            assert not isinstance(caught.value, NotFound)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("mounting a tmpfs is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True, timeout=10)


def test_a_full_disk_says_how_to_go_on_and_what_was_stored_is_kept(tiny_disk: Path) -> None:
    remote = DirectoryRemote(tiny_disk)
    assert remote.create("a/small", [CONTENT[:500_000]])
    for _ in range(2):
        with pytest.raises(RemoteError) as caught:
            remote.create("a/big", [CONTENT[:400_000], CONTENT[:400_000]])
        assert "full" in caught.value.why
        assert f"df -h {tiny_disk}" in caught.value.fix
        assert temporaries(tiny_disk) == []
    assert [row.name for row in remote.list("")] == ["a/small"]
    assert remote.create("a/fits", [CONTENT[:300_000]])


def test_a_file_system_mounted_read_only_is_named_as_such(tiny_disk: Path) -> None:
    remote = DirectoryRemote(tiny_disk)
    remote.create("a/b", [b"x"])
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True, timeout=10)
    with pytest.raises(RemoteError, match="mounted read-only"):
        remote.create("a/c", [b"x"])
    assert remote.read("a/b") == b"x"


def test_an_unmounted_disk_cannot_be_reached(tiny_disk: Path) -> None:
    remote = DirectoryRemote(tiny_disk / "remote")
    remote.create("a/b", [b"x"])
    [*remote.list("")]
    subprocess.run(["umount", str(tiny_disk)], check=True, timeout=10)  # Nothing was kept open.
    try:
        with pytest.raises(RemoteError, match="cannot be reached"):
            remote.read("a/b")
        with pytest.raises(RemoteError, match="cannot be reached"):
            list(remote.list(""))
    finally:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(tiny_disk)], check=True, timeout=10)
