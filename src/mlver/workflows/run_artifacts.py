"""The files of a run by content: what it read as it was at the start, what it wrote as it is at
the end.

What a run read is named by the tree that it was started from, where that holds the file: a pointer
there names the content without a look at it. A file that no tree holds is read now, if its times
say that it is what it was; else its content is not known, and the record says so (oid null).
What git ignores, source files, and what tools leave beside files are none, unless declared.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlver.git import command
from mlver.git.objects import BlobReader
from mlver.git.repo import Repo
from mlver.lineage import config_params, roles
from mlver.lineage.opened import Opened
from mlver.lineage.watch import Seen
from mlver.model import pointer as pointers
from mlver.model.digest import Digest, Hasher, digest_of
from mlver.model.run import Artifact

_LARGEST_BLOB = 256 * 1024 * 1024
_WINDOW = 4 * 1024 * 1024
_NAMED = 3


@dataclass
class Observed:
    """What was seen of a run, before anything is looked at. Paths of `declared…`: absolute."""

    opened: Opened = field(default_factory=Opened)
    seen: Seen = field(default_factory=Seen)
    inputs: list[tuple[bytes, str]] = field(default_factory=list)
    outputs: list[tuple[bytes, str]] = field(default_factory=list)
    metrics: list[bytes] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    ignored_folders: Collection[bytes] = ()
    ignored_files: Collection[bytes] = ()
    argv: tuple[str, ...] = ()


@dataclass
class Artifacts:
    """What a record says of files, and what they told."""

    inputs: list[Artifact] = field(default_factory=list)
    outputs: list[Artifact] = field(default_factory=list)
    configs: list[Artifact] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, list[tuple[float, int | None]]] = field(default_factory=dict)
    notebook: bytes | None = None
    unseen: list[str] = field(default_factory=list)


def resolve(repo: Repo, tree: str, mark_ns: int, observed: Observed) -> Artifacts:
    """Look at everything that was seen. `tree`: that of the start; `mark_ns`: the file system's
    time then. A file that cannot be read is left out, or has no oid."""
    resolver = _Resolver(repo, tree, mark_ns, observed)
    try:
        return resolver.resolve()
    finally:
        resolver.close()


class _Resolver:
    def __init__(self, repo: Repo, tree: str, mark_ns: int, observed: Observed) -> None:
        self._repo, self._tree, self._mark = repo, tree, mark_ns
        self._reader: BlobReader | None = None
        self._observed, self._top = observed, repo.top
        self._real_top = os.path.realpath(self._top)
        self._found = Artifacts()
        self._outside: set[bytes] = set()

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def _in_tree(self, path: bytes, limit: int) -> bytes | None:
        """What the tree of the start holds there; None for nothing, and for `limit` and more."""
        if not self._tree or path.startswith(b"/"):
            return None
        if self._reader is None:
            self._reader = BlobReader(self._repo)
        return self._reader.read(self._tree.encode() + b":" + path, limit)

    def resolve(self) -> Artifacts:
        found, observed = self._found, self._observed
        declared_in = self._declared(observed.inputs)
        declared_out = self._declared(observed.outputs)
        metrics_files = set(self._declared([(path, "metrics") for path in observed.metrics]))
        reads, writes = self._reads(), self._writes()
        writes |= {path: "declared" for path in declared_out}
        for path in sorted(self._without_ignored(writes, {*declared_out, *metrics_files})):
            self._output(path, writes[path], declared_out.get(path, ""), metrics_files)
        reads |= {path: "declared" for path in declared_in}
        ignored = []
        for path in sorted(reads):
            if reads[path] != "declared" and self._is_ignored(path):
                ignored.append(path)
            else:
                self._input(path, reads[path], declared_in.get(path, ""))
        self._say(ignored, "files that git ignores were read (--input records them)")
        self._say(self._outside, "files outside the worktree were read (--input records them)")
        found.unseen += observed.seen.unseen
        return found

    # -- which -----------------------------------------------------------------------------

    def _reads(self) -> dict[bytes, str]:
        observed = self._observed
        told = {self._inside(p) for p in observed.opened.read}
        written = {self._inside(p) for p in observed.opened.written}
        found = {path: observed.seen.by for path in observed.seen.read - (written - told)}
        found |= {path: "python" for path in told if path is not None}
        self._outside = {
            p for p in observed.opened.read
            if self._inside(p) is None and not p.startswith(_TEMPORARY) and os.path.isfile(p)
        }  # fmt: skip
        return {path: by for path, by in found.items() if self._is_wanted_input(path)}

    def _writes(self) -> dict[bytes, str]:
        observed = self._observed
        found = {path: observed.seen.by for path in observed.seen.written}
        for absolute in observed.opened.written:
            path = self._inside(absolute)
            if path is not None:
                found[path] = "python"
        return {
            path: by for path, by in found.items()
            if not roles.is_noise(path) and not self._is_excluded(path)
        }  # fmt: skip

    def _is_wanted_input(self, path: bytes) -> bool:
        if roles.is_noise(path) or self._is_excluded(path):
            return False
        if path.endswith(b".ipynb"):  # the notebook that is run is worth naming beside the code
            return any(os.fsencode(word).endswith(path) or path.endswith(os.fsencode(word))
                       for word in self._observed.argv if word.endswith(".ipynb"))  # fmt: skip
        return not roles.is_code(path)

    def _is_excluded(self, path: bytes) -> bool:
        if not self._observed.exclude:
            return False
        import fnmatch

        name = os.fsdecode(path)
        return any(
            fnmatch.fnmatchcase(name, pattern) or name.startswith(pattern.rstrip("/") + "/")
            or ("/" not in pattern and fnmatch.fnmatchcase(name.rpartition("/")[2], pattern))
            for pattern in self._observed.exclude
        )  # fmt: skip

    def _is_ignored(self, path: bytes) -> bool:
        observed = self._observed
        if path in observed.ignored_files:
            return True
        while path := path.rpartition(b"/")[0]:
            if path in observed.ignored_folders:
                return True
        return False

    def _without_ignored(self, paths: Mapping[bytes, str], kept: set[bytes]) -> set[bytes]:
        """Of paths, those that git does not ignore."""
        asked = [path for path in paths if path not in kept and not path.startswith(b"/")]
        if not asked:
            return set(paths)
        done = command.attempt(
            ["check-ignore", "-z", "--stdin"],
            cwd=self._top,
            input=b"".join(path + b"\0" for path in asked),
        )
        return set(paths) - set(command.fields(done.stdout))

    def _declared(self, items: Iterable[tuple[bytes, str]]) -> dict[bytes, str]:
        """Path → role; a folder stands for its files, and a path outside for itself."""
        found = {}
        for absolute, role in items:
            paths = [absolute]
            if os.path.isdir(absolute):
                paths = [
                    os.path.join(f, name) for f, _, names in os.walk(absolute) for name in names
                ]
            for path in paths:
                found[self._inside(path) or path] = role
        return found

    def _inside(self, path: bytes) -> bytes | None:
        """The path relative to the top; None for one that is not below it."""
        for candidate, top in ((path, self._top), (os.path.realpath(path), self._real_top)):
            if candidate.startswith(top + b"/"):
                inside = candidate[len(top) + 1 :]
                is_git = inside == b".git" or inside.startswith(b".git/")
                return None if is_git else inside
        return None

    # -- what they hold --------------------------------------------------------------------

    def _stat(self, path: bytes) -> os.stat_result | None:
        try:
            info = os.stat(os.path.join(self._top, path))
        except OSError:
            return None
        return info if stat.S_ISREG(info.st_mode) else None

    def _is_young(self, info: os.stat_result) -> bool:
        return max(info.st_mtime_ns, info.st_ctime_ns) >= self._mark

    def _output(self, path: bytes, by: str, role: str, metrics_files: set[bytes]) -> None:
        info = self._stat(path)
        if info is None or (by != "declared" and not self._is_young(info)):
            return
        try:
            oid, size = hash_file(os.path.join(self._top, path))
        except OSError:
            oid, size = None, info.st_size
        role = role or ("metrics" if path in metrics_files else roles.role_of(path))
        self._found.outputs.append(Artifact(_shown(path), oid, size, role, by))
        if role == "metrics":
            self._metrics(path)
        elif role == "notebook":
            self._found.notebook = path

    def _metrics(self, path: bytes) -> None:
        try:
            with open(os.path.join(self._top, path), "rb") as file:
                data = file.read(config_params.MAX_BYTES + 1)
            for name, value, step in config_params.metrics(path, data):
                self._found.metrics.setdefault(name, []).append((value, step))
        except config_params.Unreadable as error:
            self._found.unseen.append(f"metrics in {_shown(path)}: {error}")
        except OSError:
            pass

    def _input(self, path: bytes, by: str, role: str) -> None:
        info = self._stat(path)
        is_same = info is not None and not self._is_young(info)
        blob = self._in_tree(path, pointers.MAX_SIZE)
        pointer = None if blob is None else pointers.parse(blob)
        oid: Digest | None = None
        size = info.st_size if info is not None else 0
        if pointer is not None:
            oid, size = pointer.oid, pointer.size
        elif is_same:
            try:
                oid, size = hash_file(os.path.join(self._top, path))
            except OSError:
                return
        else:
            data = self._in_tree(path, _LARGEST_BLOB)
            if data is not None:
                oid, size = digest_of(data), len(data)
            elif info is None or (
                by != "declared" and any(o.path == _shown(path) for o in self._found.outputs)
            ):
                return  # it was never there, or the run made it
        if size == 0 and by != "declared":
            return
        item = Artifact(_shown(path), oid, size, role or roles.role_of(path), by)
        may_configure = config_params.is_config(path) and size <= config_params.MAX_BYTES
        if role or not may_configure or not self._config(path, is_same, item):
            self._found.inputs.append(item)

    def _config(self, path: bytes, is_same: bool, item: Artifact) -> bool:
        """True for a tracked file of parameters, which are taken; what is none stays an input."""
        data = self._in_tree(path, _LARGEST_BLOB)
        if data is None:
            return False  # not in the tree: nobody can look it up
        if is_same:
            try:
                with open(os.path.join(self._top, path), "rb") as file:
                    data = file.read(config_params.MAX_BYTES + 1)
            except OSError:
                return False
        try:
            params = config_params.params(path, data)
        except config_params.Unreadable as error:
            self._found.unseen.append(f"parameters in {item.path}: {error}")
            return False
        if params is None:
            return False
        stem = os.path.splitext(item.path.rpartition("/")[2])[0]
        for key, value in params.items():
            taken = key in self._found.params and self._found.params[key] != value
            self._found.params[f"{stem}.{key}" if taken else key] = value
        self._found.configs.append(item._replace(role="config"))
        return True

    def _say(self, paths: Collection[bytes], what: str) -> None:
        wanted = sorted(p for p in paths if not roles.is_noise(p) and not roles.is_code(p))
        if wanted:
            shown = ", ".join(_shown(path) for path in wanted[:_NAMED])
            more = f" and {len(wanted) - _NAMED} more" if len(wanted) > _NAMED else ""
            self._found.unseen.append(f"{what}: {shown}{more}")


_TEMPORARY = (b"/tmp/", b"/var/tmp/", b"/proc/", b"/sys/", b"/dev/", b"/run/", b"/opt/")


def hash_file(path: bytes, opener: Callable[[bytes, int], int] = os.open) -> tuple[Digest, int]:
    """The oid and size of a file, on all cores, in bounded memory. Raises OSError.

    By reading, not by mmap: a file that somebody cuts short meanwhile would end us.
    """
    fd = opener(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
    with open(fd, "rb", buffering=0) as file:
        first = file.read(128 * 1024)
        if len(first) < 128 * 1024:
            rest = file.read()
            return digest_of(first + rest), len(first) + len(rest)
        hasher, size = Hasher(first, max_threads=Hasher.AUTO), len(first)
        view = memoryview(bytearray(_WINDOW))
        while count := file.readinto(view):
            hasher.update(view[:count])
            size += count
    return Digest(hasher.digest()), size


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "replace")
