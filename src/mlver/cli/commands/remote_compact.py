"""`git mlver remote compact`."""

from __future__ import annotations

import click

from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import escape, human_size, warn


@click.command("compact")
@click.argument("name", required=False, metavar="[NAME]")
@JSON
def compact(name: str | None, as_json: bool) -> None:
    """Merge a remote's many index objects into few.

    Each push leaves one, and a fresh clone reads them all. What is merged into one object is read
    by ranges: a clone that needs two files downloads kilobytes of it. No content is touched, and
    pushes and fetches go on meanwhile. Only one compaction or collection runs at a time.
    """
    from mlver.workflows.compact import compact_remote

    with opened() as ctx:
        place, done = compact_remote(ctx, name)
    for damaged in done.damaged:
        warn(
            f"{escape(damaged)} is damaged and was left as it is; git mlver fsck --remote --repair"
        )
    if as_json:
        print_json(
            {
                "version": 1,
                "remote": place,
                "objects_before": done.objects_before,
                "objects_after": done.objects_after,
                "bytes_before": done.bytes_before,
                "bytes_after": done.bytes_after,
                "merged": len(done.merged),
                "rows": done.rows,
                "object": done.name,
                "damaged": done.damaged,
            }
        )
    elif done.name is None:
        click.echo(f"{escape(place)}: {done.objects_before} index object(s); nothing to merge")
    else:
        click.echo(
            f"{escape(place)}: {done.objects_before} index object(s) are {done.objects_after} now,"
            f" {human_size(done.bytes_before)} are {human_size(done.bytes_after)}"
        )
