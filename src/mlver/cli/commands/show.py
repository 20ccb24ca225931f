"""`git mlver show`."""

from __future__ import annotations

import sys

import click

from mlver.cli.options import JSON, opened, print_json
from mlver.cli.run_argument import RUN


@click.command()
@RUN
@click.option("--stdout", "stream", flag_value="stdout", help="Print what it wrote to stdout.")
@click.option("--stderr", "stream", flag_value="stderr", help="Print what it wrote to stderr.")
@JSON
def command(run: str, stream: str | None, as_json: bool) -> None:
    """Show a run in full, or what it printed.

    RUN is an id, the beginning or the end of one (at least four characters), a name (the newest
    run of that name), or `latest`. Secrets were taken out of the logs before they were written.
    """
    from mlver.cli import run_details, run_text
    from mlver.workflows import known_runs, run_logs

    with opened() as ctx, known_runs.known(ctx) as runs:
        found = runs.find(run)
        if stream:
            for data in run_logs.log(ctx, runs, found, stream):
                _write(data)
            return
        claims = runs.with_id(found.run.run_id)
        if as_json:
            document = run_text.record(found)
            document["known"]["claims"] = [known.run.as_json() for known in claims]
            document["known"]["notes"] = [
                {"ref": place.ref, "object": place.key, "commit": place.is_commit}
                for place in runs.places(found)
            ]
            print_json(document)
            return
        for number, known in enumerate(claims, 1):
            if len(claims) > 1:
                click.echo(f"-- record {number} of {len(claims)} that claim this id --")
            for line in run_details.lines(runs, known):
                click.echo(line)


def _write(data: bytes) -> None:
    """A log: shown on a terminal, passed on as it is to a pipe or file."""
    from mlver.cli.output import escape

    if sys.stdout.isatty():
        click.echo(escape(data.decode("utf-8", "replace"), keep_newlines=True), nl=False)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
