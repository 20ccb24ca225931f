"""`git mlver conflicts`."""

from __future__ import annotations

from typing import Any

import click

from mlver.cli.options import JSON, PATHS, opened, pathspecs, print_json
from mlver.cli.output import json_path, show_path
from mlver.errors import EXIT_DIFFERENT, EXIT_OK

_SHOWN = 20


@click.command()
@PATHS
@click.option("--all", "everything", is_flag=True, help="Show every conflict, not only 20 a file.")
@JSON
def command(paths: tuple[bytes, ...], everything: bool, as_json: bool) -> int:
    """List conflicts of merges that nobody has decided.

    Of each file, the rows, cells, columns or paths that both sides changed in different ways, with
    the three values. Ours stands in the file until git mlver resolve, or git add of another
    content, decides. Exit code 1 where there are any.
    """
    from mlver.workflows.list_conflicts import listed

    with opened() as ctx:
        found = listed(ctx, pathspecs(ctx.repo, paths))
    if as_json:
        print_json({"version": 1, "files": [_json(item) for item in found]})
    else:
        for item in found:
            _print(item, None if everything else _SHOWN)
        if not found:
            click.echo("no conflicts", err=True)
    return EXIT_DIFFERENT if found else EXIT_OK


def _json(item: Any) -> dict[str, Any]:
    from mlver.cli.conflict_text import conflict_json

    return {
        "path": json_path(item.path),
        "format": item.format,
        "key": list(item.key),
        "key_source": item.key_source,
        "conflicts": [conflict_json(conflict) for conflict in item.conflicts],
    }


def _print(item: Any, limit: int | None) -> None:
    from mlver.cli.conflict_text import lines
    from mlver.model.conflict import summary

    click.echo(f"{show_path(item.path)}: {summary(item.conflicts)}")
    for line in lines(item.conflicts, limit):
        click.echo(f"  {line}")
