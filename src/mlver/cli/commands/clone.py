"""`git mlver clone`."""

from __future__ import annotations

import sys

import click

from mlver.cli.commands.checkout import report
from mlver.cli.output import escape, show_path, warn
from mlver.cli.progress import for_terminal
from mlver.workflows.places import Place


@click.command()
@click.argument("url", metavar="URL")
@click.argument("folder", required=False, metavar="[DIR]")
@click.option("--trust", is_flag=True, help="Use the remotes that .mlver.toml names, unasked.")
@click.option("-b", "--branch", metavar="NAME", help="Check out this branch or tag.")
@click.option("--depth", type=int, metavar="N", help="Fetch this many commits only.")
@click.option("--recurse-submodules", is_flag=True, help="Clone submodules too.")
def command(
    url: str,
    folder: str | None,
    trust: bool,
    branch: str | None,
    depth: int | None,
    recurse_submodules: bool,
) -> int:
    """Clone a repository with its content.

    The same as git clone, git mlver init, git mlver remote trust and git mlver pull: content is
    fetched in one batch and written directly. A remote that the clone itself names is contacted
    only after a yes (or --trust).
    """
    from mlver.workflows.clone import clone

    options = [f"--branch={branch}"] if branch else []
    options += [f"--depth={depth}"] if depth else []
    options += ["--recurse-submodules"] if recurse_submodules else []

    def ask(place: Place) -> bool:
        if trust:
            return True
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return False
        shown = escape(place.url)
        return click.confirm(f"Fetch content from {shown} (named by this repository)?", err=True)

    top, result = clone(url, folder, options, ask_trust=ask, warn=warn, progress=for_terminal())
    click.echo(f"cloned into {show_path(top)}", err=True)
    return report(result)
