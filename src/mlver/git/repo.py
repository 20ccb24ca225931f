"""Which repository a command stands in: its worktree, git directory, common directory, index.

git itself is asked, so that GIT_DIR, worktrees, submodules and safe.directory mean to us what
they mean to git.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from mlver.errors import RepositoryError
from mlver.git import command


class Repo(NamedTuple):
    """Absolute paths as bytes. `worktree` is None in a bare repository."""

    worktree: bytes | None
    git_dir: bytes
    common_dir: bytes
    hash_name: str

    @property
    def hex_length(self) -> int:
        """Digits of an object id."""
        return 64 if self.hash_name == "sha256" else 40

    @property
    def store_dir(self) -> bytes:
        """Where content of this repository and all its worktrees is kept."""
        return os.path.join(self.common_dir, b"mlver")

    @property
    def state_dir(self) -> bytes:
        """Where this worktree keeps notes to itself (deferred files, entries to mend)."""
        return os.path.join(self.git_dir, b"mlver")

    @property
    def index_path(self) -> bytes:
        """The index that git uses now: a commit hook is given a temporary one."""
        given = os.environb.get(b"GIT_INDEX_FILE") if os.supports_bytes_environ else None
        if given is None and os.environ.get("GIT_INDEX_FILE"):
            given = os.fsencode(os.environ["GIT_INDEX_FILE"])
        if given:
            return given if os.path.isabs(given) else os.path.join(self.top, given)
        return os.path.join(self.git_dir, b"index")

    @property
    def top(self) -> bytes:
        """The worktree's top folder. Raises RepositoryError in a bare repository."""
        if self.worktree is None:
            raise RepositoryError(
                "there is no worktree here",
                why="this is a bare repository, or a folder inside a git directory",
                fix="run the command in the worktree of a clone",
            )
        return self.worktree

    def require_worktree(self) -> None:
        """Raise RepositoryError in a bare repository, before anything is read or written there."""
        _ = self.top

    def git(self, *args: str | bytes, input: bytes | None = None) -> bytes:
        """Run git in the worktree (or the bare repository). Raises RepositoryError."""
        return command.run(args, cwd=self.worktree or self.git_dir, input=input)


_ASK = ["--is-bare-repository", "--show-object-format", "--absolute-git-dir", "--git-common-dir"]


def discover(cwd: bytes | None = None) -> Repo:
    """The repository around `cwd`. Raises RepositoryError where there is none, or git refuses."""
    _pin_environment()
    asked = [*_ASK, "--show-toplevel"]
    done = command.attempt(["rev-parse", *asked], cwd=cwd)
    if done.returncode != 0:  # a bare repository has no top level
        asked = _ASK
        done = command.attempt(["rev-parse", *asked], cwd=cwd)
    lines = done.stdout.split(b"\n")[:-1]
    if done.returncode != 0 or len(lines) < len(asked):
        raise RepositoryError(
            "this is no git repository that can be used",
            why=done.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: "),
            fix="cd into a repository, or make one: git init",
        )
    if len(lines) > len(asked):  # a path with a line end in it
        lines = [command.run(["rev-parse", word], cwd=cwd).removesuffix(b"\n") for word in asked]
    bare, hash_name, git_dir, common, *top = lines
    common = os.path.normpath(os.path.join(cwd or os.getcwdb(), common))
    worktree = None if bare == b"true" or not any(top) else top[0]
    return Repo(worktree, git_dir, common, hash_name.decode("ascii"))


def _pin_environment() -> None:
    """Make git's variables absolute: they are relative to where the user stands, and our git
    commands run at the worktree's top. (GIT_INDEX_FILE is relative to the top already.)"""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"):
        value = os.environ.get(name)
        if value and not os.path.isabs(value):
            os.environ[name] = os.path.abspath(value)
    # Set by checkout --recurse-submodules of a git before 2.41; rev-parse then refuses to work.
    os.environ.pop("GIT_INTERNAL_SUPER_PREFIX", None)
