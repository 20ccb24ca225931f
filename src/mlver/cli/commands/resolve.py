"""`git mlver resolve`."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from mlver.cli.options import known_pathspecs, opened
from mlver.cli.output import show_path, warn
from mlver.errors import EXIT_DIFFERENT, EXIT_OK, UsageError
from mlver.workflows.context import Context

_PATH: Any = click.Path(path_type=bytes)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=_PATH, metavar="PATH…")
@click.option("--ours", "side", flag_value="ours", help="Take ours.")
@click.option("--theirs", "side", flag_value="theirs", help="Take theirs.")
@click.option("--base", "side", flag_value="base", help="Take what both sides came from.")
@click.option(
    "--key", multiple=True, metavar="VALUE", help="The row, path, tensor or cell (repeat)."
)
@click.option("--col", "--column", "column", metavar="COLUMN", help="The column of that row.")
@click.option("--value", metavar="TEXT", help="Take this value for the cell.")
@click.option("--from", "source", type=_PATH, metavar="FILE", help="Take all of this file.")
def command(
    paths: tuple[bytes, ...],
    side: str | None,
    key: tuple[str, ...],
    column: str | None,
    value: str | None,
    source: bytes | None,
) -> int:
    """Decide conflicts of a merge.

    The file is staged when none is left. Without --key or --col, all conflicts of the files are
    decided for that side. With them one is: --key names the row (the values of its key, or
    NAME=VALUE; repeat for several columns), a parameter's path, a tensor or a notebook's cell,
    --col the column. What was decided is remembered for the same three versions, as a rebase meets
    them again. Exit code 1 where conflicts are left.
    """
    if sum(item is not None for item in (side, value, source)) != 1:
        raise UsageError(
            "say how: one of --ours, --theirs, --base, --value, --from",
            fix="git mlver resolve PATH --ours",
        )
    if (source or value or key or column) and len(paths) != 1:
        raise UsageError("this decides one file", fix="name one path")
    code = EXIT_OK
    with opened() as ctx:
        for path in _paths(ctx, paths):
            left = _resolve(ctx, path, side, key, column, value, source)
            if left:
                code = EXIT_DIFFERENT
                warn(f"{show_path(path)}: {left} conflict(s) left: git mlver conflicts")
            else:
                warn(f"{show_path(path)}: decided and staged")
    return code


def _paths(ctx: Context, paths: tuple[bytes, ...]) -> list[bytes]:
    from mlver.git.objects import staged

    specs = known_pathspecs(ctx.repo, paths)
    if all(not os.path.isdir(path) for path in paths):
        return list(dict.fromkeys(entry.path for entry in staged(ctx.repo, specs)))
    from mlver.workflows.list_conflicts import listed

    return [item.path for item in listed(ctx, specs)]


def _resolve(
    ctx: Context,
    path: bytes,
    side: str | None,
    key: tuple[str, ...],
    column: str | None,
    value: str | None,
    source: bytes | None,
) -> int:
    from mlver.merge.options import Choice
    from mlver.workflows import resolve

    if source is not None:
        return len(resolve.resolve_from(ctx, path, source).left)
    if side is not None and not key and column is None:
        return len(resolve.resolve_all(ctx, path, side).left)
    choice = Choice(side) if side is not None else Choice(None, _typed(path, value or ""))
    return len(resolve.resolve_one(ctx, path, key, column, choice).left)


def _typed(path: bytes, text: str) -> Any:
    """A cell of a text table is its text; elsewhere it is JSON, or a text that is none."""
    if path.lower().endswith((b".csv", b".tsv", b".tab", b".psv")):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
