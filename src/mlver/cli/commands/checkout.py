"""`git mlver checkout`."""

from __future__ import annotations

import click

from mlver.cli.options import EXCLUDE, INCLUDE, PATHS, known_pathspecs, opened, selected
from mlver.cli.output import human_size


@click.command()
@PATHS
@click.option("--no-fetch", is_flag=True, help="Use only what the store on this machine holds.")
@INCLUDE
@EXCLUDE
def command(
    paths: tuple[bytes, ...], no_fetch: bool, include: tuple[str, ...], exclude: tuple[str, ...]
) -> int:
    """Turn pointers in the worktree into content.

    Without PATH every tracked file is taken that the settings of a partial clone do not leave out;
    a PATH is taken whatever they say. Files with changes are never overwritten.
    """
    from mlver.git.selection import select
    from mlver.workflows.hydrate import hydrate, pending
    from mlver.workflows.settle import settle

    with opened() as ctx:
        specs = known_pathspecs(ctx.repo, paths)
        chosen = select(include, exclude) if paths else selected(ctx, include, exclude)
        result = hydrate(ctx, pending(ctx, specs, chosen), fetch=not no_fetch)
        settle(ctx, specs)
    return report(result)


def report(result: object) -> int:
    """Say what was written; the first failure's exit code."""
    from mlver.cli.output import warn
    from mlver.workflows.hydrate import Hydrated, explain

    assert isinstance(result, Hydrated)
    if result.written:
        size = human_size(sum(pointer.size for pointer in result.written.values()))
        click.echo(f"{len(result.written)} file(s) checked out, {size}", err=True)
    if result.failed:
        warn(explain(result.failed))
        return next(iter(result.failed.values())).exit_code
    return 0
