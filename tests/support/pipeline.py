"""A pipeline of three steps in plain Python: ingest → features → train, as people write them."""

from __future__ import annotations

from tests.support.sandbox import Clone

FILES = {
    "ingest.py": b"""\
import random, sys
rng = random.Random(int(sys.argv[1]))
with open("data.csv.bin", "w") as out:
    for _ in range(2000):
        out.write(f"{rng.random()},{rng.random()}\\n")
""",
    "features.py": b"""\
import shared
rows = [list(map(float, line.split(","))) for line in open("data.csv.bin")]
with open("features.bin", "w") as out:
    for a, b in rows:
        out.write(f"{shared.scale(a)},{b}\\n")
""",
    "shared.py": b"def scale(x):\n    return 2 * x\n",
    "train.py": b"""\
import json, sys
lr = float(sys.argv[1])
rows = [list(map(float, line.split(","))) for line in open("features.bin")]
weight = 0.0
for a, b in rows:
    weight += lr * (b - weight * a) * a
open("model.bin", "w").write(repr(weight) * 100)
json.dump({"weight": weight}, open("metrics.json", "w"))
""",
}
PYTHON = "python3"


def write(clone: Clone) -> None:
    """The pipeline's code, committed."""
    clone.commit("the pipeline", FILES)


def run_all(clone: Clone, seed: int = 1, lr: float = 0.1) -> None:
    """Ingest, features, train, each recorded, then one commit."""
    for words in (["ingest.py", str(seed)], ["features.py"], ["train.py", str(lr)]):
        clone.mlver("run", "-q", "--", PYTHON, *words)
    clone.commit(f"seed {seed}, lr {lr}")


def train(clone: Clone, lr: float) -> None:
    """Train anew and commit."""
    clone.mlver("run", "-q", "--", PYTHON, "train.py", str(lr))
    clone.commit(f"lr {lr}")
