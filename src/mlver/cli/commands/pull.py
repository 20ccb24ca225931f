"""`git mlver pull`."""

from __future__ import annotations

import click

from mlver.cli.commands.checkout import report
from mlver.cli.options import EXCLUDE, INCLUDE, opened, selected


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
    from mlver.workflows.hydrate import hydrate, pending
    from mlver.workflows.settle import settle

    with opened() as ctx:
        places.check_name(ctx, remote)
        chosen = selected(ctx, include, exclude)
        result = hydrate(ctx, pending(ctx, chosen=chosen), remote=remote)
        settle(ctx)
    return report(result)
