"""A command is killed while it brings the store down to its bound: what is only here stays."""

from __future__ import annotations

import shutil

from tests.faults.cli_scenarios import FAR, MINE, V2, files_in, litter
from tests.faults.sweep import (
    KILL,
    MUTATING,
    Command,
    Stage,
    needs_strace,
    plainly,
    sampled,
)
from tests.support.sandbox import Sandbox

PULL = Command("second", ("git", "mlver", "pull"), "pull")


def bytes_packed(box: Sandbox) -> int:
    return sum(path.stat().st_size for path in box.at("second").store.rglob("*.pack"))


def only_here_is_whole(box: Sandbox) -> None:
    """Without the remote, git brings back what only this clone had."""
    second = box.at("second")
    gone = shutil.move(box.root / FAR / "mlver", box.root / "gone")
    for name in MINE:
        second.path(name).unlink()
    done = second.git("checkout", "-q", "--", *MINE)
    assert done.warnings == []
    assert {name: second.read(name) for name in MINE} == MINE
    shutil.move(gone, box.root / FAR / "mlver")


@needs_strace
def test_a_kill_at_any_call_frees_nothing_that_is_only_here(stage: Stage) -> None:
    box = stage.fresh("bounded with work")
    before = bytes_packed(box)
    points = stage.points(box, PULL, MUTATING, (KILL,))
    after = bytes_packed(box)
    mine = sum(map(len, MINE.values()))
    assert mine < after < 1.1 * mine < before  # it does free the rest
    failed = []
    for point in sampled(points, 4, "bounded"):
        box = stage.fresh("bounded with work")
        done = stage.hit(box, PULL, point)
        try:
            only_here_is_whole(box)
            plainly(box, "second", PULL.args)
            assert {name: files_in(box.root / "second")[name] for name in V2} == V2
            assert bytes_packed(box) == after, "it frees as much as one that was not killed"
            only_here_is_whole(box)
            assert litter(box, remote=False) == []
        except AssertionError as error:
            failed.append(f"{point} ({done.code}, {done.err.strip()}): {error}")
    assert not failed, "\n\n".join(failed)
