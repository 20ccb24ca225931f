"""Collection and pushes at once on one remote: whatever a push acknowledged can be fetched.

A clock that tests set; nothing waits. Every remote call of one party is a place where the other
may do its work, or die.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from tests.unit.store_material import add, content, open_store, scratch_folder

from mlver.errors import BusyError, CorruptContent, MissingContent, MlverError, RemoteError
from mlver.exchange import collect, condemned, gc_lock, layout, registered
from mlver.exchange.collect import GRACE, Plan
from mlver.exchange.condemned import Condemned
from mlver.exchange.fetch import Fetcher
from mlver.exchange.push import Pusher, PushResult
from mlver.exchange.source import Catalog
from mlver.model.digest import digest_of
from mlver.model.pointer import Pointer
from mlver.remotes.base import Remote, RemoteObject
from mlver.remotes.memory import MemoryRemote
from mlver.store.local import LocalStore

KEPT, DEAD = content("kept", 150_000), content("dead", 150_000)
MIXED = DEAD[:120_000] + content("mixed", 40_000)
"""Shares chunks with DEAD: its recipe lies elsewhere than they do."""
DAY = 24 * 3600.0


def pointer_of(data: bytes) -> Pointer:
    return Pointer(digest_of(data), len(data))


class Killed(BaseException):
    """A process that died."""


class Watched(Remote):
    """`inner`, with `before` called ahead of each call."""

    def __init__(self, inner: Remote, before: Callable[[], None]) -> None:
        self._inner, self._before = inner, before

    @property
    def url(self) -> str:
        return self._inner.url

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        self._before()
        return self._inner.read(name, start, length)

    def size(self, name: str) -> int | None:
        self._before()
        return self._inner.size(name)

    def create(self, name: str, parts: Sequence[bytes | memoryview]) -> bool:
        self._before()
        return self._inner.create(name, parts)

    def list(self, prefix: str) -> Iterator[RemoteObject]:
        self._before()
        return self._inner.list(prefix)

    def delete(self, name: str) -> None:
        self._before()
        self._inner.delete(name)

    def close(self) -> None:
        pass


@dataclass
class World:
    """A remote, its clock, and what git's remotes name."""

    folder: Path
    now: float = 1_700_000_000.0
    refs: set[Pointer] = field(default_factory=set)
    stores: dict[str, LocalStore] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.remote = MemoryRemote(clock=lambda: self.now)

    def store(self, name: str, *datas: bytes) -> LocalStore:
        if name not in self.stores:
            self.stores[name] = open_store(self.folder / name)
        for data in datas:
            add(self.stores[name], data)
        return self.stores[name]

    def push(self, name: str, *datas: bytes, remote: Remote | None = None) -> PushResult:
        """What `git push` does: content, and then the ref."""
        catalog = Catalog(remote or self.remote, "remote")
        wanted = {pointer_of(data) for data in datas}
        done = Pusher(self.stores[name], catalog, lambda _: None).push(wanted)
        assert not done.absent
        self.refs |= wanted
        return done

    def gc(self, remote: Remote | None = None, grace: float = GRACE, **more: bool) -> Plan:
        catalog = Catalog(remote or self.remote, "remote")
        with gc_lock.held(catalog.remote) as lock:
            lists = condemned.read_all(catalog.remote)
            roots = set(self.refs)
            todo = collect.plan(catalog, lists, roots, now=lock.now, grace=grace, **more)
            collect.carry_out(catalog, todo, lock)
        return todo

    def later(self, seconds: float = GRACE + 1) -> None:
        self.now += seconds

    def names(self, prefix: str) -> set[str]:
        return {row.name for row in self.remote.list(prefix)}

    def restores(self, *datas: bytes) -> None:
        """A fresh clone gets all of it."""
        with scratch_folder(self.folder) as folder, ThreadPoolExecutor(2) as pool:
            fresh = open_store(folder / f"fresh{len(self.stores)}")
            done = Fetcher(fresh, [Catalog(self.remote, "remote")], pool, lambda _: None).fetch(
                map(pointer_of, datas)
            )
            fresh.close()
        assert not done.failed, done.failed

    def copy(self) -> World:
        made = World(self.folder, self.now, set(self.refs), self.stores)
        made.remote._objects = dict(self.remote._objects)
        return made


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with scratch_folder(tmp_path) as folder:
        made = World(folder)
        made.store("a", KEPT, DEAD, MIXED)
        made.push("a", KEPT)
        made.push("a", DEAD)
        yield made
        for store in made.stores.values():
            store.close()


def forget(world: World, *datas: bytes) -> None:
    world.refs -= {pointer_of(data) for data in datas}


def settle(world: World) -> None:
    """Two more runs, each after a time of grace: all that can go has gone."""
    for _ in range(3):
        world.later()
        world.gc()


def test_what_nothing_names_is_condemned_and_then_deleted_and_the_rest_stays(world: World) -> None:
    before = world.names("packs/")
    forget(world, DEAD)
    assert world.gc().condemn is None, "it is younger than the grace"
    world.later()
    assert world.gc().condemn is not None
    assert world.names("packs/") == before
    world.gc()
    assert world.names("packs/") == before, "the grace is not over"
    world.later()
    assert len(world.gc().doomed) == 1
    assert len(world.names("packs/")) == 1 and len(world.names("index/")) == 1
    assert not world.names("gc/")
    world.restores(KEPT)


def test_what_is_named_again_in_time_stays(world: World) -> None:
    forget(world, DEAD)
    world.later()
    world.gc()
    world.refs.add(pointer_of(DEAD))  # by hand, without a push of content
    settle(world)
    world.restores(KEPT, DEAD)
    assert not world.names("gc/")


def test_a_push_sends_anew_what_is_condemned_under_another_name(world: World) -> None:
    forget(world, DEAD)
    world.later()
    world.gc()
    old = world.names("packs/")
    world.push("a", DEAD)
    assert len(world.names("packs/") - old) == 1
    settle(world)
    world.restores(KEPT, DEAD)


def test_a_recipe_whose_chunks_go_is_not_taken_for_content(world: World) -> None:
    """MIXED's recipe lies in a pack that stays, its chunks in one that goes."""
    extra = content("extra", 30_000)
    world.store("a", extra)
    world.push("a", MIXED, extra)
    forget(world, DEAD, MIXED)
    world.later()
    assert world.gc().condemn is not None
    settle(world)
    catalog = Catalog(world.remote, "remote")
    assert not [row for item in catalog.objects() for row in item if row.pack not in {
        pack for pack in map(layout.digest_in_name, world.names("packs/"))
    }]  # fmt: skip
    assert pointer_of(MIXED) in world.push("a", MIXED).sent
    settle(world)
    world.restores(KEPT, MIXED, extra)


def test_packs_of_a_killed_push_go_too(world: World) -> None:
    for name in world.names("index/"):
        world.remote.delete(name)
    world.refs.clear()
    settle(world)
    assert not world.names("packs/")


@pytest.mark.parametrize("harm", ["index", "pack", "root", "recipe", "hold"])
def test_nothing_is_condemned_where_anything_cannot_be_read(world: World, harm: str) -> None:
    forget(world, DEAD)
    world.later()
    objects = world.remote._objects
    if harm == "index":
        name = sorted(world.names("index/"))[0]
        objects[name] = (objects[name][0][:-1] + b"?", objects[name][1])
    elif harm == "pack":
        world.remote.delete_many(world.names("packs/"))
    elif harm == "recipe":
        for name in world.names("packs/"):
            data = bytearray(objects[name][0])
            data[16 : len(data) // 2] = bytes(len(data) // 2 - 16)  # they lie first
            objects[name] = (bytes(data), objects[name][1])
    elif harm == "root":
        world.refs.add(pointer_of(b"never pushed"))
    before = dict(objects)
    if harm == "hold":
        world.remote.create(f"{layout.HOLDS}{'0' * 64}", [b"?"])
        with pytest.raises(CorruptContent):
            registered.holds(world.remote)
        return
    with pytest.raises((CorruptContent, RemoteError, MissingContent)):
        world.gc()
    assert world.remote._objects == before


def test_missing_roots_that_are_allowed_keep_what_no_index_names(world: World) -> None:
    for name in world.names("index/"):
        world.remote.delete(name)
    world.later()
    assert world.gc(allow_missing=True).condemn is None


def test_a_damaged_list_stops_pushes_until_collection_has_removed_it(world: World) -> None:
    world.remote.create(f"{layout.CONDEMNED}{'0' * 64}", [b"?"])
    with pytest.raises(RemoteError, match="condemned"):
        world.push("a", MIXED)
    world.gc()
    world.push("a", MIXED)


def test_two_collections_at_once_are_one(world: World) -> None:
    with gc_lock.held(world.remote), pytest.raises(BusyError):
        world.gc()
    world.remote.create(f"{layout.LOCKS}{'0' * 32}", [b""])
    world.later(2 * DAY)
    world.gc()
    assert not world.names(layout.LOCKS)


def states(world: World) -> Iterable[World]:
    """The remote before DEAD is condemned, while it is, and when its grace is over."""
    forget(world, DEAD)
    world.later()
    yield world.copy()
    world.gc()
    yield world.copy()
    world.later()
    yield world.copy()


def calls_of(act: Callable[[World, Remote], object], start: World) -> int:
    """How many remote calls an act makes."""
    count = 0

    def one() -> None:
        nonlocal count
        count += 1

    here = start.copy()
    act(here, Watched(here.remote, one))
    return count


def from_call(number: int) -> Callable[[], None]:
    """Something that dies when it is called for the `number`th time, and stays dead: no lock is
    removed on the way out."""
    count = 0

    def before() -> None:
        nonlocal count
        count += 1
        if count > number:
            raise Killed

    return before


def at_call(number: int, act: Callable[[], object]) -> Callable[[], None]:
    """Something that acts when it is called for the `number`th time, once."""
    count = 0

    def before() -> None:
        nonlocal count
        count += 1
        if count == number + 1:
            act()

    return before


def gently(world: World, remote: Remote | None = None) -> None:
    """A run that may give way."""
    with contextlib.suppress(BusyError):
        world.gc(remote)


def whole_collection(world: World) -> None:
    for _ in range(2):
        gently(world)
        world.later()
    gently(world)


PUSHED = (DEAD, MIXED)


def pushes(world: World, remote: Remote | None = None) -> None:
    world.push("a", *PUSHED, remote=remote)


def test_collection_at_each_call_of_a_push_loses_nothing(world: World) -> None:
    for start in states(world):
        for number in range(calls_of(pushes, start)):
            here = start.copy()
            pushes(here, Watched(here.remote, at_call(number, partial(gently, here))))
            settle(here)
            here.restores(KEPT, *PUSHED)


def test_a_push_that_takes_longer_than_the_grace_is_told_so_or_loses_nothing(world: World) -> None:
    """At any of its calls, everything is condemned and deleted."""
    start = next(iter(states(world)))
    told = 0
    total = calls_of(pushes, start)
    for number in range(total):
        here = start.copy()
        watched = Watched(here.remote, at_call(number, partial(whole_collection, here)))
        try:
            pushes(here, watched)
        except RemoteError:
            told += 1  # its pack went before it had looked at it
            pushes(here)
        settle(here)
        here.restores(KEPT, *PUSHED)
    assert told < total / 4


def test_a_push_at_each_call_of_collection_loses_nothing(world: World) -> None:
    for start in states(world):
        for number in range(calls_of(World.gc, start)):
            here = start.copy()
            gently(here, Watched(here.remote, at_call(number, partial(pushes, here))))
            settle(here)
            here.restores(KEPT, *PUSHED)


def test_collection_that_is_killed_at_any_call_goes_on_later(world: World) -> None:
    for start in states(world):
        for number in range(calls_of(World.gc, start)):
            here = start.copy()
            with pytest.raises(Killed):
                here.gc(Watched(here.remote, from_call(number)))
            here.restores(KEPT)
            here.push("a", MIXED)
            settle(here)
            here.restores(KEPT, MIXED)
            forget(here, MIXED)
            settle(here)
            assert len(here.names("packs/")) == 1 and not here.names("gc/")


@pytest.mark.parametrize("data", [MIXED, DEAD], ids=["another index object", "the same one"])
def test_a_push_that_died_late_misleads_nobody_while_its_packs_are_deleted(
    world: World, data: bytes
) -> None:
    """It read before anything was condemned, slept through the grace, wrote its index, which names
    what is going (a recipe whose chunks are; or the very object that has just been deleted), and
    died. Another push finds it, at once or when all is over."""
    start = list(states(world))[2]

    def sleeper(here: World, catalog: Catalog) -> None:
        with pytest.raises(Killed):
            Pusher(here.stores["a"], catalog, lambda _: None).push([pointer_of(data)])
        if data == MIXED:
            with contextlib.suppress(RemoteError):
                here.push("a", data)

    gave_way = 0
    for number in range(last_look(start)):
        here = start.copy()
        catalog = SleepyCatalog(here.remote, "remote", wary=True)
        if data == MIXED:
            catalog.objects()
        else:  # it saw nothing of what others had pushed meanwhile
            catalog._objects = {}
        catalog.condemned, catalog._lists = Condemned(), frozenset()  # as it was before
        watched = Watched(here.remote, at_call(number, partial(sleeper, here, catalog)))
        try:
            here.gc(watched)
        except BusyError:
            gave_way += 1
        if pointer_of(data) not in here.refs:
            here.push("a", data)
        settle(here)
        here.restores(KEPT, data)
    assert gave_way


def last_look(start: World) -> int:
    """The call of a run by which it last looks at the index: from then on until its packs have
    gone, nothing but the grace helps."""
    looks = [0]
    calls = 0

    class Looks(Watched):
        def list(self, prefix: str) -> Iterator[RemoteObject]:
            if prefix == layout.INDEX:
                looks[0] = calls + 1
            return super().list(prefix)

    def one() -> None:
        nonlocal calls
        calls += 1

    here = start.copy()
    here.gc(Looks(here.remote, one))
    return looks[0]


class SleepyCatalog(Catalog):
    """Whoever pushes with it dies before it looks again."""

    def is_current(self, written: str | None = None) -> bool:
        raise Killed


def test_whoever_may_not_delete_leaves_no_lock(world: World) -> None:
    class Refusing(Watched):
        def delete(self, name: str) -> None:
            raise RemoteError("cannot delete")

    before = world.names("")
    forget(world, DEAD)
    world.later()
    with pytest.raises(RemoteError, match="cannot delete"):
        world.gc(Refusing(world.remote, lambda: None))
    assert world.names("") == before


def test_only_what_is_really_a_pointer_must_be_there(world: World) -> None:
    forget(world, DEAD)
    catalog = Catalog(world.remote, "remote")
    other_size = Pointer(digest_of(KEPT), 7)
    roots = [pointer_of(KEPT), other_size]
    quoted = [pointer_of(b"quoted"), pointer_of(DEAD)]
    found = collect.plan(catalog, [], roots, now=world.now, alike=quoted)
    assert not found.missing and len(found.live) == 2, "what looks like a pointer is kept"
    with pytest.raises(MissingContent):
        collect.plan(catalog, [], [*roots, pointer_of(b"quoted")], now=world.now)


class Turns:
    """Several parties, each in a thread; before each remote call chance says whose turn it is."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._change = threading.Condition()
        self._waiting: dict[str, int] = {}
        self._running: set[str] = set()

    def run(self, acts: dict[str, Callable[[Callable[[], None]], None]]) -> list[BaseException]:
        errors: list[BaseException] = []
        self._running = set(acts)

        def party(name: str) -> None:
            try:
                acts[name](lambda: self._wait(name))
            except BaseException as error:
                errors.append(error)
            with self._change:
                self._running.discard(name)
                self._change.notify_all()

        threads = [threading.Thread(target=party, args=(name,)) for name in acts]
        for thread in threads:
            thread.start()
        while self._running:
            with self._change:
                self._change.wait_for(lambda: self._running <= set(self._waiting), timeout=5)
                ready = sorted(self._waiting)
                if ready:
                    del self._waiting[self._rng.choice(ready)]
                    self._change.notify_all()
        for thread in threads:
            thread.join()
        return errors

    def _wait(self, name: str) -> None:
        with self._change:
            self._waiting[name] = 1
            self._change.notify_all()
            self._change.wait_for(lambda: name not in self._waiting)


def collects_twice(world: World, before: Callable[[], None]) -> None:
    for _ in range(2):
        gently(world, Watched(world.remote, before))


def pushes_in_turn(world: World, name: str, data: bytes, before: Callable[[], None]) -> None:
    world.push(name, data, remote=Watched(world.remote, before))


def test_pushes_and_collection_in_any_order_of_their_calls_lose_nothing(world: World) -> None:
    world.store("b", DEAD, MIXED)
    starts = list(states(world))
    for seed in range(60):
        here = starts[seed % 3].copy()

        errors = Turns(seed).run(
            {
                "gc": partial(collects_twice, here),
                "a": partial(pushes_in_turn, here, "a", DEAD),
                "b": partial(pushes_in_turn, here, "b", MIXED),
            }
        )
        assert not errors, (seed, errors)
        settle(here)
        here.restores(KEPT, DEAD, MIXED)


def test_a_hold_keeps_what_no_ref_names(world: World) -> None:
    registered.hold(world.remote, [pointer_of(DEAD), pointer_of(KEPT)])
    assert registered.holds(world.remote) == {pointer_of(DEAD), pointer_of(KEPT)}


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://me:secret@host/x.git", "https://host/x.git"),
        ("https://token@host:8443/x.git", "https://host:8443/x.git"),
        ("ssh://git@host/x.git", "ssh://git@host/x.git"),
        ("git@host:x.git", "git@host:x.git"),
    ],
)
def test_a_registered_repository_tells_no_secret(world: World, url: str, kept: str) -> None:
    registered.register(world.remote, url)
    assert set(registered.repositories(world.remote).values()) == {kept}


def test_a_list_reads_as_it_was_written() -> None:
    made = Condemned(
        frozenset([digest_of(b"1"), digest_of(b"2")]), frozenset([(digest_of(b"3"), 2)]), 7
    )
    assert condemned.decode(condemned.encode(made)) == made
    with pytest.raises(MlverError):
        condemned.decode(condemned.encode(made)[:-1])
