"""The tool of the fault sweeps: one git or mlver command, one fault at one system call.

A command starts several programs (git, our filter, our hooks), and a fault is meant for one of
them. So each sweep names the program: strace follows that one and its threads, and lets go of
whatever it starts. A dry run lists the calls that change a disk; a `Point` is one of them with a
fault, a kill or an errno. Each point has a sandbox of its own at the same path, so that a sweep
depends on nothing but the order of the calls.

MLVER_SWEEP=all runs every point of every sweep, MLVER_SWEEP=20 twenty of each; without it a few
sweeps run a point each, the same ones always.
"""

from __future__ import annotations

import functools
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import warm_filter
from tests.support.sandbox import Done, Sandbox

ASKED = os.environ.get("MLVER_SWEEP", "")
GIT = "git"
"""The git that the command starts; any other program is named by its words after `__main__.py`."""

WRITES = ("write", "writev", "pwrite64", "ftruncate")
SYNCS = ("fsync", "fdatasync")
NAMES = (
    "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat",
    "rmdir",
)  # fmt: skip
OPENS = ("openat",)
READS = ("pread64", "preadv")
MUTATING = WRITES + SYNCS + NAMES + OPENS
KILL = "signal=KILL"

_CALL = re.compile(r"^(\d+) +(\w+)\((.*)")
_SEED = 20_240_229
_DATE = "1700000000 +0000"


@dataclass(frozen=True, slots=True)
class Command:
    """Words to run in a folder of the sandbox, and the program among those it starts to hit."""

    where: str
    args: tuple[str, ...]
    program: str


@dataclass(frozen=True, slots=True)
class Point:
    """The `number`-th such call of a thread of the program, and what befalls it; `lasting`: every
    later one too, as on a disk that stays full."""

    call: str
    number: int
    fault: str
    lasting: bool = False

    def __str__(self) -> str:
        return f"{self.call} no. {self.number}{'+' if self.lasting else ''}, {self.fault}"

    @property
    def kills(self) -> bool:
        return self.fault == KILL


@functools.cache
def why_not() -> str:
    """Why no fault can be injected here; empty where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    probe = ["strace", "-f", "-b", "execve", "-qqq", "-y", "-o", os.devnull]
    probe += ["-e", "trace=getpid", "-e", "inject=getpid:error=EIO:when=1", "true"]
    done = subprocess.run(probe, capture_output=True, check=False, text=True)
    return "" if done.returncode == 0 else f"strace may not trace here: {done.stderr.strip()}"


needs_strace = pytest.mark.skipif(bool(why_not()), reason=why_not() or "strace works")


def sampled(points: Sequence[Point], count: int, name: str) -> list[Point]:
    """`count` of the points (or what MLVER_SWEEP asks for), half spread evenly, half by chance.

    The same for the same points: a failure can be had again.
    """
    if ASKED:
        count = len(points) if ASKED == "all" else int(ASKED)
    if len(points) <= count:
        return list(points)
    even = (count + 1) // 2
    chosen = {(2 * place + 1) * len(points) // (2 * even) for place in range(even)}
    rest = [place for place in range(len(points)) if place not in chosen]
    chosen.update(random.Random(f"{_SEED} {name}").sample(rest, count - len(chosen)))
    return [points[place] for place in sorted(chosen)]


@dataclass(frozen=True)
class World:
    """How a sandbox is made ready: `step` is done to a copy of `parent`."""

    parent: str
    step: Callable[[Sandbox], None]


class Stage:
    """Sandboxes that are made ready once, and can be had again as they were, at one path."""

    def __init__(self, root: Path, worlds: Mapping[str, World]) -> None:
        self._root, self._worlds = root, worlds
        self.log = root / "strace.log"
        self.reference: dict[Command, object] = {}

    def fresh(self, world: str) -> Sandbox:
        """The sandbox as it was made ready."""
        kept, here = self._root / f"kept-{world}", self._root / "box"
        if not kept.exists():
            self._make(world).root.rename(kept)
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(kept, here, symlinks=True)
        return Sandbox(here)

    def _make(self, world: str) -> Sandbox:
        wanted = self._worlds[world]
        box = self.fresh(wanted.parent) if wanted.parent else _installed(self._root / "box")
        wanted.step(box)
        _start_ours_by(box, box.bin / "python")
        return box

    # -- running ----------------------------------------------------------------------------

    def points(
        self, box: Sandbox, command: Command, calls: Sequence[str], faults: Sequence[str]
    ) -> list[Point]:
        """Every point of the command, found by a run without a fault, which must succeed."""
        done = self._run(box, command, "-e", f"trace={','.join(calls)}")
        assert done.code == 0, f"{command.args}: {done.code}\n{done.out}{done.err}"
        assert self.log.exists(), f"{' '.join(command.args)} starts no {command.program!r}"
        numbers = _numbers_in(self.log.read_text(errors="replace"), str(self._root))
        return [
            Point(call, number, fault)
            for call in calls
            for number in sorted(numbers[call])
            for fault in faults
        ]

    def hit(self, box: Sandbox, command: Command, point: Point) -> Done:
        """Run the command, the fault on its way."""
        when = f"when={point.number}{'+' if point.lasting else ''}"
        inject = f"inject={point.call}:{point.fault}:{when}"
        done = self._run(box, command, "-e", f"trace={point.call}", "-e", inject)
        assert self.log.exists(), f"{' '.join(command.args)} starts no {command.program!r}"
        return done

    def befell(self) -> bool:
        """Whether the last fault hit: how often a thread calls may differ between two runs."""
        text = self.log.read_text(errors="replace")
        return "(INJECTED)" in text or "killed by SIGKILL" in text

    def _run(self, box: Sandbox, command: Command, *traced: str) -> Done:
        self.log.unlink(missing_ok=True)
        tracer = ["strace", "-f", "-b", "execve", "-qqq", "-y", "-s", "0", "-o", str(self.log)]
        tracer += traced
        if command.program == GIT:
            return plainly(box, command.where, [*tracer, *command.args])
        env = {"SWEEP_PROGRAM": command.program, "SWEEP_TRACER": shlex.join(tracer)}
        return plainly(box, command.where, command.args, **env)


def plainly(box: Sandbox, where: str, args: Sequence[str], **env: str) -> Done:
    """Run a command as a person would, at a date that is the same each time: so are its ids."""
    dates = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), _DATE)
    return box.run(args, box.root / where, **{**dates, **env})


def _numbers_in(log: str, root: str) -> dict[str, set[int]]:
    """Call → the numbers, counted by thread as strace does, at which it concerns our files."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    numbers: dict[str, set[int]] = defaultdict(set)
    for line in log.splitlines():
        found = _CALL.match(line)
        if found is None:
            continue
        thread, call, rest = found.groups()
        counts[thread, call] += 1
        if _is_meant(call, rest, root):
            numbers[call].add(counts[thread, call])
    return numbers


def _is_meant(call: str, arguments: str, root: str) -> bool:
    """False for pipes and terminals, and for what Python and the loader read and write."""
    if call in OPENS:
        return "O_CREAT" in arguments and root in arguments
    return call not in WRITES + READS or f"<{root}/" in arguments.partition(",")[0]


def _installed(root: Path) -> Sandbox:
    """A new sandbox in which git starts ours by a launcher of the sandbox."""
    root.mkdir()
    box = Sandbox(root)
    box.prepare()
    # A copied file has another inode and ctime; git shall not read it again for that.
    box.git("config", "--global", "core.checkStat", "minimal")
    box.git("config", "--global", "core.trustctime", "false")
    box.git("mlver", "install", "--global")
    launcher = box.bin / "python"
    launcher.write_text(
        "#!/bin/sh\n"
        'if [ -n "$SWEEP_PROGRAM" ]; then\n'
        '\tcase "$* " in *"/__main__.py $SWEEP_PROGRAM "*)\n'
        f'\t\teval "exec $SWEEP_TRACER {shlex.quote(sys.executable)} \\"\\$@\\"" ;;\n'
        "\tesac\nfi\n"
        f'exec {shlex.quote(sys.executable)} "$@"\n'
    )
    launcher.chmod(0o755)
    return box


def _start_ours_by(box: Sandbox, launcher: Path) -> None:
    """Have git's settings, the hooks and `git mlver` start ours by this launcher."""
    new = bytes(launcher)
    files = [box.home / ".gitconfig", box.bin / "git-mlver", *box.root.glob("*/.git/hooks/*")]
    for path in files:
        text = path.read_bytes()
        for old in map(os.fsencode, (warm_filter.python(), sys.executable)):
            text = text.replace(old, new)
        if text != path.read_bytes():
            path.write_bytes(text)
