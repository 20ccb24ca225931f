"""`git mlver refresh`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from mlver.cli.commands.reproduce import asking
from mlver.cli.options import JSON, PATHS, opened, print_json
from mlver.cli.output import escape
from mlver.errors import EXIT_DIFFERENT, EXIT_OK

if TYPE_CHECKING:
    from mlver.workflows.refresh import Refreshed


@click.command()
@PATHS
@click.option("-n", "--dry-run", is_flag=True, help="Only say what is stale, and why.")
@click.option("-y", "--yes", is_flag=True, help="Run commands of records that others made.")
@JSON
def command(paths: tuple[bytes, ...], dry_run: bool, yes: bool, as_json: bool) -> int:
    """Run again what is stale: its data, code or parameters changed.

    A step is a recorded run whose output lies here as it wrote it. It is run again, in this
    worktree, where a file that it read has another content now, or a file of its code changed: of a
    Python program the script and the modules that it imports, of any other command every source
    file. Steps that read what was made anew follow, if it came out different. What is not stale is
    not run. Exit code 1 where a step failed.
    """
    from mlver.workflows.refresh import refresh

    with opened() as ctx:
        top, cwd = os.path.realpath(ctx.repo.top), os.path.realpath(os.getcwdb())
        inside = [os.path.relpath(os.path.join(cwd, path), top) for path in paths]
        result = refresh(ctx, inside, asking(yes), dry_run=dry_run)
    if as_json:
        print_json(_json(result))
    else:
        _print(result, dry_run)
    return EXIT_DIFFERENT if result.failed else EXIT_OK


def _print(result: Refreshed, dry_run: bool) -> None:
    for found in result.stale:
        run = found.step.known.run
        ended = "" if found.exit_code is None else f": exit code {found.exit_code}"
        click.echo(f"{escape(run.name or run.run_id)}{ended}")
        for reason in found.reasons:
            click.echo(f"  {escape(reason)}")
    word = "stale" if dry_run else "run again"
    click.echo(f"{len(result.stale)} step(s) {word}, {result.current} as they should be", err=True)


def _json(result: Refreshed) -> dict[str, object]:
    return {
        "version": 1,
        "current": result.current,
        "steps": [
            {
                "run": found.step.known.run.run_id,
                "name": found.step.known.run.name,
                "reasons": found.reasons,
                "new_run": found.run_id,
                "exit_code": found.exit_code,
            }
            for found in result.stale
        ],
    }
