"""A disk turns a bit, here or on the remote. A checkout gives the right bytes or the pointer, never
wrong bytes; fsck says what is hurt; `fsck --repair` heals it from where it is whole.

git-lfs and DVC check out damaged files in silence; this is the test, over whole commands, that we
do not. Without MLVER_SWEEP: one byte of each kind of file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.cli_scenarios import FAR, V2
from tests.faults.sweep import Stage, sampled
from tests.support.sandbox import Clone, Done, Sandbox, pointer_to
from tests.unit.store_material import entries_of, flipped

from mlver.store.record import HEADER, RECIPE


def local_packs(box: Sandbox) -> dict[Path, range]:
    return {path: _whole(path) for path in box.at("work").store.glob("packs/*.pack")}


def recipes(box: Sandbox) -> dict[Path, range]:
    """The recipes in local packs: their payloads."""
    return {
        path: range(entry.offset + HEADER, entry.offset + entry.length)
        for path in box.at("work").store.glob("packs/*.pack")
        for entry in entries_of(path)
        if entry.header.kind == RECIPE
    }


def index_file(box: Sandbox) -> dict[Path, range]:
    path = box.at("work").store / "index.sqlite"
    return {path: _whole(path)}


def remote_packs(box: Sandbox) -> dict[Path, range]:
    return {path: _whole(path) for path in (box.root / FAR).glob("mlver/remote/packs/*/*")}


def remote_indexes(box: Sandbox) -> dict[Path, range]:
    return {path: _whole(path) for path in (box.root / FAR).glob("mlver/remote/index/*/*")}


def _whole(path: Path) -> range:
    return range(path.stat().st_size)


def flips(box: Sandbox, find: Callable[[Sandbox], dict[Path, range]]) -> list[tuple[Path, int]]:
    places = [(path, at) for path, spans in sorted(find(box).items()) for at in spans]
    assert places
    return sampled(places, 1, find.__name__)


def flip(path: Path, at: int) -> None:
    path.write_bytes(flipped(path.read_bytes(), at, 1 << at % 8))


def right_or_pointers(clone: Clone, done: Done) -> list[str]:
    """The files that are pointers; all the others have their very content."""
    assert "Traceback" not in done.err and "not foreseen" not in done.err, done.err
    left = []
    for name, data in V2.items():
        found = clone.read(name)
        assert found in (data, pointer_to(data)), f"wrong bytes in {name}"
        if found != data:
            left.append(name)
    assert not left or done.warnings, "a file stays a pointer without a word"
    return left


@pytest.mark.parametrize("find", [local_packs, recipes, index_file])
def test_a_bit_that_turns_in_the_store_is_never_checked_out(
    find: Callable[[Sandbox], dict[Path, range]], stage: Stage
) -> None:
    """The remote is whole: repair fetches from there what the checkout could not."""
    for path, at in flips(stage.fresh("published"), find):
        box = stage.fresh("published")
        work = box.at("work")
        flip(path, at)
        checked = work.json("fsck")
        for name in V2:
            work.path(name).unlink()
        done = work.git("checkout", "--", ".")
        right_or_pointers(work, done)
        if find is recipes:
            assert [row["kind"] for row in checked["problems"]] == ["corrupt"], "fsck names it"
        work.mlver("fsck", "--repair")
        work.mlver("checkout")
        assert right_or_pointers(work, done) == [], f"{path.name} at {at}"
        assert work.json("fsck") == {"version": 1, "ok": True, "problems": []}
        assert work.status() == ""


@pytest.mark.parametrize("find", [remote_packs, remote_indexes])
def test_a_bit_that_turns_on_the_remote_is_named_never_cloned_and_healed_by_a_pusher(
    find: Callable[[Sandbox], dict[Path, range]], stage: Stage
) -> None:
    for path, at in flips(stage.fresh("published"), find):
        box = stage.fresh("published")
        flip(path, at)
        work = box.at("work")
        kept = work.store.rename(box.root / "store")  # or the clone would find all of it there
        clone, done = box.try_clone(box.root / FAR, "third", "-q")
        right_or_pointers(clone, done)
        kept.rename(work.store)
        found = work.json("fsck", "--remote")
        assert not found["ok"], f"{path} at {at} is not named"
        assert {row["kind"] for row in found["problems"]} <= {"remote-corrupt", "remote-missing"}
        work.mlver("fsck", "--remote", "--repair")
        clone.mlver("pull")
        assert right_or_pointers(clone, done) == []
        assert work.json("fsck", "--remote")["ok"]
