"""The main job on real data, in a scratch folder: what `./install.sh --demo` shows, and what
tests/walkthrough runs.

A laptop and a second machine are two HOMEs. Every command is one that a person would type. After
each of them it is checked that `git status` is clean, that every tracked file's bytes are those
that its pointer in git names, and that they are the bytes which the story says they must be;
where that does not hold the story ends with an error.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

PROJECT = Path(__file__).resolve().parent / "project"
POINTER = re.compile(rb"version mlver/1\noid blake3:([0-9a-f]{64})\nsize ([0-9]+)\n")
Files = dict[str, str]
"""Path of a tracked file → SHA-256 of its bytes."""


class StoryError(Exception):
    """A command failed, or a file is not what it must be."""


class Show:
    """What is to be seen of the story; this one shows nothing."""

    def title(self, text: str) -> None:
        """A chapter begins."""

    def command(self, machine: str, text: str) -> None:
        """Something is typed on a machine."""

    def output(self, text: str) -> None:
        """What a command said."""

    def right(self, text: str) -> None:
        """Something was checked, and held."""


class Terminal(Show):
    """Prints; in colour where standard output is a terminal."""

    def __init__(self) -> None:
        self._colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def title(self, text: str) -> None:
        self._print("1;34", f"\n== {text}")

    def command(self, machine: str, text: str) -> None:
        self._print("1", f"\n{machine}$ {text}")

    def output(self, text: str) -> None:
        self._print("", text)

    def right(self, text: str) -> None:
        self._print("32", f"  ✓ {text}")

    def _print(self, style: str, text: str) -> None:
        print(f"\x1b[{style}m{text}\x1b[0m" if style and self._colour else text, flush=True)


@dataclass(frozen=True)
class Machine:
    """A person's account: its HOME, and the words before the `$`."""

    name: str
    env: dict[str, str]


def machine(name: str, root: Path, programs: Path) -> Machine:
    """An account below `root`; `programs` holds git-mlver."""
    home, tools = root / name / "home", root / name / "bin"
    home.mkdir(parents=True)
    tools.mkdir()
    python = tools / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PYTHON", "MLVER_"))}
    env |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}
    env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "OMP_NUM_THREADS": "1"}
    env["PATH"] = os.pathsep.join([str(tools), str(programs), os.environ["PATH"]])
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": name.title(), f"GIT_{role}_EMAIL": f"{name}@example.org"}
    return Machine(name, env)


class Folder:
    """A folder on a machine, in which commands are typed."""

    def __init__(self, machine: Machine, path: Path, show: Show) -> None:
        self.machine, self.path, self._show = machine, path, show

    def type(self, command: str, *, code: int = 0) -> str:
        """Run what a person types; its output. It must exit with `code`."""
        self._show.command(self.machine.name, command)
        done = self._run(["sh", "-c", command])
        output = done.stdout.decode("utf-8", "replace")
        if output.strip():
            self._show.output(output.rstrip("\n"))
        if done.returncode != code:
            raise StoryError(f"{command!r} exited {done.returncode}, not {code}:\n{output}")
        return output

    def git(self, *words: str) -> bytes:
        """git, unseen; its standard output."""
        done = subprocess.run(
            ["git", *words], cwd=self.path, env=self.machine.env, capture_output=True, check=True
        )
        return done.stdout

    def files(self) -> Files:
        """What the tracked files of the worktree hold."""
        names = self.git("ls-files", "-z", ":(attr:filter=mlver)").split(b"\0")[:-1]
        return {
            os.fsdecode(name): hashlib.sha256(
                (self.path / os.fsdecode(name)).read_bytes()
            ).hexdigest()
            for name in names
        }

    def check(self, expected: Files | None = None) -> Files:
        """git status is clean, and every tracked file is whole (and as `expected`)."""
        status = self.git("status", "--porcelain").decode()
        if status:
            raise StoryError(f"git status is not clean:\n{status}")
        found = self.files()
        for name in found:
            stored = POINTER.fullmatch(self.git("cat-file", "blob", f"HEAD:{name}"))
            data = (self.path / name).read_bytes()
            named = stored and (stored[1].decode(), int(stored[2]))
            if named != (blake3(data).hexdigest(), len(data)):
                raise StoryError(f"{name} is not what its pointer in git names")
        if expected is not None and found != expected:
            wrong = sorted(n for n in {*found, *expected} if found.get(n) != expected.get(n))
            raise StoryError(f"other bytes than expected: {', '.join(wrong)}")
        self._show.right(
            f"git status is clean; {len(found)} tracked files are right, byte for byte"
        )
        return found

    def _run(self, words: list[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            words,
            cwd=self.path,
            env=self.machine.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )


class Story:
    """Runs the chapters in order, in `root`."""

    def __init__(self, root: Path, programs: Path, show: Show | None = None) -> None:
        show = show or Show()
        root.mkdir(parents=True, exist_ok=True)
        self.root, self._show = root, show
        self.laptop = machine("laptop", root, programs)
        self.second = machine("second", root, programs)
        self.work = Folder(self.laptop, root / "laptop" / "project", show)
        self.clone = Folder(self.second, root / "second" / "project", show)
        self.at_tag: dict[str, Files] = {}

    def run(self) -> None:
        for number, (title, chapter) in enumerate(self.chapters(), 1):
            self._show.title(f"{number}. {title}")
            chapter()

    def chapters(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("A project with data and a model", self.first_commit),
            ("Two branches, merged", self.merge),
            ("A third one, rebased", self.rebase),
            ("Both sides train the model: a conflict", self.conflict),
            ("Push: content first, then commits", self.push),
            ("A second machine has every byte", self.second_machine),
            ("There and back", self.there_and_back),
            ("Where a model came from, and made again", self.lineage),
            ("What it takes", self.sizes),
        ]

    def first_commit(self) -> None:
        home = Folder(self.laptop, self.root / "laptop", self._show)
        home.type("git mlver install")
        home.type("git init -q -b main project && cd project")
        shutil.copytree(PROJECT, self.work.path, dirs_exist_ok=True, ignore=_scripts_only)
        work = self.work
        work.type("git mlver init")
        work.type("git mlver track '*.csv' '*.parquet' '*.joblib'")
        work.type("python prepare.py && python train.py")
        work.type("git add . && git commit -q -m 'data, and a first model' && git tag v1")
        self.at_tag["v1"] = work.check()
        work.type("git mlver ls")
        work.type("git show HEAD:data/digits.csv")

    def merge(self) -> None:
        work, first = self.work, self.at_tag["v1"]
        work.type("git switch -q -c unique && python prepare.py --unique")
        work.type("git commit -q -a -m 'rows that appear twice are left out'")
        unique = work.check()
        work.type("git mlver diff main unique")
        work.type("git switch -q main")
        work.check(first)
        work.type("python train.py --strength 0.001")
        work.type("git commit -q -a -m 'a simpler model'")
        simple = work.check()
        work.type("git merge -q --no-edit unique")
        work.check(unique | {"models/digits.joblib": simple["models/digits.joblib"]})

    def rebase(self) -> None:
        work = self.work
        merged = work.files()
        work.type("git switch -q -c scaled v1")
        work.check(self.at_tag["v1"])
        work.type("python prepare.py --scaled && git commit -q -a -m 'pixels from 0 to 1'")
        scaled = work.check()
        work.type("git rebase -q main")
        digits = {name: scaled[name] for name in ("data/digits.csv", "data/digits.parquet")}
        work.check(merged | digits)
        work.type("git switch -q main && git merge -q --ff-only scaled && git tag v2")
        self.at_tag["v2"] = work.check(merged | digits)

    def conflict(self) -> None:
        work = self.work
        work.type("git switch -q -c closer && python train.py --strength 10")
        work.type("git commit -q -a -m 'a closer fit'")
        theirs = work.check()
        work.type("git switch -q main && python train.py --strength 0.1")
        work.type("git commit -q -a -m 'a looser fit'")
        ours = work.check()
        work.type("git merge closer", code=1)
        kept = work.files()
        if kept != ours:
            raise StoryError("a conflict did not keep our side")
        work.type("git checkout --theirs -- models/digits.joblib")
        work.type("git add models && git commit -q --no-edit && git tag v3")
        self.at_tag["v3"] = work.check(theirs)

    def push(self) -> None:
        work = self.work
        work.type("git init -q --bare -b main ../../hub.git")
        work.type("git remote add origin ../../hub.git")
        work.type("git push -q -u origin main --tags")
        work.check(self.at_tag["v3"])
        work.type("git mlver status")

    def second_machine(self) -> None:
        home = Folder(self.second, self.root / "second", self._show)
        home.type("git mlver install")
        home.type("git clone -q ../hub.git project && cd project")
        clone = self.clone
        clone.check(self.at_tag["v3"])
        clone.type("git checkout -q v1")
        clone.check(self.at_tag["v1"])
        clone.type("git checkout -q v2")
        clone.check(self.at_tag["v2"])
        clone.type("git switch -q main")
        clone.check(self.at_tag["v3"])

    def there_and_back(self) -> None:
        clone, work = self.clone, self.work
        clone.type("git mlver init")
        clone.type("git mlver run --name half-way -- python train.py --strength 0.5")
        clone.type("git commit -q -a -m 'half way'")
        trained = clone.check()
        clone.type("git push -q")
        work.type("git pull -q --no-rebase")
        work.check(trained)
        work.type("git mlver fsck")

    def lineage(self) -> None:
        work = self.work
        before = work.check()
        work.type("git log -1 --format=%B")
        work.type("git mlver why models/digits.joblib")
        work.type("git mlver lineage models/digits.joblib")
        said = work.type("git mlver reproduce models/digits.joblib --yes")
        if said.split()[-1:] != ["identical"]:
            raise StoryError("the model was not made again, byte for byte")
        work.check(before)

    def sizes(self) -> None:
        work = self.work
        work.type("git count-objects -H")
        work.type("git mlver prune")
        versions = _versions(work)
        total = sum(size for size in versions.values())
        store = sum(path.stat().st_size for path in (work.path / ".git/mlver").rglob("*.pack"))
        self._show.output(
            f"\n{len(work.files())} files in {len(versions)} versions: {total:,} bytes;"
            f" the store holds them in {store:,}."
        )


def _scripts_only(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".py")]


def _versions(work: Folder) -> dict[bytes, int]:
    """Every content that a commit names → its size in bytes."""
    found: dict[bytes, int] = {}
    for line in work.git("rev-list", "--all", "--objects").splitlines():
        blob = line.split(b" ")[0].decode()
        if work.git("cat-file", "-t", blob) == b"blob\n":
            pointer = POINTER.fullmatch(work.git("cat-file", "blob", blob))
            if pointer is not None:
                found[pointer[1]] = int(pointer[2])
    return found


def main() -> int:
    """Show the story; 1 where something was not as it must be."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, required=True, help="the folder of git-mlver")
    parser.add_argument("folder", type=Path, help="a scratch folder")
    args = parser.parse_args()
    try:
        Story(args.folder.absolute(), args.bin.absolute(), Terminal()).run()
    except StoryError as error:
        print(f"\n✗ {error}", file=sys.stderr)
        return 1
    print("\nAfter every step all files were compared, byte for byte; all were right.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
