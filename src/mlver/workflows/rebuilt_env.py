"""The Python environment of a run, from its lock of packages.

Built once for each lock and Python version, and kept under `mlver/envs/`: by uv where it is there,
else by venv and pip. Nothing is built where the Python that would run has those very packages.
A lock comes with records that others made: a line that is no plain requirement is refused, so that
no option (another index, another file) can come in with it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from mlver import system
from mlver.errors import MissingContent, MlverError, RefusedError
from mlver.lineage.interpreter import Question, lock_of
from mlver.model.digest import digest_of
from mlver.model.run import Run
from mlver.workflows import scratch
from mlver.workflows.context import Context

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_PINNED = re.compile(rf"\A({_NAME})(?:\[[A-Za-z0-9,._-]+\])?==([A-Za-z0-9.!+_-]+)\Z")
_AT = re.compile(rf"\A({_NAME}) @ ((?:git\+)?(?:https|ssh|file)://[^\s;]+)\Z")
_VERSION = re.compile(r"\A(\d+\.\d+)(?:\.\S*)?\Z")
_OURS = "git-mlver"
_DONE = "complete"


class Environment:
    """The Python of a run. `folder`: its scripts', "" for the one that is there anyway;
    `lock`: what was asked for, a requirement a line."""

    def __init__(self, folder: str = "", python: str = "", lock: bytes = b"") -> None:
        self.folder, self.python, self.lock = folder, python, lock

    def variables(self, env: Mapping[str, str]) -> dict[str, str]:
        """`env` with this Python first."""
        changed = dict(env)
        if self.folder:
            changed["PATH"] = self.folder + os.pathsep + env.get("PATH", os.defpath)
            changed["VIRTUAL_ENV"] = os.path.dirname(self.folder)
            changed.pop("PYTHONHOME", None)
            changed.pop("PYTHONPATH", None)
        return changed


def lock_text(ctx: Context, run: Run) -> bytes:
    """The run's lock of packages; b"" where it had none. Raises MissingContent."""
    named = run.env.get("lock")
    if not named:
        return b""
    found = scratch.kept_object(ctx.repo, run, "lock.txt")
    data = b"" if found is None else ctx.repo.git("cat-file", "blob", found)
    if found is None or f"blake3:{digest_of(data).hex()}" != named:
        raise MissingContent(
            f"the lock of packages of the run {run.name or run.run_id} is not in this clone",
            why="refs/mlver/kept of the remote that it was pushed to holds it",
            fix="git mlver init, then git fetch; or --no-env, to use the packages that are here",
        )
    return data


def environment(ctx: Context, run: Run, present: str | None, env: Mapping[str, str]) -> Environment:
    """The run's environment, built if need be. `present`: the Python that would run the command.

    Raises MissingContent, RefusedError, MlverError where it cannot be built.
    """
    lock = lock_text(ctx, run)
    if not lock or _has(ctx, present, lock, str(run.env.get("python", "")), env):
        return Environment(lock=lock)
    wanted = requirements(lock)
    version = _VERSION.match(str(run.env.get("python", "")))
    short = version[1] if version else f"{sys.version_info[0]}.{sys.version_info[1]}"
    base = os.path.join(ctx.repo.store_dir, b"envs")
    folder = os.fsdecode(os.path.join(base, f"{digest_of(lock).hex()[:32]}-{short}".encode()))
    os.makedirs(base, exist_ok=True)
    fd = os.open(folder + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        system.lock(fd, wait=True)
        if not os.path.exists(os.path.join(folder, _DONE)):
            ctx.warn(f"building the environment of {run.name}: {len(wanted)} package(s)")
            _build(folder, short, wanted, _OURS.encode() in lock)
    finally:
        os.close(fd)
    scripts = os.path.join(folder, "Scripts" if os.name == "nt" else "bin")
    return Environment(scripts, os.path.join(scripts, "python"), lock)


def _has(
    ctx: Context, python: str | None, lock: bytes, version: str, env: Mapping[str, str]
) -> bool:
    if python is None:
        return False
    told = Question(python, env, os.path.join(ctx.repo.store_dir, b"pythons")).answer()
    return told is not None and told["version"] == version and lock_of(told["packages"]) == lock


def requirements(lock: bytes) -> list[str]:
    """The packages to install. Raises RefusedError for a line that is no plain requirement."""
    found = []
    for line in lock.decode("utf-8", "replace").splitlines():
        match = _PINNED.match(line) or _AT.match(line)
        if match is None:
            raise RefusedError(
                f"the lock of packages has a line that is no requirement: {line[:80]!r}",
                why="it came with a record, and pip would take it for an option",
                fix="--no-env, to use the packages that are here",
            )
        if match[1].lower().replace("_", "-") != _OURS:  # this very program stands in for it
            found.append(line)
    return found


def _build(folder: str, version: str, wanted: list[str], with_ours: bool) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    listed = folder + ".txt"
    with open(listed, "w", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in wanted))
    scripts = os.path.join(folder, "Scripts" if os.name == "nt" else "bin")
    python = os.path.join(scripts, "python")
    uv = shutil.which("uv")
    if uv is not None:
        _call([uv, "venv", "--quiet", "--python", version, folder])
        install = [uv, "pip", "install", "--quiet", "--python", python]
    else:
        _call([_python(version), "-m", "venv", folder])
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if wanted:
        _call([*install, "--no-deps", "-r", listed])
    if with_ours:
        for site in Path(folder).glob("[Ll]ib/**/site-packages"):
            source = Path(__file__).resolve().parents[2]
            (site / "git-mlver.pth").write_text(f"{source}\n", encoding="utf-8")
    with open(os.path.join(folder, _DONE), "w", encoding="ascii"):
        pass


def _python(version: str) -> str:
    found = shutil.which(f"python{version}")
    if found is not None:
        return found
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}" and sys.executable:
        return sys.executable
    raise MissingContent(
        f"the run used Python {version}, which is not on this machine",
        why=f"neither uv nor python{version} is on PATH",
        fix=f"install uv, or Python {version}; or --no-env, to use the Python that is here",
    )


def _call(argv: list[str]) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with contextlib.suppress(FileNotFoundError):
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, env=env, check=False
        )
        if done.returncode == 0:
            return
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise MlverError(
            "the environment of the run could not be built",
            why=f"{os.path.basename(argv[0])}: " + "; ".join(said[-4:]),
            fix="mend that, then again; or --no-env, to use the packages that are here",
        )
    raise MlverError(f"{argv[0]} cannot be started", fix="--no-env, to use what is here")
