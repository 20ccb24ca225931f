"""Calls of the system that fail under a directory remote, one after the other (faked)."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from tests.conformance.remotes.contract import temporaries
from tests.conformance.remotes.dying_writer import CONTENT

from mlver.errors import RemoteError
from mlver.remotes import folder
from mlver.remotes.base import NotFound, TransientRemoteError
from mlver.remotes.directory import DirectoryRemote

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes and modes")

SMALL = [b"%08d" % number for number in range(1100)]  # In two writes, as an IOV_MAX is 1,024.
SYSCALLS = ["writev", "fsync", "link", "mkdir", "open", "stat", "fstat"]
REFUSALS = {
    "EACCES": "permission",
    "EDQUOT": "full",
    "EIO": "failed",
    "ENOSPC": "full",
    "EPERM": "permission",
    "EROFS": "read-only",
    "ESTALE": "stale",
}


class Refusal:
    """`os.function` fails from its `call`-th call on."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, function: str, call: int, code: int
    ) -> None:
        self.real, self.left, self.code = getattr(os, function), call, code
        monkeypatch.setattr(os, function, self)
        for name in ("supports_dir_fd", "supports_follow_symlinks"):
            if self.real in getattr(os, name):
                monkeypatch.setattr(os, name, {*getattr(os, name), self})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.left -= 1
        if self.left <= 0:
            raise OSError(self.code, os.strerror(self.code))
        return self.real(*args, **kwargs)


@pytest.mark.parametrize("function", SYSCALLS)
@pytest.mark.parametrize("call", [1, 2, 3, 5])
def test_a_refused_create_says_so_and_leaves_whole_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, call: int
) -> None:
    for code in REFUSALS:
        root = tmp_path / code
        root.mkdir()
        remote = DirectoryRemote(root)
        with monkeypatch.context() as patched:
            refusal = Refusal(patched, function, call, getattr(errno, code))
            try:
                created = remote.create("packs/aa/one", SMALL)
            except RemoteError as error:
                created = False
                assert not isinstance(error, NotFound)
                assert REFUSALS[code] in error.why
                assert error.fix
                assert isinstance(error, TransientRemoteError) == (code == "ESTALE")
            else:
                # Fewer calls than that, or another way was found to give the name.
                assert refusal.left > 0 or function == "link"
        assert remote.size("packs/aa/one") in ({8800} if created else {None, 8800})
        assert temporaries(root) == []
        remote.create("packs/aa/one", SMALL)
        assert remote.read("packs/aa/one") == b"".join(SMALL)


@pytest.mark.parametrize("function", ["open", "stat", "fstat", "read", "scandir", "unlink"])
@pytest.mark.parametrize("code", ["EIO", "EACCES", "ESTALE"])
def test_a_refused_read_list_or_delete_is_an_error_and_never_an_empty_answer(
    remote: DirectoryRemote, monkeypatch: pytest.MonkeyPatch, function: str, code: str
) -> None:
    remote.create("packs/aa/one", [b"x"])
    calls: dict[str, Callable[[], object]] = {
        "read": lambda: remote.read("packs/aa/one"),
        "size": lambda: remote.size("packs/aa/one"),
        "list": lambda: [*remote.list("")],
        "delete": lambda: remote.delete("packs/aa/one"),
    }
    reached = 0
    for act, call in calls.items():
        answer: object = None
        with monkeypatch.context() as patched:
            refusal = Refusal(patched, function, 1, getattr(errno, code))
            try:
                answer = call()
            except RemoteError as error:
                assert not isinstance(error, NotFound)
                assert REFUSALS[code] in error.why
            else:
                assert refusal.left == 1, f"{act} did not notice"
        reached += refusal.left < 1
        assert answer != []
    assert reached


def test_a_listing_that_fails_in_a_later_folder_is_an_error(
    remote: DirectoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1", "b/2", "c/3"):
        remote.create(name, [b"x"])
    Refusal(monkeypatch, "scandir", 3, errno.EIO)
    with pytest.raises(RemoteError, match="list b/"):
        list(remote.list(""))


class Unreadable:
    """An entry of a listing whose stat fails."""

    name = "one"

    def __init__(self, code: int) -> None:
        self.code = code

    def stat(self, *, follow_symlinks: bool) -> NoReturn:
        raise OSError(self.code, os.strerror(self.code))


@pytest.mark.parametrize("code", ["EIO", "EACCES", "ENOENT"])
def test_an_entry_that_cannot_be_looked_at_fails_the_listing_unless_it_is_gone(
    remote: DirectoryRemote, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    remote.create("one", [b"x"])
    scan = [Unreadable(getattr(errno, code))]
    monkeypatch.setattr(os, "scandir", lambda _: contextlib.nullcontext(scan))
    if code == "ENOENT":
        assert list(remote.list("")) == []
        return
    with pytest.raises(RemoteError, match="cannot list all objects"):
        list(remote.list(""))


def test_a_folder_that_goes_while_it_is_listed_is_an_error(
    remote: DirectoryRemote, root: Path
) -> None:
    for name in ("a/1", "b/2"):
        remote.create(name, [b"x"])
    rows = remote.list("")
    assert next(rows).name == "a/1"
    (root / "b").rename(root.with_name("elsewhere"))
    with pytest.raises(RemoteError, match="list b/"):
        list(rows)


def as_if_it_were_still_there(patched: pytest.MonkeyPatch, before: Path) -> None:
    """`look_file` is shown what stood there before; only the open meets what there is."""
    found = os.stat(before)
    patched.setattr(folder.Folder, "look_file", lambda *_: found)


def test_what_is_deleted_between_look_and_open_is_not_found(
    remote: DirectoryRemote, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.create("a/b", [b"x"])
    as_if_it_were_still_there(monkeypatch, root / "a" / "b")
    (root / "a" / "b").unlink()
    with pytest.raises(NotFound):
        remote.read("a/b")


def test_a_pipe_put_there_between_look_and_open_hangs_nothing(
    remote: DirectoryRemote, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.create("a/b", [b"x"])
    as_if_it_were_still_there(monkeypatch, root / "a" / "b")
    (root / "a" / "b").unlink()
    os.mkfifo(root / "a" / "b")

    def ring(*_: object) -> NoReturn:
        raise TimeoutError("the open waits for a writer of the pipe")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(5)
    try:
        with pytest.raises(RemoteError, match="no longer a plain file"):
            remote.read("a/b")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_file_that_ends_early_is_an_error(
    remote: DirectoryRemote, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut by another between the look at its size and the read."""
    remote.create("a/b", [b"0123456789"])
    real = os.read
    monkeypatch.setattr(os, "read", lambda fd, size: real(fd, min(size, 3)))
    assert remote.read("a/b") == b"0123456789"
    answers = iter([b"012", b"345", b""])
    monkeypatch.setattr(os, "read", lambda *_: next(answers))
    with pytest.raises(RemoteError, match="shorter"):
        remote.read("a/b")


def test_writes_that_take_only_a_part_are_continued(
    remote: DirectoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "writev", lambda fd, views: real(fd, b"".join(views)[:1000]))
    parts = [CONTENT[:1], CONTENT[1:999], CONTENT[999:1000], CONTENT[1000:5555], CONTENT[5555:9000]]
    assert remote.create("a/b", parts)
    assert remote.read("a/b") == CONTENT[:9000]


def test_an_answer_lost_by_nfs_does_not_hide_that_we_created(
    remote: DirectoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link was made, the answer was lost, the client asked again: EEXIST, by our own file."""
    real = os.link

    def twice(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        real(*args, **kwargs)

    monkeypatch.setattr(os, "link", twice)
    monkeypatch.setattr(os, "supports_follow_symlinks", {*os.supports_follow_symlinks, twice})
    assert remote.create("a/b", [b"x"]) is True
    assert remote.create("a/b", [b"x"]) is False


def test_the_object_and_every_new_folder_are_synced(
    remote: DirectoryRemote, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, int]] = []
    real = os.fsync

    def spy(fd: int) -> None:
        real(fd)
        found = os.fstat(fd)
        synced.append((found.st_dev, found.st_ino))

    def key(path: Path) -> tuple[int, int]:
        found = os.stat(path)
        return found.st_dev, found.st_ino

    if sys.platform == "darwin":
        pytest.skip("F_FULLFSYNC is used there")
    monkeypatch.setattr(os, "fsync", spy)
    remote.create("packs/aa/one", [b"x"])
    chain = [root.parent, root, root / "packs"]
    ends = [root / "packs" / "aa" / "one", root / "packs" / "aa"]
    assert [key(path) for path in chain] == [row for row in synced if row in map(key, chain)][:3]
    assert synced[-2:] == [key(path) for path in ends]
    # Another process cannot know whether the first one lived to sync.
    synced.clear()
    assert DirectoryRemote(root).create("packs/aa/one", [b"x"]) is False
    assert {key(root), key(root / "packs"), key(root / "packs" / "aa")} <= set(synced)


def test_a_delete_is_synced_so_that_a_power_cut_keeps_the_order_of_two(
    remote: DirectoryRemote, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.create("a/b", [b"x"])
    synced: list[int] = []
    monkeypatch.setattr(folder, "sync", lambda fd: synced.append(os.fstat(fd).st_ino))
    remote.delete("a/b")
    assert synced == [os.stat(root / "a").st_ino]


def test_a_file_system_that_syncs_no_folders_can_be_used(
    remote: DirectoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def files_only(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "as SMB says it")
        real(fd)

    monkeypatch.setattr(os, "fsync", files_only)
    assert remote.create("a/b", [b"x"])
    remote.delete("a/b")
