"""What git's configuration says of us: the filter, the diff driver, the merge driver.

A description (`settings`) and its appliance through `git config`; no file is edited by hand.
The invariant: between any two of these commands, whatever kills us, git refuses to add a tracked
file rather than put its raw content into history. So `required` is written first and removed last.

Every command line here is read by sh. The words of the program are quoted; `%f` and `%P` are not,
because git quotes what it puts there; and where git expands `%`, a `%` of the program's own path
is doubled. The program is started with -P and -E, so that neither the worktree (a `json.py` there)
nor PYTHONPATH can put code into it.

Values that cannot stand in one line are refused. Must not import: anything of mlver but errors.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlver.errors import RepositoryError, UsageError

RunGit = Callable[[Sequence[str]], bytes]
Scope = Literal["global", "local", "system"]
Action = Literal["set", "unchanged", "removed"]
Condition = Literal["ok", "missing", "differs", "stale"]

MERGE_NAME = "git-mlver: data and models"
REQUIRED = "filter.mlver.required"


@dataclass(frozen=True)
class ConfigChange:
    """What was done to one key; `old` is the value before, None if there was none."""

    key: str
    action: Action
    value: str | None
    old: str | None


@dataclass(frozen=True)
class DriverState:
    """One key as `doctor` tells it. `scope` is where the value in force comes from, as git names
    it (`global`, `local`, …); differs: not what `install` would write; stale: it starts a program
    that is gone."""

    key: str
    condition: Condition
    scope: str
    value: str | None
    wanted: str


@dataclass(frozen=True)
class _Entry:
    scope: str
    key: str
    value: str


def program() -> list[str]:
    """The words that start git-mlver, for git's configuration and for the hooks.

    -P: nothing is imported from the folder of the script or the worktree; -E: PYTHONPATH and its
    like are not heard.
    """
    if not sys.executable:
        raise RepositoryError(
            "git cannot be told how to start git-mlver",
            why="this Python does not know its own path",
            fix="install git-mlver with pip or pipx, and run it from there",
        )
    main = Path(__file__).resolve().parent.parent / "__main__.py"
    return [sys.executable, "-P", "-E", str(main)]


def settings(program: Sequence[str], *, skip_smudge: bool = False) -> dict[str, str]:
    """Every key with its value, in the order in which they are written.

    `skip_smudge`: files stay pointers at checkout, until they are asked for.
    """
    skip = " --skip-smudge" if skip_smudge else ""
    plain = shlex.join(program)
    # git expands %f and its kin in these three, and reads %% as a percent sign.
    expanded = plain.replace("%", "%%")
    return {
        REQUIRED: "true",
        "filter.mlver.process": f"{plain} filter-process{skip}",
        "filter.mlver.clean": f"{expanded} clean -- %f",
        "filter.mlver.smudge": f"{expanded} smudge{skip} -- %f",
        "diff.mlver.command": f"{plain} diff-driver",
        "diff.mlver.textconv": f"{plain} textconv",
        "merge.mlver.name": MERGE_NAME,
        "merge.mlver.driver": f"{expanded} merge-driver %O %A %B %L %P",
        "merge.mlver.recursive": "binary",
    }


def install(
    run_git: RunGit, scope: Scope, program: Sequence[str], *, skip_smudge: bool = False
) -> list[ConfigChange]:
    """Writes the settings; a key that has its value already is not touched."""
    wanted = settings(program, skip_smudge=skip_smudge)
    for value in wanted.values():
        _check(value)
    there = _in_scope(run_git, scope)
    changes = []
    for key, value in wanted.items():
        old = there.get(key, [])
        if old != [value]:
            run_git(["config", f"--{scope}", "--replace-all", key, value])
        action: Action = "unchanged" if old == [value] else "set"
        changes.append(ConfigChange(key, action, value, old[-1] if old else None))
    return changes


def uninstall(run_git: RunGit, scope: Scope) -> list[ConfigChange]:
    """Removes our keys from one scope; other keys of the same sections stay."""
    there = _in_scope(run_git, scope)
    changes = []
    for key in reversed(settings(["x"])):
        if key in there:
            run_git(["config", f"--{scope}", "--unset-all", key])
            changes.append(ConfigChange(key, "removed", None, there[key][-1]))
    return changes


def state(run_git: RunGit, program: Sequence[str]) -> list[DriverState]:
    """How each key stands, all scopes taken together as git takes them; changes nothing."""
    in_force = {entry.key: entry for entry in _entries(run_git)}
    skip = skips_smudge(run_git)
    states = []
    for key, wanted in settings(program, skip_smudge=skip).items():
        entry = in_force.get(key)
        if entry is None:
            states.append(DriverState(key, "missing", "", None, wanted))
        else:
            condition = _condition(key, entry.value, wanted)
            states.append(DriverState(key, condition, entry.scope, entry.value, wanted))
    return states


def skips_smudge(run_git: RunGit) -> bool:
    """Whether files stay pointers at checkout, by what is in force."""
    process = "filter.mlver.process"
    values = [entry.value for entry in _entries(run_git) if entry.key == process]
    return bool(values) and values[-1].endswith(" filter-process --skip-smudge")


def _condition(key: str, value: str, wanted: str) -> Condition:
    if any(os.path.isabs(word) and not os.path.exists(word) for word in _words(key, value)):
        return "stale"
    return "ok" if value == wanted else "differs"


def _words(key: str, value: str) -> list[str]:
    """The words of a command; none for a value that is no command."""
    if key in (REQUIRED, "merge.mlver.name", "merge.mlver.recursive"):
        return []
    expands = key in ("filter.mlver.clean", "filter.mlver.smudge", "merge.mlver.driver")
    try:
        return shlex.split(value.replace("%%", "%") if expands else value)
    except ValueError:
        return []


def _in_scope(run_git: RunGit, scope: str) -> dict[str, list[str]]:
    """Our keys in one scope, each with all its values in order."""
    found: dict[str, list[str]] = {}
    for entry in _entries(run_git):
        if entry.scope == scope:
            found.setdefault(entry.key, []).append(entry.value)
    return found


def _entries(run_git: RunGit) -> Iterator[_Entry]:
    """Every entry of our sections, weakest scope first. From the whole list, because `--get` and
    `--list` of one scope fail where there is nothing yet. Not what holds for one command alone
    (`git -c`): `git.command` switches our own filter off in that way."""
    words = os.fsdecode(run_git(["config", "--null", "--show-scope", "--list"])).split("\0")
    for scope, item in zip(words[0::2], words[1::2], strict=False):
        key, newline, value = item.partition("\n")
        ours = key.startswith(("filter.mlver.", "diff.mlver.", "merge.mlver."))
        if ours and scope != "command":
            # `key` without `= value` is how a configuration file says true.
            yield _Entry(scope, key, value if newline else "true")


def _check(value: str) -> None:
    if any(char in value for char in "\r\n\0"):
        raise UsageError(
            "git-mlver cannot be called from here",
            why=f"a path with a line break in it cannot be written into git's config: {value!r}",
            fix="install git-mlver under another path",
        )
