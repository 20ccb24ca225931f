"""Every tracked file and the state that it is in; `ls` is the same over a commit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from mlver.errors import MlverError
from mlver.exchange.source import Catalog, has_blob
from mlver.git import command
from mlver.git.objects import pointers_of, tracked, tree_entries
from mlver.git.worktree import Worktree
from mlver.model import pointer as pointers
from mlver.model.digest import Digest
from mlver.model.pointer import MAX_SIZE
from mlver.workflows import places
from mlver.workflows.context import Context
from mlver.workflows.restore import holds

STATES = {
    "hydrated": "the content is in the worktree, and on a remote",
    "unpushed": "the content is in the worktree or the store, and on no remote that was asked",
    "pointer": "the worktree holds the pointer; the content can be fetched or checked out",
    "modified": "the worktree differs from what is staged",
    "missing": "the worktree holds the pointer or nothing, and the content is nowhere to be found",
}


@dataclass(frozen=True, slots=True)
class FileState:
    """`oid` and `size` are those that the index (or commit) names; size in bytes."""

    path: bytes
    oid: Digest
    size: int
    state: str


def status(ctx: Context, pathspecs: Sequence[bytes] = ()) -> list[FileState]:
    """The state of every tracked file. Directory remotes are asked; no network is used."""
    ctx.repo.require_worktree()
    entries = tracked(ctx.repo, pathspecs)
    found = pointers_of(ctx.repo, (entry.blob for entry in entries))
    changed = set(command.fields(ctx.repo.git("diff-files", "--name-only", "-z")))
    rows = []
    catalog = _local_catalog(ctx)
    try:
        if catalog is not None:
            with suppress(MlverError):
                catalog.prepare(pointer.oid for pointer in found.values())
        with Worktree(ctx.repo.top) as worktree:
            for entry in entries:
                if entry.blob not in found:
                    continue
                pointer = found[entry.blob]
                state = _state(ctx, worktree, entry.path, pointer, changed, catalog)
                rows.append(FileState(entry.path, pointer.oid, pointer.size, state))
    finally:
        if catalog is not None:
            catalog.close()
    return rows


def _state(
    ctx: Context,
    worktree: Worktree,
    path: bytes,
    pointer: pointers.Pointer,
    changed: set[bytes],
    catalog: Catalog | None,
) -> str:
    info = worktree.stat(path)
    on_remote = catalog is not None and has_blob(catalog, pointer.oid, pointer.size)
    here = _is_here(ctx, pointer)
    if info is None:
        if not (here or on_remote):
            return "missing"
        return "modified" if path in changed else "pointer"  # outside a sparse checkout
    if worktree.read_small(path, MAX_SIZE) == pointer.encode():
        if not here and not on_remote:
            return "missing"
        return "pointer" if on_remote or not here else "unpushed"
    # diff-files runs without our filter: a file as young as the index looks changed to it.
    if path in changed and not holds(worktree, path, pointer):
        return "modified"
    return "hydrated" if on_remote else "unpushed"


def _is_here(ctx: Context, pointer: pointers.Pointer) -> bool:
    try:
        return ctx.store.missing(pointer) is None
    except MlverError:
        return False


def _local_catalog(ctx: Context) -> Catalog | None:
    """The remote that a push would go to, if it can be asked without a network."""
    with suppress(MlverError):
        place = places.for_push(ctx)
        if os.path.isabs(place.url) and os.path.isdir(place.url):
            catalog = places.open_place(ctx, place)
            catalog.objects()
            return catalog
    return None


def listing(ctx: Context, revision: str | None, pathspecs: Sequence[bytes] = ()) -> list[FileState]:
    """Tracked files of the index, or of a commit, with "here" or "absent" as their state."""
    if revision is None:
        ctx.repo.require_worktree()
        entries = tracked(ctx.repo, pathspecs)
    else:
        entries = [e for e in tree_entries(ctx.repo, revision, pathspecs) if e.is_file]
    found = pointers_of(ctx.repo, (entry.blob for entry in entries))
    rows = []
    for entry in entries:
        if entry.blob in found:
            pointer = found[entry.blob]
            state = "here" if _is_here(ctx, pointer) else "absent"
            rows.append(FileState(entry.path, pointer.oid, pointer.size, state))
    return rows
