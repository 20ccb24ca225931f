"""Two files change places in one step, where the system can."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mlver.git.worktree import Worktree
from mlver.system import exchange

LARGE = b"x" * (2 * 1024 * 1024)


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's")
def test_names_are_exchanged(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"A")
    (tmp_path / "b").write_bytes(b"B")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        if not exchange(b"a", b"b", folder):
            pytest.skip("this file system cannot")
        assert not exchange(b"a", b"none", folder)
    finally:
        os.close(folder)
    assert (tmp_path / "a").read_bytes() == b"B" and (tmp_path / "b").read_bytes() == b"A"


@pytest.mark.parametrize("can", [True, False])
def test_a_large_file_replaces_a_pointer_and_leaves_nothing(
    tmp_path: Path, can: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can:
        monkeypatch.setattr("mlver.git.worktree.exchange", lambda *_: False)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.bin").write_bytes(b"pointer")

    def write(fd: int) -> None:
        os.write(fd, LARGE)

    with Worktree(os.fsencode(tmp_path)) as worktree:
        info = worktree.replace(b"sub/a.bin", write, mode=0o755, still=lambda: True)
    assert info is not None and info.st_size == len(LARGE)
    assert (tmp_path / "sub/a.bin").read_bytes() == LARGE
    assert [entry.name for entry in (tmp_path / "sub").iterdir()] == ["a.bin"]
    assert (tmp_path / "sub/a.bin").stat().st_mode & 0o777 == 0o755
