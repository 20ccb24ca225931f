"""`git mlver fetch`."""

from __future__ import annotations

import click

from mlver.cli.commands.pull import pulled
from mlver.cli.options import EXCLUDE, INCLUDE, opened, selected
from mlver.cli.output import human_size, show_path, warn


@click.command()
@click.argument("remote", required=False, metavar="[REMOTE]")
@click.argument("revisions", nargs=-1, metavar="[COMMIT…]")
@click.option("--all", "everything", is_flag=True, help="Content of every ref, not only HEAD's.")
@INCLUDE
@EXCLUDE
def command(
    remote: str | None,
    revisions: tuple[str, ...],
    everything: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
) -> int:
    """Bring content into the store; the worktree is not touched.

    Where the store keeps nothing (mlver.cacheSize is 0), the worktree's pointers become content, as
    by git mlver pull.

    Without COMMIT: what the index names, that is what is checked out. One file's failure stops
    no other; what came is kept, and running it again fetches the rest.
    """
    from mlver.workflows import cache, partial, places
    from mlver.workflows.fetch import fetch_pointers, wanted_pointers

    with opened() as ctx:
        places.check_name(ctx, remote)
        if cache.bound(ctx) == 0:
            cache.refuse_to_keep(is_for_worktree=not (revisions or everything))
            return pulled(ctx, remote, selected(ctx, include, exclude))
        if revisions or everything:  # what the index lacks may be there
            chosen = partial.chosen(ctx.settings, include, exclude)
        else:
            chosen = selected(ctx, include, exclude)
        wanted = wanted_pointers(ctx, revisions, chosen, everything=everything)
        outcome = fetch_pointers(ctx, wanted, remote)
        cache.enforce(ctx)
    for pointer, error in list(outcome.failed.items())[:5]:
        warn(f"{show_path(wanted[pointer])}: {error}")
    if len(outcome.failed) > 5:
        warn(f"and {len(outcome.failed) - 5} more")
    if outcome.failed:
        warn(
            f"{len(outcome.failed)} of {len(wanted)} file(s) could not be fetched\n"
            "  next: git mlver remote list, to see which places are asked; then git mlver fetch"
        )
    if outcome.bytes:
        click.echo(f"{human_size(outcome.bytes)} fetched", err=True)
    return next(iter(outcome.failed.values())).exit_code if outcome.failed else 0
