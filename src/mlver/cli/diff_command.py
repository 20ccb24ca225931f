"""What `git mlver diff` does with changed files, wherever they are: text, JSON, a page, a patch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from mlver.errors import EXIT_DIFFERENT, UsageError

if TYPE_CHECKING:
    from mlver.diff.image_folders import FolderDiff
    from mlver.diff.options import Options
    from mlver.workflows.content_diff import Compared
    from mlver.workflows.context import Context
    from mlver.workflows.diff import FileChange


class Wanted(NamedTuple):
    """The command's options."""

    options: Options
    stat: bool = False
    everything: bool = False
    limit: int | None = None
    by: str | None = None
    exit_code: bool = False
    html: str | None = None
    patch: str | None = None
    as_json: bool = False
    layout: str | None = None


def show(
    ctx: Context | None,
    changes: Sequence[FileChange],
    compare: Callable[[FileChange], Compared],
    wanted: Wanted,
    folders: Sequence[FolderDiff] = (),
) -> int:
    """Compares file by file and shows each, after folders of images; the exit code."""
    if wanted.by is not None and (wanted.html or wanted.patch):
        raise UsageError("--by counts; it makes no page and no patch", fix="leave one of them out")
    differs = False

    def items() -> Iterator[Compared]:
        nonlocal differs
        for change in changes:
            item = compare(change)
            differs = differs or item.differs
            yield item

    outputs: list[Callable[[Iterator[Compared]], None]] = []
    if wanted.patch is not None:
        outputs.append(partial(_write_patch, ctx, wanted.patch))
    if wanted.html is not None:
        outputs.append(partial(_write_page, wanted, folders))
    if wanted.as_json:
        outputs.append(partial(_print_json, wanted, folders))
    if len(outputs) > 1:
        kept = list(items())
        for output in outputs:
            output(iter(kept))
    else:
        (outputs or [partial(_print_text, wanted, folders)])[0](items())
    return EXIT_DIFFERENT if wanted.exit_code and differs else 0


def limited(item: Compared, limit: int | None) -> Compared:
    """`item` with at most `limit` changes; its counts stay those of all."""
    if limit is None or len(item.content.changes) <= limit:
        return item
    content = replace(item.content, changes=item.content.changes[:limit], truncated=True)
    return replace(item, content=content)


def _print_json(wanted: Wanted, folders: Sequence[FolderDiff], items: Iterator[Compared]) -> None:
    from mlver.cli.diff_json import file_json
    from mlver.cli.options import print_json

    rows = []
    for item in items:
        row = file_json(limited(item, wanted.limit))
        if wanted.by is not None:
            from mlver.cli.diff_json import groups_json
            from mlver.diff.groups import by_column

            row["by"] = groups_json(wanted.by, by_column(item.content, wanted.by))
        rows.append(row)
    shown: dict[str, object] = {"version": 1, "files": rows}
    if folders:
        from mlver.cli.diff_images import folder_json

        shown["folders"] = [folder_json(folder) for folder in folders]
    print_json(shown)


def _print_text(wanted: Wanted, folders: Sequence[FolderDiff], items: Iterator[Compared]) -> None:
    from mlver.cli import diff_text, pager

    width = pager.width()
    limit = None if wanted.everything else diff_text.SAMPLES
    if wanted.limit is not None:
        limit = wanted.limit
    with pager.paged() as write:
        if folders:
            from mlver.cli import diff_images

            for folder in folders:
                for line in diff_images.lines(folder, 0 if wanted.stat else limit):
                    write(line)
            items = diff_images.few(items, 0 if wanted.stat else limit, write)
        for item in items:
            write(diff_text.summary(item))
            if wanted.by is not None:
                lines = diff_text.groups(item.content, wanted.by)
            elif wanted.stat:
                lines = diff_text.notes(item.content)
            else:
                lines = diff_text.details(item.content, width, limit)
            for line in lines:
                write(line)


def _write_page(wanted: Wanted, folders: Sequence[FolderDiff], items: Iterator[Compared]) -> None:
    from mlver.cli.diff_html import page

    assert wanted.html is not None
    limit = None if wanted.everything else 1000
    if wanted.limit is not None:
        limit = wanted.limit
    _write(wanted.html, (part.encode("utf-8", "replace") for part in page(items, limit, folders)))


def _write_patch(ctx: Context | None, path: str, items: Iterator[Compared]) -> None:
    from mlver.cli.diff_json import content_json
    from mlver.workflows.patch_making import patch_lines

    _write(path, patch_lines(ctx, items, content_json))


def _write(path: str, parts: Iterator[bytes]) -> None:
    """All or nothing: a file of that name is replaced when the new one is whole. `-`: stdout."""
    from mlver.store.files import disk_errors

    if path == "-":
        import sys

        for part in parts:
            sys.stdout.buffer.write(part)
        return
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with disk_errors("writing the diff", path):
            with open(temporary, "wb") as file:
                for part in parts:
                    file.write(part)
            os.replace(temporary, path)
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)
