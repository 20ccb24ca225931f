"""`git mlver install`."""

from __future__ import annotations

import os

import click

from mlver.cli.commands.init import tell
from mlver.git.drivers import Scope


@click.command()
@click.option("--global", "scope", flag_value="global", help="For this user (the default).")
@click.option("--local", "scope", flag_value="local", help="For this repository only.")
@click.option("--system", "scope", flag_value="system", help="For this machine.")
@click.option("--skip-smudge", is_flag=True, help="Leave pointers at checkout until asked for.")
def command(scope: Scope | None, skip_smudge: bool) -> None:
    """Tell git of git-mlver: its filter, diff and merge driver.

    Once a user is enough; `git mlver init` then makes each repository ready.
    """
    from mlver.workflows.install import install_drivers

    cwd = os.getcwdb() if scope == "local" else None
    if scope == "local":
        from mlver.git.repo import discover

        discover()
    tell(install_drivers(scope or "global", cwd, skip_smudge=skip_smudge))
