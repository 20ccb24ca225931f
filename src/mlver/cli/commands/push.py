"""`git mlver push`."""

from __future__ import annotations

import click

from mlver.cli.options import EXCLUDE, INCLUDE, opened
from mlver.cli.output import escape, human_size


@click.command()
@click.argument("remote", required=False, metavar="[REMOTE]")
@click.option("--all", "everything", is_flag=True, help="Every ref and reflog, stashes too.")
@INCLUDE
@EXCLUDE
def command(
    remote: str | None, everything: bool, include: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    """Send content to the remote, and runs to git's remote.

    No branch is touched. `git push` does this by itself for what it pushes. Only what the remote
    lacks is sent; running it again after a failure sends the rest. --include and --exclude send a
    part of it first; the settings of a partial clone do not count here.
    """
    from mlver.git.selection import select
    from mlver.workflows.exchange_runs import push_own_runs
    from mlver.workflows.push import push

    with opened() as ctx:
        name, result = push(ctx, remote, everything=everything, chosen=select(include, exclude))
        push_own_runs(ctx, look=everything)
    click.echo(
        f"{escape(name)}: {len(result.sent)} file(s) pushed, {human_size(result.bytes)} sent;"
        f" {len(result.present)} were there already",
        err=True,
    )
