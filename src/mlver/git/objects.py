"""git's index and objects, read and written through git's own plumbing in batches."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mlver import system
from mlver.errors import RepositoryError, UsageError
from mlver.git import command
from mlver.git.repo import Repo
from mlver.model import pointer
from mlver.model.pointer import Pointer

REGULAR, EXECUTABLE, SYMLINK, GITLINK = "100644", "100755", "120000", "160000"
_FILES = (REGULAR, EXECUTABLE)


class IndexEntry(NamedTuple):
    """One row of the index. `blob` is git's object id in hex; `path` relative to the top."""

    mode: str
    blob: str
    stage: int
    path: bytes

    @property
    def is_file(self) -> bool:
        return self.mode in _FILES


def literal(paths: Iterable[bytes]) -> list[bytes]:
    """Paths relative to the top as pathspecs that match nothing but themselves (and below)."""
    return [b":(top,literal)" + path for path in paths]


def staged(repo: Repo, pathspecs: Sequence[bytes] = ()) -> list[IndexEntry]:
    """Index entries under `pathspecs` (all where empty), all stages."""
    return index_entries(repo.git("ls-files", "-s", "-z", "--full-name", "--", *pathspecs))


def refuse_unmatched(repo: Repo, pathspecs: Sequence[bytes], named: Sequence[str]) -> None:
    """Raise UsageError, as git does, for the first pathspec that no entry of the index matches.

    `named`: what the user wrote, in the order of `pathspecs`.
    """
    for spec, word in zip(pathspecs, named, strict=True):
        if not repo.git("ls-files", "-z", "--", spec):
            raise UsageError(
                f"pathspec {word!r} did not match any file(s) known to git",
                why="no file of that name is in the index; a new one has to be added first",
                fix="git mlver ls, to see the tracked files",
            )


def index_entries(output: bytes) -> list[IndexEntry]:
    """The rows that `git ls-files -s -z` prints."""
    entries = []
    for item in command.fields(output):
        meta, path = item.split(b"\t", 1)
        mode, blob, stage = meta.decode("ascii").split(" ")
        entries.append(IndexEntry(mode, blob, int(stage), path))
    return entries


def tracked(repo: Repo, pathspecs: Sequence[bytes] = ()) -> list[IndexEntry]:
    """Merged index entries of ordinary files that our filter is attributed to."""
    entries = [e for e in staged(repo, pathspecs) if e.is_file and e.stage == 0]
    wanted = filtered(repo, [entry.path for entry in entries])
    return [entry for entry in entries if entry.path in wanted]


def filtered(repo: Repo, paths: Sequence[bytes]) -> set[bytes]:
    """Of `paths`, those with the attribute filter=mlver."""
    return {path for path, value in filters(repo, paths).items() if value == b"mlver"}


def filters(repo: Repo, paths: Sequence[bytes]) -> dict[bytes, bytes]:
    """Path → its attribute `filter`: a name, or git's words unspecified, unset, set."""
    if not paths:
        return {}
    output = repo.git("check-attr", "-z", "--stdin", "filter", input=b"\0".join(paths) + b"\0")
    found = command.fields(output)
    return dict(zip(found[::3], found[2::3], strict=True))


def blob_id(repo: Repo, data: bytes) -> str:
    """The id that git gives to a blob of this content, in hex."""
    import hashlib  # OpenSSL: 4 ms that a commit without large files need not pay

    hasher = hashlib.new(repo.hash_name, b"blob %d\0" % len(data), usedforsecurity=False)
    hasher.update(data)
    return hasher.hexdigest()


def write_blobs(repo: Repo, blobs: Sequence[bytes]) -> list[str]:
    """Store small blobs in git's object database in one go; their ids.

    Many of them become one pack (git fast-import): 10,000 loose objects cost ten times as much.
    """
    if not blobs:
        return []
    stream = b"".join(b"blob\ndata %d\n%s\n" % (len(data), data) for data in blobs)
    command.run(
        ["fast-import", "--quiet", "--done", "--depth=0"],
        cwd=repo.worktree or repo.git_dir,
        input=stream + b"done\n",
        env={**os.environ, **_KEEP_MEMORY},
    )
    return [blob_id(repo, data) for data in blobs]


def update_index(repo: Repo, entries: Iterable[IndexEntry]) -> None:
    """Put entries into the index that git uses now (GIT_INDEX_FILE is honoured)."""
    lines = b"".join(
        b"%s %s %d\t%s\0" % (e.mode.encode(), e.blob.encode(), e.stage, e.path) for e in entries
    )
    if lines:
        repo.git("update-index", "-z", "--replace", "--index-info", input=lines)


# glibc gives memory back to the kernel after every object that git deflates, and takes it again:
# four system calls a blob, 0.74 s against 0.10 s for 10,000 (other systems ignore these).
_KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(64 << 20), "MALLOC_TOP_PAD_": str(1 << 20)}


class BlobReader:
    """Objects by name, from one `git cat-file --batch` that stays open."""

    def __init__(self, repo: Repo) -> None:
        self._process = subprocess.Popen(
            command.argv(["cat-file", "--batch"]),
            cwd=repo.worktree or repo.git_dir,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=command.without_filter(),
        )

    def read(self, name: bytes, limit: int | None = None) -> bytes | None:
        """The object's content; None where there is none, or it is longer than `limit`."""
        if b"\n" in name:
            return None  # the batch protocol has no way to name it
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(name + b"\n")
        stdin.flush()
        head = stdout.readline().split()
        if len(head) < 3 or not head[-1].isdigit():
            return None
        size = int(head[-1])
        if limit is not None and size > limit:
            _skip(stdout, size + 1)
            return None
        data = stdout.read(size)
        stdout.read(1)
        return data

    def close(self) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.close()
        stdout.close()
        self._process.wait()

    def __enter__(self) -> BlobReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _skip(stream: object, count: int) -> None:
    read = stream.read  # type: ignore[attr-defined]
    while count:
        count -= len(read(min(count, 1 << 20)))


def pointers_of(repo: Repo, blobs: Iterable[str]) -> dict[str, Pointer]:
    """Of git blobs, given by id, those that are pointers."""
    found: dict[str, Pointer] = {}
    for blob, data in small_blobs(repo, blobs):
        parsed = pointer.parse(data)
        if parsed is not None:
            found[blob] = parsed
    return found


class BlobStream:
    """One blob's content, streamed from `git cat-file`, so that its size does not matter."""

    def __init__(self, repo: Repo, blob: str) -> None:
        self._process = subprocess.Popen(
            command.argv(["cat-file", "blob", blob]),
            cwd=repo.worktree or repo.git_dir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=command.without_filter(),
        )
        self._blob = blob

    def read_into(self, view: memoryview) -> int:
        """Fill the view; 0 at the end. Raises RepositoryError where git fails."""
        assert self._process.stdout is not None
        count = system.read_into(self._process.stdout.fileno(), view)
        if count == 0 and self._process.wait() != 0:
            raise RepositoryError(f"git cannot read the blob {self._blob}", fix="git fsck")
        return count

    def __enter__(self) -> BlobStream:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.wait()


def small_blobs(
    repo: Repo, blobs: Iterable[str], limit: int = pointer.MAX_SIZE
) -> Iterator[tuple[str, bytes]]:
    """Content of those blobs that are shorter than `limit` bytes, each once."""
    wanted = sorted(set(blobs))
    if not wanted:
        return
    ask = "\n".join(wanted).encode() + b"\n"
    sizes = repo.git(
        "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", input=ask
    )
    small = []
    for line in sizes.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] == b"blob" and int(words[2]) < limit:
            small.append(words[0])
    if not small:
        return
    output = repo.git("cat-file", "--batch", input=b"\n".join(small) + b"\n")
    start = 0
    for name in small:
        end = output.index(b"\n", start)
        size = int(output[start:end].split()[2])
        yield name.decode(), output[end + 1 : end + 1 + size]
        start = end + size + 2


def tree_entries(repo: Repo, revision: str, pathspecs: Sequence[bytes] = ()) -> list[IndexEntry]:
    """Files of a commit's tree. Raises UsageError for a revision that is none."""
    tree = resolve(repo, revision)
    if pathspecs:
        return _matching_entries(repo, tree, pathspecs)
    entries = []
    for item in command.fields(repo.git("ls-tree", "-r", "-z", "--full-tree", tree)):
        meta, path = item.split(b"\t", 1)
        mode, _kind, blob = meta.decode("ascii").split()
        entries.append(IndexEntry(mode, blob, 0, path))
    return entries


def _matching_entries(repo: Repo, tree: str, pathspecs: Sequence[bytes]) -> list[IndexEntry]:
    """Files of a tree under pathspecs, as what differs from the empty one: ls-tree knows neither
    `glob` nor `exclude`."""
    raw = repo.git(
        "diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames",
        EMPTY_TREE[repo.hash_name], tree, "--", *pathspecs,
    )  # fmt: skip
    rows = command.fields(raw)
    found = []
    for meta, path in zip(rows[::2], rows[1::2], strict=True):
        _, mode, _, blob, _ = meta.decode("ascii").lstrip(":").split(" ")
        found.append(IndexEntry(mode, blob, 0, path))
    return found


EMPTY_TREE = {
    "sha1": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "sha256": "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}


def resolve(repo: Repo, revision: str) -> str:
    """The object id of a commit or tree that a person names. Raises UsageError."""
    done = command.attempt(
        ["rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{tree}"],
        cwd=repo.worktree or repo.git_dir,
    )
    if done.returncode != 0:
        raise UsageError(
            f"{revision!r} names no commit here",
            why="no branch, tag or commit of that name is in this clone",
            fix="git log --all --oneline, to see what there is; git fetch, to get the others",
        )
    return os.fsdecode(done.stdout.strip())
