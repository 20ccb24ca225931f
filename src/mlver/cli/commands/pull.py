"""`git mlver pull`."""

from __future__ import annotations

import click

from mlver.cli.commands.checkout import report
from mlver.cli.options import EXCLUDE, INCLUDE, opened, selected
from mlver.git.selection import Selection
from mlver.workflows.context import Context


@click.command()
@click.argument("remote", required=False, metavar="[REMOTE]")
@INCLUDE
@EXCLUDE
def command(remote: str | None, include: tuple[str, ...], exclude: tuple[str, ...]) -> int:
    """Fetch what the worktree needs and check it out.

    No pointer is left, but of what --include, --exclude or the settings of a partial clone leave
    out. The same as git mlver fetch and git mlver checkout. Files with changes are not touched.
    """
    from mlver.workflows import places

    with opened() as ctx:
        places.check_name(ctx, remote)
        return pulled(ctx, remote, selected(ctx, include, exclude))


def pulled(ctx: Context, remote: str | None, chosen: Selection) -> int:
    """Bring what the worktree lacks and say so; the exit code."""
    from mlver.workflows import cache
    from mlver.workflows.hydrate import hydrate, pending
    from mlver.workflows.settle import settle

    result = hydrate(ctx, pending(ctx, chosen=chosen), remote=remote)
    settle(ctx)
    cache.enforce(ctx)
    return report(result)
