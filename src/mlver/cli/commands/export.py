"""`git mlver export`."""

from __future__ import annotations

import click

from mlver.cli.options import opened
from mlver.lineage.exports import FORMATS


@click.command()
@click.argument("target", metavar="RUN|PATH[@REV]")
@click.option(
    "--format",
    "form",
    required=True,
    type=click.Choice(FORMATS),
    metavar="|".join(FORMATS),
    help="The standard.",
)
@click.option("--upstream", is_flag=True, help="With all runs that it depends on.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write there, not to standard output.",
)
def command(target: str, form: str, upstream: bool, output: str | None) -> None:
    """Write a run in the form of a standard, for other tools.

    A file stands for the run that made it.
    openlineage: OpenLineage 2-0-2 events, one a line. prov: W3C PROV-JSON. slsa: an in-toto
    Statement v1 with SLSA provenance v1, not signed. cyclonedx: an ML-BOM, CycloneDX 1.6.
    """
    from mlver.workflows.export_runs import export

    with opened() as ctx:
        text = export(ctx, target, form, upstream=upstream)
    if output is None or output == "-":
        click.echo(text, nl=False)
        return
    with open(output, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
