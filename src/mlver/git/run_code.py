"""What code a run ran: the commit that is checked out, its branch, and how the worktree differs.

One `git status` tells of the commit, the branch, what is changed, what is not tracked and which
folders git ignores; it may not write the index (GIT_OPTIONAL_LOCKS). It runs beside the two other
questions: the commit's tree, and git's variables (who, and the remote's URL).
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field

from mlver.errors import RepositoryError
from mlver.git import command
from mlver.git.repo import Repo

_STATUS = [
    "status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--untracked-files=all",
    "--ignored=matching", "--ignore-submodules=dirty",
]  # fmt: skip
_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")


@dataclass
class Code:
    """`commit`, `tree`: "" before the first commit. Paths are relative to the top."""

    commit: str = ""
    tree: str = ""
    branch: str = ""
    remote: str = ""
    actor: str = ""
    changed: list[bytes] = field(default_factory=list)
    untracked: list[bytes] = field(default_factory=list)
    ignored_folders: set[bytes] = field(default_factory=set)
    ignored_files: set[bytes] = field(default_factory=set)

    @property
    def is_dirty(self) -> bool:
        return bool(self.changed or self.untracked)


def read(repo: Repo) -> Code:
    """The code as it lies there. Raises RepositoryError."""
    asked = [
        _started(repo, _STATUS, filters=True),
        _started(repo, ["rev-parse", "--verify", "--quiet", "HEAD^{tree}"]),
        _started(repo, ["var", "-l"]),
    ]
    status, tree, variables = [process.communicate() for process in asked]
    if asked[0].returncode != 0:
        raise command.failure("git could not tell the worktree's state", status[1])
    code = Code(tree=tree[0].decode("ascii", "replace").strip())
    _take_status(code, command.fields(status[0]))
    _take_variables(code, variables[0].decode("utf-8", "replace"))
    if code.commit and not code.tree:
        raise RepositoryError("the commit that is checked out cannot be read", fix="git fsck")
    return code


def _started(repo: Repo, args: list[str], *, filters: bool = False) -> subprocess.Popen[bytes]:
    # With our filter: git cannot tell without it whether a tracked file that was touched differs.
    env = dict(os.environ) if filters else command.without_filter()
    return subprocess.Popen(
        command.argv(["--no-optional-locks", *args]),
        cwd=repo.top,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
    )


def _take_status(code: Code, rows: list[bytes]) -> None:
    for row in rows:
        kind, _, rest = row.partition(b" ")
        if kind == b"#":
            name, _, value = rest.decode("utf-8", "surrogateescape").partition(" ")
            if name == "branch.oid" and value != "(initial)":
                code.commit = value
            elif name == "branch.head" and value != "(detached)":
                code.branch = value
        elif kind in (b"1", b"u"):
            code.changed.append(rest.split(b" ", 7 if kind == b"1" else 9)[-1])
        elif kind == b"?":
            code.untracked.append(rest)
        elif kind == b"!":
            is_folder = rest.endswith(b"/")
            (code.ignored_folders if is_folder else code.ignored_files).add(rest.rstrip(b"/"))
    # A repository inside this one is named as a folder: it is no file of ours.
    code.untracked = [path for path in code.untracked if not path.endswith(b"/")]


def _take_variables(code: Code, text: str) -> None:
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name == "remote.origin.url":
            code.remote = _CREDENTIALS.sub("", value)
        elif name == "GIT_AUTHOR_IDENT":
            code.actor = value.rsplit(" ", 2)[0]
