"""`git mlver clone`."""

from __future__ import annotations

import sys

import click

from mlver.cli.commands.checkout import report
from mlver.cli.options import EXCLUDE, INCLUDE
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
@INCLUDE
@EXCLUDE
def command(
    url: str,
    folder: str | None,
    trust: bool,
    branch: str | None,
    depth: int | None,
    recurse_submodules: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
) -> int:
    """Clone a repository with its content.

    The same as git clone, git mlver init, git mlver remote trust and git mlver pull: content is
    fetched in one batch and written directly. A remote that the clone itself names is contacted
    only after a yes (or --trust).

    With --include or --exclude the clone is a partial one from then on: the patterns go into its
    configuration, as mlver.fetchInclude and mlver.fetchExclude, and the rest stays pointers until
    `git mlver checkout PATH`.
    """
    from mlver.git.selection import select
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

    select(include, exclude)  # a pattern that is none is refused before anything is fetched
    top, result = clone(
        url,
        folder,
        options,
        partial=(include, exclude),
        ask_trust=ask,
        warn=warn,
        progress=for_terminal(),
    )
    click.echo(f"cloned into {show_path(top)}", err=True)
    return report(result)
