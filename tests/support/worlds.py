"""Sandboxes in which something has happened, made once a process and copied for each test.

A step is done to a copy of the template; it must leave no absolute path behind (a git remote is
`../far.git`). A copy has other inodes and times: git's index is told of them, as it would know
them had the step been done there, so that git reads no file again for that.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support.sandbox import Sandbox, copy_of

from mlver.git import index_file

Step = Callable[[Sandbox], None]


class Worlds:
    """What was made so far, below `folder`."""

    def __init__(self, template: Path, folder: Path) -> None:
        self._template, self._folder = template, folder
        self._kept: dict[Step, Path] = {}

    def enter(self, box: Sandbox, step: Step) -> None:
        """Make a box that is as the template what `step` makes of it."""
        if step not in self._kept:
            made = copy_of(self._template, self._folder / str(len(self._kept)))
            step(made)
            for top in _worktrees(made.root):
                made.at(top).age()  # none is as young as the index, which git would look into
                made.at(top).git("update-index", "-q", "--refresh")
            self._kept[step] = made.root
        shutil.rmtree(box.root)
        shutil.copytree(self._kept[step], box.root, symlinks=True)
        for top in _worktrees(box.root):
            _tell_the_index(box, top)


def _worktrees(root: Path) -> list[Path]:
    return [path.parent for path in sorted(root.glob("*/.git"))]


def _tell_the_index(box: Sandbox, top: Path) -> None:
    names = [os.fsencode(name) for name in box.git("ls-files", "-z", cwd=top).out.split("\0")[:-1]]
    stats = {name: os.lstat(os.path.join(os.fsencode(top), name)) for name in names}
    assert index_file.stamp(os.fsencode(top / ".git/index"), stats) == len(names)
