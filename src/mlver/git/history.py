"""Pointers in history: every blob of a range of commits that may be one, found by git itself.

The range is given as revisions; `--not` what the other side has. git walks; blobs that are too
long for a pointer are left out before their content is read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from mlver.git import command
from mlver.git.objects import (
    BlobReader,
    IndexEntry,
    index_entries,
    pointers_of,
    staged,
    tree_entries,
)
from mlver.git.repo import Repo
from mlver.model.pointer import MAX_SIZE, Pointer, parse


def pointers_between(
    repo: Repo, include: Sequence[str], exclude: Sequence[str] = ()
) -> dict[Pointer, bytes]:
    """Pointer → a path at which it stands, in commits of `include` that `exclude` has not."""
    if not include:
        return {}
    revisions = "\n".join([*include, *(f"^{name}" for name in exclude)]) + "\n"
    output = repo.git(
        "rev-list",
        "--objects",
        f"--filter=blob:limit={MAX_SIZE}",
        "--ignore-missing",
        "--stdin",
        input=revisions.encode(),
    )
    paths: dict[str, bytes] = {}
    for line in output.splitlines():
        blob, _, path = line.partition(b" ")
        if path:
            paths.setdefault(blob.decode("ascii"), path)
    found = pointers_of(repo, paths)
    result: dict[Pointer, bytes] = {}
    for name, pointer in found.items():
        result.setdefault(pointer, paths[name])
    return result


def all_refs(repo: Repo) -> list[str]:
    """Object ids of every ref, HEADs of all worktrees included."""
    output = repo.git("for-each-ref", "--format=%(objectname)").decode("ascii").split()
    for _, head in worktrees(repo):
        output.append(head)
    return list(dict.fromkeys(name for name in output if name.strip("0")))


def worktrees(repo: Repo) -> list[tuple[bytes, str]]:
    """(path, HEAD's commit) of every linked worktree and the main one."""
    found: list[tuple[bytes, str]] = []
    path = b""
    for line in repo.git("worktree", "list", "--porcelain").splitlines():
        if line.startswith(b"worktree "):
            path = line[len(b"worktree ") :]
        elif line.startswith(b"HEAD "):
            found.append((path, line[len(b"HEAD ") :].decode("ascii")))
        elif line == b"bare":
            continue
    return found


def reflog_commits(repo: Repo) -> list[str]:
    """Every commit that a reflog of any worktree still names (stashes are a reflog)."""
    # --stdin: without any reflog, git would print its usage and fail.
    output = repo.git("rev-list", "--no-walk", "--reflog", "--ignore-missing", "--stdin", input=b"")
    return output.decode("ascii").split()


def staged_pointers(repo: Repo) -> dict[Pointer, bytes]:
    """Pointer → path, of this worktree's index, conflict stages included."""
    return _named(repo, staged(repo))


def staged_anywhere(repo: Repo) -> dict[Pointer, bytes]:
    """Pointer → path, of the index of every worktree, also of one whose folder is away.

    Raises RepositoryError where one cannot be read: what it names would go unseen.
    """
    result = staged_pointers(repo) if repo.worktree is not None else {}
    for folder, env in git_folders(repo):
        if os.path.exists(os.path.join(folder, b"index")):
            output = command.run(["ls-files", "-s", "-z", "--full-name"], cwd=folder, env=env)
            result = {**_named(repo, index_entries(output)), **result}
    return result


def git_folders(repo: Repo) -> list[tuple[bytes, dict[str, str]]]:
    """The common git directory and that of every linked worktree, also of one whose folder is
    away; each with the environment in which git works there."""
    linked = os.path.join(repo.common_dir, b"worktrees")
    folders = [repo.common_dir]
    with suppress(FileNotFoundError):
        folders += [os.path.join(linked, name) for name in sorted(os.listdir(linked))]
    env = {key: value for key, value in os.environ.items() if key not in _OF_ONE_WORKTREE}
    return [(folder, {**env, "GIT_DIR": os.fsdecode(folder)}) for folder in folders]


def named_only_here(repo: Repo) -> set[Pointer]:
    """What refs, reflogs, stashes and indexes of any worktree name, and no remote-tracking ref.

    Too many are no harm. Commits that a remote-tracking ref has are not walked: it costs what was
    not pushed, and a look at the index.
    """
    output = repo.git("for-each-ref", "--format=%(objectname)", "refs/remotes")
    seen = output.decode("ascii").split()
    found = set(pointers_between(repo, [*all_refs(repo), *reflog_commits(repo)], seen))
    checked_out: set[Pointer] = set()
    for head in {head for _, head in worktrees(repo) if head.strip("0")}:
        entries = tree_entries(repo, head)
        checked_out.update(pointers_of(repo, (e.blob for e in entries if e.is_file)).values())
    return found | (set(staged_anywhere(repo)) - checked_out)


_OF_ONE_WORKTREE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX")


def _named(repo: Repo, entries: Sequence[IndexEntry]) -> dict[Pointer, bytes]:
    found = pointers_of(repo, (entry.blob for entry in entries if entry.is_file))
    result: dict[Pointer, bytes] = {}
    for entry in entries:
        if entry.blob in found:
            result.setdefault(found[entry.blob], entry.path)
    return result


def pointer_at(reader: BlobReader, path: bytes) -> Pointer | None:
    """The pointer that the index holds at `path`, or None."""
    data = reader.read(b":" + path, MAX_SIZE)
    return None if data is None else parse(data)
