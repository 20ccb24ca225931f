"""`git mlver log`."""

from __future__ import annotations

import click

from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import escape
from mlver.workflows.file_history import Version


@click.command()
@click.argument("path", metavar="PATH", type=click.Path())
@click.option("--rev", metavar="COMMIT", default="", help="History up to this commit; else HEAD.")
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="At most N commits.")
@JSON
def command(path: str, rev: str, limit: int | None, as_json: bool) -> None:
    """List a file's versions and the runs that made them.

    Versions are matched with runs by content, so a run is found whatever the file was called when
    it was made, on whatever branch. Renames are followed as `git log --follow` does.
    """
    from mlver.workflows.file_history import history

    with opened() as ctx:
        versions = history(ctx, path, rev, limit)
    if as_json:
        print_json({"version": 1, "path": path, "versions": list(map(_row, versions))})
        return
    for version in versions:
        for line in _lines(version):
            click.echo(line)


def _row(version: Version) -> dict[str, object]:
    return {
        "commit": version.commit,
        "date": version.date,
        "author": version.author,
        "subject": version.subject,
        "path": version.path,
        "oid": None if version.oid is None else f"blake3:{version.oid.hex()}",
        "runs": [known.run.as_json() for known in version.runs],
    }


def _lines(version: Version) -> list[str]:
    from mlver.cli.run_text import short_id, status, when
    from mlver.lineage.run_rows import command_line

    oid = "deleted" if version.oid is None else version.oid.hex()[:12]
    head = f"{version.commit[:12]}  {version.date[:10]}  {oid:<12}  {version.path}"
    lines = [escape(head), escape(f"    {version.author}: {version.subject}")]
    for known in version.runs[:5]:
        run = known.run
        lines.append(
            escape(
                f"    made by {short_id(run)} {run.name}, {status(run)}, {when(run.started)}:"
                f" {command_line(run)[:200]}"
            )
        )
    if version.oid is not None and not version.runs:
        lines.append("    made by no run that is known here")
    return lines
