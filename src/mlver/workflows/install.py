"""Telling git of us: filter and drivers in its configuration, hooks in a repository.

`install` is for a person (global) or one clone (local); `init` makes a repository ready: drivers
if no scope has them, hooks beside those that are there, a `.mlver.toml` to begin with.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlver.errors import RepositoryError
from mlver.git import command, drivers, hooks, run_remotes
from mlver.git.config import set_value, unset_value
from mlver.git.hook_folder import every_folder, hooks_folder
from mlver.git.repo import Repo
from mlver.workflows.context import Context

POLICY_TEXT = b"""\
# git-mlver, for everyone who works in this repository. All of it is optional.

# What a commit does with a large file that is not tracked yet: "capture", "reject" or "off".
policy = "capture"

# Staged files larger than this are captured (or rejected).
threshold = "10MiB"

# Files of these types are captured whatever their size.
patterns = [
    "*.safetensors", "*.pt", "*.pth", "*.ckpt", "*.onnx", "*.gguf", "*.h5", "*.keras",
    "*.pkl", "*.joblib", "*.npy", "*.npz", "*.parquet", "*.arrow", "*.feather",
]

# A model that changed without a recorded run that made it: "warn", "reject" or "off".
# [runs]
# policy = "reject"

# Where content is kept. Each clone is asked once: git mlver remote trust NAME
# [remotes.team]
# url = "/shared/mlver/this-project"
"""


@dataclass(slots=True)
class Installed:
    """What was changed, in words; `notices` are for the user to act on."""

    done: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def data_folder(name: str) -> Path:
    """A folder that travels with the program: in the wheel, or in the checkout it runs from."""
    package = Path(__file__).resolve().parent.parent
    for candidate in (package / "_data" / name, package.parent.parent / _IN_CHECKOUT[name]):
        if candidate.is_dir():
            return candidate
    raise RepositoryError(
        f"this installation lacks its folder {name!r}", fix="install git-mlver again"
    )


_IN_CHECKOUT = {"hooks": Path("hooks"), "man": Path("docs/man"), "schema": Path("docs/schema")}


def _runner(cwd: bytes | None) -> drivers.RunGit:
    """git for the installers: exit 1 of `git config` means that there is nothing."""

    def run_git(args: Sequence[str]) -> bytes:
        done = command.attempt(args, cwd=cwd, filters=True)
        if done.returncode != 0 and not (args[0] == "config" and done.returncode in (1, 5)):
            raise command.failure(f"git {args[0]} failed", done.stderr)
        return done.stdout

    return run_git


def install_drivers(
    scope: drivers.Scope, cwd: bytes | None = None, *, skip_smudge: bool = False
) -> Installed:
    """Write filter and drivers into git's configuration."""
    changes = drivers.install(_runner(cwd), scope, drivers.program(), skip_smudge=skip_smudge)
    changed = [change.key for change in changes if change.action == "set"]
    return Installed([f"git's {scope} configuration: {len(changed)} settings written"])


def uninstall_drivers(scope: drivers.Scope, cwd: bytes | None = None) -> Installed:
    """Take filter and drivers out of git's configuration."""
    changes = drivers.uninstall(_runner(cwd), scope)
    return Installed([f"git's {scope} configuration: {len(changes)} settings removed"])


def drivers_missing(cwd: bytes | None) -> bool:
    """True where git would not start our filter or a driver here, or a program that is gone."""
    states = drivers.state(_runner(cwd), drivers.program())
    return any(state.condition in ("missing", "stale") for state in states)


def init(ctx: Context, *, force: bool = False, policy_file: bool = True) -> Installed:
    """Make this repository ready. Runs again without harm."""
    result = Installed()
    cwd = ctx.repo.worktree or ctx.repo.git_dir
    if drivers_missing(cwd):
        result.done += install_drivers("local", cwd).done
    hook_result = install_hooks(ctx.repo, force=force)
    result.done += hook_result.done
    result.notices += hook_result.notices
    adopted = run_remotes.adopt_remotes(ctx.repo)
    if adopted:
        result.done.append(f"git fetch brings the runs of {', '.join(adopted)}")
    if policy_file and ctx.repo.worktree is not None:
        path = os.path.join(ctx.repo.worktree, b".mlver.toml")
        if not os.path.lexists(path):
            with open(path, "xb") as file:
                file.write(POLICY_TEXT)
            result.done.append("wrote .mlver.toml (policy; commit it)")
    return result


def install_hooks(repo: Repo, *, force: bool = False) -> Installed:
    """Put our hooks beside those that are there."""
    worktree = Path(os.fsdecode(repo.worktree)) if repo.worktree else None
    folder = hooks_folder(_runner(repo.worktree or repo.git_dir), worktree)
    changes = hooks.install(folder, data_folder("hooks"), drivers.program(), force=force)
    unset_value(repo, "mlver.autoHooks")
    result = Installed()
    for action in ("installed", "chained", "updated"):
        names = [change.name for change in changes if change.action == action]
        if names:
            result.done.append(f"hooks {action}: {', '.join(names)}")
    notes = [change.note for change in changes if change.note] + [folder.notice]
    result.notices = list(dict.fromkeys(note for note in notes if note))
    return result


def uninstall_hooks(repo: Repo) -> Installed:
    """Take our hooks out; what was there before is back, byte for byte."""
    worktree = Path(os.fsdecode(repo.worktree)) if repo.worktree else None
    result = Installed()
    set_value(repo, "mlver.autoHooks", "false")
    for folder in every_folder(_runner(repo.worktree or repo.git_dir), worktree):
        changes = hooks.uninstall(folder)
        if changes:
            result.done.append(f"hooks taken out: {', '.join(change.name for change in changes)}")
        result.notices += [change.note for change in changes if change.note]
    remotes = run_remotes.forget_remotes(repo)
    if remotes:
        result.done.append(f"git fetch brings no runs any more from {', '.join(remotes)}")
    return result


def adopt(ctx: Context) -> None:
    """Put our hooks into a clone that has none, the first time that the filter works there.

    After a plain `git clone` nobody has said init; without a pre-push hook the content of the
    first push would stay behind. Only an empty place is taken: a hook that is there, a shared
    folder, or `mlver.autoHooks = false` (which `uninstall --local` sets) is left for `init`.
    """
    hook = os.path.join(ctx.repo.common_dir, b"hooks", b"pre-push")
    if os.path.lexists(hook) or (ctx.settings.get("autoHooks") or "true").lower() == "false":
        return
    worktree = Path(os.fsdecode(ctx.repo.top))
    folder = hooks_folder(_runner(ctx.repo.top), worktree)
    taken = any(os.path.lexists(folder.path / name) for name in hooks.NAMES)
    if folder.kind == "private" and not folder.notice and not taken:
        hooks.install(folder, data_folder("hooks"), drivers.program())
        run_remotes.adopt_remotes(ctx.repo)


def hooks_state(repo: Repo) -> list[hooks.HookState]:
    """How each hook stands, for doctor."""
    worktree = Path(os.fsdecode(repo.worktree)) if repo.worktree else None
    folder = hooks_folder(_runner(repo.worktree or repo.git_dir), worktree)
    return hooks.state(folder, data_folder("hooks"), drivers.program())


def drivers_state(cwd: bytes | None) -> list[drivers.DriverState]:
    """How each setting stands, for doctor."""
    return drivers.state(_runner(cwd), drivers.program())
