"""The contract over a directory: by hard link, and by both ways where there are no hard links."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, NoReturn

import pytest
from tests.conformance.remotes.contract import RemoteContract, plant_files
from tests.conformance.remotes.races import race

from mlver.errors import RemoteError
from mlver.remotes import folder
from mlver.remotes.base import NotFound, Remote
from mlver.remotes.directory import DirectoryRemote


def no_hard_links(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.EPERM, "as exFAT says it")


def no_exclusive_rename(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.EINVAL, "as a FUSE file system says it")


class DirectoryContract(RemoteContract):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> Remote:
        return DirectoryRemote(tmp_path / "remote")

    def plant(self, remote: Remote, names: Collection[str]) -> None:
        plant_files(remote, names)

    def test_nothing_temporary_stays(self, remote: Remote) -> None:
        remote.create("a/b", [b"x"])
        remote.create("a/b", [b"y"])
        assert list((Path(remote.url) / "tmp").iterdir()) == []
        assert os.stat(Path(remote.url) / "a" / "b").st_nlink == 1


class TestDirectory(DirectoryContract):
    pass


class TestWithoutHardLinks(DirectoryContract):
    many = 300

    @pytest.fixture(autouse=True)
    def as_on_exfat(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "link", no_hard_links)

    @pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="the system has no such")
    def test_the_exclusive_rename_is_the_one_used(
        self, remote: Remote, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(folder, "_rename_locked", no_exclusive_rename)
        assert remote.create("a/b", [b"x"])


class TestWithoutLinksAndExclusiveRename(DirectoryContract):
    many = 300

    @pytest.fixture(autouse=True)
    def as_on_fuse(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "link", no_hard_links)
        monkeypatch.setattr(folder, "_rename_exclusively", no_exclusive_rename)

    @pytest.mark.skipif(sys.platform == "win32", reason="rename does not replace there")
    def test_writers_of_one_host_wait_for_one_another(
        self, remote: Remote, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.rename

        def slowly(*args: Any, **kwargs: Any) -> None:
            time.sleep(0.05)
            real(*args, **kwargs)

        monkeypatch.setattr(os, "rename", slowly)
        answers = race(lambda me: remote.create("a/b", [b"%d" % me]))
        assert answers.count(True) == 1
        assert remote.read("a/b") == b"%d" % answers.index(True)


def test_the_address_is_what_the_user_wrote(root: Path) -> None:
    assert DirectoryRemote(root).url == str(root)
    assert DirectoryRemote(root, label="file:///x").url == "file:///x"


def test_objects_are_plain_files_that_cp_can_copy(remote: DirectoryRemote, root: Path) -> None:
    remote.create("packs/aa/one", [b"x"])
    assert (root / "packs" / "aa" / "one").read_bytes() == b"x"


def test_the_root_may_be_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    remote = DirectoryRemote(tmp_path / "link")
    assert remote.create("a/b", [b"x"])
    assert (tmp_path / "disk" / "a" / "b").read_bytes() == b"x"
    assert [row.name for row in remote.list("")] == ["a/b"]


# A disk that is not mounted


def test_a_missing_root_cannot_be_reached_and_is_never_not_found(remote: DirectoryRemote) -> None:
    calls = (
        lambda: remote.read("a/b"),
        lambda: remote.size("a/b"),
        lambda: list(remote.list("")),
        lambda: list(remote.list("a/")),
        lambda: remote.delete("a/b"),
    )
    for call in calls:
        with pytest.raises(RemoteError, match="cannot be reached") as caught:
            call()
        assert not isinstance(caught.value, NotFound)
        assert "mount" in caught.value.fix


def test_the_first_create_makes_the_root_but_never_its_parent(tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match="cannot be reached"):
        DirectoryRemote(tmp_path / "unmounted" / "remote").create("a/b", [b"x"])
    assert not (tmp_path / "unmounted").exists()
    assert DirectoryRemote(tmp_path / "remote").create("a/b", [b"x"])


def test_a_root_that_is_a_file_or_a_dangling_link_cannot_be_reached(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "unmounted")
    for name in ("file", "link"):
        remote = DirectoryRemote(tmp_path / name)
        with pytest.raises(RemoteError, match="cannot be reached"):
            remote.create("a/b", [b"x"])
        with pytest.raises(RemoteError, match="cannot be reached"):
            remote.size("a/b")
    assert not (tmp_path / "unmounted").exists()


def test_a_root_that_goes_away_is_noticed(remote: DirectoryRemote, root: Path) -> None:
    remote.create("a/b", [b"x"])
    root.rename(root.with_name("elsewhere"))
    with pytest.raises(RemoteError, match="cannot be reached"):
        remote.read("a/b")
    root.with_name("elsewhere").rename(root)
    assert remote.read("a/b") == b"x"


# What stands there and is no object


@pytest.mark.parametrize("name", ["tmp", "tmp/x", "TMP/x", "Tmp"])
def test_the_folder_of_temporary_files_holds_no_objects(remote: DirectoryRemote, name: str) -> None:
    for call in (remote.read, remote.size, remote.delete, lambda n: remote.create(n, [b""])):
        with pytest.raises(ValueError, match="kept for files being written"):
            call(name)
    with pytest.raises(ValueError):
        list(remote.list(name + "/"))


def test_what_no_object_can_be_named_is_not_listed(remote: DirectoryRemote, root: Path) -> None:
    remote.create("a/b", [b"x"])
    for name in ("lost+found", "System Volume Information", "a/café"):
        (root / name).mkdir()
        (root / name / "inner").write_bytes(b"x")
    (root / "a" / "b~").write_bytes(b"x")
    (root / "tmp" / "1-0123456789abcdef").write_bytes(b"half")
    assert [row.name for row in remote.list("")] == ["a/b"]


def test_a_folder_in_an_objects_place_is_not_taken_for_it(
    remote: DirectoryRemote, root: Path
) -> None:
    (root / "a" / "b").mkdir(parents=True)
    assert remote.size("a/b") is None
    with pytest.raises(RemoteError, match="a folder stands where"):
        remote.create("a/b", [b"x"])
    remote.delete("a/b")
    assert (root / "a" / "b").is_dir()


def test_a_file_in_a_folders_place_is_said_to_be_one(remote: DirectoryRemote) -> None:
    remote.create("a", [b"x"])
    with pytest.raises(RemoteError, match="a file stands where"):
        remote.create("a/b", [b"x"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes in folders")
def test_a_pipe_is_refused_and_hangs_nothing(remote: DirectoryRemote, root: Path) -> None:
    remote.create("a/b", [b"x"])
    os.mkfifo(root / "a" / "pipe")
    for call in (remote.read, remote.size, lambda n: remote.create(n, [b"y"]), remote.delete):
        with pytest.raises(RemoteError, match="pipe"):
            call("a/pipe")
    with pytest.raises(RemoteError, match="pipe"):
        list(remote.list("a/"))


# Sharing


def test_files_are_readable_as_the_umask_says(remote: DirectoryRemote, root: Path) -> None:
    before = os.umask(0o027)
    try:
        remote.create("a/b", [b"x"])
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(root / "a" / "b").st_mode) == 0o640
    assert stat.S_IMODE(os.stat(root / "a").st_mode) & 0o777 == 0o750


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_in_a_setgid_root_all_of_the_group_may_add(remote: DirectoryRemote, root: Path) -> None:
    root.mkdir()
    if os.geteuid() == 0:
        os.chown(root, -1, 12345)
    root.chmod(0o2770)
    before = os.umask(0o077)
    try:
        remote.create("packs/aa/one", [b"x"])
    finally:
        os.umask(before)
    for path in (root / "packs", root / "packs" / "aa", root / "tmp"):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o2770
    assert os.stat(root / "packs" / "aa" / "one").st_gid == os.stat(root).st_gid
