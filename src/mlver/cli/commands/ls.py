"""`git mlver ls`."""

from __future__ import annotations

import click

from mlver.cli.options import JSON, PATHS, opened, pathspecs, print_json
from mlver.cli.output import human_size, json_path, show_path


@click.command()
@PATHS
@click.option("--rev", metavar="COMMIT", help="List this commit instead of the index.")
@click.option("-l", "--long", "full", is_flag=True, help="Whole oids, sizes in bytes.")
@JSON
def command(paths: tuple[bytes, ...], rev: str | None, full: bool, as_json: bool) -> None:
    """List tracked files: oid, size, and whether content is here."""
    from mlver.workflows.status import listing

    with opened() as ctx:
        rows = listing(ctx, rev, pathspecs(ctx.repo, paths))
    if as_json:
        files = [
            {"path": json_path(r.path), "oid": r.oid.hex(), "size": r.size, "state": r.state}
            for r in rows
        ]
        print_json({"version": 1, "files": files})
        return
    for row in rows:
        oid = row.oid.hex() if full else row.oid.hex()[:12]
        size = str(row.size) if full else human_size(row.size)
        mark = "*" if row.state == "here" else "-"
        click.echo(f"{oid} {mark} {size:>9}  {show_path(row.path)}")
