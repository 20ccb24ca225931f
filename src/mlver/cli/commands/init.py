"""`git mlver init`."""

from __future__ import annotations

import click

from mlver.cli.options import opened
from mlver.cli.output import escape, warn
from mlver.workflows.install import Installed


@click.command()
@click.option("--force", is_flag=True, help="Also where core.hooksPath is shared by repositories.")
@click.option("--no-policy-file", is_flag=True, help="Do not write .mlver.toml.")
def command(force: bool, no_policy_file: bool) -> None:
    """Make this repository ready: hooks, settings, .mlver.toml.

    Hooks that are there keep working: ours are added beside them. Safe to run again.
    """
    from mlver.workflows.install import init

    with opened() as ctx:
        result = init(ctx, force=force, policy_file=not no_policy_file)
    tell(result)
    if not result.done:
        click.echo("everything was in place already", err=True)


def tell(result: Installed) -> None:
    """Say what was done, and what the user should know."""
    for line in result.done:
        click.echo(escape(line), err=True)
    for notice in result.notices:
        warn(notice)
