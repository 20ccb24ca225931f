"""A person's machine in a folder: a HOME, git's configuration, git-mlver on PATH, repositories.

Real git, and the git-mlver of the Python that runs the tests; nothing is replaced. Every sandbox
is a copy of one that was made once a process, so that a test pays for no installation, and what
a test itself runs as `git mlver`, and the filter that git starts, are forked from processes that
are warm (warm.py, warm_filter.py). Paths are str; bytes that are no UTF-8 stand in them as
surrogates (PEP 383), as os.fsdecode gives them.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import warm, warm_filter

import mlver
from mlver.model import pointer as pointers
from mlver.model.pointer import Pointer

MAIN = Path(mlver.__file__).resolve().parent / "__main__.py"
PATTERN = "*.bin"
TIMEOUT = 120
_CLOCK = 1_700_000_000
_PROGRAM = shlex.join([sys.executable, "-P", "-E", str(MAIN)])
_LAUNCHER = f'#!/bin/sh\nexec {_PROGRAM} "$@"\n'
_GITCONFIG = """\
[user]
	name = A U Thor
	email = author@example.org
[init]
	defaultBranch = main
[core]
	editor = true
[advice]
	detachedHead = false
[gc]
	auto = 0
[protocol "file"]
	allow = always
"""


def content(seed: int | str, size: int = 20_000) -> bytes:
    """`size` bytes that no compressor shrinks; the same for the same seed."""
    return random.Random(str(seed)).randbytes(size)


@dataclass(frozen=True)
class Done:
    """A finished program. `err` holds what it said, warnings of ours among it."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        return os.fsdecode(self.raw)

    @property
    def warnings(self) -> list[str]:
        """The messages of git-mlver, each with its lines."""
        found: list[str] = []
        for line in self.err.splitlines():
            if line.startswith("git-mlver: "):
                found.append(line)
            elif found and line.startswith("  "):
                found[-1] += "\n" + line
        return found


def succeeded(args: Sequence[str], done: Done) -> Done:
    """`done`, which must have exit code 0."""
    assert done.code == 0, f"git {' '.join(args)}: {done.code}\n{done.out}{done.err}"
    return done


class Sandbox:
    """One person's HOME and PATH, and the folders below `root` that they work in."""

    def __init__(self, root: Path, home: str = "home") -> None:
        self.root, self.home, self.bin = root, root / home, root / "bin"
        self.env = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("GIT_", "PYTHON", "MLVER_", "LC_")) and key != "LANG"
        }
        self.env |= {"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / "xdg")}
        self.env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
        self.env |= {"PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}", "TZ": "UTC"}
        self._commands = self._times = 0

    def long_ago(self) -> int:
        """A time in the past, each a second after the one before: git compares whole seconds."""
        self._times += 1
        return _CLOCK - 1_000_000 + self._times

    def prepare(self) -> None:
        """Write HOME and the launcher; nothing of ours is told to git yet."""
        self.home.mkdir()
        (self.home / ".gitconfig").write_text(_GITCONFIG)
        self.bin.mkdir(exist_ok=True)
        launcher = self.bin / "git-mlver"
        launcher.write_text(_LAUNCHER)
        launcher.chmod(0o755)

    def without_warmth(self) -> None:
        """Have git start the filter by Python itself, as all that is started anew expects it."""
        old, new = os.fsencode(warm_filter.python()), os.fsencode(sys.executable)
        for path in (self.home / ".gitconfig", *self.root.glob("*/.git/hooks/*")):
            path.write_bytes(path.read_bytes().replace(old, new))

    def another_person(self, name: str = "other") -> Sandbox:
        """Another HOME on this machine, where git knows nothing of us."""
        made = Sandbox(self.root, name)
        made.prepare()
        return made

    def run(
        self, args: Sequence[str], cwd: Path | None = None, input: bytes = b"", **env: str
    ) -> Done:
        """Run a program with these variables set, whatever comes of it."""
        return self.start(args, cwd, input, env)

    def start(
        self, args: Sequence[str], cwd: Path | None, input: bytes, env: Mapping[str, str]
    ) -> Done:
        """As `run`. The clock of git's dates goes on by a minute each time."""
        self._commands += 1
        now = f"{_CLOCK + 60 * self._commands} +0000"
        given = {"GIT_AUTHOR_DATE": now, "GIT_COMMITTER_DATE": now, **env}
        cwd, full = cwd or self.root, {**self.env, **given}
        if warm.can_run(args, given, self.env, _LAUNCHER):
            code, out, err = warm.run(args, cwd, full, input)
            return Done(code, out, os.fsdecode(err))
        done = subprocess.run(
            args,
            cwd=cwd,
            env=full,
            input=input,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
        return Done(done.returncode, done.stdout, os.fsdecode(done.stderr))

    def git(self, *args: str, cwd: Path | None = None, **env: str) -> Done:
        """git, which must succeed."""
        return succeeded(args, self.start(["git", *args], cwd, b"", env))

    def at(self, name: str | Path) -> Clone:
        """The repository in that folder."""
        return Clone(self, self.root / name)

    def init(self, name: str = "work", *options: str) -> Clone:
        """A new repository that tracks `*.bin`, with one commit."""
        self.git("init", "-q", *options, str(self.root / name))
        made = self.at(name)
        made.mlver("init")
        made.mlver("track", PATTERN)
        made.commit("the first", {"README.md": b"about it\n"})
        return made

    def bare(self, name: str = "far.git") -> Path:
        """An empty bare repository."""
        self.git("init", "-q", "--bare", str(self.root / name))
        return self.root / name

    def clone(self, url: str | Path, name: str, *options: str, **env: str) -> Clone:
        """`git clone`, which must succeed."""
        return self.try_clone(url, name, *options, **env)[0]

    def try_clone(
        self, url: str | Path, name: str, *options: str, **env: str
    ) -> tuple[Clone, Done]:
        args = ["clone", *options, "--", str(url), str(self.root / name)]
        return self.at(name), succeeded(args, self.start(["git", *args], None, b"", env))


class Clone:
    """A repository with a worktree (or a linked worktree) in a sandbox."""

    def __init__(self, box: Sandbox, top: Path) -> None:
        self.box, self.top = box, top

    # -- running ----------------------------------------------------------------------------

    def attempt(self, *args: str, input: bytes = b"", **env: str) -> Done:
        """git with these words, whatever comes of it."""
        return self.box.start(["git", *args], self.top, input, env)

    def git(self, *args: str, input: bytes = b"", **env: str) -> Done:
        """git with these words, which must succeed."""
        return succeeded(args, self.box.start(["git", *args], self.top, input, env))

    def mlver(self, *args: str, **env: str) -> Done:
        """`git mlver` with these words, which must succeed."""
        return succeeded(args, self.box.start(["git", "mlver", *args], self.top, b"", env))

    def json(self, *args: str) -> Any:
        """What `git mlver ARGS --json` prints, whatever its exit code."""
        return json.loads(self.attempt("mlver", *args, "--json").raw)

    def starts_filter(self, *args: str, **env: str) -> int:
        """How often git started our filter process during a command, which must succeed."""
        trace = self.box.root / f"trace-{random.getrandbits(32):x}"
        done = self.box.start(["git", *args], self.top, b"", {**env, "GIT_TRACE": str(trace)})
        succeeded(args, done)
        text = trace.read_text(errors="replace")
        trace.unlink()
        return sum(
            "filter-process" in line and "start_command" not in line
            for line in text.splitlines()
            if "run_command" in line
        )

    # -- files ------------------------------------------------------------------------------

    def path(self, name: str) -> Path:
        return self.top / name

    def write(self, name: str, data: bytes, mode: int | None = None) -> Path:
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if mode is not None:
            path.chmod(mode)
        return path

    def read(self, name: str) -> bytes:
        return (self.top / name).read_bytes()

    def age(self) -> None:
        """Make every file old: one as young as the index, git reads again to be sure."""
        when = self.box.long_ago()
        for folder, folders, names in os.walk(self.top):
            folders[:] = [name for name in folders if name != ".git"]
            for name in names:
                os.utime(os.path.join(folder, name), (when, when), follow_symlinks=False)

    def commit(self, message: str, files: dict[str, bytes] | None = None) -> str:
        """Write files, add everything, commit; the commit's id."""
        for name, data in (files or {}).items():
            self.write(name, data)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.head()

    def given(self, message: str, files: dict[str, bytes] | None = None) -> str:
        """As `commit`, and quicker, for what is there before the point of a test: pre-commit does
        not run, and the files are older than the index, so that git reads none twice."""
        for name, data in (files or {}).items():
            os.utime(self.write(name, data), (self.box.long_ago(),) * 2)
        self.git("add", "-A")
        self.git("commit", "-q", "--no-verify", "-m", message)
        return self.head()

    # -- looking ----------------------------------------------------------------------------

    def head(self, revision: str = "HEAD") -> str:
        return self.git("rev-parse", revision).out.strip()

    def blob(self, name: str) -> bytes:
        """What git holds under a name such as `HEAD:a.bin` or `:2:a.bin`, no filter applied."""
        return self.git("cat-file", "blob", name).raw

    def status(self) -> str:
        return self.git("status", "--porcelain").out

    def git_dir(self) -> Path:
        return Path(self.git("rev-parse", "--absolute-git-dir").out.removesuffix("\n"))

    @property
    def store(self) -> Path:
        """Where content is kept: under the common git directory."""
        args = ("rev-parse", "--path-format=absolute", "--git-common-dir")
        return Path(self.git(*args).out.removesuffix("\n")) / "mlver"

    def settled(self) -> None:
        """Nothing is changed, and git's own check finds nothing."""
        assert self.status() == ""
        self.fsck()

    def fsck(self) -> None:
        done = self.git("fsck", "--no-dangling", "--no-progress")
        assert done.out + done.err == "" or "notice:" in done.err, done.out + done.err

    # -- losing -----------------------------------------------------------------------------

    def lose_content(self) -> Path:
        """Take the store's content away; where it is now."""
        kept = self.box.root / f"lost-{random.getrandbits(32):x}"
        shutil.move(self.store, kept)
        return kept

    def find_content(self, kept: Path) -> None:
        """Put back what `lose_content` took."""
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.move(kept, self.store)


def pointer_in(data: bytes) -> Pointer:
    """The pointer that these bytes are."""
    found = pointers.parse(data)
    assert found is not None, data[:80]
    return found


def pointer_to(data: bytes) -> bytes:
    """The text of the pointer to this content."""
    from mlver.model.digest import digest_of

    return Pointer(digest_of(data), len(data)).encode()


def make_template(root: Path) -> None:
    """The sandbox that others are copies of: installed, with `work`, a repository of one commit."""
    box = Sandbox(root)
    box.prepare()
    box.git("mlver", "install", "--global")
    box.init("work")


def copy_of(template: Path, root: Path) -> Sandbox:
    """A sandbox of one's own. Nothing in it names the template's place."""
    shutil.copytree(template, root, symlinks=True, dirs_exist_ok=True)
    return Sandbox(root)
