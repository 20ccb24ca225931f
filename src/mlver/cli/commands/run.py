"""`git mlver run`: its words, for people. What is done with them is in cli/recorded, which the
usual forms reach without click (cli/run_words)."""

from __future__ import annotations

import click

from mlver.cli.recorded import record
from mlver.cli.run_words import Words

_PATH = click.Path(path_type=bytes)


@click.command(context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@click.option("--name", metavar="NAME", default="", help="What to call this run.")
@click.option(
    "--input", "inputs", metavar="PATH", multiple=True, type=_PATH,
    help="A file or folder that the command reads, if it is not found by itself.",
)  # fmt: skip
@click.option(
    "--output", "outputs", metavar="PATH", multiple=True, type=_PATH,
    help="A file or folder that the command writes, if it is not found by itself.",
)  # fmt: skip
@click.option(
    "--exclude", metavar="PATTERN", multiple=True,
    help="Files that are neither input nor output, as a pattern or folder from the top.",
)  # fmt: skip
@click.option(
    "--param", "params", metavar="NAME=VALUE", multiple=True,
    help="A parameter; it counts more than what the command line and configurations say.",
)  # fmt: skip
@click.option(
    "--metrics", metavar="FILE", multiple=True, type=_PATH,
    help="A file that the command writes its metrics into (JSON, YAML, TOML, CSV).",
)  # fmt: skip
@click.option("--tag", "tags", metavar="NAME=VALUE", multiple=True, help="A note on this run.")
@click.option("--sidecar", is_flag=True, help="Write MODEL.mlver.json beside each model.")
@click.option(
    "--embed", is_flag=True,
    help="Write where they came from into models that have room: safetensors, ONNX, Parquet.",
)  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Say nothing at the end.")
@click.argument("command_line", nargs=-1, required=True, metavar="COMMAND…", type=click.UNPROCESSED)
def command(
    name: str,
    inputs: tuple[bytes, ...],
    outputs: tuple[bytes, ...],
    exclude: tuple[str, ...],
    params: tuple[str, ...],
    metrics: tuple[bytes, ...],
    tags: tuple[str, ...],
    sidecar: bool,
    embed: bool,
    quiet: bool,
    command_line: tuple[str, ...],
) -> int:
    """Run a command and record what it read, wrote and was told.

    The record names inputs and outputs by content, the code, the parameters, the packages of the
    command's Python, its output, and how it ended; it becomes a git note at the commit that is
    checked out. Files are found by themselves for every program. The exit code is the command's;
    where nothing can be recorded, it runs all the same. Secrets are taken out before anything is
    written.
    """
    return record(
        Words(
            name, inputs, outputs, exclude, params, metrics, tags,
            sidecar, embed, quiet, command_line,
        )
    )  # fmt: skip
