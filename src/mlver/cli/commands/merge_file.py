"""`git mlver merge-file`."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import Any

import click

from mlver.cli.options import JSON, print_json
from mlver.cli.output import escape, warn
from mlver.errors import EXIT_DIFFERENT, EXIT_OK, UsageError

_PATH: Any = click.Path(path_type=bytes)
_SHOWN = 20


@click.command()
@click.argument("base", type=_PATH, metavar="BASE")
@click.argument("ours", type=_PATH, metavar="OURS")
@click.argument("theirs", type=_PATH, metavar="THEIRS")
@click.option("--output", "-o", type=_PATH, metavar="FILE", help="Write the result here.")
@click.option("--key", multiple=True, metavar="COLUMN", help="Rows are told apart by it (repeat).")
@click.option("--no-key", is_flag=True, help="Rows have no key: they are counted.")
@click.option("--strict", type=click.Choice(["row"]), help="Two changes of a row are a conflict.")
@click.option("--ours", "take", flag_value="ours", help="Decide conflicts for ours.")
@click.option("--theirs", "take", flag_value="theirs", help="Decide conflicts for theirs.")
@click.option("--base", "take", flag_value="base", help="Decide conflicts for base.")
@click.option("--name", type=_PATH, metavar="NAME", help="The name that tells the format.")
@JSON
def command(
    base: bytes,
    ours: bytes,
    theirs: bytes,
    output: bytes | None,
    key: tuple[str, ...],
    no_key: bool,
    strict: str | None,
    take: str | None,
    name: bytes | None,
    as_json: bool,
) -> int:
    """Merge two versions of a file that came from one.

    BASE is the file that both came from (/dev/null where there was none); the result is written to
    OURS, or to -o FILE (`-`: standard output). Rows and cells of tables, parameters by path,
    notebook cells, tensors: what the name of OURS promises. The result is a valid file: where both
    sides changed one thing in two ways, ours stands in it and the conflict is told. Exit code 1
    then. No repository is needed.
    """
    from mlver.merge.options import Choice, Options
    from mlver.workflows import merge_content

    if key and no_key:
        raise UsageError("--key and --no-key exclude one another", fix="give one of them")
    if output == b"-" and as_json:
        raise UsageError("-o - and --json both print", fix="write the result to a file")
    rest = Choice(take) if take else None
    options = Options(key, "option", no_key, strict == "row", rest=rest)
    with ExitStack() as stack:
        versions = merge_content.open_files((base, ours, theirs), stack)
        found = merge_content.merge_files(versions, name or output_name(output, ours), options)
        if output == b"-":
            for data in merge_content.content(versions, found):
                sys.stdout.buffer.write(data)
        else:
            merge_content.write_file(output or ours, versions, found)
    if as_json:
        print_json(_json(found))
    else:
        _tell(found)
    return EXIT_DIFFERENT if found.conflicts else EXIT_OK


def output_name(output: bytes | None, ours: bytes) -> bytes:
    """The name that tells the format: that of ours, else that of the result."""
    from mlver.merge.registry import strategy_for

    for path in (ours, output or b""):
        if strategy_for(os.fsdecode(os.path.basename(path))) is not None:
            return path
    return ours


def _json(found: Any) -> dict[str, Any]:
    from mlver.cli.conflict_text import conflict_json

    return {
        "version": 1,
        "format": found.format,
        "key": list(found.key),
        "key_source": found.key_source,
        "conflicts": [conflict_json(conflict) for conflict in found.conflicts],
        "notes": list(found.notes),
    }


def _tell(found: Any) -> None:
    from mlver.cli.conflict_text import lines
    from mlver.model.conflict import summary

    if found.key:
        warn(f"key: {', '.join(found.key)} ({found.key_source})")
    for note in found.notes:
        warn(escape(note))
    if found.conflicts:
        warn(f"conflicts, ours stands where they are: {summary(found.conflicts)}")
        for line in lines(found.conflicts, _SHOWN):
            click.echo(f"  {line}", err=True)
