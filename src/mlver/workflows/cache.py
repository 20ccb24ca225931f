"""The bound on this machine's store (`mlver.cacheSize`): what goes when it has grown beyond it.

MUST: nothing goes that a remote was not just seen to hold, and nothing that only this clone names,
even if a remote holds it: collection elsewhere cannot see such names (decision 15), and to tell it
of them after each push would keep them for ever. A blob that stays, stays whole, with its bases.

The packs that were used least recently go first. Looked at after a push has acknowledged, and
after content was fetched: when a remote has just answered. While the store is within the bound
that costs a listing of its packs; otherwise what the packs in question hold, and never the history.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress

from mlver.errors import BusyError, MlverError, RefusedError
from mlver.exchange.source import Catalog
from mlver.git import history
from mlver.model.pointer import Pointer
from mlver.store import flight, recovery
from mlver.store.record import CHUNK, RECIPE
from mlver.store.release import bases_of_rest, entries_of, release
from mlver.workflows import places
from mlver.workflows.context import Context
from mlver.workflows.held import Held, Key, records

_UNFREED = b"unfreed"
_ROOM = 8
"""Freed beyond the bound: this part of it, so that not every fetch has to make room; and a pack of
which less than this part may go is not written anew."""


def bound(ctx: Context) -> int | None:
    """`mlver.cacheSize` in bytes, None where there is no bound. A value that is none is told."""
    try:
        return ctx.settings.cache_size
    except MlverError as error:
        ctx.warn(f"mlver.cacheSize: {error.what}; the store has no bound")
        return None


def used(ctx: Context) -> int:
    """Bytes in the packs of the store."""
    return sum(size for size, _ in _packs(ctx).values())


def enforce(ctx: Context) -> int:
    """Bring the store down to its bound, as far as may be; how many bytes went.

    Never raises for what a remote or the disk refuses: whatever came before it is done.
    """
    limit = bound(ctx)
    if limit is None:
        return 0
    flight.sweep(ctx.store.root)
    before = _packs(ctx)
    total = sum(size for size, _ in before.values())
    if total <= limit or before.keys() <= _unfreed(ctx):
        return 0
    try:
        with _alone(ctx):
            _free(ctx, total - (limit - limit // _ROOM))
            return total - used(ctx)
    except BusyError:
        return 0  # somebody is at work there; the next one frees it
    except (MlverError, OSError) as error:
        ctx.warn(f"the store could not be brought down to mlver.cacheSize: {error}")
        return 0


def refuse_to_keep(*, is_for_worktree: bool) -> None:
    """RefusedError for a fetch into a store that keeps nothing, but of what a worktree can take."""
    if not is_for_worktree:
        raise RefusedError(
            "what is not checked out has no place on this machine",
            why="mlver.cacheSize is 0: the store keeps nothing that a remote holds",
            fix="git mlver pull, for what is checked out; or git config mlver.cacheSize 10g first",
        )


def look_again(ctx: Context) -> None:
    """After a push: what could not be freed before may be on a remote now."""
    with suppress(FileNotFoundError):
        os.unlink(_unfreed_file(ctx))


@contextmanager
def _alone(ctx: Context) -> Iterator[None]:
    ctx.store.use(exclusive=True)
    try:
        yield
    finally:
        ctx.store.share()


def _free(ctx: Context, over: int) -> None:
    recovery.make_durable(ctx.store)
    ctx.store.catch_up()
    with ExitStack() as stack:
        catalogs = [stack.enter_context(closing(catalog)) for catalog in _catalogs(ctx)]
        doomed, left = _doomed(ctx, Held(catalogs), over)
    if doomed:
        freed = sum(_packs(ctx)[name][0] for name in doomed)
        release(ctx.store, doomed)
        if used(ctx) < freed:
            ctx.store.rebuild_index()  # what SQLite has deleted, it keeps on the disk
    _write_unfreed(ctx, left)


def _catalogs(ctx: Context) -> Iterator[Catalog]:
    """The remotes that may be asked, the one that is pushed to first."""
    for place in [*places.configured(ctx), *places.beside(ctx)]:
        if place.trusted and (place.origin != "beside" or os.path.isdir(place.url)):
            with suppress(MlverError):
                yield places.open_place(ctx, place)


def _doomed(ctx: Context, held: Held, over: int) -> tuple[dict[str, set[Key]], set[str]]:
    """The records that go, by pack; and the packs of which little or nothing may go."""
    packs = _packs(ctx)
    paths = dict(ctx.store.pack_files())
    left = _unfreed(ctx) & packs.keys()
    kept = _kept(ctx, held)
    doomed: dict[str, set[Key]] = {}
    for name in sorted(packs.keys() - left, key=lambda name: packs[name][1]):
        if over <= 0:
            break
        rows = [((entry.header.id, entry.header.kind), entry) for entry in entries_of(paths[name])]
        may_go = {key: entry.length for key, entry in rows if key not in kept and held.has(key)}
        if sum(may_go.values()) * _ROOM < packs[name][0]:
            left.add(name)
        else:
            doomed[name] = set(may_go)
            over -= sum(may_go.values())
    return _without_bases(ctx, doomed), left


def _without_bases(ctx: Context, doomed: Mapping[str, set[Key]]) -> dict[str, set[Key]]:
    if not doomed:
        return {}
    bases = {(base, CHUNK) for base in bases_of_rest(ctx.store, doomed)}
    rest = {name: keys - bases for name, keys in doomed.items()}
    return {name: keys for name, keys in rest.items() if keys}


def _kept(ctx: Context, held: Held) -> set[Key]:
    """Records of blobs that no remote holds, or that only this clone names."""
    kept: set[Key] = set()
    for oid in ctx.store.recipes():
        if not held.has((oid, RECIPE)):
            with suppress(MlverError):  # damaged: what no remote holds of it stays all the same
                kept |= records(ctx, Pointer(oid, ctx.store.recipe(oid).size))
    for pointer in history.named_only_here(ctx.repo):
        with suppress(MlverError):
            kept |= records(ctx, pointer)
    return kept


def _packs(ctx: Context) -> dict[str, tuple[int, int]]:
    """Size, and time of last use in nanoseconds, of every pack by its name."""
    found = {}
    for name, path in ctx.store.pack_files():
        with suppress(FileNotFoundError):
            info = os.stat(path)
            found[name] = info.st_size, info.st_atime_ns
    return found


def _unfreed_file(ctx: Context) -> bytes:
    return os.path.join(ctx.store.root, _UNFREED)


def _unfreed(ctx: Context) -> set[str]:
    """Packs that were found to hold what may not go: not looked into again before a push. A note
    that can only keep content."""
    try:
        with open(_unfreed_file(ctx), encoding="ascii", errors="replace") as file:
            return set(file.read().split())
    except OSError:
        return set()


def _write_unfreed(ctx: Context, names: set[str]) -> None:
    """Not by a rename: half a note keeps less, and what it names, a push takes back."""
    with suppress(OSError), open(_unfreed_file(ctx), "w", encoding="ascii") as file:
        file.write("".join(f"{name}\n" for name in sorted(names)))
