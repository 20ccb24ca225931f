"""Every pointer that may be named by a repository, for collection: too many are no harm, one too
few is content lost.

So whatever looks like a pointer in a small blob counts, between conflict markers too; nothing that
is missing is passed over; and a clone that does not have its whole history is refused. What this
clone alone names: `local_roots`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from mlver.errors import MlverError, RefusedError, RepositoryError
from mlver.git import command, local_roots
from mlver.git.objects import small_blobs
from mlver.git.repo import Repo
from mlver.model.digest import from_hex
from mlver.model.pointer import Pointer, parse

_LIMIT = 4096
"""Bytes: three pointers between conflict markers with long names of branches."""
_OID = re.compile(rb"oid blake3:([0-9a-f]{64})")
_SIZE = re.compile(rb"size ([1-9][0-9]{0,18})")
_TREE = re.compile(rb"\Aversion mlver/1\ntree blake3:[0-9a-f]{64}\nsize [0-9]+\nfiles [0-9]+\n\Z")
_BATCH = 2000
_LOOKS = 3
"""A repository is asked so often where a ref has moved between two answers."""
_SPACE = "refs/mlver/collect/"
_PROTOCOLS = "file:git:http:https:ssh"


def refuse_partial(repo: Repo) -> None:
    """Raise RefusedError for a clone that hides history, or shows another one."""
    if repo.git("rev-parse", "--is-shallow-repository").strip() != b"false":
        raise _refused("this clone is shallow", "git fetch --unshallow, then again")
    done = command.attempt(
        ["config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$"],
        cwd=repo.git_dir,
    )
    if done.stdout.strip():
        raise _refused("this is a partial clone", "git mlver gc --remote, in a full clone")
    if os.path.exists(os.path.join(repo.common_dir, b"info", b"grafts")):
        raise _refused("info/grafts changes the history here", "remove that file, then again")


def _refused(why: str, fix: str) -> RefusedError:
    return RefusedError(
        "content cannot be collected from here",
        why=f"{why}, so that it does not show all that its commits name",
        fix=fix,
    )


@dataclass(slots=True)
class Named:
    """`exact`: blobs that are a pointer. `alike`: what looks like one in another text (conflict
    markers, a page that quotes one): it is kept where it is there, and nobody misses it."""

    exact: set[Pointer] = field(default_factory=set)
    alike: set[Pointer] = field(default_factory=set)

    def add(self, other: Named) -> None:
        """Count these in."""
        self.exact |= other.exact
        self.alike |= other.alike


def named_in(repo: Repo, revisions: Sequence[str]) -> Named:
    """Every pointer in the history of these objects. Raises RepositoryError where it is not whole,
    RefusedError for a pointer of a later version's."""
    if not revisions:
        return Named()
    output = command.run(
        ["rev-list", "--objects", f"--filter=blob:limit={_LIMIT}", "--stdin"],
        cwd=repo.worktree or repo.git_dir,
        input="\n".join(dict.fromkeys(revisions)).encode() + b"\n",
        env={**os.environ, "GIT_NO_REPLACE_OBJECTS": "1"},
    )
    # Every object, not those alone that have a path: a ref may name a blob or a tree.
    return pointers_in(repo, (line.split(b" ", 1)[0].decode() for line in output.splitlines()))


def named_by_indexes(repo: Repo) -> Named:
    """Every pointer in an index of this clone. Raises RepositoryError where a blob is gone."""
    blobs = local_roots.index_blobs(repo)
    if not _are_here(repo, blobs):
        raise RepositoryError(
            "an object that an index of this clone names is gone",
            why="the content that it names would go unseen",
            fix="git fsck, to see which; add that file again",
        )
    return pointers_in(repo, blobs)


def pointers_in(repo: Repo, objects: Iterable[str]) -> Named:
    """What these objects are, or what in them looks like a pointer."""
    names = sorted(set(objects))
    found = Named()
    for start in range(0, len(names), _BATCH):
        for _, data in small_blobs(repo, names[start : start + _BATCH], _LIMIT):
            if b"version mlver/" in data:
                pointer = parse(data)
                if pointer is not None:
                    found.exact.add(pointer)
                else:
                    found.alike |= _alike(data)
    return found


def _alike(data: bytes) -> set[Pointer]:
    if _TREE.match(data):
        raise RefusedError(
            "a commit names a directory's listing, which this version cannot read",
            fix="upgrade git-mlver",
        )
    # Which size belongs to which oid is unsure where git's merge has mixed them: all pairs count.
    sizes = {int(size) for size in _SIZE.findall(data)}
    return {
        Pointer(from_hex(oid.decode()), size) for oid in set(_OID.findall(data)) for size in sizes
    }


def remote_urls(repo: Repo) -> list[str]:
    """Every URL that git fetches from or pushes to here."""
    urls: list[str] = []
    for name in repo.git("remote").decode("utf-8", "surrogateescape").split("\n"):
        if name:
            for push in ([], ["--push"]):
                done = command.attempt(
                    ["remote", "get-url", *push, "--all", name], cwd=repo.worktree or repo.git_dir
                )
                urls += os.fsdecode(done.stdout).splitlines()
    return list(dict.fromkeys(urls))


@contextmanager
def fetched(repo: Repo, urls: Sequence[str]) -> Iterator[list[str]]:
    """Object ids of every ref of these repositories, their history fetched below a name of ours
    that goes again. Raises RepositoryError, naming the one that cannot be read."""
    _clear(repo)
    try:
        found: list[str] = []
        for number, url in enumerate(urls):
            found += _fetch(repo, url, f"{_SPACE}{os.getpid()}/{number}/")
        yield found
    finally:
        _clear(repo)


def _fetch(repo: Repo, url: str, space: str) -> list[str]:
    env = {**os.environ, "GIT_ALLOW_PROTOCOL": _PROTOCOLS, "GIT_TERMINAL_PROMPT": "0"}
    try:
        for _ in range(_LOOKS):
            ids = _fetch_once(repo, url, space, env)
            if ids is not None:
                return ids
        raise RepositoryError("an object that it lists did not come")
    except MlverError as error:
        raise RepositoryError(
            f"the git repository {url} cannot be read",
            why=f"{error.why or error.what}; content that its commits name would go unseen",
            fix="make it reachable from here; if it is gone for good, delete the object below"
            " gc/repositories/ that names it, and git remote remove",
        ) from error


def _fetch_once(repo: Repo, url: str, space: str, env: Mapping[str, str]) -> list[str] | None:
    """Ids of all refs there; None where not all of them came, since one was moved meanwhile."""
    where = repo.worktree or repo.git_dir
    listed = command.run(["ls-remote", "--", url], cwd=where, env=env)
    rows = [line.split(b"\t", 1) for line in listed.splitlines()]
    ids = [row[0].decode("ascii") for row in rows]
    if any(not name.strip("0") for name in ids):
        raise RepositoryError("one of its refs is broken")
    specs = [f"+refs/*:{space}*"]
    if any(name == b"HEAD" for _, name in rows):
        specs.append(f"+HEAD:{space}HEAD")
    if ids:
        command.run([*_QUIETLY, "fetch", "-q", *_ASIDE, "--", url, *specs], cwd=where, env=env)
    refuse_partial(repo)
    return ids if _are_here(repo, ids) else None


_QUIETLY = ("-c", f"core.hooksPath={os.devnull}", "-c", "fetch.fsckObjects=false")
_ASIDE = (
    "--refmap=", "--no-tags", "--no-write-fetch-head", "--no-prune", "--no-recurse-submodules",
    "--no-auto-maintenance",
)  # fmt: skip


def _are_here(repo: Repo, ids: Sequence[str]) -> bool:
    if not ids:
        return True
    ask = "\n".join(ids).encode() + b"\n"
    return b"missing" not in repo.git("cat-file", "--batch-check=%(objecttype)", input=ask)


def _clear(repo: Repo) -> None:
    """Remove refs of ours, also those that a killed run has left."""
    names = repo.git("for-each-ref", "--format=delete %(refname)", _SPACE)
    if names:
        repo.git("update-ref", "--stdin", input=names)
