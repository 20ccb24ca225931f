"""`git mlver prune`: frees local content that a remote was just seen to hold.

Kept, MUST: whatever no remote asked holds, and what only this machine names: the index and
conflict stages of every worktree, stashes, reflogs, unpushed commits, unless a remote holds it.
Content that nothing names any more and that no remote holds goes only after `expire` seconds.
The store is held exclusively; a pack goes only when every record that is kept lies, durable, in
another one. Dry run unless told otherwise.
"""

from __future__ import annotations

import os
import time
from contextlib import closing, suppress
from dataclasses import dataclass

from mlver.errors import BusyError, MlverError
from mlver.exchange.source import Catalog
from mlver.git import history
from mlver.model.digest import Digest
from mlver.model.pointer import Pointer
from mlver.store import flight, recovery
from mlver.store.record import RECIPE
from mlver.store.repack import Key, all_records, repack
from mlver.workflows import places
from mlver.workflows.context import Context
from mlver.workflows.held import Held, records
from mlver.workflows.push import hold

EXPIRE = 14 * 24 * 3600


@dataclass(slots=True)
class Pruned:
    """Bytes in the store before and after (or what they would be), and blobs freed and kept."""

    before: int = 0
    after: int = 0
    freed_blobs: int = 0
    kept_blobs: int = 0


def prune(ctx: Context, *, dry_run: bool, expire: float = EXPIRE) -> Pruned:
    """Free what may go. Raises BusyError while the store is in use, RemoteError, MlverError."""
    ctx.store.use(exclusive=True)
    recovery.make_durable(ctx.store)
    ctx.store.catch_up()
    with closing(places.open_place(ctx, places.for_push(ctx))) as catalog:
        result, keep, relied = _plan(ctx, catalog, expire)
        result.before = sum(os.path.getsize(path) for _, path in ctx.store.pack_files())
        result.after = result.before - sum(
            entry.length
            for _, entry in all_records(ctx.store)
            if (entry.header.id, entry.header.kind) not in keep
        )
        if not dry_run:
            hold(ctx, catalog, _freed(ctx, keep))  # before it is gone here
            if relied and not catalog.is_current():
                raise BusyError(
                    f"{catalog.name} changed while it was asked what it holds",
                    why="git mlver gc --remote works there; nothing was freed here",
                    fix="git mlver prune, again",
                )
            repack(ctx.store, keep)
            places.index_cache(ctx).clear()
            flight.sweep(ctx.store.root)
            result.after = sum(os.path.getsize(path) for _, path in ctx.store.pack_files())
    return result


def _plan(ctx: Context, catalog: Catalog, expire: float) -> tuple[Pruned, set[Key], bool]:
    """What goes and what stays, and whether anything goes because the remote holds it."""
    named = named_pointers(ctx)
    by_oid = {pointer.oid: pointer for pointer in named}
    now = time.time()
    result, keep, relied = Pruned(), set[Key](), False
    remote = Held([catalog], strict=True)
    with suppress(MlverError):  # a remote that does not answer holds nothing, below
        catalog.prepare({entry.header.id for _, entry in all_records(ctx.store)})
    for oid, size, modified in _stored_blobs(ctx):
        pointer = Pointer(oid, size)
        is_named = by_oid.get(oid) == pointer
        if _remote_holds(remote, ctx, pointer):
            result.freed_blobs += 1
            relied = True
        elif is_named or now - modified < expire:
            result.kept_blobs += 1
            keep |= records(ctx, pointer)
        else:
            result.freed_blobs += 1
    return result, keep, relied


def named_pointers(ctx: Context) -> set[Pointer]:
    """Every pointer that refs, reflogs, stashes or an index of any worktree names."""
    refs = [*history.all_refs(ctx.repo), *history.reflog_commits(ctx.repo)]
    named = set(history.pointers_between(ctx.repo, refs))
    return named | set(history.staged_anywhere(ctx.repo))


def _freed(ctx: Context, keep: set[Key]) -> set[Pointer]:
    """What this machine names and will not hold any more: collection elsewhere cannot see it."""
    return {pointer for pointer in named_pointers(ctx) if not records(ctx, pointer) <= keep}


def _stored_blobs(ctx: Context) -> list[tuple[Digest, int, float]]:
    """(oid, size, time stored) of everything that may be a blob.

    A recipe is one. A chunk may be: the content of a small file looks like any chunk, so each
    chunk that no recipe names is taken for a blob of its own.
    """
    chunks: dict[Digest, tuple[int, float]] = {}
    recipes: dict[Digest, float] = {}
    used: set[Digest] = set()
    modified = {name: os.path.getmtime(path) for name, path in ctx.store.pack_files()}
    for name, entry in all_records(ctx.store):
        if entry.header.kind == RECIPE:
            recipes[entry.header.id] = max(recipes.get(entry.header.id, 0.0), modified[name])
        else:
            chunks[entry.header.id] = (entry.header.raw, modified[name])
    blobs = []
    for oid, when in recipes.items():
        with suppress(MlverError):
            recipe = ctx.store.recipe(oid)
            used.update(digest for digest, _ in recipe.rows)
            used.update(digest for digest, _ in ctx.store.rows(Pointer(oid, recipe.size)))
            blobs.append((oid, recipe.size, when))
    named = {pointer.oid for pointer in named_pointers(ctx)}
    blobs += [
        (digest, size, when)
        for digest, (size, when) in chunks.items()
        if digest not in used or digest in named
    ]
    return blobs


def _remote_holds(remote: Held, ctx: Context, pointer: Pointer) -> bool:
    """True if every record of the blob was found on the remote."""
    try:
        return all(map(remote.has, sorted(records(ctx, pointer))))
    except MlverError:
        return False
