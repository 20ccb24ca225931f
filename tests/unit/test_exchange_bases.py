"""Deltas and their bases between stores: what a push has acknowledged, any clone can fetch.

Two clones may store the same chunk in two ways, one of them as a delta. A remote or a store where
a base is itself a delta would hold content that nobody can read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.store_material import add, content, open_store, records_in

from mlver.exchange.fetch import Fetcher
from mlver.exchange.index_object import Found
from mlver.exchange.layout import digest_in_name, pack_object
from mlver.exchange.nearby import Nearby
from mlver.exchange.orphans import Adopted, _Adoption
from mlver.exchange.outgoing import laid_out, stretch_of
from mlver.exchange.push import Pusher
from mlver.exchange.source import Catalog
from mlver.model.digest import digest_of
from mlver.model.pointer import Pointer
from mlver.model.recipe import Recipe
from mlver.remotes.memory import MemoryRemote
from mlver.store.assemble import read_blob
from mlver.store.encode import Encoder
from mlver.store.local import LocalStore
from mlver.store.pack import NewRecord
from mlver.store.record import CHUNK, DELTA, RAW, RECIPE, XOR, needs_base
from mlver.store.session import Session

FIRST = content("bases", 30_000)
SECOND = FIRST[:-6] + b"second"
THIRD = FIRST[:100] + b"third" + FIRST[105:]
WIDTHS = {DELTA: 0, XOR: 2}

FORM = {"codec": DELTA}

Make = Callable[[str], LocalStore]


@pytest.fixture(params=[DELTA, XOR], ids=["dictionary", "xor"], autouse=True)
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Every promise here holds for every codec that needs a base."""
    codec: int = request.param
    monkeypatch.setitem(FORM, "codec", codec)
    return codec


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Stores of clones, by name."""
    opened: dict[str, LocalStore] = {}

    def made(name: str) -> LocalStore:
        return opened.setdefault(name, open_store(tmp_path / name))

    yield made
    for store in opened.values():
        store.close()


@pytest.fixture
def remote() -> MemoryRemote:
    return MemoryRemote()


def pointer_of(data: bytes) -> Pointer:
    return Pointer(digest_of(data), len(data))


def push(store: LocalStore, remote: MemoryRemote, *datas: bytes) -> None:
    wanted = {pointer_of(data) for data in datas}
    done = Pusher(store, Catalog(remote, "remote"), lambda _: None).push(wanted)
    assert done.sent | done.present == wanted and not done.absent


def assert_fetches(store: LocalStore, remote: MemoryRemote, *datas: bytes) -> None:
    with ThreadPoolExecutor(2) as pool:
        done = Fetcher(store, [Catalog(remote, "remote")], pool, lambda _: None).fetch(
            pointer_of(data) for data in datas
        )
    assert not done.failed
    for data in datas:
        assert store.missing(pointer_of(data)) is None
        assert bytes(read_blob(store, pointer_of(data))) == data


def add_as_delta(store: LocalStore, data: bytes, base: bytes) -> None:
    """`base` stands alone, `data` upon it."""
    lower, digest = add(store, base), digest_of(data)
    width = WIDTHS[FORM["codec"]]
    with Session(store) as session:
        session.append([Encoder(store).record(digest, data, lower.oid, width=width)])
    place = store.locate(digest)
    assert place is not None and place.codec == FORM["codec"]


def test_what_an_error_says_of_content_that_is_nowhere(make: Make, remote: MemoryRemote) -> None:
    with ThreadPoolExecutor(1) as pool:
        sources = [Catalog(remote, "remote")]
        pointer = pointer_of(FIRST)
        done = Fetcher(make("a"), sources, pool, lambda _: None).fetch([pointer])
    error = done.failed[pointer]
    assert "remote" in error.why and error.fix.startswith("git mlver ")


def test_adopting_a_pack_looks_at_no_entry_twice(make: Make, remote: MemoryRemote) -> None:
    """A pack that a killed push left has tens of thousands of records."""

    class Entered(list[Found]):
        def __iter__(self) -> Iterator[Found]:
            raise AssertionError("the entered records were gone through")

    store = make("a")
    add_as_delta(store, SECOND, FIRST)
    push(store, remote, FIRST, SECOND)
    for row in [*remote.list("index/")]:
        remote.delete(row.name)
    catalog = Catalog(remote, "remote")
    pusher = Pusher(store, catalog, lambda _: None)
    needed = [pusher._needs(pointer_of(data), {}) for data in (FIRST, SECOND)]
    adoption = _Adoption(store, catalog, needed[0] | needed[1], set())
    adoption.result.rows = entered = Entered()
    for row in remote.list("packs/"):
        pack_id = digest_in_name(row.name)
        assert pack_id is not None
        adoption.look_into(row, pack_id)
    assert len(entered) == 2


def test_a_recipe_of_another_cut_is_not_adopted(make: Make, remote: MemoryRemote) -> None:
    """A later version may cut the same content in another way: its chunks were not looked for."""
    data = content("long", 200_000)
    add(make("a"), data)
    rows = ((digest_of(data[:7]), 7), (digest_of(data[7:]), len(data) - 7))
    body = Recipe(len(data), 0, rows).encode(digest_of(data))
    record = NewRecord(RECIPE, RAW, len(body), digest_of(data), (body,))
    _, parts = laid_out([stretch_of(record)])
    whole = b"".join(parts)
    remote.create(pack_object(digest_of(whole)), [whole])
    push(make("a"), remote, data)
    assert_fetches(make("c"), remote, data)


def test_a_delta_and_its_base_arrive_in_an_empty_clone(make: Make, remote: MemoryRemote) -> None:
    add_as_delta(make("a"), SECOND, FIRST)
    push(make("a"), remote, SECOND)
    assert_fetches(make("c"), remote, SECOND)
    assert_fetches(make("c"), remote, FIRST)


def test_a_delta_arrives_in_a_clone_that_has_its_base(make: Make, remote: MemoryRemote) -> None:
    add_as_delta(make("a"), SECOND, FIRST)
    push(make("a"), remote, SECOND)
    add(make("c"), FIRST)
    assert_fetches(make("c"), remote, SECOND)


def test_a_delta_arrives_in_a_clone_whose_base_is_a_delta(make: Make, remote: MemoryRemote) -> None:
    """Here FIRST lies upon THIRD; there SECOND lies upon FIRST."""
    add_as_delta(make("a"), SECOND, FIRST)
    push(make("a"), remote, FIRST, SECOND)
    add_as_delta(make("b"), FIRST, THIRD)
    assert_fetches(make("b"), remote, SECOND)
    for data in (FIRST, SECOND, THIRD):
        assert bytes(read_blob(make("b"), pointer_of(data))) == data


def test_a_delta_is_not_pushed_upon_a_base_that_is_a_delta_there(
    make: Make, remote: MemoryRemote
) -> None:
    """The remote has FIRST upon THIRD; a clone that has FIRST whole pushes SECOND upon it."""
    add_as_delta(make("b"), FIRST, THIRD)
    push(make("b"), remote, FIRST, THIRD)
    add_as_delta(make("a"), SECOND, FIRST)
    push(make("a"), remote, FIRST, SECOND)
    assert_fetches(make("c"), remote, SECOND)
    assert_fetches(make("d"), remote, FIRST, SECOND, THIRD)


def test_of_two_copies_on_a_remote_the_base_is_the_one_that_stands_alone(
    make: Make, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two first pushes at once: neither saw the other's index."""
    add_as_delta(make("a"), SECOND, FIRST)
    add_as_delta(make("b"), FIRST, THIRD)
    blind = Catalog(remote, "remote")
    blind.objects()
    late = Pusher(make("b"), blind, lambda _: None)
    push(make("a"), remote, FIRST, SECOND)
    monkeypatch.setattr("mlver.exchange.push.adopt", lambda *_: Adopted())
    late.push([pointer_of(FIRST), pointer_of(THIRD)])
    copies = Catalog(remote, "remote").find_all(digest_of(FIRST), CHUNK)
    assert sorted(needs_base(copy.codec) for copy in copies) == [False, True]
    assert_fetches(make("c"), remote, SECOND)
    assert_fetches(make("d"), remote, THIRD, SECOND, FIRST)


def test_a_delta_in_a_pack_that_nothing_indexes_is_used_only_with_its_base(
    make: Make, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A push was killed after its packs; another clone pushes the same content, whole there."""
    add_as_delta(make("a"), SECOND, FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(Pusher, "_write_index", lambda self: None)
        push(make("a"), remote, FIRST, SECOND)
    add(make("b"), SECOND)
    push(make("b"), remote, SECOND)
    assert_fetches(make("c"), remote, SECOND)
    push(make("a"), remote, FIRST, SECOND)
    assert_fetches(make("d"), remote, FIRST, SECOND)


def test_a_delta_that_nothing_indexes_is_not_used_where_its_base_is_sent_as_a_delta(
    make: Make, remote: MemoryRemote
) -> None:
    """There SECOND lies upon FIRST, with no FIRST beside it; here FIRST lies upon THIRD."""
    add_as_delta(make("a"), SECOND, FIRST)
    header, payload = make("a").record(digest_of(SECOND))
    record = NewRecord(CHUNK, header.codec, header.raw, header.id, (payload,))
    whole = b"".join(laid_out([stretch_of(record)])[1])
    remote.create(pack_object(digest_of(whole)), [whole])
    add_as_delta(make("b"), FIRST, THIRD)
    add(make("b"), SECOND)
    push(make("b"), remote, FIRST, SECOND, THIRD)
    assert_fetches(make("c"), remote, SECOND)
    assert_fetches(make("d"), remote, FIRST, SECOND, THIRD)


def test_a_footer_tells_of_no_delta(make: Make, remote: MemoryRemote) -> None:
    """It does not say what a delta's base is: that is for the index."""
    add_as_delta(make("a"), SECOND, FIRST)
    push(make("a"), remote, FIRST, SECOND)
    nearby = Nearby(remote)
    packs = {digest_in_name(row.name): 1 << 20 for row in remote.list("packs/")}
    nearby._read_footers({pack: worth for pack, worth in packs.items() if pack is not None})
    assert [row.id for row in nearby.rows(digest_of(FIRST))] == [digest_of(FIRST)]
    assert nearby.rows(digest_of(SECOND)) == []


def test_a_push_that_was_killed_after_its_packs_sends_none_of_them_again(
    make: Make, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    datas = [content(number, 20_000) for number in range(5)]
    for data in datas:
        add(make("a"), data)
    with monkeypatch.context() as patch:
        patch.setattr(Pusher, "_write_index", lambda self: None)
        push(make("a"), remote, *datas)
    packs = {row.name for row in remote.list("packs/")}
    push(make("a"), remote, *datas)
    assert {row.name for row in remote.list("packs/")} == packs
    assert_fetches(make("c"), remote, *datas)
    assert all(not needs_base(entry.header.codec) for entry in records_in(tmp_path / "c"))
