"""`git mlver uninstall`."""

from __future__ import annotations

import os

import click

from mlver.cli.commands.init import tell
from mlver.git.drivers import Scope


@click.command()
@click.option("--global", "scope", flag_value="global", help="This user's settings (the default).")
@click.option("--local", "scope", flag_value="local", help="This repository: settings and hooks.")
@click.option("--system", "scope", flag_value="system", help="This machine's settings.")
def command(scope: Scope | None) -> None:
    """Take out what install and init put in.

    Hooks that were there before are back, byte for byte. Content, pointers and .gitattributes
    stay as they are.
    """
    from mlver.git.repo import discover
    from mlver.workflows.install import uninstall_drivers, uninstall_hooks

    cwd = os.getcwdb() if scope == "local" else None
    if scope == "local":
        tell(uninstall_hooks(discover()))
    tell(uninstall_drivers(scope or "global", cwd))
