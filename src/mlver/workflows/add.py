"""`git mlver add`: the same result as `git add`, without the pipe.

Tracked files that are new or changed are read directly, on all cores; their pointers become git
blobs in one go, then index entries, then those entries get the files' stat data: `git status` is
clean with no filter started. Everything that our filter is not attributed to is left to git add.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field

from mlver import system
from mlver.errors import BusyError, MlverError, UsageError
from mlver.git import command, index_file
from mlver.git.objects import EXECUTABLE, REGULAR, IndexEntry, filtered, pointers_of, update_index
from mlver.git.objects import write_blobs as write_git_blobs
from mlver.git.worktree import Worktree
from mlver.model import pointer as pointers
from mlver.model.digest import Hasher
from mlver.model.pointer import Pointer
from mlver.store import files
from mlver.store.chunker import MIN
from mlver.store.ingest import Ingest
from mlver.store.windows import WINDOW
from mlver.workflows.context import Context

_SMALL = MIN
"""Files of at most this many bytes are one chunk, read in one call."""


@dataclass(slots=True)
class Added:
    """What was added: through us (path → size in bytes), and by git itself."""

    ours: dict[bytes, int] = field(default_factory=dict)
    others: list[bytes] = field(default_factory=list)
    written: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that is new, or whose stat differs from the index's. `blob`: what the index holds."""

    path: bytes
    mode: str | None = None
    blob: str | None = None


@dataclass(slots=True)
class _Read:
    candidate: Candidate
    stored: bytes
    mode: str
    size: int
    info: os.stat_result | None


def add(ctx: Context, pathspecs: Sequence[bytes], cwd: bytes) -> Added:
    """Add files under `pathspecs`, as git names them from `cwd`. Raises MlverError."""
    ctx.repo.require_worktree()
    found = candidates(ctx, pathspecs, cwd)
    _refuse_unmatched(ctx, pathspecs, cwd, found)
    if found:
        _refuse_locked(ctx)
    wanted = filtered(ctx.repo, [item.path for item in found])
    result = Added()
    with Worktree(ctx.repo.top) as worktree:
        ours = []
        for item in found:
            info = worktree.stat(item.path) if item.path in wanted else None
            if info is not None and stat.S_ISREG(info.st_mode):
                ours.append((item, info))
        if ours:
            add_files(ctx, worktree, ours, result)
    taken = {item.path for item, _ in ours}
    result.others = [item.path for item in found if item.path not in taken]
    if result.others:
        _leave_to_git(ctx, result.others)
    return result


def candidates(ctx: Context, pathspecs: Sequence[bytes], cwd: bytes) -> list[Candidate]:
    """Untracked files that are not ignored, and tracked ones whose stat differs."""
    others = command.run(
        ["ls-files", "-o", "--exclude-standard", "--full-name", "-z", "--", *pathspecs], cwd=cwd
    )
    found = {path: Candidate(path) for path in command.fields(others)}
    raw = command.run(["diff-files", "--raw", "--no-abbrev", "-z", "--", *pathspecs], cwd=cwd)
    rows = command.fields(raw)
    for meta, path in zip(rows[::2], rows[1::2], strict=True):
        mode, _, blob, _, _ = meta.decode("ascii").lstrip(":").split(" ")
        found[path] = Candidate(path, mode, blob)
    return list(found.values())


def _refuse_unmatched(
    ctx: Context, pathspecs: Sequence[bytes], cwd: bytes, found: Sequence[Candidate]
) -> None:
    """Say what git add would say of a path that is not there, or is ignored."""
    if found:
        named = [spec for spec in pathspecs if not spec.startswith(b":") and b"*" not in spec]
        missing = [spec for spec in named if not os.path.lexists(os.path.join(cwd, spec))]
        if not missing:
            return
        pathspecs = missing
    done = command.attempt(["add", "--dry-run", "--", *pathspecs], cwd=cwd)
    if done.returncode != 0:
        why = done.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: ")
        raise UsageError("nothing was added", why=why)


def _refuse_locked(ctx: Context) -> None:
    """Before content is read: the index is written last, and minutes would have been for nothing.
    Who takes the lock in between makes git fail, with the same error."""
    lock = ctx.repo.index_path + b".lock"
    if os.path.lexists(lock):
        raise command.locked(lock)


def add_files(
    ctx: Context,
    worktree: Worktree,
    ours: Sequence[tuple[Candidate, os.stat_result]],
    result: Added,
) -> None:
    """Store these files and put their pointers into the index, stat data included."""
    blobs = (item.blob for item, _ in ours if item.blob and item.blob.strip("0"))
    old = pointers_of(ctx.repo, blobs)
    ctx.progress.start("adding", sum(info.st_size for _, info in ours))
    try:
        with Ingest(ctx.store) as ingest:
            reader = _Reader(ctx, worktree, ingest)
            reads = [reader.read(item, old.get(item.blob or "")) for item, _ in ours]
            ingest.flush()
            result.written = ingest.session.written
            put_entries(ctx, reads)
    finally:
        ctx.progress.finish()
    result.ours = {read.candidate.path: read.size for read in reads}


def put_entries(ctx: Context, reads: Sequence[_Read]) -> None:
    """Pointer blobs, index entries, stat data: each in one go."""
    blobs = write_git_blobs(ctx.repo, [read.stored for read in reads])
    update_index(
        ctx.repo,
        (
            IndexEntry(read.mode, blob, 0, read.candidate.path)
            for read, blob in zip(reads, blobs, strict=True)
        ),
    )
    stats = {read.candidate.path: read.info for read in reads if read.info is not None}
    try:
        index_file.stamp(ctx.repo.index_path, stats, hash_name=ctx.repo.hash_name)
    except BusyError:
        pass  # git looks at the files itself
    except MlverError as error:
        ctx.warn(f"the index could not be refreshed ({error.what}); git will do it")


class _Reader:
    """Reads files into the store, one after another; a small one costs a handful of calls."""

    def __init__(self, ctx: Context, worktree: Worktree, ingest: Ingest) -> None:
        self._ctx, self._worktree, self._ingest = ctx, worktree, ingest
        self._file_mode = ctx.settings.file_mode

    def read(self, item: Candidate, old: Pointer | None) -> _Read:
        """Store one file. Raises LocalIOError."""
        try:
            fd = self._worktree.open(item.path)
            try:
                before = os.fstat(fd)
                stored = self._store(fd, before.st_size, old)
                after = os.fstat(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise files.local_error(error, "reading", item.path) from error
        settled = before.st_size == after.st_size and before.st_mtime_ns == after.st_mtime_ns
        if not settled:
            name = os.fsdecode(item.path)
            self._ctx.warn(f"{name} changed while it was read; add it again when it is done")
        info = after if settled else None
        return _Read(item, stored, self._mode(item, after), after.st_size, info)

    def _store(self, fd: int, size: int, old: Pointer | None) -> bytes:
        if size <= _SMALL:
            data = os.read(fd, size + 1)
            if len(data) == size:
                self._ctx.progress.step(size)
                return self._small(data)
            os.lseek(fd, 0, os.SEEK_SET)  # it grows: read it as a stream

        if old is not None and old.size == size and self._is_unchanged(fd, old):
            return old.encode()

        def read_into(view: memoryview) -> int:
            count = system.read_into(fd, view)
            self._ctx.progress.step(count)
            return count

        pointer = self._ingest.add(read_into, lambda: old)
        return b"" if pointer is None else pointer.encode()

    def _is_unchanged(self, fd: int, old: Pointer) -> bool:
        """True if the file holds what the index names (it was touched): its hash tells."""
        hasher, view = Hasher(), memoryview(bytearray(WINDOW))
        while count := system.read_into(fd, view):
            hasher.update(view[:count])
        os.lseek(fd, 0, os.SEEK_SET)
        return hasher.digest() == old.oid and self._ctx.store.missing(old) is None

    def _small(self, data: bytes) -> bytes:
        if not data or pointers.parse(data) or pointers.is_conflicted(data):
            return data
        return self._ingest.add_small(data).encode()

    def _mode(self, item: Candidate, info: os.stat_result) -> str:
        if not self._file_mode:
            return item.mode if item.mode in (REGULAR, EXECUTABLE) else REGULAR
        return EXECUTABLE if info.st_mode & stat.S_IXUSR else REGULAR


def _leave_to_git(ctx: Context, paths: Sequence[bytes]) -> None:
    """git add for the rest: other files, links, submodules, removals."""
    env = {**os.environ, "GIT_LITERAL_PATHSPECS": "1"}
    command.run(
        ["add", "-A", "--pathspec-from-file=-", "--pathspec-file-nul"],
        cwd=ctx.repo.top,
        input=b"\0".join(paths),
        env=env,
        filters=True,
    )
