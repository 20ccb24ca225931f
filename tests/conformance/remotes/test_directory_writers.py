"""Writers of a directory remote that are killed or cut short: real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conformance.remotes.contract import temporaries
from tests.conformance.remotes.dying_writer import CONTENT, PARTS

import mlver
from mlver.errors import RemoteError
from mlver.remotes.base import NotFound
from mlver.remotes.directory import DirectoryRemote

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes and modes")

DAY = 24 * 3600


def write_and_die(root: Path, *how: str) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).with_name("dying_writer.py")
    paths = os.pathsep.join(
        [str(Path(mlver.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    )
    return subprocess.run(
        [sys.executable, str(script), str(root), "packs/aa/one", *how],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
    )


BEFORE_THE_NAME = [
    *(("mkdir", "1", "after"), ("mkdir", "2", "after"), ("writev", "1", "after")),
    *(("writev", "2", "before"), ("close", "1", "before"), ("link", "1", "before")),
    *(("fsync", "1", "before"), ("fsync", "4", "after")),
]
AFTER_THE_NAME = [
    *(("link", "1", "after"), ("unlink", "1", "before"), ("unlink", "1", "after")),
    *(("fsync", "5", "before"), ("fsync", "5", "after")),
]


@pytest.mark.parametrize("point", BEFORE_THE_NAME, ids="-".join)
def test_a_writer_killed_before_the_name_leaves_nothing_to_be_seen(
    root: Path, remote: DirectoryRemote, point: tuple[str, str, str]
) -> None:
    root.mkdir()
    assert write_and_die(root, *point).returncode == -9
    assert list(remote.list("")) == []
    assert remote.size("packs/aa/one") is None
    with pytest.raises(NotFound):
        remote.read("packs/aa/one")
    assert remote.create("packs/aa/one", PARTS) is True
    assert remote.read("packs/aa/one") == CONTENT


@pytest.mark.parametrize("point", AFTER_THE_NAME, ids="-".join)
def test_a_writer_killed_after_the_name_leaves_the_whole_object(
    root: Path, remote: DirectoryRemote, point: tuple[str, str, str]
) -> None:
    root.mkdir()
    assert write_and_die(root, *point).returncode == -9
    assert [(row.name, row.size) for row in remote.list("")] == [("packs/aa/one", len(CONTENT))]
    assert remote.read("packs/aa/one") == CONTENT
    assert remote.create("packs/aa/one", PARTS) is False


def test_what_dead_writers_left_is_swept_once_it_is_old(
    root: Path, remote: DirectoryRemote
) -> None:
    assert write_and_die(root, "writev", "1", "after").returncode == -9
    (old,) = temporaries(root)
    young = old.with_name("1-0123456789abcdef")
    foreign = old.with_name("notes.txt")
    for path in (young, foreign):
        path.write_bytes(b"x")
    for path in (old, foreign):
        os.utime(path, (time.time() - DAY - 60, time.time() - DAY - 60))
    os.utime(young, (time.time() - DAY + 600, time.time() - DAY + 600))
    remote.create("a/b", [b"x"])
    assert temporaries(root) == sorted([young, foreign])


def test_a_file_size_limit_is_an_error_that_leaves_nothing(
    root: Path, remote: DirectoryRemote
) -> None:
    ended = write_and_die(root, "limit", "", "")
    assert ended.returncode == RemoteError.exit_code, ended.stderr
    assert "takes no file of this size" in ended.stdout
    assert list(remote.list("")) == []
    assert temporaries(root) == []
