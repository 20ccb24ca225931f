"""The goals for speed and size, and whether what was measured meets them.

A goal is a ratio to a peer in the same run wherever it can be: seconds depend on the machine, and
on what else it does. Sizes and memory are absolute. The goals are for scale 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from peers import OURS
from results import Results, divided

Measure = Callable[[Results], float | None]


@dataclass(frozen=True)
class Goal:
    """`measure` gives the figure that must not be over `limit`, None where it was not measured."""

    text: str
    limit: float
    unit: str
    measure: Measure
    below: bool = False
    """The figure must be below the limit, not only not over it."""
    least: bool = False
    """The figure must not be under the limit: the other way round."""

    @property
    def sign(self) -> str:
        """How the figure must stand to the limit."""
        return "≥" if self.least else "<" if self.below else "≤"

    def verdict(self, results: Results) -> tuple[float | None, str]:
        """The figure, and `met`, `NOT met` or `not measured`."""
        value = self.measure(results)
        if value is None:
            return None, "not measured"
        if self.least:
            met = value >= self.limit
        else:
            met = value < self.limit if self.below else value <= self.limit
        return value, "met" if met else "NOT met"


def _ratio(case: str, step: str, peer: str, other: str) -> Measure:
    return lambda results: results.ratio(case, step, peer, other)


def _bytes_against_xet(results: Results) -> float | None:
    ours = results.stored("table", "add", "mlver-add")
    return divided(ours, results.stored("table", "add", "xet"))


def _second_version(peer: str) -> Measure:
    def kilobytes(results: Results) -> float | None:
        return divided(results.stored("table", "add-v2", peer), 1000)

    return kilobytes


def _sent(case: str, step: str) -> Measure:
    """Kilobytes that a step of ours sent to the bucket."""
    return lambda results: divided(results.stored(case, step, "mlver-add"), 1000)


def _sent_against_xet(results: Results) -> float | None:
    ours = results.stored("s3-model", "all", "mlver-add")
    return divided(ours, results.stored("s3-model", "all", "xet"))


def _throughput(step: str) -> Measure:
    """Ours as a share of boto3's: the quotient of the times, turned round."""
    return lambda results: results.ratio("s3-large", step, "boto3", "mlver-add")


def _filters(results: Results) -> float | None:
    counts = [results.facts.get(f"filters started by status/{peer}") for peer in OURS]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _hooks(results: Results) -> float | None:
    with_hooks = results.seconds("commit", "with-hooks", "mlver-add")
    without = results.seconds("commit", "without-hooks", "mlver-add")
    return None if with_hooks is None or without is None else (with_hooks - without) * 1000


def _memory(results: Results) -> float | None:
    peak = results.peak(OURS)
    return None if peak is None else peak[0] / 1e6


STATUS_TOLERANCE = 1.1
""""As fast as plain git" with room for the noise of a command that takes milliseconds."""

GOALS = (
    Goal("git add, 1 GiB: against git-lfs", 0.45, "x", _ratio("large", "add", "mlver", "git-lfs")),
    Goal("git mlver add, 1 GiB: against cp", 1.1, "x", _ratio("large", "add", "mlver-add", "cp")),
    Goal(
        "git add, 10,000 files: against git-lfs",
        0.6,
        "x",
        _ratio("small", "add", "mlver", "git-lfs"),
    ),
    Goal(
        "git mlver add, 10,000 files: against DVC",
        0.4,
        "x",
        _ratio("small", "add", "mlver-add", "dvc"),
    ),
    Goal("git mlver add, CSV: against Xet", 1.0, "x", _ratio("table", "add", "mlver-add", "xet")),
    Goal("bytes stored of the CSV: against Xet", 1.0, "x", _bytes_against_xet),
    Goal("second CSV, git add: stored", 60, "kB", _second_version("mlver"), below=True),
    Goal("second CSV, git mlver add: stored", 60, "kB", _second_version("mlver-add"), below=True),
    Goal("restore 1 GiB: against cp", 1.2, "x", _ratio("hydrate", "restore", "mlver-add", "cp")),
    Goal(
        "git status after git add: against plain git",
        STATUS_TOLERANCE,
        "x",
        _ratio("status", "status", "mlver", "git"),
    ),
    Goal(
        "git status after git mlver add: against plain git",
        STATUS_TOLERANCE,
        "x",
        _ratio("status", "status", "mlver-add", "git"),
    ),
    Goal("filters that git status started", 0, "", _filters),
    Goal("commit with nothing to capture: cost of the hooks", 80, "ms", _hooks),
    *(
        Goal(
            f"10,000 files, {step}: against {peer}",
            limit,
            "x",
            _ratio("s3-small", step, "mlver-add", peer),
        )
        for step, peer, limit in (
            ("push", "dvc", 0.08),
            ("push", "rclone", 0.15),
            ("pull", "dvc", 0.15),
            ("pull", "rclone", 0.5),
        )
    ),
    Goal("1 GiB, push: throughput of boto3", 0.9, "x", _throughput("push"), least=True),
    Goal("1 GiB, fetch: throughput of boto3", 0.9, "x", _throughput("fetch"), least=True),
    Goal("second CSV, push: sent", 100, "kB", _sent("s3-table", "push-v2"), below=True),
    Goal("ten versions of a model, push: bytes against Xet", 0.55, "x", _sent_against_xet),
    Goal("largest process of ours anywhere", 300, "MB", _memory, below=True),
)
