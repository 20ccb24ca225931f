"""What a person means by `PATH`, `PATH@REV`, `blake3:…` or a run: content, or a run."""

from __future__ import annotations

import os
from typing import NamedTuple

from mlver.errors import RepositoryError, UsageError
from mlver.git import command
from mlver.git.objects import BlobReader, BlobStream
from mlver.git.repo import Repo
from mlver.lineage.graph import OUTPUT
from mlver.model import pointer
from mlver.model.digest import Digest, Hasher, from_hex
from mlver.workflows.known_runs import KnownRun, KnownRuns

_WINDOW = 1 << 20


class Target(NamedTuple):
    """Content by its id, and the path that it was asked by ("": none); or a run."""

    oid: Digest | None
    path: str
    rev: str = ""
    run: KnownRun | None = None


def resolve(repo: Repo, runs: KnownRuns, text: str) -> Target:
    """A file is tried before a run: a run can always be named by its id. Raises UsageError."""
    if text.startswith("blake3:"):
        try:
            return Target(from_hex(text[7:]), "")
        except ValueError as error:
            raise UsageError(f"{text!r} is no content id", why=str(error)) from error
    found = content_at(repo, text, "")
    if found is None and "@" in text:
        path, _, rev = text.rpartition("@")
        require_commit(repo, rev)
        found = content_at(repo, path, rev)
        if found is None:
            raise UsageError(f"there is no file {path!r} in {rev}", fix="git mlver log PATH")
    if found is not None:
        return found
    recorded = _recorded(runs, top_path(repo, text))
    if recorded is not None:
        return recorded
    try:
        return Target(None, "", run=runs.find(text))
    except UsageError as error:
        raise UsageError(
            f"{text!r} is no file here, and names no run: {error.what}",
            why=error.why,
            fix="git mlver ls, git mlver runs, to see what there is",
        ) from error


def top_path(repo: Repo, path: str) -> str:
    """A path of the user, relative to the worktree's top, with `/`."""
    if repo.worktree is None:
        return path
    top = os.path.realpath(os.fsdecode(repo.worktree))
    inside = os.path.relpath(os.path.join(os.path.realpath(os.getcwd()), path), top)
    return inside.replace(os.sep, "/")


def content_at(repo: Repo, path: str, rev: str) -> Target | None:
    """The content of a file in a commit; without one in the index, else in the worktree."""
    inside = top_path(repo, path)
    with BlobReader(repo) as reader:
        name = os.fsencode(f"{rev}:{inside}" if rev else f":{inside}")
        found = reader.read(name, pointer.MAX_SIZE)
    if found is not None:
        parsed = pointer.parse(found)
        if parsed is not None:
            return Target(parsed.oid, inside, rev)
    blob = _blob(repo, f"{rev}:{inside}")
    if blob:
        return Target(blob_oid(repo, blob), inside, rev)
    if rev or repo.worktree is None:
        return None
    return _in_worktree(os.path.join(os.fsdecode(repo.worktree), inside), inside)


def blob_oid(repo: Repo, blob: str) -> Digest:
    """The content id of a file that git holds as it is."""
    hasher, window = Hasher(), memoryview(bytearray(_WINDOW))
    with BlobStream(repo, blob) as stream:
        while count := stream.read_into(window):
            hasher.update(window[:count])
    return Digest(hasher.digest())


def require_commit(repo: Repo, rev: str) -> None:
    """Raise UsageError for a revision that names no commit or tree."""
    from mlver.git.objects import resolve as resolve_revision

    resolve_revision(repo, rev)


def _blob(repo: Repo, name: str) -> str:
    done = command.attempt(
        ["rev-parse", "--verify", "--quiet", "--end-of-options", name],
        cwd=repo.worktree or repo.git_dir,
    )
    object_id = done.stdout.decode("ascii", "replace").strip()
    if done.returncode != 0 or not object_id:
        return ""
    try:
        kind = repo.git("cat-file", "-t", object_id).strip()
    except RepositoryError:
        return ""
    return object_id if kind == b"blob" else ""


def _in_worktree(file: str, inside: str) -> Target | None:
    """A file that git does not have: an output of a run that was not added yet."""
    if os.path.islink(file) or not os.path.isfile(file):
        return None
    hasher = Hasher()
    with open(file, "rb") as stream:
        head = stream.read(_WINDOW)
        parsed = pointer.parse(head)
        if parsed is not None:
            return Target(parsed.oid, inside)
        while head:
            hasher.update(head)
            head = stream.read(_WINDOW)
    return Target(Digest(hasher.digest()), inside)


def _recorded(runs: KnownRuns, path: str) -> Target | None:
    """The newest content that a run wrote at a path which is nowhere now."""
    rows = runs.ask(
        "select u.oid from uses u join runs r on r.num = u.run where u.path = ? and"
        " u.direction = ? and u.oid is not null order by r.start_ms desc limit 1",
        (path, OUTPUT),
    )
    return Target(Digest(rows[0][0]), path) if rows else None
