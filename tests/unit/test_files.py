"""Reads and writes are whole, locks end with their holder, and errors are words."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlver.errors import LocalIOError
from mlver.store import files


@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 2000])
def test_any_number_of_parts_is_written_in_order(count: int, tmp_path: Path) -> None:
    parts: list[bytes | memoryview] = [
        b"%d," % number if number % 2 else memoryview(b"%d," % number) for number in range(count)
    ]
    path = tmp_path / "out"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    files.write_all(fd, parts)
    os.close(fd)
    assert path.read_bytes() == b"".join(parts)


def test_writes_go_on_without_writev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "writev")
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, view: real(fd, view[:3]))
    path = tmp_path / "out"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    files.write_all(fd, [b"hello ", b"", b"world"])
    os.close(fd)
    assert path.read_bytes() == b"hello world"


def test_a_positioned_read_is_short_only_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "in"
    path.write_bytes(bytes(range(200)))
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, length, at: real(fd, min(length, 7), at))
    fd = os.open(path, os.O_RDONLY)
    assert files.pread(fd, 100, 50) == bytes(range(50, 150))
    assert files.pread(fd, 100, 150) == bytes(range(150, 200))
    assert files.pread(fd, 10, 500) == b""
    os.close(fd)


def test_a_lock_is_one_holders_and_shared_ones_are_many(tmp_path: Path) -> None:
    fds = [os.open(tmp_path / "lock", files.LOCKFILE) for _ in range(3)]
    assert files.lock(fds[0], shared=True) and files.lock(fds[1], shared=True)
    assert not files.lock(fds[2])
    os.close(fds[0])
    assert not files.lock(fds[2])
    os.close(fds[1])
    assert files.lock(fds[2])
    os.close(fds[2])


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = (
        "import os, sys; from mlver.store import files\n"
        "assert files.lock(os.open(sys.argv[1], files.LOCKFILE))\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -9
    fd = os.open(path, files.LOCKFILE)
    assert files.lock(fd)
    os.close(fd)


@pytest.mark.parametrize(
    "code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE]
)
def test_a_refusing_disk_is_told_in_words_with_a_way_out(code: int) -> None:
    with pytest.raises(LocalIOError) as told, files.disk_errors("storing", b"/some/\xff/path"):
        raise OSError(code, os.strerror(code))
    assert told.value.what.startswith("storing failed")
    assert told.value.why and told.value.fix
    assert "Errno" not in str(told.value)


def test_an_unusual_error_keeps_the_systems_own_words() -> None:
    with pytest.raises(LocalIOError) as told, files.disk_errors("storing"):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    assert told.value.why == os.strerror(errno.ELOOP)


def test_too_little_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    files.free_space_or_error(bytes(tmp_path), 1, "a checkout")
    with pytest.raises(LocalIOError, match="needs 1,0"):
        files.free_space_or_error(bytes(tmp_path), 10**24, "a checkout")


def test_a_boot_has_one_name() -> None:
    assert files.boot_id() == files.boot_id()
    assert "-" not in files.boot_id(), "it stands after a dash in a pack's file name"
