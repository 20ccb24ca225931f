"""`git mlver remote compact`: fewer index objects on a remote, under collection's lock."""

from __future__ import annotations

import os
from contextlib import closing

from mlver.errors import RemoteError
from mlver.exchange import compact, gc_lock, layout
from mlver.exchange.compact import Compacted
from mlver.store.files import disk_errors
from mlver.workflows import places
from mlver.workflows.context import Context


def compact_remote(ctx: Context, name: str | None) -> tuple[str, Compacted]:
    """The remote's name, and what was done. Raises UsageError, RefusedError, RemoteError,
    BusyError, LocalIOError; nothing is lost then."""
    place = places.for_push(ctx, name)
    with closing(places.open_place(ctx, place, wary=False)) as catalog:
        if layout.read_meta(catalog.remote) is None:
            raise RemoteError(
                f"there is nothing on {place.name}",
                why="it has no mlver.json: nothing was pushed there, or it is another folder",
                fix="git mlver remote list",
            )
        compact.refuse_without_delete(catalog.remote)
        scratch = ctx.store.root if os.path.isdir(ctx.store.root) else None
        with (
            disk_errors("merging index objects", ctx.store.root),
            gc_lock.held(catalog.remote) as lock,
        ):
            return place.name, compact.compact(catalog, lock, scratch)
