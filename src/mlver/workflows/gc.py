"""`git mlver gc --remote`: collection on a remote, with the roots that git knows.

Roots: what every ref, reflog, stash, index and conflict stage of this clone names; what every ref
of its git remotes names, and of every repository that has pushed to the remote; and what is held
there for a clone. One of them that cannot be read whole, and nothing is condemned or deleted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from mlver.errors import MlverError, RemoteError
from mlver.exchange import collect, condemned, gc_lock, layout, registered
from mlver.exchange.collect import Plan
from mlver.exchange.gc_lock import GcLock
from mlver.exchange.source import Catalog
from mlver.git import local_roots, roots
from mlver.git.roots import Named
from mlver.model.pointer import Pointer
from mlver.workflows import places
from mlver.workflows.context import Context


@dataclass(frozen=True, slots=True)
class Collected:
    """What a run did, or would do. `roots`: blobs; `repositories`: those whose refs were read;
    `hidden`: objects that the server keeps as old versions, though they were deleted."""

    remote: str
    plan: Plan
    roots: int
    repositories: list[str]
    hidden: int = 0


def gc_remote(
    ctx: Context,
    name: str | None,
    *,
    dry_run: bool,
    grace: float = collect.GRACE,
    allow_missing: bool = False,
) -> Collected:
    """One run. Raises RefusedError, RepositoryError, RemoteError, CorruptContent, MissingContent,
    BusyError; nothing was deleted then that anything needs."""
    roots.refuse_partial(ctx.repo)
    place = places.for_push(ctx, name)
    with closing(places.open_place(ctx, place, fresh=True, wary=False)) as catalog:
        if layout.read_meta(catalog.remote) is None:
            raise RemoteError(
                f"there is nothing on {place.name}",
                why="it has no mlver.json: nothing was pushed there, or it is another folder",
                fix="git mlver remote list",
            )
        with _clock(catalog, dry_run) as (now, lock):
            lists = condemned.read_all(catalog.remote)  # before the roots: see decision 15
            repositories = _repositories(ctx, catalog)
            named = _roots(ctx, catalog, repositories)
            plan = collect.plan(
                catalog,
                lists,
                named.exact,
                now=now,
                grace=grace,
                alike=named.alike,
                allow_missing=allow_missing,
                is_here=lambda pointer: _is_here(ctx, pointer),
            )
            if lock is not None:
                collect.carry_out(catalog, plan, lock)
        hidden = catalog.remote.hidden
    return Collected(place.name, plan, len(named.exact), repositories, hidden)


@contextmanager
def _clock(catalog: Catalog, dry_run: bool) -> Iterator[tuple[float, GcLock | None]]:
    """The remote's clock and the lock. A dry run writes nothing, and tells by our own clock."""
    if dry_run:
        yield time.time(), None
        return
    with gc_lock.held(catalog.remote) as lock:
        yield lock.now, lock


def _repositories(ctx: Context, catalog: Catalog) -> list[str]:
    """Every repository whose refs are to be read, each once."""
    own = os.path.normpath(os.fsdecode(ctx.repo.common_dir))
    urls = roots.remote_urls(ctx.repo)
    # The store beside a git remote, or in this repository, belongs to that one.
    beside = os.fsdecode(places.BESIDE)
    if catalog.remote.url.endswith(f"/{beside}"):
        urls.append(catalog.remote.url.removesuffix(f"/{beside}"))
    found: dict[str, str] = {}
    for url in [*urls, *registered.repositories(catalog.remote).values()]:
        folder = places.git_dir_of(ctx, url)
        key = registered.without_secrets(url) if folder is None else os.fsdecode(folder)
        if os.path.normpath(key) != own:
            found.setdefault(key, url)
    return list(found.values())


def _roots(ctx: Context, catalog: Catalog, repositories: list[str]) -> Named:
    repo = ctx.repo
    named = Named(exact=registered.holds(catalog.remote))
    named.add(roots.named_by_indexes(repo))
    own = local_roots.revisions(repo)
    with roots.fetched(repo, repositories) as theirs:
        named.add(roots.named_in(repo, [*own, *theirs]))
    return named


def _is_here(ctx: Context, pointer: Pointer) -> bool:
    try:
        return ctx.store.missing(pointer) is None
    except MlverError:
        return False
