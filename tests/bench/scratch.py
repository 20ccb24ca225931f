"""A place to run commands in: a home of its own, a small fixed environment, nothing of the user's.

Each peer has its own home, because installing one tool globally must not slow another down. The
environment is built from nothing but PATH, so that no setting of the caller changes the figures.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

METER = Path(__file__).with_name("meter.py")
GIT_CONFIG = """\
[user]
\tname = Benchmark
\temail = benchmark@example.invalid
[init]
\tdefaultBranch = main
[gc]
\tauto = 0
[maintenance]
\tauto = false
[advice]
\tdetachedHead = false
"""


class CommandError(Exception):
    """A command of the benchmark exited with another code than 0."""


@dataclass(frozen=True)
class Sample:
    """What one run of one command cost."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    background_seconds: float
    stored_bytes: int | None = None
    """What the store holds more than before, where the case asks."""

    def storing(self, count: int) -> Sample:
        """The same, with what was stored."""
        return replace(self, stored_bytes=count)


class Scratch:
    """One peer's home and environment, and the commands that run in it."""

    def __init__(self, work: Path, name: str, tools: Path) -> None:
        """`work`: the folder of this benchmark; `tools`: the bin folder of the peers' venv."""
        self.home = work / "home" / name
        self.temp = work / "temp"
        self.tools = tools
        self.home.mkdir(parents=True, exist_ok=True)
        self.temp.mkdir(exist_ok=True)
        (self.home / ".gitconfig").write_text(GIT_CONFIG)
        self.env = self._environment()

    def _environment(self) -> dict[str, str]:
        here = Path(sys.executable).parent
        path = [str(here), str(self.tools), os.environ.get("PATH", os.defpath)]
        return {
            "PATH": os.pathsep.join(path),
            "HOME": str(self.home),
            "TMPDIR": str(self.temp),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.home / "dvc-site"),
            "HF_HOME": str(self.home / "hf"),
            "HF_XET_TELEMETRY_ENABLED": "0",
        }

    def which(self, program: str) -> str | None:
        """The program's path as the commands here find it."""
        return shutil.which(program, path=self.env["PATH"])

    def run(self, argv: list[str], cwd: Path, **variables: str) -> str:
        """Run a command that is not measured; give its standard output and error, joined."""
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=self.env | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise CommandError(_message(argv, done.returncode, done.stdout))
        return done.stdout

    def measure(self, argv: list[str], cwd: Path) -> Sample:
        """Run a command with the meter around it.

        What earlier commands left to be written goes to the disk first: this one does not pay.
        """
        report, log = self.temp / "report.json", self.temp / "output.log"
        report.unlink(missing_ok=True)
        os.sync()
        meter = [sys.executable, "-I", "-S", str(METER), str(report), *argv]
        with log.open("wb") as out:
            subprocess.run(
                meter,
                cwd=cwd,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=True,
            )
        cost = json.loads(report.read_text())
        if cost["exit_code"] != 0:
            raise CommandError(_message(argv, cost["exit_code"], log.read_text(errors="replace")))
        return Sample(
            seconds=cost["seconds"],
            cpu_seconds=cost["cpu_seconds"],
            peak_bytes=cost["peak_bytes"],
            background_seconds=cost["background_seconds"],
        )


def _message(argv: list[str], code: int, output: str) -> str:
    tail = " / ".join(output.strip().splitlines()[-3:])
    return f"`{' '.join(argv)[:120]}` exited {code}: {tail}"


def bytes_under(*folders: Path) -> int:
    """The sizes of all files under the folders, added up; a missing folder has none."""
    total = 0
    for folder in folders:
        for root, _, names in os.walk(folder):
            total += sum(os.lstat(os.path.join(root, name)).st_size for name in names)
    return total
