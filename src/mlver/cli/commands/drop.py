"""`git mlver drop`."""

from __future__ import annotations

import click

from mlver.cli.options import known_pathspecs, opened
from mlver.cli.output import human_size, show_path, warn
from mlver.errors import RefusedError


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…", type=click.Path(path_type=bytes))
def command(paths: tuple[bytes, ...]) -> int:
    """Turn worktree files back into pointers, to free the disk.

    A file is dropped only if it has no changes and the store or a remote holds its content.
    `git mlver checkout PATH` brings it back; `git mlver prune` frees the store as well.
    """
    from mlver.workflows.drop import drop

    with opened() as ctx:
        result = drop(ctx, known_pathspecs(ctx.repo, paths))
    if result.dropped:
        size = human_size(sum(pointer.size for pointer in result.dropped.values()))
        click.echo(f"{len(result.dropped)} file(s) dropped, {size}", err=True)
    for path, why in result.kept.items():
        name = show_path(path)
        warn(f"{name} was kept: {why}\n  next: git mlver status {name}")
    return RefusedError.exit_code if result.kept else 0
