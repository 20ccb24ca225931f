"""Which folder git takes its hooks from, and whose it is; that decides what may be written there.

`private`: inside the git directory, this clone's alone. `committed`: inside the worktree
(`core.hooksPath = .githooks`), so the project's. `husky9`, `husky8`: committed too, and husky
makes its own stubs anew, so the user's files beside them are the place. `shared`: outside this
repository, so its hooks run in other repositories too. `off`: there is no such folder.

git is asked through a callable, so this module starts nothing itself and must not import anything
of mlver.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

RunGit = Callable[[Sequence[str]], bytes]
Kind = Literal["private", "committed", "husky9", "husky8", "shared", "off"]


@dataclass(frozen=True)
class HooksFolder:
    """A folder of hooks, its symbolic links resolved; `notice` is for the user, often empty."""

    path: Path
    kind: Kind
    notice: str = ""

    @property
    def is_committed(self) -> bool:
        return self.kind in ("committed", "husky9", "husky8")

    @property
    def is_husky(self) -> bool:
        return self.kind in ("husky9", "husky8")


def hooks_folder(run_git: RunGit, worktree: Path | None) -> HooksFolder:
    """The folder that git uses now. `run_git` runs in the worktree (in the git directory of a bare
    repository, where `worktree` is None) and returns standard output."""
    common = _path(run_git(["rev-parse", "--path-format=absolute", "--git-common-dir"]))
    value = _hooks_path(run_git)
    if value == b"":
        return _off(common / "hooks", "core.hooksPath is empty: git runs no hooks")
    path = _path(run_git(["rev-parse", "--path-format=absolute", "--git-path", "hooks"]))
    if path.exists() and not path.is_dir():
        return _off(path, f"core.hooksPath names {path}, which is no folder: git runs no hooks")
    if path.is_relative_to(common):
        return HooksFolder(path, "private", _asleep(worktree) if value is None else "")
    if worktree is not None and path.is_relative_to(_real(worktree)):
        return _in_worktree(path)
    notice = (
        f"core.hooksPath names {path}, outside this repository: hooks there run in every "
        "repository that uses that folder"
    )
    return HooksFolder(path, "shared", notice)


def every_folder(run_git: RunGit, worktree: Path | None) -> list[HooksFolder]:
    """The folder that git uses now, then `hooks/` in the git directory if that is another one:
    ours may have been left there when core.hooksPath was set later. For `uninstall`."""
    common = _path(run_git(["rev-parse", "--path-format=absolute", "--git-common-dir"]))
    own = HooksFolder(_real(common / "hooks"), "private")
    now = hooks_folder(run_git, worktree)
    return [now] if now.path == own.path else [now, own]


def _in_worktree(path: Path) -> HooksFolder:
    if path.name == "_" and ((path / "h").is_file() or path.parent.name == ".husky"):
        return HooksFolder(path.parent, "husky9")
    if (path / "_" / "husky.sh").is_file():
        return HooksFolder(path, "husky8")
    return HooksFolder(path, "committed")


def _asleep(worktree: Path | None) -> str:
    """husky sets core.hooksPath when the project's packages are installed, which may come later."""
    if worktree is None or not (worktree / ".husky").is_dir():
        return ""
    return (
        "this project has husky, which is not active yet: once its packages are installed, git "
        "no longer looks here, so install the hooks again then"
    )


def _hooks_path(run_git: RunGit) -> bytes | None:
    """core.hooksPath as written. From the list, which never fails: `--get` of a key that is not
    set exits 1, and `rev-parse --git-path` dies of an empty value."""
    value: bytes | None = None
    for entry in run_git(["config", "--null", "--list"]).split(b"\0"):
        key, _, text = entry.partition(b"\n")
        if key == b"core.hookspath":
            value = text
    return value


def _off(path: Path, notice: str) -> HooksFolder:
    return HooksFolder(path, "off", notice)


def _path(output: bytes) -> Path:
    return _real(Path(os.fsdecode(output.removesuffix(b"\n").removesuffix(b"\r"))))


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
