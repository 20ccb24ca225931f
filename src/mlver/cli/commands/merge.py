"""`git mlver merge --dry-run`."""

from __future__ import annotations

from typing import Any

import click

from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import json_path, show_path
from mlver.errors import EXIT_DIFFERENT, EXIT_OK, UsageError

_SHOWN = 5


@click.command()
@click.argument("branch", metavar="COMMIT")
@click.option("--dry-run", is_flag=True, help="Say what would happen; nothing else is done.")
@JSON
def command(branch: str, dry_run: bool, as_json: bool) -> int:
    """Tell what a merge would do to tracked files.

    Which files of COMMIT would be taken, which be merged by what they hold, and what would be left
    to decide, with its values. Nothing is changed; content is fetched for files that both sides
    changed. Exit code 1 where there would be conflicts. The merge itself is git's: git merge.
    """
    from mlver.workflows.merge_preview import preview

    if not dry_run:
        raise UsageError("merging is git's work", fix=f"git merge {branch}")
    with opened() as ctx:
        found = preview(ctx, branch)
    if as_json:
        print_json({"version": 1, "files": [_json(item) for item in found]})
    else:
        for item in found:
            _print(item)
        if not found:
            click.echo("no tracked file would change", err=True)
    return EXIT_DIFFERENT if any(item.conflicts for item in found) else EXIT_OK


def _json(item: Any) -> dict[str, Any]:
    from mlver.cli.conflict_text import conflict_json

    return {
        "path": json_path(item.path),
        "state": item.state,
        "format": item.format,
        "conflicts": [conflict_json(conflict) for conflict in item.conflicts],
        "notes": list(item.notes),
    }


def _print(item: Any) -> None:
    from mlver.cli.conflict_text import lines
    from mlver.model.conflict import summary

    told = f": {summary(item.conflicts)}" if item.conflicts else ""
    click.echo(f"{item.state:<10} {show_path(item.path)}{told}")
    for line in lines(item.conflicts, _SHOWN):
        click.echo(f"  {line}")
