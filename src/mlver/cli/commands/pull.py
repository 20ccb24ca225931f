"""`git mlver pull`."""

from __future__ import annotations

import click

from mlver.cli.commands.checkout import report
from mlver.cli.options import known_filters, opened


@click.command()
@click.argument("remote", required=False, metavar="[REMOTE]")
@click.option("--include", multiple=True, metavar="GLOB", help="Only these paths.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Not these paths.")
def command(remote: str | None, include: tuple[str, ...], exclude: tuple[str, ...]) -> int:
    """Fetch what the worktree needs and check it out.

    No pointer is left. The same as git mlver fetch and git mlver checkout. Files with changes are
    not touched.
    """
    from mlver.workflows import places
    from mlver.workflows.hydrate import hydrate, pending
    from mlver.workflows.settle import settle

    with opened() as ctx:
        places.check_name(ctx, remote)
        chosen = known_filters(ctx.repo, include, exclude)
        result = hydrate(ctx, pending(ctx, chosen), remote=remote)
        settle(ctx, chosen)
    return report(result)
