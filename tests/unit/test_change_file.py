"""A small file is changed whole or not at all, and nothing stays beside it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mlver.errors import LocalIOError
from mlver.workflows.capture import change_file


@pytest.mark.parametrize("call", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_a_disk_that_refuses_is_named_and_leaves_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    path = tmp_path / ".gitattributes"
    path.write_bytes(b"old\n")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(LocalIOError) as raised:
            change_file(os.fsencode(path), lambda old: old + b"new\n")
    assert str(path) in raised.value.what and raised.value.why and raised.value.fix
    assert [entry.name for entry in tmp_path.iterdir()] == [".gitattributes"]
    assert path.read_bytes() == b"old\n"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalIOError, match="folder"):
        (tmp_path / "folder").mkdir()
        change_file(os.fsencode(tmp_path / "folder"), lambda old: old)


def test_a_link_that_a_clone_brings_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / ".gitattributes.mlver-new").symlink_to(tmp_path / "victim")
    assert change_file(os.fsencode(tmp_path / ".gitattributes"), lambda _: b"new\n")
    assert not (tmp_path / "victim").exists()
    assert (tmp_path / ".gitattributes").read_bytes() == b"new\n"
