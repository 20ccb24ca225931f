"""`git mlver gc`."""

from __future__ import annotations

import math

import click

from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import escape, human_size
from mlver.errors import UsageError
from mlver.workflows.gc import Collected


@click.command()
@click.argument("name", required=False, metavar="[NAME]")
@click.option("--remote", is_flag=True, help="Collect on the remote NAME, or the default one.")
@click.option("--yes", is_flag=True, help="Do it; without this, only say what would be done.")
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=14.0,
    metavar="DAYS",
    help="How long what is condemned stays, by the remote's clock; 14 unless given. It must be"
    " longer than any push takes.",
)
@click.option(
    "--allow-missing",
    is_flag=True,
    help="Go on where content that commits name is lost; what no index names is kept then.",
)
@JSON
def command(
    name: str | None, remote: bool, yes: bool, grace: float, allow_missing: bool, as_json: bool
) -> None:
    """Delete content on a remote that nothing names any more.

    Asked are all refs, reflogs, stashes and indexes of this clone, and all refs of its git remotes
    and of every repository that has pushed there. A first run condemns, a later one deletes what
    is condemned for longer than the grace and is named by nothing still.
    """
    from mlver.workflows.gc import gc_remote

    if not remote:
        raise UsageError(
            "git mlver gc collects on a remote",
            why="without --remote there is nothing to do: this machine's store is freed by prune",
            fix="git mlver gc --remote; or git mlver prune",
        )
    if math.isnan(grace):
        raise UsageError("--grace is no number of days", fix="git mlver gc --remote --grace 14")
    with opened() as ctx:
        done = gc_remote(
            ctx, name, dry_run=not yes, grace=grace * 24 * 3600, allow_missing=allow_missing
        )
    print_json(_document(done, yes)) if as_json else _show(done, yes)


def _document(done: Collected, yes: bool) -> dict[str, object]:
    plan = done.plan
    new = plan.condemn.packs if plan.condemn else frozenset()
    return {
        "version": 1,
        "remote": done.remote,
        "dry_run": not yes,
        "roots": done.roots,
        "repositories": done.repositories,
        "missing": len(plan.missing),
        "packs": len(plan.packs),
        "bytes": plan.size(plan.packs),
        "packs_live": len(plan.live),
        "packs_condemned": len(new),
        "bytes_condemned": plan.size(new),
        "packs_waiting": len(plan.waiting - new),
        "bytes_waiting": plan.size(plan.waiting - new),
        "packs_deleted": len(plan.doomed),
        "bytes_deleted": plan.size(plan.doomed),
        "objects_hidden": done.hidden,
    }


def _show(done: Collected, yes: bool) -> None:
    plan = done.plan
    new = plan.condemn.packs if plan.condemn else frozenset()
    would = "" if yes else "would be "
    click.echo(
        f"{escape(done.remote)}: {len(plan.packs)} pack(s), {human_size(plan.size(plan.packs))};"
        f" {len(plan.live)} in use by {done.roots} blob(s)"
    )
    for url in done.repositories:
        click.echo(f"  also read: {escape(url)}")
    for packs, what in (
        (plan.doomed, f"{would}deleted"),
        (new, f"{would}condemned"),
        (plan.waiting - new, "condemned before, kept until their grace is over"),
    ):
        click.echo(f"  {len(packs)} pack(s), {human_size(plan.size(packs))}: {what}")
    if plan.missing:
        click.echo(f"  {len(plan.missing)} blob(s) that git names are missing there")
    if done.hidden and plan.doomed:
        click.echo(
            "  the bucket keeps old versions (Object Lock, or versioning): what was deleted can be"
            " brought back, and takes space until a rule of the bucket removes it"
        )
    if not yes and (plan.doomed or new):
        click.echo("nothing was changed; --yes does it")
