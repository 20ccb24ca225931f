"""`git mlver verify`."""

from __future__ import annotations

import click

from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import escape, json_path, show_path
from mlver.errors import EXIT_OK, RefusedError
from mlver.model.digest import short
from mlver.workflows.verify import Unmade, Verified


@click.command()
@click.argument("what", required=False, default="HEAD", metavar="[COMMIT|A..B]")
@click.option("--strict", is_flag=True, help='As if [runs] policy were "reject".')
@JSON
def command(what: str, strict: bool, as_json: bool) -> int:
    """Check that every model has a recorded run that made it.

    What counts is its content. Of a commit (HEAD unless named) all models are checked; of a range
    A..B those that its commits bring. For CI: exit code 8 where a model has none and `[runs]
    policy` in .mlver.toml is "reject", or with --strict; and where a file holds what a merge left
    undecided (git mlver conflicts). In a fresh clone run git mlver init and
    git fetch before, which bring the runs.
    """
    from mlver.workflows.verify import verify

    with opened() as ctx:
        result = verify(ctx, what, strict=strict)
    bad = (bool(result.unmade) and result.mode == "reject") or bool(result.unresolved)
    if as_json:
        print_json(_json(result))
    else:
        _print(result)
    return RefusedError.exit_code if bad else EXIT_OK


def _print(result: Verified) -> None:
    for path in result.unresolved:
        click.echo(f"unresolved: {show_path(path)}: git mlver resolve decides its conflicts")
    for item in result.unmade:
        where = f" ({item.commit[:12]})" if item.commit else ""
        click.echo(f"no run: {show_path(item.path)}{escape(where)}{_id(item)}")
    if result.mode == "off":
        click.echo("no runs are known here, and no policy is set: nothing was checked", err=True)
    elif result.unmade:
        click.echo(
            f"{len(result.unmade)} of {result.checked} model file(s) have no recorded run that made"
            " them; if others made them: git mlver init, then git fetch",
            err=True,
        )
    else:
        click.echo(f"{result.checked} model file(s): each has a run that made it", err=True)


def _id(item: Unmade) -> str:
    return "" if item.oid is None else f" {short(item.oid)}"


def _json(result: Verified) -> dict[str, object]:
    return {
        "version": 1,
        "ok": not result.unmade and not result.unresolved,
        "policy": result.mode,
        "checked": result.checked,
        "unresolved": [json_path(path) for path in result.unresolved],
        "problems": [
            {
                "path": json_path(item.path),
                "oid": None if item.oid is None else f"blake3:{item.oid.hex()}",
                "commit": item.commit or None,
            }
            for item in result.unmade
        ],
    }
