"""Collection on a remote: mark, condemn, and after a time of grace mark again and delete.

Nothing here knows git: the caller brings the roots, read after the lists of condemned packs were.
A pack in which no record is needed is condemned: a list names it, and pushes take what the list
names for absent. It is deleted only in a later run, when the list is older than the grace and a
mark made anew still finds nothing in it that is needed. Deleting goes from names to things: new
index objects, old index objects, packs, lists. Killed anywhere, the next run goes on.
Why no push loses by it: docs/decisions/0015.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from mlver.errors import BusyError, CorruptContent, MissingContent, RemoteError
from mlver.exchange import condemned, layout
from mlver.exchange.condemned import Condemned, Key, Listed
from mlver.exchange.gc_lock import GcLock
from mlver.exchange.index_object import Found
from mlver.exchange.paged_writer import encoded
from mlver.exchange.reach import Reach, Rows
from mlver.exchange.source import Catalog
from mlver.model.digest import Digest, digest_of, short
from mlver.model.pointer import Pointer
from mlver.remotes.base import RemoteObject
from mlver.store.record import RECIPE

GRACE = 14 * 24 * 3600.0
"""Seconds; longer than any push takes, from its first request until git's refs have moved."""

_REPAIR = "git mlver fsck --remote --repair, in a clone that has the content"


@dataclass(slots=True)
class Plan:
    """What a run found, and what it does. Sizes in bytes.

    `doomed` packs are deleted now. Index rows go of what is in them, of `unreadable` records, and
    of packs that are `absent` already (a push that took longer than the grace may leave such rows;
    where a root needs one, nothing is done). `condemn` is the new list, if any; `spent` lists have
    done their work.
    """

    packs: dict[Digest, RemoteObject] = field(default_factory=dict)
    live: frozenset[Digest] = frozenset()
    waiting: frozenset[Digest] = frozenset()
    doomed: frozenset[Digest] = frozenset()
    absent: frozenset[Digest] = frozenset()
    unreadable: frozenset[Key] = frozenset()
    condemn: Condemned | None = None
    spent: list[str] = field(default_factory=list)
    missing: list[Pointer] = field(default_factory=list)
    reach: Reach | None = None

    def size(self, packs: Iterable[Digest]) -> int:
        """Bytes of these packs."""
        return sum(self.packs[pack].size for pack in packs)


def plan(
    catalog: Catalog,
    lists: list[Listed],
    roots: Iterable[Pointer],
    *,
    now: float,
    grace: float = GRACE,
    alike: Iterable[Pointer] = (),
    allow_missing: bool = False,
    is_here: Callable[[Pointer], bool] = lambda _: False,
) -> Plan:
    """What to do. Reads only. `lists` were read before the roots were; `now`: the remote's clock.

    Raises RemoteError, CorruptContent, MissingContent where anything cannot be read whole.
    `allow_missing`: content of roots, and packs that an index names, may be gone; then no pack that
    no index names goes. `is_here`: a blob that this clone has whole, and may not have pushed yet.
    `alike`: roots of which only what is there counts, such as a pointer that a text quotes.
    """
    catalog.forget()
    catalog.whole_objects()  # before the packs: whatever an index names is then among them
    packs = _packs(catalog)
    rows = _rows(catalog, packs)
    reach = Reach(catalog, rows)
    named = set(roots)
    wanted = named.union(alike)
    live, lost = reach.closure(wanted)
    # Which size goes with an oid may be unsure; the oid alone says what the content is.
    whole = {pointer.oid for pointer in wanted.difference(lost)}
    lost = [p for p in lost if p in named and p.oid not in whole]
    missing = [pointer for pointer in lost if not is_here(pointer)]
    if missing and not allow_missing:
        raise _missing(catalog, missing)
    live_packs = {row.pack for key in live for row in rows.get(key, ())}
    if missing:  # what they need may lie where no index says so
        live_packs |= packs.keys() - {row.pack for copies in rows.values() for row in copies}
    result = Plan(packs, frozenset(live_packs), missing=missing)
    result.reach = reach
    result.absent = frozenset(catalog.packs() - packs.keys())
    dead = packs.keys() - live_packs
    old = {pack for pack in dead if now - packs[pack].modified >= grace}
    _decide(result, lists, reach, frozenset(dead), frozenset(old), live, now, grace)
    return result


def _decide(
    result: Plan,
    lists: list[Listed],
    reach: Reach,
    dead: frozenset[Digest],
    old: frozenset[Digest],
    live: set[Key],
    now: float,
    grace: float,
) -> None:
    """Which dead packs go now, which wait, and which are condemned."""
    whole = [(item.name, item.content, item.modified) for item in lists if item.content]
    ripe = [row for row in whole if now - max(row[2], row[1].time) >= grace]
    fresh = [row for row in whole if row not in ripe]
    result.spent = [row[0] for row in ripe] + [item.name for item in lists if not item.content]
    doomed = frozenset(pack for _, content, _ in ripe for pack in content.packs) & dead
    known = {key for _, content, _ in ripe for key in content.records}
    # What cannot be read already is no loss to anybody: its rows go without a time of grace.
    broken = _unreadable(reach, frozenset(), live) if result.absent else frozenset()
    unreadable = _unreadable(reach, doomed, live) if doomed else frozenset()
    result.unreadable = broken
    if unreadable - broken <= known:
        result.doomed, result.unreadable = doomed, unreadable | broken
    # else: a push that was killed left records that need what goes. Nobody was told that those
    # are not to be relied on: all of it is condemned anew.
    waiting = frozenset(pack for _, content, _ in fresh for pack in content.packs) & dead
    new = old | doomed
    new -= waiting | result.doomed
    if new:
        gone = _unreadable(reach, new | waiting | result.doomed, live)
        result.condemn = Condemned(new, gone - result.unreadable, int(now))
    result.waiting = waiting | new


def _missing(catalog: Catalog, missing: list[Pointer]) -> MissingContent:
    return MissingContent(
        f"{len(missing)} blob(s) that git names are not whole on {catalog.name},"
        f" first {short(missing[0].oid)}",
        why="what is left of them might be taken for garbage",
        fix="git mlver push --all, in a clone that has them; or, where they are lost for good,"
        " git mlver gc --remote --allow-missing",
    )


def _packs(catalog: Catalog) -> dict[Digest, RemoteObject]:
    """Every pack that is there; names that are none are left alone."""
    found = {}
    for row in catalog.remote.list(layout.PACKS):
        digest = layout.digest_in_name(row.name)
        if digest is not None and row.name == layout.pack_object(digest):
            found[digest] = row
    return found


def _rows(catalog: Catalog, packs: dict[Digest, RemoteObject]) -> Rows:
    """Every row of every index object, of packs that are there. Raises CorruptContent."""
    objects = catalog.objects()
    if catalog.damaged:
        raise CorruptContent(
            f"{catalog.name}: an index object is damaged",
            why=f"{catalog.damaged[0]}; what it names would be taken for garbage",
            fix=_REPAIR,
        )
    rows: Rows = {}
    for item in objects:
        for row in item:
            if row.pack in packs:
                rows.setdefault((row.id, row.kind), []).append(row)
    return rows


def _unreadable(reach: Reach, gone: frozenset[Digest], live: set[Key]) -> frozenset[Key]:
    """Records outside the packs `gone` that need something in them, or that is nowhere."""
    stay = {key for key, rows in reach.rows.items() if any(row.pack not in gone for row in rows)}
    stay -= live
    recipes = [digest for digest, kind in stay if kind == RECIPE]
    needs = reach.chunks_of(recipes)
    return frozenset(
        (digest, kind)
        for digest, kind in stay
        if not all(
            reach.is_readable(chunk, gone)
            for chunk in (needs[digest] if kind == RECIPE else (digest,))
        )
    )


def carry_out(catalog: Catalog, todo: Plan, lock: GcLock) -> None:
    """Do what the plan says. Raises RemoteError, BusyError; whatever is done then stays valid."""
    if todo.condemn is not None:
        lock.check()
        data = condemned.encode(todo.condemn)
        _write(catalog, f"{layout.CONDEMNED}{digest_of(data).hex()}", data)
    if todo.doomed or todo.absent:
        _forget_rows(catalog, todo, lock)
    lock.delete(layout.pack_object(pack) for pack in sorted(todo.doomed))
    lock.delete(todo.spent)


def _forget_rows(catalog: Catalog, todo: Plan, lock: GcLock) -> None:
    """Write index objects without rows of what goes, then delete the ones that have them.

    The new name may be that of an object that is there: then nothing is lost either.
    """
    gone = todo.doomed | todo.absent
    objects = catalog.named_objects()
    known: set[str] = set(objects)
    spent: dict[str, list[Found]] = {}
    for name, item in objects.items():
        rows = list(item)
        kept = [
            row
            for row in rows
            if row.pack not in gone and (row.id, row.kind) not in todo.unreadable
        ]
        if len(kept) == len(rows):
            continue
        if kept:
            new, data = encoded(kept)
            known.add(new)
            _write(catalog, new, data)
        spent[name] = rows
    _give_way(catalog, todo, known)
    lock.delete(spent)
    catalog.forget()
    try:
        _give_way(catalog, todo, known.difference(spent))  # one may have been written again
    except BusyError:
        for rows in spent.values():  # somebody may have relied on them meanwhile
            _write(catalog, *encoded(rows))
        raise


def _give_way(catalog: Catalog, todo: Plan, known: set[str]) -> None:
    """Raise BusyError if an index object that came after the mark needs a pack that is to go.

    A push that takes longer than the grace may bring one, and so may one that died: others may
    have relied on it since. All packs are there still, and the next run sees what is to be done.
    """
    if todo.reach is None or not todo.doomed:
        return
    late = [row for item in catalog.since(known) for row in item]
    if todo.reach.needs_any_of(todo.doomed, late, forgotten=todo.unreadable):
        raise BusyError(
            f"{catalog.name}: a push has just named what was to be deleted",
            why="it took longer than the time of grace",
            fix="git mlver gc --remote --yes, again, with a longer --grace",
        )


def _write(catalog: Catalog, name: str, data: bytes) -> None:
    catalog.remote.create(name, [data])
    if catalog.remote.size(name) != len(data):
        raise RemoteError(
            f"{catalog.name} did not keep what was sent",
            why=f"{name} is not there as it was written",
            fix="git mlver testremote, to see what the server keeps",
        )
