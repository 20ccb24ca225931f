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
from mlver.exchange import layout
from mlver.exchange.source import Catalog
from mlver.git import history
from mlver.model.digest import Digest
from mlver.model.pointer import Pointer
from mlver.store import recovery
from mlver.store.record import CHUNK, RECIPE
from mlver.store.repack import Key, all_records, repack
from mlver.workflows import places
from mlver.workflows.context import Context
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
        result, keep = _plan(ctx, catalog, expire)
        result.before = sum(os.path.getsize(path) for _, path in ctx.store.pack_files())
        result.after = result.before - sum(
            entry.length
            for _, entry in all_records(ctx.store)
            if (entry.header.id, entry.header.kind) not in keep
        )
        if not dry_run:
            hold(ctx, catalog, _freed(ctx, keep))  # before it is gone here
            if not catalog.is_current():
                raise BusyError(
                    f"{catalog.name} changed while it was asked what it holds",
                    why="git mlver gc --remote works there; nothing was freed here",
                    fix="git mlver prune, again",
                )
            repack(ctx.store, keep)
            places.index_cache(ctx).clear()
            result.after = sum(os.path.getsize(path) for _, path in ctx.store.pack_files())
    return result


def _plan(ctx: Context, catalog: Catalog, expire: float) -> tuple[Pruned, set[Key]]:
    named = named_pointers(ctx)
    by_oid = {pointer.oid: pointer for pointer in named}
    now = time.time()
    result, keep = Pruned(), set[Key]()
    remote = _Remote(catalog)
    with suppress(MlverError):  # a remote that does not answer holds nothing, below
        catalog.prepare({entry.header.id for _, entry in all_records(ctx.store)})
    for oid, size, modified in _stored_blobs(ctx):
        pointer = Pointer(oid, size)
        is_named = by_oid.get(oid) == pointer
        if _remote_holds(remote, ctx, pointer):
            result.freed_blobs += 1
        elif is_named or now - modified < expire:
            result.kept_blobs += 1
            keep |= _records(ctx, pointer)
        else:
            result.freed_blobs += 1
    return result, keep


def named_pointers(ctx: Context) -> set[Pointer]:
    """Every pointer that refs, reflogs, stashes or an index of any worktree names."""
    refs = [*history.all_refs(ctx.repo), *history.reflog_commits(ctx.repo)]
    named = set(history.pointers_between(ctx.repo, refs))
    return named | set(history.staged_anywhere(ctx.repo))


def _freed(ctx: Context, keep: set[Key]) -> set[Pointer]:
    """What this machine names and will not hold any more: collection elsewhere cannot see it."""
    return {pointer for pointer in named_pointers(ctx) if not _records(ctx, pointer) <= keep}


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


def _remote_holds(remote: _Remote, ctx: Context, pointer: Pointer) -> bool:
    """True if every record of the blob was found on the remote."""
    try:
        return all(remote.has(digest, kind) for digest, kind in sorted(_records(ctx, pointer)))
    except MlverError:
        return False


class _Remote:
    """A remote's index objects and the packs that were seen to be there."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._seen: dict[Digest, bool] = {}

    def has(self, digest: Digest, kind: int) -> bool:
        """The index names the record, and the pack that it names is there."""
        found = self._catalog.find(digest, kind)
        if found is None:
            return False
        if found.pack not in self._seen:
            name = layout.pack_object(found.pack)
            self._seen[found.pack] = self._catalog.remote.size(name) is not None
        return self._seen[found.pack]


def _records(ctx: Context, pointer: Pointer) -> set[Key]:
    """Every record that the blob needs here, bases included."""
    wanted: set[Key] = set()
    if ctx.store.locate(pointer.oid, RECIPE) is not None:
        wanted.add((pointer.oid, RECIPE))
    for digest, _ in [*ctx.store.list_rows(pointer), *ctx.store.rows(pointer)]:
        wanted.add((digest, CHUNK))
        base = ctx.store.base_of_chunk(digest)
        if base is not None:
            wanted.add((base, CHUNK))
    return wanted
