"""`git mlver fsck`."""

from __future__ import annotations

import click

from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import json_path, show_path
from mlver.errors import EXIT_DIFFERENT
from mlver.workflows.fsck_remote import Problem


@click.command()
@click.option("--pointers", is_flag=True, help="Only: is every tracked file a pointer in git?")
@click.option("--remote", is_flag=True, help="Read and check everything on the remote too.")
@click.option("--repair", is_flag=True, help="Bring damaged content back from where it is whole.")
@JSON
def command(pointers: bool, remote: bool, repair: bool, as_json: bool) -> int:
    """Check that all content of every ref is there and unchanged.

    Every record of the local store is decoded and compared with its digest; every pointer of
    every ref and index is looked for here and on the remotes. Exit 0 only when all is well.
    """
    from mlver.workflows.fsck import fsck

    with opened() as ctx:
        problems = fsck(ctx, remote=remote, pointers_only=pointers, repair=repair)
    if as_json:
        print_json({"version": 1, "ok": not problems, "problems": [_row(p) for p in problems]})
    elif problems:
        for problem in problems:
            name = show_path(problem.path) or problem.oid[:12]
            click.echo(f"{problem.kind}: {name} {problem.oid[:12]}\n    next: {problem.repair}")
    else:
        click.echo("all content is there and unchanged", err=True)
    return EXIT_DIFFERENT if problems else 0


def _row(problem: Problem) -> dict[str, object]:
    return {
        "kind": problem.kind,
        "oid": problem.oid,
        "path": json_path(problem.path),
        "repair": problem.repair,
    }
