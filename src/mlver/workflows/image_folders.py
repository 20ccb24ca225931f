"""Folders of images between two states: the listing of the old one, and what changed, as values.

Content is named by git's blob ids (equal pointers are equal blobs), so that no pointer of an
unchanged image is read. Only images that were modified are looked at, and only where Pillow is
there to tell a picture that was written anew from another one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack

from mlver.diff import image_folders
from mlver.diff.image_folders import FolderDiff, ImageChange, Layout
from mlver.errors import MlverError
from mlver.formats import pictures
from mlver.git.objects import blob_id
from mlver.model.pointer import Pointer
from mlver.workflows.content_diff import open_versions
from mlver.workflows.context import Context
from mlver.workflows.diff import IN_STORE, FileChange, is_image

_MOST_PICTURES = 1000


def between(
    ctx: Context,
    changes: Sequence[FileChange],
    old: str | None,
    layout: Layout = image_folders.by_convention,
) -> list[FolderDiff]:
    """What changed in folders of images since the tree `old` (None: the index)."""
    images = [change for change in changes if is_image(change)]
    rows = _rows(images)
    folders = image_folders.folders_of(rows, layout)
    if not folders:
        return []
    before = _listing(ctx, old, folders)
    after = _after(before, images, [_blob(ctx, change.new) for change in images])
    return image_folders.compare(rows, before, after, layout, _reencoded(ctx, images))


def of_folders(
    old: bytes,
    new: bytes,
    changes: Sequence[FileChange],
    layout: Layout = image_folders.by_convention,
) -> list[FolderDiff]:
    """As `between`, of two folders of this disk."""
    images = [change for change in changes if is_image(change)]
    if not images:
        return []
    from mlver.workflows.no_index import image_ids

    before, after = image_ids(old, ids=False), image_ids(new, ids=True)
    return image_folders.compare(_rows(images), before, after, layout, _reencoded(None, images))


def _rows(images: Sequence[FileChange]) -> list[ImageChange]:
    return [
        ImageChange(
            os.fsdecode(change.path),
            os.fsdecode(change.old_path),
            change.status,
            change.old.size if change.old else 0,
            change.new.size if change.new else 0,
        )
        for change in images
    ]


def _listing(ctx: Context, tree: str | None, folders: set[str]) -> dict[str, str]:
    """Images below these folders, path → blob."""
    names = [] if "" in folders else [os.fsencode(folder) for folder in sorted(folders)]
    if tree is None:
        specs = [b":(top,literal)" + name for name in names]
        raw = ctx.repo.git("ls-files", "-s", "-z", "--full-name", "--", *specs)
        start = len("100644 ")
    else:
        raw = ctx.repo.git("ls-tree", "-r", "-z", "--full-tree", tree, "--", *names)
        start = len("100644 blob ")
    end = start + ctx.repo.hex_length
    found = {}
    for item in os.fsdecode(raw).split("\0"):  # of 100,000, decoding each path would cost more
        if pictures.is_image(item):
            found[item[item.index("\t", end) + 1 :]] = item[start:end]
    return found


def _after(
    before: dict[str, str], images: Sequence[FileChange], blobs: Sequence[str]
) -> dict[str, str]:
    after = dict(before)
    for change in images:
        if change.status in ("removed", "renamed"):
            after.pop(os.fsdecode(change.old_path), None)
    for change, blob in zip(images, blobs, strict=True):
        if change.status != "removed":
            after[os.fsdecode(change.path)] = blob
    return after


def _blob(ctx: Context, pointer: Pointer | None) -> str:
    return "" if pointer is None else blob_id(ctx.repo, pointer.encode())


def _is_here(ctx: Context | None, change: FileChange) -> bool:
    if change.old is None or change.new is None:
        return False
    sides = ((change.old, change.old_place), (change.new, change.new_place))
    return all(place != IN_STORE or (ctx and ctx.store.holds(pointer)) for pointer, place in sides)


def _reencoded(ctx: Context | None, images: Sequence[FileChange]) -> set[str]:
    """Modified images that show the same picture; none where Pillow is missing. Nothing is fetched
    for it: a thousand pictures are too much for a word."""
    modified = [c for c in images if c.status == "modified" and _is_here(ctx, c)]
    if not modified or len(modified) > _MOST_PICTURES:
        return set()
    if not pictures.can_read():
        return set()
    found = set()
    for change in modified:
        with ExitStack() as stack:
            try:
                old, new = open_versions(ctx, change, stack)
                if pictures.same(old, new):
                    found.add(os.fsdecode(change.path))
            except MlverError:
                continue  # it cannot be had, or is no picture: modified
    return found
