"""`git mlver apply`."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import click

from mlver.cli.output import show_path, warn
from mlver.errors import RefusedError, UsageError


@click.command()
@click.argument("patch", type=click.Path(path_type=bytes), metavar="PATCH")
@click.argument("file", type=click.Path(path_type=bytes), required=False, metavar="[FILE]")
@click.option("--check", is_flag=True, help="Only say whether it fits; write nothing.")
def command(patch: bytes, file: bytes | None, check: bool) -> int:
    """Make the new version of files, by a patch of diff.

    The patch (`-`: standard input) comes from `git mlver diff --patch`. It fits files that are
    byte for byte those that it was made from, and makes byte for byte the others. Where one does
    not fit, nothing is written. Files of the worktree are changed, nothing is staged.

    FILE: the one file to change, for a patch of one file that stands elsewhere or has another name.
    """
    from mlver.workflows import patch_applying

    data = sys.stdin.buffer.read() if patch == b"-" else patch_applying.read_file(patch)
    base, steps = patch_applying.read_patch(data)
    if file is not None:
        if len(steps) != 1 or steps[0].status not in ("modified", "renamed"):
            raise UsageError("FILE goes with a patch that changes one file", fix="leave it out")
        name = os.path.basename(file)
        top = os.path.dirname(os.path.abspath(file))
        steps = [replace(steps[0], path=name, old_path=name, status="modified")]
    elif base == "worktree":
        from mlver.git.repo import discover

        top = discover(os.getcwdb()).top
    else:
        top = os.getcwdb()
        # Two files that were compared by their names: the old one becomes the new one.
        steps = [replace(s, path=s.old_path) if s.status == "modified" else s for s in steps]
        for step in steps:
            if os.path.isabs(step.path) or b".." in step.path.split(b"/"):
                raise RefusedError(
                    f"the patch names {os.fsdecode(step.path)!r}, which is outside of this folder",
                    why="a patch changes files below the folder that it is applied in",
                    fix="name the file: git mlver apply PATCH FILE",
                )
    done = patch_applying.apply(top, steps, check_only=check)
    for step in done:
        warn(f"{'fits' if check else 'made'} {show_path(step.path)} ({step.status})")
    if not done:
        warn("nothing to do: the files are those that the patch makes")
    return 0
