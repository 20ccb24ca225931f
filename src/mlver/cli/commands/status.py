"""`git mlver status`."""

from __future__ import annotations

from collections import Counter

import click

from mlver.cli.options import JSON, PATHS, opened, pathspecs, print_json
from mlver.cli.output import human_size, json_path, show_path


@click.command()
@PATHS
@click.option("-a", "--all", "everything", is_flag=True, help="Name files that are in order too.")
@JSON
def command(paths: tuple[bytes, ...], everything: bool, as_json: bool) -> None:
    """Tell the state of every tracked file.

    \b
    hydrated  the content is in the worktree and on the remote
    unpushed  the content is here, and not yet on the remote
    pointer   the worktree holds the pointer: git mlver checkout
    modified  the worktree differs from what is staged
    missing   the content is neither here nor on the remote
    """
    from mlver.workflows import cache
    from mlver.workflows.status import status

    with opened() as ctx:
        rows = status(ctx, pathspecs(ctx.repo, paths))
        limit, stored = cache.bound(ctx), cache.used(ctx)
    if as_json:
        files = [
            {"path": json_path(r.path), "oid": r.oid.hex(), "size": r.size, "state": r.state}
            for r in rows
        ]
        store = {"bytes": stored, "bound": limit}
        print_json({"version": 1, "files": files, "store": store})
        return
    for row in rows:
        if everything or row.state != "hydrated":
            click.echo(f"{row.state:<9} {human_size(row.size):>9}  {show_path(row.path)}")
    counts = Counter(row.state for row in rows)
    total = human_size(sum(row.size for row in rows))
    parts = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    click.echo(f"{len(rows)} tracked file(s), {total}" + (f": {parts}" if parts else ""), err=True)
    if limit is not None:
        most = f"mlver.cacheSize is {human_size(limit)}"
        click.echo(f"the store holds {human_size(stored)}; {most}", err=True)
