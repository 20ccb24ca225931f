"""`git mlver prune`."""

from __future__ import annotations

import math

import click

from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import human_size
from mlver.errors import UsageError


@click.command()
@click.option("--yes", is_flag=True, help="Do it; without this, only say what would be freed.")
@click.option(
    "--expire-days",
    type=click.FloatRange(min=0),
    default=14.0,
    metavar="DAYS",
    help="Age at which content that nothing names, and no remote holds, is freed as well; 14"
    " unless given.",
)
@JSON
def command(yes: bool, expire_days: float, as_json: bool) -> None:
    """Free local content that the remote was just seen to hold.

    Content that is on no remote stays, whatever names it: an index, a stash, a reflog, a commit
    that was not pushed, in any worktree.
    """
    from mlver.workflows.prune import prune

    if math.isnan(expire_days):  # nothing is younger than that
        raise UsageError(
            "--expire-days is no number of days", fix="git mlver prune --expire-days 14"
        )
    with opened() as ctx:
        result = prune(ctx, dry_run=not yes, expire=expire_days * 24 * 3600)
    freed = result.before - result.after
    if as_json:
        print_json(
            {
                "version": 1,
                "dry_run": not yes,
                "bytes_before": result.before,
                "bytes_freed": freed,
                "blobs_freed": result.freed_blobs,
                "blobs_kept": result.kept_blobs,
            }
        )
        return
    verb = "freed" if yes else "would be freed (--yes does it)"
    click.echo(
        f"{human_size(freed)} of {human_size(result.before)} {verb};"
        f" {result.kept_blobs} blob(s) are kept"
    )
