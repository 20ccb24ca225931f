"""Entry of `git mlver`. The only place that turns errors into exit codes, and exits.

git starts this program for every command that touches a tracked file, so the plumbing is told
apart before click is imported.
"""

from __future__ import annotations

import os
import sys

from mlver.errors import MlverError

PLUMBING = {
    "clean": "mlver.cli.plumbing.one_shot:clean",
    "diff-driver": "mlver.cli.plumbing.drivers:diff",
    "filter-process": "mlver.cli.plumbing.filter_process:run",
    "hook": "mlver.cli.plumbing.hook:run",
    "merge-driver": "mlver.cli.plumbing.drivers:merge",
    "pointer": "mlver.cli.plumbing.one_shot:pointer",
    "smudge": "mlver.cli.plumbing.one_shot:smudge",
    "textconv": "mlver.cli.plumbing.drivers:textconv",
}
"""Subcommand → module:function that takes the arguments after it and returns the exit code."""


def main() -> None:
    """Run the command line and exit."""
    sys.exit(_guarded(sys.argv[1:]))


def _guarded(args: list[str]) -> int:
    try:
        return _run(args)
    except MlverError as error:
        _say(error)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader went away (| head): not our failure, but nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        from mlver.store.files import local_error

        translated = local_error(error, "git mlver")
        _say(translated)
        return translated.exit_code


def _run(args: list[str]) -> int:
    if args and args[0] in PLUMBING:
        module, _, name = PLUMBING[args[0]].partition(":")
        run = getattr(__import__(module, fromlist=[name]), name)
        return int(run(args[1:]))
    from mlver.cli.group import run_command

    return run_command(args)


def _say(error: MlverError) -> None:
    from mlver.cli.output import escape

    print(f"git-mlver: {escape(str(error), keep_newlines=True)}", file=sys.stderr)
