"""`git mlver track`."""

from __future__ import annotations

import os

import click

from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import escape, show_path
from mlver.workflows.track import Tracked, patterns_here, track


@click.command()
@click.argument("patterns", nargs=-1, metavar="[PATTERN…]")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be written.")
@JSON
def command(patterns: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Track files by pattern, or list the patterns.

    Patterns are those of .gitattributes; quote them, so that the shell leaves them alone:
    git mlver track '*.parquet'. They are written to .gitattributes in this folder: commit it.
    """
    here = os.getcwdb()
    with opened() as ctx:
        result = track(ctx, patterns, here, dry_run=dry_run) if patterns else None
        rows = patterns_here(ctx, here) if as_json or result is None else []
    if as_json:
        listed = [{"file": file, "pattern": pattern} for file, pattern in rows]
        print_json({"version": 1, "patterns": listed})
    elif result is None:
        for file, pattern in rows:
            click.echo(f"{escape(pattern)}\t({escape(file)})")
    else:
        _tell(result, dry_run)


def _tell(result: Tracked, dry_run: bool) -> None:
    for pattern in result.changed:
        click.echo(f"{'would track' if dry_run else 'tracking'} {escape(pattern)}")
    for pattern in result.unchanged:
        click.echo(f"{escape(pattern)} is tracked already")
    if result.raw:
        first = show_path(result.raw[0])
        click.echo(
            f"{len(result.raw)} file(s) are in git as content still, first {first};"
            f" next: git add --renormalize {first}",
            err=True,
        )
