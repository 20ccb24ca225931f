"""How long queries take where there are many runs: process to process, on repositories made here.

    python tests/bench/lineage_scale.py --runs 20000 --nodes 10000 --rounds 5

Notes are written by git fast-import in the shape that `git mlver run` gives them: 8 parameters, 4
metrics, 4 files, 1.8 KB a run. Printed are medians in seconds, and the least; nothing is asserted.
A busy machine makes all of them longer: compare within one call.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.run_notes import (
    WHO,
    artifacts,
    git,
    head,
    make,
    new_repository,
    oid,
)

from mlver.git import run_refs
from mlver.model.run import Run

PROGRAM = [sys.executable, "-P", "-m", "mlver"]
FILTER = "params.lr = '0.1' and metrics.acc > 0.9"


def many_runs(count: int, commit: str) -> list[Run]:
    chance = random.Random(1)
    return [
        make(
            n,
            name=f"train-{n % 7}",
            params={
                "lr": chance.choice([0.1, 0.01, 0.001]), "depth": n % 10, "seed": n, "batch": 32,
                "opt": chance.choice(["adam", "sgd"]), "epochs": 10, "decay": 0.01,
                "dropout": round(chance.random(), 3),
            },
            metrics={
                name: {"last": chance.random(), "min": 0.0, "max": 1.0, "count": 100, "step": 99}
                for name in ("acc", "loss", "val_acc", "val_loss")
            },
            tags={"stage": "x"},
            inputs=artifacts(f"data/train.parquet=d{n % 50}", "data/test.parquet=t"),
            outputs=artifacts(f"model.bin=m{n}"),
            configs=artifacts("params.yaml"),
            code={"commit": commit, "tree": "1" * 40, "dirty": False, "branch": "main"},
            env={"python": "3.11.7", "lock": "blake3:" + "ab" * 32, "os": "Linux", "cpus": 2},
        )
        for n in range(count)
    ]  # fmt: skip


def graph_runs(nodes: int) -> list[Run]:
    """Layers of ten runs, each of which reads two outputs of the layer before: half the nodes are
    runs, half contents."""
    return [
        make(
            n,
            inputs=artifacts(*(f"f{max(n - n % 10 - 10, 0) + (n + k) % 10}" for k in (0, 3)))
            if n >= 10
            else artifacts("raw"),
            outputs=artifacts(f"f{n}"),
        )
        for n in range(nodes // 2)
    ]


def write(where: Path, build: Callable[[str], Sequence[Run]]) -> None:
    """A repository that holds these runs, each in a note of its own."""
    clone = new_repository(where)
    changes = []
    for run in build(head(clone)):
        path = run_refs.note_paths(run_refs.run_key(clone, run.run_id))[0]
        changes.append(run_refs.file_line(path, run.encode() + b"\n"))
    commit = run_refs.Commit([], b"".join(changes), WHO)
    made = run_refs.write_commits(clone, {run_refs.NOTES: commit})
    assert run_refs.swap(clone, made, {})
    git(where, "repack", "-adq")


def timed(where: Path, rounds: int, *args: str, cold: bool = False) -> str:
    times = []
    for _ in range(rounds):
        if cold:
            (where / ".git/mlver/lineage.sqlite").unlink(missing_ok=True)
        start = time.perf_counter()
        subprocess.run([*PROGRAM, *args], cwd=where, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    return f"{statistics.median(times):7.3f}  (least {min(times):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        many, graph = Path(folder) / "many", Path(folder) / "graph"
        write(many, lambda commit: many_runs(asked.runs, commit))
        print(f"{asked.runs} runs; load {os.getloadavg()[0]:.1f}", flush=True)
        cold = timed(many, min(asked.rounds, 3), "runs", "--filter", FILTER, cold=True)
        print("  filtered, cold        ", cold, flush=True)
        for what, args in (
            ("filtered, warm        ", ["runs", "--filter", FILTER]),
            ("filtered, all shown   ", ["runs", "--filter", FILTER, "--limit", "0"]),
            ("show latest           ", ["show", "latest"]),
            ("everything as JSON    ", ["runs", "--json"]),
        ):
            print(" ", what, timed(many, asked.rounds, *args), flush=True)
        size = (many / ".git/mlver/lineage.sqlite").stat().st_size
        print(f"  cache {size / 1e6:.0f} MB, {size / asked.runs:.0f} bytes a run", flush=True)
        write(graph, lambda _: graph_runs(asked.nodes))
        last = f"blake3:{oid(f'f{asked.nodes // 2 - 1}').hex()}"
        subprocess.run([*PROGRAM, "runs"], cwd=graph, stdout=subprocess.DEVNULL, check=True)
        for form in ("json", "text", "dot"):
            took = timed(graph, asked.rounds, "lineage", last, "--up", "--format", form)
            print(f"  lineage of {asked.nodes} nodes, {form:4}", took, flush=True)


if __name__ == "__main__":
    main()
