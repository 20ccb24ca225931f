"""The tree of a dirty worktree, as a commit of everything would have it, made beside the user's
index: a copy of the index is given what is changed and what is not tracked, through git's own
filters, and written as a tree.

Left out, and named: files that look like secrets, by name or by content, and large untracked files
that no filter takes. Of a tracked file that is left out the version that git has already stands in
its place. What git ignores is no part of a worktree's state.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from mlver.git import command
from mlver.git.objects import filters
from mlver.git.repo import Repo
from mlver.git.run_code import Code

LARGE = 4 * 1024 * 1024
"""Bytes; an untracked file that is larger is data, and data is tracked or left out."""
MOST_FILES, MOST_BYTES = 5_000, 64 * 1024 * 1024
"""Of all untracked files that no filter takes."""
_LOOKED_AT = 1024 * 1024


class Snapshot(NamedTuple):
    """The tree's id, and the paths that are not in it; a folder ends in `/`."""

    tree: str
    left_out: list[bytes]


def take(
    repo: Repo,
    code: Code,
    is_secret_name: Callable[[bytes], bool],
    holds_secret: Callable[[bytes, bytes], bool],
) -> Snapshot:
    """The tree of the worktree. `holds_secret(path, content)` is asked about small files.

    Raises RepositoryError, LocalIOError (as OSError) where it cannot be had.
    """
    wanted, left_out = _chosen(repo, code, is_secret_name, holds_secret)
    if not wanted and code.tree and not code.changed:
        return Snapshot(code.tree, left_out)
    index = os.path.join(repo.git_dir, b"mlver-snapshot-" + os.urandom(6).hex().encode())
    env = {**os.environ, "GIT_INDEX_FILE": os.fsdecode(index)}
    try:
        with contextlib.suppress(FileNotFoundError):  # nothing was ever staged
            _copy(repo.index_path, index)
        if wanted:
            command.run(
                ["update-index", "-z", "--add", "--remove", "--stdin"],
                cwd=repo.top,
                input=b"".join(path + b"\0" for path in wanted),
                env=env,
                filters=True,
            )
        tree = command.run(["write-tree", "--missing-ok"], cwd=repo.top, env=env)
        return Snapshot(tree.decode("ascii").strip(), left_out)
    finally:
        for path in (index, index + b".lock"):
            with contextlib.suppress(OSError):
                os.unlink(path)


def _copy(source: bytes, target: bytes) -> None:
    with open(source, "rb") as old, open(target, "xb") as new:
        while data := old.read(1 << 20):
            new.write(data)


def _chosen(
    repo: Repo,
    code: Code,
    is_secret_name: Callable[[bytes], bool],
    holds_secret: Callable[[bytes, bytes], bool],
) -> tuple[list[bytes], list[bytes]]:
    """(paths to take, paths to leave out)."""
    named = {path for path in [*code.changed, *code.untracked] if is_secret_name(path)}
    changed = [path for path in code.changed if path not in named]
    untracked = [path for path in code.untracked if path not in named]
    sizes = {path: _size(repo, path) for path in untracked}
    filtered = {
        path for path, value in filters(repo, untracked).items()
        if value not in (b"unspecified", b"unset")
    } if untracked else set()  # fmt: skip
    plain = {path: size for path, size in sizes.items() if path not in filtered}
    left = {path for path, size in plain.items() if size < 0 or size > LARGE}
    left |= _beyond_bounds({path: size for path, size in plain.items() if path not in left})
    secret = set(named)
    for path in [*changed, *(path for path in untracked if path not in left)]:
        if path not in filtered and _holds(repo, path, holds_secret):
            secret.add(path)
    taken = [path for path in changed if path not in secret]
    taken += [path for path in untracked if path not in left and path not in secret]
    return taken, sorted({*secret, *_folded(left, untracked)})


def _size(repo: Repo, path: bytes) -> int:
    """-1 for what is no file nor link (a socket, a pipe)."""
    try:
        info = os.lstat(os.path.join(repo.top, path))
    except OSError:
        return -1
    return info.st_size if stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode) else -1


def _beyond_bounds(sizes: dict[bytes, int]) -> set[bytes]:
    """Files to leave out so that the rest is within the bounds: those of the fullest folders."""
    if len(sizes) <= MOST_FILES and sum(sizes.values()) <= MOST_BYTES:
        return set()
    groups: dict[bytes, list[bytes]] = {}
    for path in sizes:
        groups.setdefault(path.rpartition(b"/")[0].split(b"/")[0], []).append(path)
    left, files, total = set(), 0, 0
    weights = {folder: sum(sizes[path] for path in paths) for folder, paths in groups.items()}
    for folder in sorted(groups, key=lambda folder: (weights[folder], len(groups[folder]))):
        files += len(groups[folder])
        total += weights[folder]
        if files > MOST_FILES or total > MOST_BYTES:
            left.update(groups[folder])
    return left


def _folded(left: set[bytes], untracked: Sequence[bytes]) -> Iterable[bytes]:
    """Paths that were left out; a top folder of many, of which nothing was taken, as one."""
    groups: dict[bytes, list[bytes]] = {}
    for path in left:
        groups.setdefault(path.split(b"/")[0] if b"/" in path else b"", []).append(path)
    for folder, paths in groups.items():
        whole = sum(path.startswith(folder + b"/") for path in untracked) == len(paths)
        if folder and whole and len(paths) > 3:
            yield folder + b"/"
        else:
            yield from paths


def _holds(repo: Repo, path: bytes, holds_secret: Callable[[bytes, bytes], bool]) -> bool:
    full = os.path.join(repo.top, path)
    try:
        info = os.lstat(full)
        if not stat.S_ISREG(info.st_mode) or info.st_size > _LOOKED_AT:
            return False
        with open(full, "rb") as file:
            return holds_secret(path, file.read())
    except OSError:
        return False
