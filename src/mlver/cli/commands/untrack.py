"""`git mlver untrack`."""

from __future__ import annotations

import os

import click

from mlver.cli.options import opened
from mlver.cli.output import escape


@click.command()
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN…")
def command(patterns: tuple[str, ...]) -> None:
    """Stop tracking a pattern.

    It is taken out of the .gitattributes in this folder. Files and history stay as they are; a
    file that is added after this goes into git itself.
    """
    from mlver.workflows.track import untrack

    with opened() as ctx:
        result = untrack(ctx, patterns, os.getcwdb())
    for pattern in result.changed:
        click.echo(f"no longer tracking {escape(pattern)}")
    for pattern in result.unchanged:
        click.echo(f"{escape(pattern)} was not tracked here", err=True)
