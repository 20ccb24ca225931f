"""`git mlver why`."""

from __future__ import annotations

import click

from mlver.cli.options import JSON, opened, print_json


@click.command()
@click.argument("target", metavar="PATH[@REV]")
@JSON
def command(target: str, as_json: bool) -> None:
    """Tell in a paragraph where a file's content came from.

    Which run made it, from which data, code, parameters and environment, who started it and when;
    and what is not known of it. A content id (blake3:…) or a run may stand in place of a path.
    """
    from mlver.workflows.explain import why

    with opened() as ctx:
        reason = why(ctx, target)
    if not as_json:
        from mlver.cli.run_details import sentence

        text = sentence(reason)
        click.echo(click.wrap_text(text, _width()))
        return
    found = reason.target
    oid = found.oid
    print_json(
        {
            "version": 1,
            "path": found.path or None,
            "rev": found.rev or None,
            "oid": None if oid is None else f"blake3:{oid.hex()}",
            "run": reason.makers[0].run.as_json() if reason.makers else None,
            "other_runs": [known.run.run_id for known in reason.makers[1:]],
            "inputs": [item.as_json() for item in reason.inputs],
            "commits": [place.key for place in reason.places if place.is_commit],
            "unknown": reason.unknown,
        }
    )


def _width() -> int:
    from mlver.cli.run_text import terminal_columns

    return min(100, terminal_columns() or 100)
