"""`git mlver track`."""

from __future__ import annotations

import os

import click

from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import escape, show_path


@click.command()
@click.argument("patterns", nargs=-1)
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be written.")
@JSON
def command(patterns: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Track files by pattern, or list the patterns.

    Patterns are those of .gitattributes; quote them, so that the shell leaves them alone:
    git mlver track '*.parquet'. They are written to .gitattributes in this folder: commit it.
    """
    from mlver.workflows.track import patterns_here, track

    with opened() as ctx:
        if not patterns:
            rows = patterns_here(ctx, os.getcwdb())
            if as_json:
                listed = [{"file": file, "pattern": pattern} for file, pattern in rows]
                print_json({"version": 1, "patterns": listed})
                return
            for file, pattern in rows:
                click.echo(f"{escape(pattern)}\t({escape(file)})")
            return
        result = track(ctx, patterns, os.getcwdb(), dry_run=dry_run)
    for pattern in result.changed:
        click.echo(f"{'would track' if dry_run else 'tracking'} {escape(pattern)}")
    for pattern in result.unchanged:
        click.echo(f"{escape(pattern)} is tracked already")
    if result.raw:
        first = show_path(result.raw[0])
        click.echo(
            f"{len(result.raw)} file(s) are in git as content still, first {first};"
            f" next: git mlver add {first}",
            err=True,
        )
