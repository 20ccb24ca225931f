"""Compaction of a remote's index: no row is lost, whenever it dies and whoever works beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from tests.support.recording import Recording
from tests.unit.store_material import content
from tests.unit.test_collect import (
    Killed,
    Turns,
    Watched,
    World,
    at_call,
    forget,
    gently,
    pointer_of,
    settle,
    world,
)
from tests.unit.test_paged_remote import synthetic

from mlver.errors import BusyError, RemoteError
from mlver.exchange import compact, gc_lock, layout
from mlver.exchange.compact import Compacted, chosen
from mlver.exchange.index_cache import IndexCache
from mlver.exchange.index_object import Found, encode
from mlver.exchange.paged_writer import LARGE, encode_paged
from mlver.exchange.source import Catalog
from mlver.model.digest import digest_of
from mlver.remotes.base import Remote
from mlver.remotes.memory import MemoryRemote

__all__ = ["world"]

PUSHES = [content(f"push {i}", 20_000) for i in range(6)]


def compacted(remote: Remote) -> Compacted:
    catalog = Catalog(remote, "remote")
    with gc_lock.held(remote) as lock:
        return compact.compact(catalog, lock)


def rows_of(remote: Remote) -> set[Found]:
    return {row for item in Catalog(remote, "remote").objects() for row in item}


@pytest.fixture
def pushed(world: World) -> World:
    world.store("a", *PUSHES)
    for data in PUSHES:
        world.push("a", data)
    return world


def put(remote: Remote, rows: list[Found], *, paged: bool = False) -> str:
    if paged:
        digest, data = encode_paged(rows)
        name = layout.compacted_object(digest)
    else:
        data = encode(rows)
        name = layout.index_object(digest_of(data))
    remote.create(name, [data])
    return name


def test_many_objects_are_one_with_the_same_rows(pushed: World) -> None:
    before, rows = pushed.names("index/"), rows_of(pushed.remote)
    done = compacted(pushed.remote)
    assert len(before) == done.objects_before == 8 and done.objects_after == 1
    assert pushed.names("index/") == {done.name} and done.rows == len(rows)
    assert rows_of(pushed.remote) == rows
    assert not pushed.names("gc/")
    pushed.restores(*PUSHES)
    again = compacted(pushed.remote)
    assert again.name is None and pushed.names("index/") == {done.name}


def test_what_comes_after_is_merged_in_and_a_push_finds_all(pushed: World) -> None:
    compacted(pushed.remote)
    fresh = content("fresh", 30_000)
    pushed.store("a", fresh)
    done = pushed.push("a", fresh, PUSHES[0])
    assert done.present == {pointer_of(PUSHES[0])}
    assert compacted(pushed.remote).objects_after == 1
    pushed.restores(fresh, *PUSHES)


def test_two_copies_and_a_delta_of_one_record_all_stay() -> None:
    remote = MemoryRemote()
    layout.ensure_meta(remote)
    row = synthetic(1)[0]
    copies = [row, row._replace(pack=digest_of(b"p")), row._replace(codec=2, base=digest_of(b"b"))]
    for copy in copies:
        put(remote, [copy])
    put(remote, [row, synthetic(2)[1]])
    compacted(remote)
    assert set(Catalog(remote, "remote").find_all(row.id, row.kind)) == set(copies)
    assert len(rows_of(remote)) == 4


def test_size_tiers_leave_a_large_object_alone() -> None:
    k = 100 * 1024
    small = {f"index/0/{i:064x}": k for i in range(10)}
    first = {f"{layout.COMPACTED}{1:064x}": 15 * k}
    second = {f"{layout.COMPACTED}{2:064x}": 40 * k}
    third = {f"{layout.COMPACTED}{3:064x}": 10_000 * k}
    assert set(chosen(small)) == small.keys()
    assert set(chosen({**small, **first})) == {*small, *first}
    assert set(chosen({**small, **second})) == small.keys()
    assert set(chosen({**small, **first, **second, **third})) == {*small, *first, *second}
    assert chosen(first) == [] and chosen({**second, **third}) == []
    same = {f"{layout.COMPACTED}{i:064x}": 700 * k for i in range(5)}
    assert set(chosen(same)) == same.keys()
    one = {"index/0/x": 1}
    assert chosen(one) == [] and chosen({}) == []
    assert chosen({"index/0/x": 5_000 * k}), "a large one of the old kind is made readable"


def test_the_work_is_amortised() -> None:
    """Of 300 rounds, each row is written some ten times; and few objects are left."""
    sizes: dict[str, int] = {}
    written = total = 0
    for turn in range(300):
        for i in range(10):
            sizes[f"index/0/{turn * 10 + i:064x}"] = 100_000
            total += 100_000
        names = chosen(sizes)
        merged = sum(sizes.pop(name) for name in names)
        sizes[f"{layout.COMPACTED}{turn:064x}"] = merged
        written += merged
    assert written < 12 * total and len(sizes) < 12


def test_killed_at_any_call_it_goes_on_later_and_nothing_is_lost(pushed: World) -> None:
    def die() -> None:
        raise Killed

    rows = rows_of(pushed.remote)
    recording = Recording(pushed.copy().remote)
    expected = compacted(recording)
    assert len(recording.calls) > 15
    for number in range(len(recording.calls)):
        here = pushed.copy()
        with pytest.raises(Killed):
            compacted(Watched(here.remote, at_call(number, die)))
        assert rows_of(here.remote) == rows
        here.remote.delete_many(here.names(layout.LOCKS))  # or wait a day
        again = compacted(here.remote)
        assert rows_of(here.remote) == rows
        assert here.names("index/") == {again.name or expected.name}
    here.restores(*PUSHES)


def softly(world: World) -> None:
    with suppress(BusyError):
        compacted(world.remote)


FRESH = content("fresh", 90_000)


def test_compaction_at_any_call_of_a_push_loses_nothing(pushed: World) -> None:
    pushed.store("a", FRESH)

    def pushes(world: World, remote: Remote) -> None:
        world.push("a", FRESH, PUSHES[0], remote=remote)

    recording = Recording(pushed.copy().remote)
    pushes(pushed.copy(), recording)
    here = pushed.copy()
    rows = {row.id for row in rows_of(here.remote)}
    pushes(here, Recording(here.remote))
    rows = {row.id for row in rows_of(here.remote)}
    for number in range(len(recording.calls)):
        here = pushed.copy()
        pushes(here, Watched(here.remote, at_call(number, partial(softly, here))))
        assert {row.id for row in rows_of(here.remote)} == rows
    here.restores(FRESH, *PUSHES)


def test_a_push_at_any_call_of_compaction_loses_nothing(pushed: World) -> None:
    pushed.store("a", FRESH)
    recording = Recording(pushed.copy().remote)
    compacted(recording)
    for number in range(len(recording.calls)):
        here = pushed.copy()
        before = rows_of(here.remote)
        act = partial(here.push, "a", FRESH, PUSHES[1])
        compacted(Watched(here.remote, at_call(number, act)))
        assert before < rows_of(here.remote)
        assert here.push("a", FRESH).present == {pointer_of(FRESH)}


def test_a_reader_that_has_listed_what_goes_looks_again(pushed: World) -> None:
    recording = Recording(pushed.copy().remote)
    pushed_ids = [pointer_of(data) for data in PUSHES]
    catalog = Catalog(recording, "remote")
    assert catalog.prepare([oid for oid, _ in pushed_ids]) == []
    for number in range(len(recording.calls)):
        here = pushed.copy()
        watched = Watched(here.remote, at_call(number, partial(softly, here)))
        catalog = Catalog(watched, "remote")
        assert catalog.prepare([oid for oid, _ in pushed_ids]) == []


def test_pushes_compactions_and_collection_in_any_order_lose_nothing(world: World) -> None:
    world.store("a", FRESH, *PUSHES)
    world.store("b", FRESH, *PUSHES)
    gone = PUSHES[5]
    for data in [*PUSHES[:2], gone]:
        world.push("a", data)
    forget(world, gone)
    world.later()
    world.gc()
    world.later()

    def compacts(here: World, before: Callable[[], None]) -> None:
        for _ in range(2):
            with suppress(BusyError):
                compacted(Watched(here.remote, before))

    def pushes(here: World, name: str, datas: Sequence[bytes], before: Callable[[], None]) -> None:
        for data in datas:
            here.push(name, data, remote=Watched(here.remote, before))

    def collects(here: World, before: Callable[[], None]) -> None:
        gently(here, Watched(here.remote, before))

    for seed in range(30):
        here = world.copy()
        errors = Turns(seed).run(
            {
                "compact": partial(compacts, here),
                "gc": partial(collects, here),
                "a": partial(pushes, here, "a", [FRESH, gone]),
                "b": partial(pushes, here, "b", PUSHES[2:4]),
            }
        )
        assert not errors, (seed, errors)
        softly(here)
        settle(here)
        here.restores(FRESH, gone, *PUSHES[:4])


def test_what_is_condemned_and_comes_back_to_life_is_still_found(pushed: World) -> None:
    """Compaction must not do collection's work: a ref may name it again within the grace."""
    gone = PUSHES[3]
    forget(pushed, gone)
    pushed.later()
    assert pushed.gc().condemn is not None
    compacted(pushed.remote)
    pushed.refs.add(pointer_of(gone))
    settle(pushed)
    pushed.restores(*PUSHES)


def test_collection_rewrites_a_compacted_object(pushed: World) -> None:
    forget(pushed, PUSHES[3], PUSHES[4])
    compacted(pushed.remote)
    settle(pushed)
    packs = {layout.digest_in_name(name) for name in pushed.names("packs/")}
    assert len(packs) == 6 and Catalog(pushed.remote, "remote").packs() == packs
    pushed.restores(*PUSHES[:3], PUSHES[5])


def test_a_damaged_object_is_left_where_it_is(pushed: World) -> None:
    name = sorted(pushed.names("index/"))[0]
    data = pushed.remote._objects[name][0]
    pushed.remote._objects[name] = (data[:-1] + b"?", 0.0)
    done = compacted(pushed.remote)
    assert done.damaged == [name] and pushed.names("index/") == {name, done.name}


class NoDelete(MemoryRemote):
    """A role that may write and read only; `below`: where it may not delete."""

    below = "index/"

    def delete(self, name: str) -> None:
        if name.startswith(self.below):
            raise RemoteError("access was refused", why="403 AccessDenied")
        super().delete(name)


def test_who_may_not_delete_is_told_so_and_nothing_is_lost(pushed: World) -> None:
    remote = NoDelete()
    remote._objects = dict(pushed.remote._objects)
    rows, before = rows_of(remote), pushed.names("index/")
    with pytest.raises(RemoteError, match="could be deleted") as told:
        compacted(remote)
    assert "loses nothing" in told.value.why and told.value.fix
    assert rows_of(remote) == rows
    assert {row.name for row in remote.list("index/")} > before
    remote.below = "gc/"
    with pytest.raises(RemoteError, match="deletes the index objects"):
        compact.refuse_without_delete(remote)


def test_it_does_not_run_beside_a_collection(pushed: World) -> None:
    with gc_lock.held(pushed.remote), pytest.raises(BusyError):
        compacted(pushed.remote)


def test_a_large_push_is_paged_at_once_and_small_ones_are_not() -> None:
    from mlver.exchange.paged_writer import encoded

    rows = synthetic(LARGE + 1)
    assert encoded(rows)[0].startswith(layout.COMPACTED)
    assert encoded(rows[:-1])[0].startswith("index/0/")


@pytest.fixture
def tiers(tmp_path: Path) -> Iterator[Recording]:
    remote = Recording(MemoryRemote())
    layout.ensure_meta(remote)
    put(remote, synthetic(20_000), paged=True)
    put(remote, synthetic(6_000, "a"), paged=True)
    put(remote, synthetic(10, "b"))
    put(remote, synthetic(10, "c"))
    yield remote


def test_large_objects_that_stay_are_not_read(tiers: Recording, tmp_path: Path) -> None:
    tiers.calls.clear()
    catalog = Catalog(tiers, "remote", IndexCache(bytes(tmp_path / "kept")))
    with gc_lock.held(tiers) as lock:
        done = compact.compact(catalog, lock)
    assert done.objects_before == 4 and done.objects_after == 3 and done.rows == 20
    assert tiers.read_below("index/") < 150_000
    assert len(rows_of(tiers)) == 26_020
