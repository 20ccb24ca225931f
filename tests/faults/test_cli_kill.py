"""A program of a git command is killed (-9) at a call that changes a disk: git, our filter, a hook
of ours, or git-mlver itself. The same command run again ends where it would have ended; nothing
that was acknowledged is lost, and nothing is left lying about.

Without MLVER_SWEEP: a few points of those programs of ours that write most.
"""

from __future__ import annotations

import pytest
from tests.faults.cli_scenarios import (
    SCENARIOS,
    assert_it_converges,
    assert_nothing_is_lost,
    points_of,
)
from tests.faults.sweep import ASKED, KILL, MUTATING, Stage, needs_strace, sampled

FEW = ["commit, hook pre-commit", "push, hook pre-push", "mlver prune", "mlver pull"]


@needs_strace
@pytest.mark.parametrize("name", SCENARIOS if ASKED else FEW)
def test_a_kill_at_any_call_loses_nothing_and_the_command_completes_when_run_again(
    name: str, stage: Stage
) -> None:
    scenario = SCENARIOS[name]
    points = points_of(stage, scenario, MUTATING, (KILL,))
    failed = []
    for point in sampled(points, 1, name):
        box = stage.fresh(scenario.world)
        done = stage.hit(box, scenario.command, point)
        try:
            assert_it_converges(stage, scenario, box, first=done)
            assert_nothing_is_lost(scenario, box)
        except AssertionError as error:
            failed.append(f"{name}, {point} ({done.code}, {done.err.strip()}): {error}")
    assert not failed, "\n\n".join(failed)
