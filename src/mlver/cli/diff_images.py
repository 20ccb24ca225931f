"""Folders of images, for people and for programs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from html import escape as html_escape
from typing import Any

import click

from mlver.cli.diff_text import SAMPLES
from mlver.cli.output import escape, human_size, json_path
from mlver.diff.image_folders import ClassDiff, FolderDiff
from mlver.workflows.content_diff import Compared
from mlver.workflows.diff import is_image

_NUMBERS = (
    *("old", "new", "added", "removed", "modified", "reencoded", "renamed"),
    *("relabelled_in", "relabelled_out"),
)
_TITLES = (
    *("old", "new", "added", "removed", "modified", "re-encoded", "renamed"),
    *("labelled so", "not so now"),
)


def summary(folder: FolderDiff) -> str:
    """One line: the folder, and how much of it changed."""
    words = []
    for name in ("added", "removed", "modified"):
        words.append(f"{folder.total(name):,} {name}")
    if folder.total("reencoded"):
        words[-1] += f" ({folder.total('reencoded'):,} only re-encoded)"
    if folder.total("renamed"):
        words.append(f"{folder.total('renamed'):,} renamed")
    if folder.relabelled:
        words.append(f"{len(folder.relabelled):,} relabelled")
    if folder.overlaps:
        words.append(f"{len(folder.overlaps):,} in several splits")
    sizes = f"+{human_size(folder.bytes_added)} -{human_size(folder.bytes_removed)}"
    files = f"{folder.old_files:,} → {folder.new_files:,} images"
    return f"{escape(folder.folder)}/  {files}  {', '.join(words)}  {sizes}"


def lines(folder: FolderDiff, limit: int | None) -> Iterator[str]:
    """The summary, the classes, what was relabelled and overlaps; at most `limit` of each."""
    yield click.style(summary(folder), bold=True)
    if limit == 0:
        return
    rows = [_row(item) for item in folder.classes]
    names = ["class", *_TITLES]
    wide = max(len(row[0]) for row in [names, *rows])
    yield from _some(
        (_line(row, names, wide) for row in [names, *rows]), len(rows) + 1, limit and limit + 1
    )
    for sign, colour, labels in (
        ("+", "green", folder.added_classes),
        ("-", "red", folder.removed_classes),
    ):
        for label in labels:
            yield click.style(f"   {sign} class {escape(label)}", fg=colour)
    changed = (
        click.style(f"   ~ {escape(r.old)} → {escape(r.new)}: {escape(r.path)}", fg="yellow")
        for r in folder.relabelled
    )
    yield from _some(changed, len(folder.relabelled), limit)
    same = (
        click.style(
            f"   ! in several splits{' now' if item.is_new else ''}: "
            + " = ".join(map(escape, item.paths)),
            fg="red",
        )
        for item in sorted(folder.overlaps, key=lambda item: not item.is_new)
    )
    yield from _some(same, len(folder.overlaps), limit)


def _some(found: Iterator[str], count: int, limit: int | None) -> Iterator[str]:
    for number, line in enumerate(found):
        if limit is not None and number == limit:
            yield f"   … {count - limit:,} more: --all shows them"
            return
        yield line


def _row(item: ClassDiff) -> list[str]:
    name = "/".join(part for part in (item.split, item.label) if part) or "."
    return [escape(name), *(f"{getattr(item, number):,}" for number in _NUMBERS)]


def _line(row: list[str], names: list[str], wide: int) -> str:
    cells = (f"{cell:>{len(name)}}" for cell, name in zip(row[1:], names[1:], strict=True))
    return f"   {row[0]:<{wide}}  " + "  ".join(cells)


def few(
    items: Iterator[Compared], limit: int | None, write: Callable[[str], object]
) -> Iterator[Compared]:
    """Without images after the first `limit`, which is told at the end."""
    shown = SAMPLES if limit is None else limit
    count = 0
    for item in items:
        if is_image(item.file):
            count += 1
            if limit is not None and count > shown:
                continue
        yield item
    if limit and count > shown:
        write(f"… {count - shown:,} more images: --all shows them")


def folder_json(folder: FolderDiff) -> dict[str, Any]:
    """A folder's row."""
    names = ("added", "removed", "modified", "reencoded", "renamed")
    return {
        "path": _path(folder.folder),
        "old_files": folder.old_files,
        "new_files": folder.new_files,
        **{name: folder.total(name) for name in names},
        "classes": [
            {
                "split": _path(item.split),
                "class": _path(item.label),
                **{name: getattr(item, name) for name in _NUMBERS},
            }
            for item in folder.classes
        ],
        "relabelled": [
            {name: _path(value) for name, value in item._asdict().items()}
            for item in folder.relabelled
        ],
        "overlaps": [
            {"paths": [_path(path) for path in item.paths], "is_new": item.is_new}
            for item in folder.overlaps
        ],
        "added_classes": [_path(label) for label in folder.added_classes],
        "removed_classes": [_path(label) for label in folder.removed_classes],
        "bytes_added": folder.bytes_added,
        "bytes_removed": folder.bytes_removed,
    }


def _path(text: str) -> str:
    return json_path(os.fsencode(text))


def folder_html(folder: FolderDiff) -> Iterator[str]:
    """A folder as a part of a page."""
    yield f"<h2>{html_escape(summary(folder))}</h2>\n<div class=scroll><table>\n<tr>"
    yield "".join(f"<th>{name}</th>" for name in ("class", *_TITLES)) + "</tr>\n"
    for item in folder.classes:
        yield "<tr>" + "".join(f"<td>{html_escape(cell)}</td>" for cell in _row(item)) + "</tr>\n"
    yield "</table></div>\n"
    for change in folder.relabelled:
        text = f"{escape(change.old)} → {escape(change.new)}: {escape(change.path)}"
        yield f"<p>{html_escape(text)}</p>\n"
    for overlap in folder.overlaps:
        text = "in several splits: " + " = ".join(map(escape, overlap.paths))
        yield f'<p class="note">{html_escape(text)}</p>\n'
