"""Running git: an absolute program found outside the worktree, never a shell, and our own filter
switched off inside, so that git never starts our filter from inside our filter.

Output is bytes; paths come with `-z`. What git prints on stderr becomes the error's reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache

from mlver.errors import BusyError, MlverError, RepositoryError

# An empty command is no filter: the blob passes as it is.
_NO_FILTER = (
    ("filter.mlver.process", ""),
    ("filter.mlver.clean", ""),
    ("filter.mlver.smudge", ""),
    ("filter.mlver.required", "false"),
)


# Set by a user (or by git for its hooks), they would change what our own pathspecs mean.
_PATHSPEC_MODES = (
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
)


@cache
def git_program() -> str:
    """git's absolute path. Relative PATH entries are skipped: a worktree may hold a `git`."""
    folders = [
        folder
        for folder in os.environ.get("PATH", os.defpath).split(os.pathsep)
        if os.path.isabs(folder)
    ]
    found = _which("git", folders)
    if found is None:
        raise RepositoryError(
            "git is not to be found", why="no folder of PATH holds it", fix="install git >= 2.34"
        )
    return found


def _which(name: str, folders: Sequence[str]) -> str | None:
    if sys.platform == "win32":
        import shutil

        return shutil.which(name, path=os.pathsep.join(folders))
    for folder in folders:  # shutil brings every compressor of the library: 3 ms a hook
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def without_filter(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment with our filter switched off for git and everything git starts."""
    result = dict(os.environ if env is None else env)
    for name in _PATHSPEC_MODES:
        result.pop(name, None)
    start = int(result.get("GIT_CONFIG_COUNT") or 0)
    for number, (key, value) in enumerate(_NO_FILTER, start):
        result[f"GIT_CONFIG_KEY_{number}"] = key
        result[f"GIT_CONFIG_VALUE_{number}"] = value
    result["GIT_CONFIG_COUNT"] = str(start + len(_NO_FILTER))
    return result


def argv(args: Sequence[str | bytes]) -> list[str | bytes]:
    """git's argument list. Paths and revisions of users come after `--` or --end-of-options."""
    return [git_program(), *args]


def run(
    args: Sequence[str | bytes],
    *,
    cwd: bytes | None = None,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
    filters: bool = False,
) -> bytes:
    """git's standard output. Raises RepositoryError where git exits other than 0, BusyError where
    that is for a lock."""
    done = attempt(args, cwd=cwd, input=input, env=env, filters=filters)
    if done.returncode != 0:
        words = " ".join(os.fsdecode(arg) for arg in args[:3])
        raise failure(f"git {words} failed (exit {done.returncode})", done.stderr)
    return done.stdout


def failure(what: str, stderr: bytes) -> MlverError:
    """What git said as an error of ours: BusyError where a lock of git's is held."""
    lock = _held_lock(stderr)
    if lock is not None:
        return locked(lock)
    why = stderr.decode("utf-8", "replace").strip()
    return RepositoryError(what, why=why, fix="mend what git names, then run this again")


def _held_lock(stderr: bytes) -> bytes | None:
    """The lock file that git could not take. By its path: the words are in the user's language."""
    import re  # 5 ms that a hook without a failure need not pay

    named = re.search(rb"(/[^\n]*?\.lock)(?![\w.])", stderr)
    if named and (b"File exists" in stderr or os.path.lexists(named[1])):
        return named[1]
    config = re.search(rb"could not lock config file ([^\n]+): File exists", stderr)
    return config[1] + b".lock" if config else None


def locked(lock: bytes) -> BusyError:
    """The error for a lock file of git's that is there."""
    name = os.fsdecode(os.path.basename(lock)).removesuffix(".lock")
    return BusyError(
        f"git's {name} is locked",
        why=f"{os.fsdecode(lock)} exists: another git command is at work, or one was killed",
        fix="wait for that command, then run this again; if there is none, remove that file",
    )


def attempt(
    args: Sequence[str | bytes],
    *,
    cwd: bytes | None = None,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
    filters: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    """As `run`, for a caller that reads the exit code itself."""
    return subprocess.run(
        argv(args),
        cwd=cwd,
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        env=dict(env) if filters and env is not None else None if filters else without_filter(env),
        check=False,
    )


def fields(output: bytes) -> list[bytes]:
    """The NUL-ended fields of a `-z` output."""
    return output.split(b"\0")[:-1]
