"""diff A B, then apply on A, gives B byte for byte; what does not fit is refused whole."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from tests.diff.sources import Memory
from tests.diff.test_delimited_paths import _pair
from tests.support.sandbox import Clone, content

from mlver.errors import MlverError, RefusedError, UsageError
from mlver.model.digest import digest_of
from mlver.workflows import patch_applying, patch_making

CASES = int(os.environ.get("MLVER_CASES", "1500"))


def _row(old: bytes, new: bytes, **more: Any) -> dict[str, Any]:
    ids = [
        {"oid": digest_of(data).hex(), "size": len(data)} if data else None for data in (old, new)
    ]
    edits = list(patch_making.edits(Memory(old), Memory(new)))
    row = {"path": "f", "old_path": "f", "status": "modified", "edits": edits}
    return row | {"old": ids[0], "new": ids[1]} | more


def _patch(*rows: dict[str, Any], **head: Any) -> bytes:
    first = {"kind": "git-mlver patch", "version": 1, "base": "folder"} | head
    lines = [first, *rows, {"files": len(rows)}]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _applied(folder: Path, old: bytes, patch: bytes) -> bytes:
    (folder / "f").write_bytes(old)
    _, steps = patch_applying.read_patch(patch)
    patch_applying.apply(os.fsencode(folder), steps)
    return (folder / "f").read_bytes()


def test_any_table_becomes_any_other_byte_for_byte(tmp_path: Path) -> None:
    for seed in range(CASES // 5):
        old, new = _pair(seed)
        assert _applied(tmp_path, old, _patch(_row(old, new))) == new, seed


def test_any_bytes_become_any_others(tmp_path: Path) -> None:
    dice = random.Random(7)
    for size in (0, 1, 100, 70_000):
        old = dice.randbytes(size)
        cut = size // 2
        for new in (b"", old, old[:cut], old[cut:] + old[:cut], old[:cut] + b"x\n\n" + old[cut:]):
            if old != new:
                assert _applied(tmp_path, old, _patch(_row(old, new))) == new


def test_a_patch_is_as_long_as_what_changed() -> None:
    old = b"".join(b"%d,%d\n" % (n, n * n) for n in range(100_000))
    new = old.replace(b"\n5000,", b"\n5000,9")
    assert len(json.dumps(list(patch_making.edits(Memory(old), Memory(new))))) < 300


OLD, NEW = b"id,x\n1,a\n2,b\n", b"id,x\n1,a\n2,c\n"
HOSTILE = {
    "another old version": _row(b"id,x\n9,z\n", NEW),
    "outside of the old version": _row(OLD, NEW) | {"edits": [["copy", 0, 10**9]]},
    "before it": _row(OLD, NEW) | {"edits": [["copy", -5, 5]]},
    "other bytes than promised": _row(OLD, NEW) | {"edits": [["add", "eA=="]]},
    "no base64": _row(OLD, NEW) | {"edits": [["add", "!!"]]},
    "no edit": _row(OLD, NEW) | {"edits": [{"run": "rm"}]},
    "above the folder": _row(OLD, NEW, path="../f", old_path="../f"),
    "an absolute path": _row(OLD, NEW, path="/tmp/f", old_path="/tmp/f"),
    "git's own folder": _row(OLD, NEW, path=".git/config", old_path="f", status="renamed"),
    "added where one is": _row(b"", NEW, status="added"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_does_not_fit_is_refused_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    (tmp_path / "first").write_bytes(OLD)
    (tmp_path / "f").write_bytes(OLD)
    good = _row(OLD, NEW, path="first", old_path="first")
    _, steps = patch_applying.read_patch(_patch(good, HOSTILE[name]))
    with pytest.raises(RefusedError):
        patch_applying.apply(os.fsencode(tmp_path), steps)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"first": OLD, "f": OLD}


def test_a_link_on_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/f").write_bytes(OLD)
    (tmp_path / "link").symlink_to("real")
    _, steps = patch_applying.read_patch(_patch(_row(OLD, NEW, path="link/f", old_path="link/f")))
    with pytest.raises((MlverError, OSError)):
        patch_applying.apply(os.fsencode(tmp_path), steps)
    assert (tmp_path / "real/f").read_bytes() == OLD


WHOLE = _patch(_row(OLD, NEW))


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"{}\n", b"[]\n", b"diff --git a b\n", b"[" * 100_000, b"\xff\xfe\n",
     WHOLE[:-1], b"\n".join(WHOLE.split(b"\n")[:-2]) + b"\n", WHOLE.replace(b'"modified"', b'"x"'),
     WHOLE.replace(b'"version": 1', b'"version": 2'), WHOLE.replace(b'"size"', b'"s"')],
)  # fmt: skip
def test_what_is_no_whole_patch_is_a_usage_error(data: bytes) -> None:
    with pytest.raises(UsageError):
        patch_applying.read_patch(data)


def test_between_commits_of_a_repository(work: Clone) -> None:
    work.mlver("track", "*.csv")
    rows = b"".join(b"%d,x\r\n" % n for n in range(3000))
    work.given(
        "one", {"in/t.csv": b"\xef\xbb\xbfid,x\r\n" + rows, "gone.csv": b"a\n", "m.bin": content(1)}
    )
    work.git("rm", "-q", "gone.csv")
    new = {
        "in/t.csv": b"id,x\n" + rows + b'7,"q\nr"',
        "m.bin": content(2),
        "far/new.csv": b"b\n1\n",
    }
    work.given("two", new)
    work.mlver("diff", "HEAD~1", "HEAD", "--patch", "../p")
    work.git("checkout", "-q", "HEAD~1")
    work.mlver("apply", "--check", "../p")
    assert work.status() == ""
    said = work.mlver("apply", "../p").err
    assert said.count("made") == 4 and {name: work.read(name) for name in new} == new
    assert not work.path("gone.csv").exists()
    assert "nothing to do" in work.mlver("apply", "../p").err
    work.write("in/t.csv", b"id,x\n")
    done = work.attempt("mlver", "apply", "../p")
    assert done.code == 8 and "in/t.csv" in done.err


def test_two_files_without_a_repository(work: Clone) -> None:
    folder = work.box.root / "outside"
    folder.mkdir()
    (folder / "a.csv").write_bytes(OLD)
    (folder / "b.csv").write_bytes(NEW)

    def run(*words: str) -> int:
        return work.box.run(["git-mlver", *words], folder).code

    assert run("diff", "--no-index", "a.csv", "b.csv", "--patch", "p") == 0
    (folder / "c.csv").write_bytes(OLD)
    assert run("apply", "p", "c.csv") == 0 and (folder / "c.csv").read_bytes() == NEW
    assert run("apply", "p") == 0 and (folder / "a.csv").read_bytes() == NEW
    assert run("diff", "--no-index", str(folder / "b.csv"), "c.csv", "--patch", "none") == 0
    assert run("apply", "none") == 0, "no difference is a patch of nothing"
