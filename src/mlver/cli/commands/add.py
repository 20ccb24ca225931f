"""`git mlver add`."""

from __future__ import annotations

import os
import sys

import click

from mlver.cli.options import PATHS, opened
from mlver.cli.output import human_size, show_path
from mlver.errors import UsageError


@click.command()
@PATHS
@click.option("-A", "--all", "everything", is_flag=True, help="Add everything that changed.")
@click.option("-v", "--verbose", is_flag=True, help="Name every file.")
def command(paths: tuple[bytes, ...], everything: bool, verbose: bool) -> None:
    """Stage files, as git add does, and faster for tracked ones.

    The result is the same as that of `git add`: tracked files become pointers, every other file
    is added by git itself. Content is read directly instead of through git's pipe.
    """
    from mlver.workflows import add as adding

    if not paths and not everything:
        raise UsageError("nothing was named", fix="git mlver add PATH…, or git mlver add --all")
    with opened() as ctx:
        added = adding.add(ctx, [b":/"] if everything else list(paths), os.getcwdb())
    if verbose:
        for path in sorted([*added.ours, *added.others]):
            click.echo(f"add {show_path(path)}")
    if added.ours and (verbose or sys.stderr.isatty()):
        total = human_size(sum(added.ours.values()))
        click.echo(
            f"{len(added.ours)} tracked file(s), {total}; {human_size(added.written)} stored",
            err=True,
        )
