"""The commands that the sweeps break, each in a world of its own, and what must hold afterwards.

A world has `far.git` (bare; content lies beside it), `work` (which pushes) and mostly `second` (a
clone). What was committed or pushed before the fault is acknowledged: it may never be lost.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.sweep import GIT, Command, Point, Stage, World, plainly
from tests.support.sandbox import Done, Sandbox, content

FAR = "far.git"
SMUDGE_LIMIT = 250_000
"""a.bin is larger: the checkout puts it off."""

OLD = content("old", 300_000)
NEW = OLD[:100_000] + content("edit", 5_000) + OLD[100_000:]
V1 = {"a.bin": OLD, "sub/b.bin": content("b", 9_000), "c.bin": content("c", 90_000)}
V2 = {"a.bin": NEW, "sub/b.bin": content("b2", 9_500), "d.bin": content("d", 40_000)}
RAW = content("raw", 150_000)
MINE = {"mine.bin": content("mine", 120_000), "staged.bin": content("staged", 30_000)}

_LITTER = re.compile(r"\.mlver-|\.lock$|\.new$|/incoming/|-(?:journal|wal|shm)$")
_UNSENT = re.compile(r"/mlver/remote/tmp/[0-9]+-[0-9a-f]{16}$")
"""What a killed writer leaves on a remote, until a later one sweeps it: when it is a day old."""


# -- worlds -----------------------------------------------------------------------------------


def _pushed(box: Sandbox) -> None:
    """Content of the first version is beside far.git."""
    box.git("config", "--global", "mlver.smudgeLimit", str(SMUDGE_LIMIT))
    work = box.init("work")
    box.bare(FAR)
    work.git("remote", "add", "origin", str(box.root / FAR))
    work.given("v1", V1)
    work.git("tag", "v1")
    work.git("push", "-q", "-u", "origin", "main", "v1")


def _changed(box: Sandbox) -> None:
    for name, data in V2.items():
        box.at("work").write(name, data)
    box.at("work").path("c.bin").unlink()


def _staged(box: Sandbox) -> None:
    """Raw content is staged too, which the commit has to capture."""
    work = box.at("work")
    work.write(".mlver.toml", b'threshold = "100KB"\n')
    work.write("big.dat", RAW)
    work.git("add", "-A")


def _committed(box: Sandbox) -> None:
    box.at("work").git("add", "-A")
    box.at("work").git("commit", "-qm", "v2")


def _published(box: Sandbox) -> None:
    box.at("work").git("push", "-q", "origin", "main")


def _cloned(box: Sandbox) -> None:
    """`second` has the content of the newest commit alone."""
    box.clone(box.root / FAR, "second", "-q").mlver("init")


def _with_pointers(box: Sandbox) -> None:
    box.clone(box.root / FAR, "second", "-q", MLVER_SKIP_SMUDGE="1").mlver("init")


def _bounded(name: str) -> Callable[[Sandbox], None]:
    """The store keeps nothing that a remote holds."""
    return lambda box: box.at(name).git("config", "mlver.cacheSize", "0") and None


def _with_work_of_its_own(box: Sandbox) -> None:
    """`second` has content that is nowhere else, beside all that the remote holds."""
    second = box.at("second")
    second.given("mine", {"mine.bin": MINE["mine.bin"]})
    second.write("staged.bin", MINE["staged.bin"])
    second.git("add", "staged.bin")
    _bounded("second")(box)


WORLDS = {
    "pushed": World("", _pushed),
    "changed": World("pushed", _changed),
    "staged": World("changed", _staged),
    "committed": World("changed", _committed),
    "published": World("committed", _published),
    "cloned": World("published", _cloned),
    "pointers": World("published", _with_pointers),
    "bounded work": World("committed", _bounded("work")),
    "bounded pointers": World("pointers", _bounded("second")),
    "bounded with work": World("cloned", _with_work_of_its_own),
}


# -- commands ---------------------------------------------------------------------------------


def _nothing(box: Sandbox) -> None:
    """A person has nothing to clear away."""


def _no_third(box: Sandbox) -> None:
    """git clone does not go over a folder that a killed one left."""
    shutil.rmtree(box.root / "third", ignore_errors=True)


def _half_checked_out(box: Sandbox) -> None:
    """Where git, or its filter, is killed amid a checkout, git leaves files of both commits, and
    refuses to go over them unless it is forced."""
    plainly(box, "second", ["git", "checkout", "-q", "-f", "v1"])


@dataclass(frozen=True)
class Scenario:
    """`acting`: the repository where the command shows. `clear`: what a person does before a
    killed command is run again, if git itself refuses that."""

    world: str
    acting: str
    command: Command
    clear: Callable[[Sandbox], None] = _nothing


def _scenarios() -> dict[str, Scenario]:
    add = ("git", "add", "-A")
    commit = ("git", "commit", "-qm", "v2")
    push = ("git", "push", "-q", "origin", "main")
    clone = ("git", "clone", "-q", FAR, "third")
    checkout = ("git", "checkout", "-q", "v1")
    found = {}
    for program in (GIT, "filter-process"):
        found[f"add, {program}"] = Scenario("changed", "work", Command("work", add, program))
        command = Command(".", clone, program)
        found[f"clone, {program}"] = Scenario("published", "third", command, _no_third)
    for program in (GIT, "hook pre-commit"):
        found[f"commit, {program}"] = Scenario("staged", "work", Command("work", commit, program))
    for program in (GIT, "hook pre-push"):
        found[f"push, {program}"] = Scenario("committed", "work", Command("work", push, program))
    for program in (GIT, "filter-process", "hook post-checkout"):
        command = Command("second", checkout, program)
        found[f"checkout, {program}"] = Scenario("cloned", "second", command, _half_checked_out)
    for world, acting, *words in (
        ("changed", "work", "add", "."),
        ("committed", "work", "push"),
        ("published", "work", "drop", "."),
        ("published", "work", "prune", "--yes"),
        ("pointers", "second", "pull"),
        ("cloned", "second", "fetch", "--all"),
    ):
        command = Command(acting, ("git", "mlver", *words), words[0])
        found[f"mlver {words[0]}"] = Scenario(world, acting, command)
    return found


SCENARIOS = _scenarios()
SCENARIOS["push, hook pre-push, bounded"] = Scenario(
    "bounded work", "work",
    Command("work", ("git", "push", "-q", "origin", "main"), "hook pre-push"),
)  # fmt: skip
SCENARIOS["mlver pull, bounded"] = Scenario(
    "bounded pointers", "second", Command("second", ("git", "mlver", "pull"), "pull")
)


# -- what must hold -----------------------------------------------------------------------------


def points_of(
    stage: Stage, scenario: Scenario, calls: tuple[str, ...], faults: tuple[str, ...]
) -> list[Point]:
    """Every point; the run that finds them is what the others are compared with."""
    box = stage.fresh(scenario.world)
    points = stage.points(box, scenario.command, calls, faults)
    stage.reference[scenario.command] = outcome(box, scenario.acting)
    return points


@dataclass(frozen=True)
class Outcome:
    """How everything stands after a command."""

    refs: dict[str, str]
    index: dict[str, str]
    files: dict[str, dict[str, bytes]]
    status: str


def outcome(box: Sandbox, acting: str) -> Outcome:
    repos = [name for name in ("work", "second", "third") if (box.root / name).is_dir()]
    listed = "for-each-ref", "--format=%(objectname) %(refname)"
    return Outcome(
        {name: box.git(*listed, cwd=box.root / name).out for name in [*repos, FAR]},
        {name: box.at(name).git("ls-files", "-s").out for name in repos},
        {name: files_in(box.root / name) for name in repos},
        box.at(acting).status(),
    )


def files_in(top: Path) -> dict[str, bytes]:
    """Every file of a worktree, also what a killed one left there."""
    found = {}
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name != ".git"]
        for name in names:
            path = Path(folder, name)
            found[str(path.relative_to(top))] = path.read_bytes()
    return found


def assert_it_converges(stage: Stage, scenario: Scenario, box: Sandbox, *, first: Done) -> None:
    """The same command run again, without a fault, ends where one that met none ends."""
    again = _run_again(scenario, box, first)
    want = stage.reference[scenario.command]
    assert outcome(box, scenario.acting) == want, f"run again: {again.code}\n{again.err}"


def _run_again(scenario: Scenario, box: Sandbox, first: Done) -> Done:
    command = scenario.command
    if command.args[1] in ("clone", "checkout") and first.code == 0:
        return box.at(scenario.acting).mlver("pull")  # git is done: as our warning says
    for lock in [*box.root.glob("*/.git/**/*.lock"), *(box.root / FAR).glob("**/*.lock")]:
        lock.unlink()  # as git itself asks a person to, once one was killed
    done = plainly(box, command.where, command.args)
    if done.code:
        scenario.clear(box)
        done = plainly(box, command.where, command.args)
    return done


def assert_nothing_is_lost(scenario: Scenario, box: Sandbox) -> None:
    """Publish what stands there: a fresh clone has every byte, checks find nothing, and nothing
    is left lying about."""
    acting = box.at(scenario.acting)
    if scenario.acting == "work":
        acting.mlver("checkout")
        plainly(box, "work", ["git", "add", "-A"])
        plainly(box, "work", ["git", "commit", "-q", "-m", "the end"])
        acting.git("push", "-q", "origin", "main")
    checked = acting.attempt("mlver", "fsck", "--remote")
    assert checked.code == 0, f"fsck: {checked.code}\n{checked.out}{checked.err}"
    acting.mlver("prune", "--yes")
    assert litter(box, remote=False) == []
    fresh = box.clone(box.root / FAR, "fresh", "-q")
    files = files_in(fresh.top)
    assert {name: files[name] for name in V2} == V2
    assert fresh.status() == ""
    if scenario.acting == "work":
        assert files == files_in(acting.top), "a fresh clone has other bytes"
    shutil.rmtree(fresh.top)


def litter(box: Sandbox, *, remote: bool = True) -> list[str]:
    """Temporaries and locks that lie about, those of a remote's writers (`remote`) included."""
    paths = [os.path.join(folder, name) for folder, _, names in os.walk(box.root) for name in names]
    found = [path for path in paths if _LITTER.search(path)]
    return found + [path for path in paths if remote and _UNSENT.search(path)]
