"""The commands for people. Each is one module of `commands`, imported when it is called."""

from __future__ import annotations

import importlib
import os

import click
from click.shell_completion import shell_complete

from mlver import __version__
from mlver.errors import EXIT_CODES

COMMANDS: dict[str, str] = {
    "add": "add",
    "apply": "apply",
    "checkout": "checkout",
    "clone": "clone",
    "compare": "compare",
    "completion": "completion",
    "conflicts": "conflicts",
    "diff": "diff",
    "doctor": "doctor",
    "drop": "drop",
    "env": "env",
    "export": "export",
    "fetch": "fetch",
    "fsck": "fsck",
    "gc": "gc",
    "init": "init",
    "install": "install",
    "lineage": "lineage",
    "log": "log",
    "ls": "ls",
    "merge": "merge",
    "merge-file": "merge_file",
    "prune": "prune",
    "pull": "pull",
    "push": "push",
    "refresh": "refresh",
    "remote": "remote",
    "reproduce": "reproduce",
    "resolve": "resolve",
    "run": "run",
    "runs": "runs",
    "show": "show",
    "status": "status",
    "testremote": "testremote",
    "track": "track",
    "uninstall": "uninstall",
    "untrack": "untrack",
    "verify": "verify",
    "why": "why",
}
"""Subcommand → module of mlver.cli.commands; the click command there is called `command`."""


COMPLETE_VARIABLE = "_GIT_MLVER_COMPLETE"
"""Set by a shell that wants completions instead of a command."""


class LazyGroup(click.Group):
    """A group that imports a subcommand only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"mlver.cli.commands.{COMMANDS[name]}")
        command: click.Command = module.command
        return command


def _exit_codes() -> str:
    rows = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())
    return f"\b\nExit codes:\n{rows}"


@click.group(
    cls=LazyGroup,
    epilog=_exit_codes(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="git-mlver")
def group() -> None:
    """Version large data and models with plain git.

    Files that match a tracked pattern are replaced by small pointers in git; their content goes
    in deduplicated chunks to a directory or a bucket. Ordinary git commands keep working.
    """


def run_command(args: list[str]) -> int:
    """Run a command for people; its exit code. Raises MlverError, and anything else as it came.

    Not by click's own `main`: that answers a reader who went away (`| head`) with exit code 1,
    which means something here.
    """
    instruction = os.environ.get(COMPLETE_VARIABLE)
    if instruction:
        return shell_complete(group, {}, "git-mlver", COMPLETE_VARIABLE, instruction)
    try:
        with group.make_context("git mlver", list(args)) as ctx:
            result = group.invoke(ctx)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return result if isinstance(result, int) else 0
