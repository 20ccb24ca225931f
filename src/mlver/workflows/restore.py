"""Bringing damaged or lost content back from places that still have it."""

from __future__ import annotations

import os
import stat

from mlver import system
from mlver.errors import CorruptContent, MissingContent, MlverError
from mlver.git.worktree import Worktree
from mlver.model.digest import Hasher
from mlver.model.pointer import Pointer
from mlver.store.ingest import Ingest
from mlver.store.record import CHUNK, RECIPE
from mlver.workflows.context import Context


def forget_damaged(ctx: Context, pointer: Pointer) -> None:
    """Take the damaged records of a blob for missing, so that they can be fetched again."""
    try:
        rows = [digest for digest, _ in ctx.store.list_rows(pointer)]
        rows += [digest for digest, _ in ctx.store.rows(pointer)]
    except MlverError:
        ctx.store.forget(pointer.oid, RECIPE)
        rows = [pointer.oid]
    for digest in rows:
        base = ctx.store.base_of_chunk(digest)
        # The delta first: once its base is forgotten, it is missing its base and no more damaged.
        for damaged in dict.fromkeys((digest, base or digest)):
            try:
                ctx.store.chunk(damaged)
            except (CorruptContent, MissingContent):
                ctx.store.forget(damaged, CHUNK)


def restore_from_worktree(ctx: Context, pointer: Pointer, path: bytes) -> bool:
    """Store the blob again from the worktree's file, if that still holds it."""
    if ctx.repo.worktree is None:
        return False
    with Worktree(ctx.repo.top) as worktree:
        if not holds(worktree, path, pointer):
            return False
        fd = worktree.open(path)
    try:
        with Ingest(ctx.store) as ingest:
            return ingest.add(lambda view: system.read_into(fd, view)) == pointer
    finally:
        os.close(fd)


def holds(worktree: Worktree, path: bytes, pointer: Pointer) -> bool:
    """True if the worktree's file is the very content: read in full, whatever its stat says."""
    info = worktree.stat(path)
    if info is None or not stat.S_ISREG(info.st_mode) or info.st_size != pointer.size:
        return False
    try:
        fd = worktree.open(path)
    except OSError:
        return False
    try:
        hasher = Hasher()
        while data := os.read(fd, 1 << 20):
            hasher.update(data)
        return hasher.digest() == pointer.oid
    finally:
        os.close(fd)
