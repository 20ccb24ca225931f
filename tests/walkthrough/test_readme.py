"""The README's walk-through, run as it stands: its sh blocks, in order, in an empty folder.

Between two blocks every repository is clean, every tracked file is what its pointer in git names,
and two clones at one commit hold the same bytes.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from blake3 import blake3
from tests.support.sandbox import Clone, Sandbox, pointer_in

README = Path(__file__).resolve().parents[2] / "README.md"
Seen = dict[str, dict[str, str]]
"""Commit → path of a tracked file → SHA-256 of its bytes."""


def blocks() -> list[str]:
    text = README.read_text(encoding="utf-8")
    section = text.split("\n## Walk-through\n")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@pytest.fixture
def box(tmp_path: Path) -> Sandbox:
    """A HOME in which only `git mlver install` was run."""
    root = tmp_path / "box"
    root.mkdir()
    made = Sandbox(root)
    made.prepare()
    made.git("mlver", "install")
    return made


def check(clone: Clone, seen: Seen) -> None:
    clone.settled()
    names = clone.git("ls-files", "-z", ":(attr:filter=mlver)").out.split("\0")[:-1]
    files = {}
    for name in names:
        data = clone.read(name)
        pointer = pointer_in(clone.blob(f"HEAD:{name}"))
        assert (pointer.oid.hex(), pointer.size) == (blake3(data).hexdigest(), len(data)), name
        files[name] = hashlib.sha256(data).hexdigest()
    assert seen.setdefault(clone.head(), files) == files


@pytest.mark.long
def test_the_walk_through_of_the_readme_holds(box: Sandbox) -> None:
    start = box.root / "walk"
    start.mkdir()
    folder, seen, said = start, Seen(), ""
    assert len(blocks()) == 7
    for block in blocks():
        script = f"set -eu\n{block}\npwd > {box.root}/where\n"
        done = box.run(["sh", "-c", script], folder)
        assert done.code == 0, f"{block}\n{done.out}{done.err}"
        folder = Path((box.root / "where").read_text().rstrip("\n"))
        said += done.out + done.err
        for git_dir in sorted(start.glob("*/.git")):
            check(box.at(git_dir.parent), seen)
    assert len(seen) == 2, "v1 and the merge were looked at, in two clones"
    assert "git-mlver: pushed 4 file(s)" in said
    assert "version mlver/1" in said
