"""`git mlver filter-process [--skip-smudge]`: git's long-running filter."""

from __future__ import annotations

import os
import sys

from mlver import system
from mlver.cli.output import warn
from mlver.errors import MlverError
from mlver.git.filter_process import Handler, serve
from mlver.git.pktline import PacketReader, PacketWriter, ProtocolError
from mlver.workflows.context import open_context
from mlver.workflows.filtering import FilterHandler, WithoutRepository


def skips_smudge(args: list[str]) -> bool:
    """True where pointers are wanted in the worktree: by option, or MLVER_SKIP_SMUDGE=1."""
    return "--skip-smudge" in args or os.environ.get("MLVER_SKIP_SMUDGE", "0") not in ("", "0")


def run(args: list[str]) -> int:
    """Serve git until it closes the pipe. A failed pipe ends the process."""
    from mlver.cli.progress import for_terminal

    system.binary(0, 1)
    try:
        ctx = open_context(warn=warn, progress=for_terminal())
    except MlverError as error:
        warn(str(error))
        return _serve(WithoutRepository())
    with ctx:
        handler = FilterHandler(ctx, skip_smudge=skips_smudge(args))
        try:
            return _serve(handler)
        finally:
            _close_pipes()
            handler.close()


def _serve(handler: Handler) -> int:
    try:
        serve(PacketReader(0), PacketWriter(1), handler)
    except ProtocolError as error:
        warn(f"the filter ended: {error}")
        return 1
    except BrokenPipeError:  # git went away: nobody is left to be told
        return 1
    return 0


def _close_pipes() -> None:
    """git waits for our exit at the end of its own; what follows must not write to it."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    sys.stdout = sys.stderr
