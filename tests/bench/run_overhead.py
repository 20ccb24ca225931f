"""What recording costs, beside others that record: a command that does nothing, and many points.

    python tests/bench/run_overhead.py --peers-venv peers --rounds 9

`peers` has datalad and trackio (`pip install datalad trackio`; datalad wants git-annex); who is
missing is skipped. Rounds are interleaved, figures are medians, and the ratios of one call are the
result. A run is timed process to process, in a clean repository of ten small files; points are
timed inside a process that has begun its run, and are on the disk at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

POINTS = 10_000

OURS = """
import sys, time, mlver
with mlver.run() as run:
    start = time.perf_counter()
    for step in range(int(sys.argv[1])):
        run.metric("loss", 1 / (step + 1), step=step)
end = time.perf_counter()
print(end - start)
"""
TRACKIO = """
import contextlib, io, sys, time
with contextlib.redirect_stdout(io.StringIO()):
    import trackio
    trackio.init(project="p", name="n")
    start = time.perf_counter()
    for step in range(int(sys.argv[1])):
        trackio.log({"loss": 1 / (step + 1)}, step=step)
    trackio.finish()
    end = time.perf_counter()
print(end - start)
"""


class Bench:
    def __init__(self, folder: Path, peers: Path | None) -> None:
        self._folder, self._peers = folder, peers
        home = folder / "home"
        home.mkdir()
        (home / ".gitconfig").write_text("[user]\nname = B\nemail = b@example.org\n")
        here = Path(sys.executable).parent
        self._env = {**os.environ, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}
        self._env["PATH"] = os.pathsep.join([str(here), os.environ["PATH"]])

    def _peer(self, name: str) -> str | None:
        return shutil.which(name, path=str(self._peers / "bin")) if self._peers else None

    def call(self, folder: Path, *words: str) -> str:
        done = subprocess.run(words, cwd=folder, env=self._env, capture_output=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{words}: {os.fsdecode(done.stderr)[-2000:]}")
        return done.stdout.decode()

    def timed(self, folder: Path, *words: str) -> float:
        start = time.perf_counter()
        self.call(folder, *words)
        return time.perf_counter() - start

    def _repository(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        self.call(folder, "git", "init", "-q", "-b", "main")
        for number in range(10):
            (folder / f"{number}.py").write_text(f"x = {number}\n")
        return folder

    def nothing(self) -> dict[str, Callable[[], float]]:
        """Recorders of `true`."""
        ours = self._repository("ours")
        self.call(ours, "git", "mlver", "init")
        self._commit(ours)
        found = {"git-mlver": lambda: self.timed(ours, "git", "mlver", "run", "-q", "--", "true")}
        datalad = self._peer("datalad")
        if datalad is not None and shutil.which("git-annex"):
            theirs = self._folder / "theirs"
            self.call(self._folder, datalad, "create", str(theirs))
            for number in range(10):
                (theirs / f"{number}.py").write_text(f"x = {number}\n")
            self.call(theirs, datalad, "save", "-m", "files")
            found["datalad"] = lambda: self.timed(theirs, datalad, "run", "--explicit", "true")
        return found

    def _commit(self, folder: Path) -> None:
        self.call(folder, "git", "add", "-A")
        self.call(folder, "git", "commit", "-qm", "first")

    def points(self) -> dict[str, Callable[[], float]]:
        """Recorders of POINTS points."""
        ours = self._repository("points")
        self._commit(ours)
        words = [sys.executable, "-c", OURS, str(POINTS)]
        found = {"git-mlver": lambda: float(self.call(ours, *words))}
        python = self._peer("python")
        if python is not None and self._has(python, "trackio"):
            there = [python, "-c", TRACKIO, str(POINTS)]
            found["trackio"] = lambda: float(self.call(ours, *there).split()[-1])
        return found

    def _has(self, python: str, module: str) -> bool:
        words = [python, "-c", f"import {module}"]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers-venv", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    peers = args.peers_venv.absolute() if args.peers_venv else None
    figures: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), peers)
        for title, who in (("run -- true", bench.nothing()), (f"{POINTS} points", bench.points())):
            samples: dict[str, list[float]] = {name: [] for name in who}
            for number in range(args.rounds + 1):
                for name, work in who.items():
                    seconds = work()
                    if number:  # the first one warms caches
                        samples[name].append(seconds)
            figures[title] = samples
            ours = statistics.median(samples["git-mlver"])
            for name, values in samples.items():
                middle = statistics.median(values)
                print(
                    f"{title:14} {name:10} median {middle:7.3f} s, least {min(values):7.3f}"
                    f"   git-mlver is {ours / middle:5.2f} of it"
                )
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
