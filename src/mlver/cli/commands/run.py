"""`git mlver run`."""

from __future__ import annotations

import os
import sys

import click

from mlver.cli.options import opened
from mlver.cli.output import escape, warn
from mlver.errors import UsageError
from mlver.model.run import Artifact, Run
from mlver.workflows.run import Result

_PATH = click.Path(path_type=bytes)
_NAMED = 4


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
    from mlver.lineage.argv_params import value_of
    from mlver.workflows.recording import Wanted
    from mlver.workflows.run import run

    cwd = os.getcwdb()
    wanted = Wanted(
        argv=command_line,
        name=name,
        cwd=cwd,
        inputs=[os.path.abspath(path) for path in inputs],
        outputs=[os.path.abspath(path) for path in outputs],
        metrics=[os.path.abspath(path) for path in metrics],
        exclude=list(exclude),
        params={key: value_of(value) for key, value in map(_pair, params)},
        tags=dict(map(_pair, tags)),
        sidecar=sidecar,
        embed=embed,
    )
    result = run(opened, wanted, os.environ, warn)
    if result.failed_to_start:
        warn(result.failed_to_start)
    if result.run is not None and not quiet:
        _tell(result.run, result)
    if result.ended.signal:
        from mlver.lineage.child import die_of

        sys.stdout.flush()
        sys.stderr.flush()
        die_of(result.ended.signal)
    return result.ended.exit_code


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"{text!r} is no NAME=VALUE", fix="write it as --param lr=0.1")
    return name, value


def _tell(run: Run, result: Result) -> None:
    counts = [
        _count(_total(run, "inputs", len(run.inputs) + len(run.configs)), "input"),
        _count(_total(run, "outputs", len(run.outputs)), "output"),
        _count(_total(run, "params", len(run.params)), "parameter"),
        _count(len(run.metrics), "metric"),
    ]
    lines = [f"run {run.run_id} ({run.name}) {run.status}: {', '.join(counts)}"]
    for word, items in (("read ", [*run.inputs, *run.configs]), ("wrote", list(run.outputs))):
        if items:
            lines.append(f"  {word}   {_names(items)}")
    if run.code.get("left_out"):
        left = list(map(str, run.code["left_out"]))
        shown = ", ".join(left[:_NAMED]) + (" …" if len(left) > _NAMED else "")
        lines.append(f"  left out of the code's snapshot: {shown}")
    lines += [f"  unseen  {words}" for words in run.other.get("unseen", ())]
    if result.waits and not run.code.get("commit"):
        lines.append("  it waits for the first commit")
    warn("\n".join(escape(line) for line in lines))


def _total(run: Run, member: str, shown: int) -> int:
    number = run.other.get("listings", {}).get(member, 0)
    return max(int(number), shown)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def _names(items: list[Artifact]) -> str:
    names = ", ".join(item.path for item in items[:_NAMED])
    return names + (f" and {len(items) - _NAMED} more" if len(items) > _NAMED else "")
