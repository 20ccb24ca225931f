"""`git mlver reproduce`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import escape
from mlver.errors import EXIT_DIFFERENT, EXIT_OK
from mlver.model.digest import Digest, short

if TYPE_CHECKING:
    from mlver.workflows.reproduce import Reproduced
    from mlver.workflows.reproduce_plan import Step
    from mlver.workflows.reproduce_verdict import Made


@click.command()
@click.argument("what", metavar="PATH[@COMMIT]|RUN")
@click.option("--from-scratch", is_flag=True, help="Make every intermediate file again, too.")
@click.option("--no-env", is_flag=True, help="Use the packages that are here, not the recorded.")
@click.option("--rtol", type=float, default=1e-5, metavar="X", help="Relative tolerance (1e-5).")
@click.option("--atol", type=float, default=1e-8, metavar="X", help="Absolute tolerance (1e-8).")
@click.option("--keep", is_flag=True, help="Leave the scratch folders, and name them.")
@click.option("-y", "--yes", is_flag=True, help="Run commands of records that others made.")
@JSON
def command(
    what: str,
    from_scratch: bool,
    no_env: bool,
    rtol: float,
    atol: float,
    keep: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Make a file, or what a run made, again, and compare.

    The recorded code, inputs, packages and command, in a scratch worktree; steps before it are run
    where their output cannot be had otherwise, or with --from-scratch, from the raw data on. Each
    output is identical, within tolerance (numbers in JSON, NumPy and safetensors files, metrics),
    or different. Exit code 1 where one is different. The packages are installed into an
    environment of their own, unless those that are here are the same.

    Commands of records that were not made in this clone are shown, and run only after a yes.
    """
    from mlver.lineage.compare import Tolerance
    from mlver.workflows.reproduce import Options, reproduce
    from mlver.workflows.reproduce_verdict import DIFFERENT

    options = Options(from_scratch, not no_env, keep, Tolerance(rtol, atol))
    with opened() as ctx:
        result = reproduce(ctx, what, options, asking(yes))
    if as_json:
        print_json(_json(result))
    else:
        _print(result)
    return EXIT_DIFFERENT if result.verdict == DIFFERENT else EXIT_OK


def asking(yes: bool) -> Callable[[Sequence[Step]], bool]:
    """Who is asked whether commands of others may run."""

    def consent(steps: Sequence[Step]) -> bool:
        click.echo("these commands come from records that were not made in this clone:", err=True)
        for step in steps:
            run = step.known.run
            click.echo(f"  {escape(run.actor)}: {escape(shlex.join(run.job['argv']))}", err=True)
        if yes:
            return True
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return False
        return click.confirm("Run them, and install the packages that they name?", err=True)

    return consent


def _print(result: Reproduced) -> None:
    for made in result.steps:
        run = made.step.known.run
        click.echo(f"{escape(run.name or run.run_id)}: {made.verdict}")
        for line in made.differences:
            click.echo(f"  {escape(line)}")
        for output in made.outputs:
            ids = f"{_short(output.old)} then, {_short(output.new)} now"
            said = "" if output.verdict == "identical" else f" ({ids})"
            click.echo(f"  {output.verdict}: {escape(output.path)}{said}")
            for line in output.differences:
                click.echo(f"    {escape(line)}")
        if made.folder:
            click.echo(f"  kept: {escape(made.folder)}")
    click.echo(result.verdict)


def _short(oid: Digest | None) -> str:
    return "nothing" if oid is None else short(oid)


def _oid(oid: Digest | None) -> str | None:
    return None if oid is None else f"blake3:{oid.hex()}"


def _json(result: Reproduced) -> dict[str, object]:
    return {
        "version": 1,
        "run": result.wanted.run_id,
        "verdict": result.verdict,
        "steps": [_step(made) for made in result.steps],
    }


def _step(made: Made) -> dict[str, object]:
    run = made.step.known.run
    return {
        "run": run.run_id,
        "name": run.name,
        "reproduction": None if made.run is None else made.run.run_id,
        "exit_code": made.exit_code,
        "verdict": made.verdict,
        "differences": made.differences,
        "outputs": [
            {
                "path": output.path,
                "old": _oid(output.old),
                "new": _oid(output.new),
                "verdict": output.verdict,
                "differences": output.differences,
            }
            for output in made.outputs
        ],
    }
