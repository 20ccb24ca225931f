"""A scratch worktree for one step: the recorded code, its inputs, and nothing of today's.

It is a linked worktree of this repository in a temporary folder, so that the store, the filter and
git work there; it goes when it is closed. Every path of a record is checked (git/worktree): none
leaves the scratch, and no link of the recorded tree is followed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable

from mlver import system
from mlver.errors import MissingContent, MlverError
from mlver.git import command, run_refs, run_remotes
from mlver.git.objects import BlobReader
from mlver.git.repo import Repo, discover
from mlver.git.run_refs import KEPT
from mlver.git.worktree import Worktree, check_path
from mlver.model import pointer as pointers
from mlver.model.digest import Digest, Hasher, digest_of
from mlver.model.pointer import Pointer
from mlver.model.run import Artifact, Run
from mlver.store import files
from mlver.store.assemble import read_blob, stream_blob
from mlver.workflows.context import Context
from mlver.workflows.fetch import fetch_pointers

_SMALL = 1 << 20
_WINDOW = 1 << 20
_NO_HOOKS = ("-c", f"core.hooksPath={os.devnull}")


def kept_object(repo: Repo, run: Run, member: str) -> str | None:
    """The object id of a member of a run's kept folder, ours or a remote's; None without any."""
    refs = run_refs.tips(repo, [KEPT, run_remotes.SPACE])
    names = [f"{ref}:{run_refs.kept_path(run.run_id)}/{member}" for ref in refs]
    names = [name for name in names if name.startswith(KEPT) or "/kept:" in name]
    ask = "".join(f"{name}\n" for name in names)
    output = repo.git("cat-file", "--batch-check=%(objectname)", input=ask.encode())
    rows = [line.split() for line in output.decode("utf-8", "replace").splitlines()]
    return next((row[0] for row in rows if len(row) == 1), None)


def code_tree(repo: Repo, run: Run) -> str:
    """The tree that the run was started from. Raises MissingContent where it is not here."""
    tree = str(run.code.get("tree", ""))
    candidates = [kept_object(repo, run, "code")]
    if len(tree) == repo.hex_length and not tree.strip("0123456789abcdef"):
        candidates.insert(0, tree)
    for name in candidates:
        if name is not None and _is_tree(repo, name):
            return name
    raise MissingContent(
        f"the code of the run {run.name or run.run_id} is not in this clone",
        why="the record names a tree that was not fetched: refs/mlver/kept holds it",
        fix="git mlver init, then git fetch, from the remote that the run was pushed to",
    )


def _is_tree(repo: Repo, name: str) -> bool:
    output = repo.git("cat-file", "--batch-check=%(objecttype)", input=f"{name}\n".encode())
    return output.strip() == b"tree"


class Scratch:
    """One step's worktree. Close it, or use it as a context manager."""

    def __init__(self, ctx: Context, run: Run, *, keep: bool = False) -> None:
        """Check the recorded code out. Raises MissingContent, RepositoryError."""
        self._ctx, self._keep = ctx, keep
        tree = code_tree(ctx.repo, run)
        self._folder = os.path.realpath(os.fsencode(tempfile.mkdtemp(prefix="mlver-reproduce-")))
        self.top = os.path.join(self._folder, b"code")
        commit = self._commit(run, tree)
        try:
            ctx.repo.git(
                *_NO_HOOKS, "worktree", "add", "--quiet", "--no-checkout", "--detach", "--",
                self.top, commit,
            )  # fmt: skip
            self.repo = discover(self.top)
            for words in (["read-tree", tree], ["checkout-index", "-q", "-a", "-f"]):
                command.run([*_NO_HOOKS, *words], cwd=self.top)
        except BaseException:
            self.close()
            raise
        self.files = Worktree(self.top)

    def _commit(self, run: Run, tree: str) -> str:
        """The recorded commit where it is here, so that the command finds the history that it
        found; else one that holds the tree alone."""
        named = str(run.code.get("commit", ""))
        ask = f"{named}\n".encode("utf-8", "replace")
        if len(named) == self._ctx.repo.hex_length and not named.strip("0123456789abcdef"):
            output = self._ctx.repo.git("cat-file", "--batch-check=%(objecttype)", input=ask)
            if output.strip() == b"commit":
                return named
        who = ("-c", "user.name=git-mlver", "-c", "user.email=git-mlver@localhost")
        made = self._ctx.repo.git(*who, "commit-tree", "-m", "the code of a run", tree)
        return made.decode("ascii").strip()

    # -- inputs ------------------------------------------------------------------------------

    def has(self, item: Artifact) -> bool:
        """Whether the code's tree itself brought this very content."""
        found = self.digest(os.fsencode(item.path))
        return found is not None and found == item.oid

    def restore(self, items: Iterable[Artifact]) -> None:
        """Put inputs from the store in place. Raises MissingContent."""
        lacking = [item for item in items if item.oid is not None and not self.has(item)]
        wanted = []
        for item in lacking:
            if item.size == 0:
                self._place(os.fsencode(item.path), lambda _fd: None)
            elif item.oid is not None:
                wanted.append((os.fsencode(item.path), Pointer(item.oid, item.size)))
        outcome = fetch_pointers(self._ctx, [pointer for _, pointer in wanted])
        for path, pointer in wanted:
            if pointer in outcome.failed:
                raise outcome.failed[pointer]
            self._write(path, pointer)

    def _write(self, path: bytes, pointer: Pointer) -> None:
        def write(fd: int) -> None:
            if pointer.size <= _SMALL:
                files.write_all(fd, [read_blob(self._ctx.store, pointer)])
            else:
                for parts in stream_blob(self._ctx.store, pointer, self._ctx.pool):
                    files.write_all(fd, list(parts))

        self._place(path, write)

    def copy_in(self, path: bytes, source: Scratch, at: bytes) -> None:
        """Put what another step made in place."""
        inner = source.files.open(at)
        try:

            def write(fd: int) -> None:
                while data := os.read(inner, _WINDOW):
                    files.write_all(fd, [data])

            self._place(path, write)
        finally:
            os.close(inner)

    def _place(self, path: bytes, write: Callable[[int], None]) -> None:
        check_path(path)
        self._make_folders(path)
        info = self.files.stat(path)
        mode = stat.S_IMODE(info.st_mode) if info is not None else 0o644
        self.files.replace(path, write, mode=mode, still=lambda: True)

    def _make_folders(self, path: bytes) -> None:
        """Folders on the way; where a link or a file stands there, writing fails, as it must."""
        parts = path.split(b"/")[:-1]
        for count in range(1, len(parts) + 1):
            with contextlib.suppress(FileExistsError):
                self.files.at(b"/".join(parts[:count]), lambda name, fd: os.mkdir(name, dir_fd=fd))
        self.files.close()

    def remove(self, path: bytes) -> None:
        """Take away a file that the step is to write: what is there afterwards, it wrote."""
        check_path(path)
        with contextlib.suppress(OSError):
            self.files.at(path, lambda name, fd: os.unlink(name, dir_fd=fd))

    # -- outputs -----------------------------------------------------------------------------

    def digest(self, path: bytes) -> Digest | None:
        """The content id of an ordinary file (of what a pointer names); None without one."""
        try:
            info = self.files.stat(check_path(path))
            if info is None or not stat.S_ISREG(info.st_mode):
                return None
            fd = self.files.open(path)
        except (OSError, MlverError):
            return None
        try:
            hasher, buffer, small = Hasher(), bytearray(_WINDOW), b""
            while count := system.read_into(fd, memoryview(buffer)):
                hasher.update(memoryview(buffer)[:count])
                small = small + buffer[:count] if len(small) < pointers.MAX_SIZE else small
            if info.st_size < pointers.MAX_SIZE and pointers.parse(bytes(small)) is not None:
                return None  # a pointer is no content
            return Digest(hasher.digest())
        finally:
            os.close(fd)

    def read(self, path: bytes, limit: int) -> bytes | None:
        """A file's content; None where there is none, or it is longer."""
        try:
            info = self.files.stat(check_path(path))
            if info is None or not stat.S_ISREG(info.st_mode) or info.st_size > limit:
                return None
            with open(self.files.open(path), "rb") as file:
                return file.read(limit + 1)
        except (OSError, MlverError):
            return None

    def close(self) -> None:
        with contextlib.suppress(AttributeError):
            self.files.close()
        if self._keep:
            return
        # git's own way first: it forgets the worktree too.
        command.attempt(
            [*_NO_HOOKS, "worktree", "remove", "--force", "--force", self.top],
            cwd=self._ctx.repo.worktree or self._ctx.repo.git_dir,
        )
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def tree_content(ctx: Context, tree: str, item: Artifact, reader: BlobReader) -> bool:
    """Whether a tree holds this content at its path as a plain blob."""
    if item.size == 0:
        return True
    data = reader.read(f"{tree}:{item.path}".encode("utf-8", "surrogateescape"), 16 << 20)
    return data is not None and digest_of(data) == item.oid
