"""Which repository a command stands in: its worktree, git directory, common directory, index.

git itself is asked, so that GIT_DIR, worktrees, submodules and safe.directory mean to us what
they mean to git.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from mlver.errors import RepositoryError
from mlver.git import command


@dataclass(frozen=True, slots=True)
class Repo:
    """Absolute paths as bytes. `worktree` is None in a bare repository."""

    worktree: bytes | None
    git_dir: bytes
    common_dir: bytes
    hash_name: str

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
                "this repository has no worktree", fix="run the command in a clone"
            )
        return self.worktree

    def git(self, *args: str | bytes, input: bytes | None = None) -> bytes:
        """Run git in the worktree (or the bare repository). Raises RepositoryError."""
        return command.run(args, cwd=self.worktree or self.git_dir, input=input)


_ASK = ["--is-bare-repository", "--show-object-format", "--absolute-git-dir", "--git-common-dir"]


def discover(cwd: bytes | None = None) -> Repo:
    """The repository around `cwd`. Raises RepositoryError where there is none, or git refuses."""
    done = command.attempt(["rev-parse", *_ASK, "--show-toplevel"], cwd=cwd)
    if done.returncode != 0:  # a bare repository has no top level
        done = command.attempt(["rev-parse", *_ASK], cwd=cwd)
    lines = done.stdout.split(b"\n")[:-1]
    if done.returncode != 0 or len(lines) < len(_ASK):
        raise RepositoryError(
            "this is no git repository that can be used",
            why=done.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: "),
            fix="cd into a repository, or make one: git init",
        )
    bare, hash_name, git_dir, common = lines[: len(_ASK)]
    top = b"\n".join(lines[len(_ASK) :])
    common = os.path.normpath(os.path.join(cwd or os.getcwdb(), common))
    worktree = None if bare == b"true" or not top else top
    return Repo(worktree, git_dir, common, hash_name.decode("ascii"))
