"""`git mlver fsck`: is everything there, and is it what it says?

Local packs: every record is decoded and verified. Pointers: what every ref, and the index of every
worktree, names is whole here or on a remote. Tracked paths: what git holds there is a pointer.
`--remote`: every pack and index object of the remote is read and verified too (fsck_remote).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import closing

from mlver.errors import BusyError, CorruptContent, MissingContent, MlverError
from mlver.exchange.source import has_blob
from mlver.git import history
from mlver.model.digest import Digest, Hasher
from mlver.model.pointer import Pointer
from mlver.store import files, pack
from mlver.store.assemble import stream_rows
from mlver.store.record import HEADER
from mlver.store.repack import repack, repeated_records, verifies
from mlver.workflows import fsck_remote, places
from mlver.workflows.context import Context
from mlver.workflows.fetch import fetch_pointers
from mlver.workflows.fsck_remote import Problem
from mlver.workflows.restore import forget_damaged, restore_from_worktree
from mlver.workflows.track import raw_files


def fsck(
    ctx: Context, *, remote: bool = False, pointers_only: bool = False, repair: bool = False
) -> list[Problem]:
    """Every problem found; with `repair`, those that remain after what could be healed was."""
    problems = [] if ctx.repo.worktree is None else [_raw(path) for path in raw_files(ctx)]
    if pointers_only:
        return problems
    damaged = _damaged_records(ctx)
    if repair:
        for digest, kind in damaged:
            ctx.store.forget(digest, kind)
    named = _named(ctx)
    bad_oids = {digest for digest, _ in damaged}
    problems += _blobs(ctx, named, bad_oids, repair=repair)
    known = {problem.oid for problem in problems}
    for digest, kind in damaged:
        if digest.hex() not in known and not (repair and _is_mended(ctx, digest, kind)):
            problems.append(Problem("corrupt", digest.hex(), b"", "git mlver fsck --repair"))
    if repair and repeated_records(ctx.store):
        _drop_damaged_copies(ctx)
    if remote:
        with closing(places.open_place(ctx, places.for_push(ctx), fresh=True)) as catalog:
            if repair:
                fsck_remote.repair(ctx, catalog, named)
            problems += fsck_remote.check(catalog, named)
    return problems


def _raw(path: bytes) -> Problem:
    return Problem("raw", "", path, f"git add --renormalize {os.fsdecode(path)}")


def _named(ctx: Context) -> dict[Pointer, bytes]:
    named = history.pointers_between(ctx.repo, history.all_refs(ctx.repo))
    return {**history.staged_anywhere(ctx.repo), **named}


def _damaged_records(ctx: Context) -> list[tuple[Digest, int]]:
    """Ids of records in local packs that do not verify (deltas on a damaged base included)."""
    bad: list[tuple[Digest, int]] = []
    ctx.store.catch_up()
    paths = list(ctx.store.pack_files())
    ctx.progress.start("checking the store", sum(os.path.getsize(path) for _, path in paths))
    try:
        for name, path in paths:
            bad += _check_pack(ctx, name, path)
    finally:
        ctx.progress.finish()
    return bad


def _drop_damaged_copies(ctx: Context) -> None:
    """Free what was healed of its damaged copy, so that no index derived later names that one."""
    try:
        ctx.store.use(exclusive=True)
    except BusyError:
        ctx.warn("the damaged packs are still there; run `git mlver fsck --repair` again later")
        return
    repack(ctx.store)


def _is_mended(ctx: Context, digest: Digest, kind: int) -> bool:
    """True where the record was stored anew, or nothing names it any more."""
    place = ctx.store.locate(digest, kind)
    if place is None:
        return True
    data = ctx.store.read_span(place.pack, place.offset, HEADER + place.stored)
    return verifies(ctx.store, data, digest, kind)


def _check_pack(ctx: Context, name: str, path: bytes) -> Iterable[tuple[Digest, int]]:
    with files.disk_errors("checking the store", path):
        fd = os.open(path, files.READ)
    try:
        for entry in pack.entries(fd):
            head = entry.header
            place = ctx.store.locate(head.id, head.kind)
            data = files.pread(fd, entry.length, entry.offset)
            ctx.progress.step(len(data))
            if place is None or (place.pack, place.offset) != (name, entry.offset):
                continue  # a copy that is not in use
            if not verifies(ctx.store, data, head.id, head.kind):
                yield head.id, head.kind
    finally:
        os.close(fd)


def _blobs(
    ctx: Context, named: dict[Pointer, bytes], damaged: set[Digest], *, repair: bool
) -> list[Problem]:
    problems = []
    for pointer, path in named.items():
        kind = _blob_problem(ctx, pointer, damaged)
        if kind is None:
            continue
        elsewhere = _on_a_remote(ctx, pointer)
        if kind == "missing" and elsewhere:
            continue  # not here, but safe
        if repair and _heal(ctx, pointer, path):
            continue
        fix = (
            "git mlver fsck --repair" if elsewhere or kind == "corrupt" else "git mlver fetch --all"
        )
        problems.append(Problem(kind, pointer.oid.hex(), path, fix))
    return problems


def _blob_problem(ctx: Context, pointer: Pointer, damaged: set[Digest]) -> str | None:
    try:
        if ctx.store.missing(pointer) is not None:
            return "corrupt" if pointer.oid in damaged else "missing"
        rows = {digest for digest, _ in [*ctx.store.list_rows(pointer), *ctx.store.rows(pointer)]}
    except CorruptContent:
        return "corrupt"
    except MissingContent:
        return "missing"
    if rows & damaged or pointer.oid in damaged:
        return "corrupt"
    hasher = Hasher()
    try:
        for parts in stream_rows(ctx.store, ctx.store.rows(pointer), ctx.pool):
            for part in parts:
                hasher.update(part)
    except MlverError:
        return "corrupt"
    return None if hasher.digest() == pointer.oid else "corrupt"


def _on_a_remote(ctx: Context, pointer: Pointer) -> bool:
    for source in places.sources(ctx):
        with closing(source):
            if has_blob(source, pointer.oid, pointer.size):
                return True
    return False


def _heal(ctx: Context, pointer: Pointer, path: bytes) -> bool:
    """Bring the blob back: from the worktree's own file, or from a remote."""
    forget_damaged(ctx, pointer)
    if restore_from_worktree(ctx, pointer, path):
        return True
    return pointer in fetch_pointers(ctx, [pointer]).fetched
