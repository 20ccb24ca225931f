"""`git mlver push`."""

from __future__ import annotations

import click

from mlver.cli.options import opened
from mlver.cli.output import escape, human_size


@click.command()
@click.argument("remote", required=False, metavar="[REMOTE]")
@click.option("--all", "everything", is_flag=True, help="Every ref and reflog, stashes too.")
def command(remote: str | None, everything: bool) -> None:
    """Send content to the remote, and runs to git's remote.

    No branch is touched. `git push` does this by itself for what it pushes. Only what the remote
    lacks is sent; running it again after a failure sends the rest.
    """
    from mlver.workflows.exchange_runs import push_own_runs
    from mlver.workflows.push import push

    with opened() as ctx:
        name, result = push(ctx, remote, everything=everything)
        push_own_runs(ctx, look=everything)
    click.echo(
        f"{escape(name)}: {len(result.sent)} file(s) pushed, {human_size(result.bytes)} sent;"
        f" {len(result.present)} were there already",
        err=True,
    )
