"""The system refuses one call of ours (disk full, input/output error, permission), once or for
good. The command goes on, or ends in words with the exit code of its family, never with a
traceback; it leaves nothing behind, and run again it ends where it would have ended.

Without MLVER_SWEEP: a few points.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.faults.cli_scenarios import (
    SCENARIOS,
    Scenario,
    assert_it_converges,
    assert_nothing_is_lost,
    litter,
    points_of,
)
from tests.faults.sweep import (
    ASKED,
    GIT,
    NAMES,
    OPENS,
    SYNCS,
    WRITES,
    Point,
    Stage,
    needs_strace,
    sampled,
)
from tests.support.sandbox import Done, Sandbox

from mlver.errors import EXIT_CODES, UnforeseenError

OURS = [name for name, scenario in SCENARIOS.items() if scenario.command.program != GIT]
FEW = ["add, filter-process", "checkout, filter-process"]
FAULTS = (
    (WRITES, ("error=ENOSPC", "error=EIO")),
    (SYNCS, ("error=EIO",)),
    (NAMES + OPENS, ("error=ENOSPC", "error=EACCES")),
)
LASTING = ("writev", "pwrite64", *SYNCS)
"""Not `write`: what tells the error would be refused as well."""

GITS_OWN = {128, 1}
"""What git exits with where the filter or a hook has failed."""


@needs_strace
@pytest.mark.parametrize("name", OURS if ASKED else FEW)
def test_a_refused_call_is_told_in_words_and_the_command_completes_when_run_again(
    name: str, stage: Stage
) -> None:
    scenario = SCENARIOS[name]
    calls = tuple(call for group, _ in FAULTS for call in group)
    points = points_of(stage, scenario, calls, ("error=EIO",))
    points = [replace(p, fault=fault) for p in points for fault in _faults_of(p)]
    points += [replace(point, lasting=True) for point in points if point.call in LASTING]
    failed = []
    for point in sampled(points, 1, name):
        box = stage.fresh(scenario.world)
        done = stage.hit(box, scenario.command, point)
        try:
            _assert_told(scenario, done)
            _assert_clean(box, point)
            assert_it_converges(stage, scenario, box, first=done)
            assert_nothing_is_lost(scenario, box)
        except AssertionError as error:
            failed.append(f"{name}, {point} ({done.code}, {done.err.strip()}): {error}")
    assert not failed, "\n\n".join(failed)


def _faults_of(point: Point) -> tuple[str, ...]:
    return next(faults for calls, faults in FAULTS if point.call in calls)


def _assert_told(scenario: Scenario, done: Done) -> None:
    assert "Traceback" not in done.err + done.out
    assert done.code != UnforeseenError.exit_code and "not foreseen" not in done.err
    if done.code == 0:
        return
    of_git = scenario.command.args[1] != "mlver"
    assert done.code in (GITS_OWN if of_git else EXIT_CODES.keys() - {1, 2})
    assert done.warnings, "it failed without a word"
    assert "next:" in "\n".join(done.warnings)


def _assert_clean(box: Sandbox, point: Point) -> None:
    """Packs in incoming/ are no litter, what is written stays for the next one; nor is what
    SQLite could not put into its file: the next one that opens it does."""
    left = [path for path in litter(box) if not re.search(r"/incoming/|-(?:wal|shm)$", path)]
    if point.call in ("unlink", "unlinkat", "rename", "renameat", "rmdir"):
        return  # it could not take away what it wanted to
    assert left == []
