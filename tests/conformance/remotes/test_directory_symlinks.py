"""No symlink inside a directory remote is followed, whoever planted it (CVE-2022-39253)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlver.errors import RemoteError
from mlver.remotes import folder
from mlver.remotes.base import NotFound
from mlver.remotes.directory import DirectoryRemote


@pytest.mark.parametrize("planted", ["a", "a/b", "a/b/object"])
@pytest.mark.parametrize("to", ["outside", "inside", "nowhere"])
def test_a_symlink_inside_is_refused_by_every_method(
    remote: DirectoryRemote, root: Path, tmp_path: Path, planted: str, to: str
) -> None:
    secret = tmp_path / "secret"
    (secret / "b").mkdir(parents=True)
    for path in (secret / "object", secret / "b" / "object"):
        path.write_bytes(b"secret")
    remote.create("real/b/object", [b"secret"])
    target = {"outside": secret, "inside": root / "real", "nowhere": tmp_path / "none"}[to]
    target = {"a": target, "a/b": target / "b", "a/b/object": target / "b" / "object"}[planted]
    (root / planted).parent.mkdir(parents=True, exist_ok=True)
    (root / planted).symlink_to(target)
    before = sorted(tmp_path.rglob("*"))
    name = "a/b/object"
    calls = (remote.read, remote.size, remote.delete, lambda n: remote.create(n, [b"evil"]))
    for call in (*calls, lambda _: [*remote.list("")], lambda _: [*remote.list("a/")]):
        with pytest.raises(RemoteError, match="symbolic link") as caught:
            call(name)
        assert not isinstance(caught.value, NotFound)
    assert sorted(tmp_path.rglob("*")) == before
    assert (secret / "b" / "object").read_bytes() == b"secret"


def test_a_symlink_in_place_of_tmp_is_refused(
    remote: DirectoryRemote, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    root.mkdir()
    (root / "tmp").symlink_to(tmp_path / "outside")
    with pytest.raises(RemoteError, match="symbolic link"):
        remote.create("a/b", [b"x"])
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="the system has no O_NOFOLLOW")
@pytest.mark.parametrize("planted", ["a", "a/b"])
def test_a_symlink_that_appears_after_the_look_is_not_followed(
    remote: DirectoryRemote,
    root: Path,
    tmp_path: Path,
    planted: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if it were swapped in between: `look` is shown what stood there before."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "b").write_bytes(b"secret")
    remote.create("a/b", [b"x"])
    plain = {"a": os.stat(root / "a"), "b": os.stat(root / "a" / "b")}
    (root / planted).rename(root / "real")
    (root / planted).symlink_to(tmp_path / "secret" / ("b" if planted == "a/b" else ""))
    monkeypatch.setattr(folder.Folder, "look", lambda _, name: plain[name])
    with pytest.raises(RemoteError):
        remote.read("a/b")
