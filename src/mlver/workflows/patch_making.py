"""A patch: for each changed file the exact bytes that make the new version of the old one, beside
what changed in it for people and programs. `apply` (patch_applying) uses the bytes alone.

The form is JSON lines (docs/format/patch.md): a header, one line a file, a last line that says how
many there are, so that a patch that was cut off is refused. Bytes are written as copies from the
old version and additions, found by the stretches that both share; so a patch is exact for every
format, quoting, order and line ends included, and its size is that of what changed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from mlver.diff.stretches import Stretch, by_comparison, by_pieces
from mlver.errors import MissingContent
from mlver.formats.base import Source
from mlver.model.change import FileDiff
from mlver.model.pointer import Pointer
from mlver.workflows.content_diff import Compared, open_versions
from mlver.workflows.context import Context

KIND, VERSION = "git-mlver patch", 1
MAX_ADDITION = 3 * 1024 * 1024
"""Bytes that one `add` holds; a longer addition is several."""


def patch_lines(
    ctx: Context | None,
    items: Iterable[Compared],
    content_json: Callable[[FileDiff], dict[str, Any]],
) -> Iterator[bytes]:
    """The patch, line by line. Raises MissingContent where a version cannot be had."""
    base = "worktree" if ctx is not None else "folder"
    yield _line({"kind": KIND, "version": VERSION, "base": base})
    count = 0
    for item in items:
        change = item.file
        with ExitStack() as stack:
            if (change.old, change.new) == (None, None) and change.status == "modified":
                raise MissingContent(
                    f"{_text(change.path)} is a link, and a patch holds files", fix="leave it out"
                )
            old, new = open_versions(ctx, change, stack)
            yield _line(
                {
                    "path": _text(change.path),
                    "old_path": _text(change.old_path),
                    "status": change.status,
                    "old": _pointer(change.old),
                    "new": _pointer(change.new),
                    "edits": list(edits(old, new)) if change.status != "removed" else [],
                    "changed": content_json(item.content),
                }
            )
        count += 1
    yield _line({"files": count})


def edits(old: Source, new: Source) -> Iterator[list[Any]]:
    """["copy", offset, length] of the old version and ["add", base64], in the new one's order."""
    at = 0
    for stretch in sorted(_stretches(old, new), key=lambda stretch: stretch.new):
        skip = max(0, at - stretch.new)
        if skip >= stretch.length:
            continue
        yield from _additions(new, at, stretch.new + skip)
        yield ["copy", stretch.old + skip, stretch.length - skip]
        at = stretch.new + stretch.length
    yield from _additions(new, at, new.size)


def _stretches(old: Source, new: Source) -> list[Stretch]:
    if not old.size or not new.size:
        return []
    if getattr(old, "is_cut", False) and getattr(new, "is_cut", False) and not old.is_near:
        return by_pieces(old.pieces(), new.pieces())
    found = by_comparison(old, new)
    covered = sum(stretch.length for stretch in found)
    if covered * 2 > new.size:
        return found
    by_cutting = by_pieces(old.pieces(), new.pieces())  # binary files have few lines to meet at
    return by_cutting if sum(s.length for s in by_cutting) > covered else found


def _additions(new: Source, start: int, end: int) -> Iterator[list[Any]]:
    while start < end:
        data = new.read(start, min(MAX_ADDITION, end - start))
        if not data:
            raise MissingContent("a version got shorter while it was read", fix="run it again")
        yield ["add", base64.b64encode(data).decode("ascii")]
        start += len(data)


def _pointer(pointer: Pointer | None) -> dict[str, Any] | None:
    return None if pointer is None else {"oid": pointer.oid.hex(), "size": pointer.size}


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"
