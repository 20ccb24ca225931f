"""`git mlver lineage`."""

from __future__ import annotations

import click

from mlver.cli.options import JSON, opened, print_json_rows


@click.command()
@click.argument("target", metavar="PATH[@REV]|RUN")
@click.option("--up", is_flag=True, help="Only where it came from.")
@click.option("--down", is_flag=True, help="Only what was made of it.")
@click.option("--depth", type=click.IntRange(min=0), metavar="N", help="At most N runs far.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "dot", "mermaid"]),
    default="text",
    metavar="text|json|dot|mermaid",
    help="How to show it; text unless told.",
)
@click.option("--context", is_flag=True, help="In dot and mermaid: code and environments, too.")
@JSON
def command(
    target: str, up: bool, down: bool, depth: int | None, form: str, context: bool, as_json: bool
) -> None:
    """Show what a file or run came from, and what was made of it.

    Runs are tied by the content that one wrote and another read, so renames, squashes, rebases,
    branches and other repositories make no difference; no pipeline has to be declared. A content
    id (blake3:…) may stand in place of a path.
    """
    from mlver.cli.output import escape
    from mlver.lineage import pictures
    from mlver.workflows.ancestry import lineage

    both = up == down
    with opened() as ctx:
        found = lineage(ctx, target, up=up or both, down=down or both, depth=depth)
    if as_json or form == "json":
        print_json_rows(pictures.as_json(found.found))
    elif form == "text":
        from mlver.cli.lineage_tree import tree

        click.echo("\n".join(map(escape, tree(found, up or both, down or both))))
    else:
        graph = pictures.as_json(found.found, context=context)
        click.echo(pictures.as_dot(graph) if form == "dot" else pictures.as_mermaid(graph))
