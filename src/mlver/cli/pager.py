"""Long output on a terminal goes through git's pager, as git's own does.

`git var GIT_PAGER` knows it (GIT_PAGER, core.pager, PAGER); `pager.mlver` set to false, or
`git --no-pager`, switches it off. The value is a command line that git gives to sh, and so do we:
it comes from the user's settings, never from a repository's files.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import click

from mlver.git import command


def wants_colour() -> bool:
    """What git's `color.diff` (and color.ui) say of this output."""
    if os.environ.get("NO_COLOR"):
        return False
    tty = sys.stdout.isatty() or os.environ.get("GIT_PAGER_IN_USE", "") not in ("", "0", "false")
    done = command.attempt(["config", "--get-colorbool", "color.diff", "true" if tty else "false"])
    return done.stdout.strip() == b"true" if done.returncode in (0, 1) else tty


def width() -> int | None:
    """Columns of the terminal; None where the output goes to a pipe or a file."""
    for stream in (sys.stdout, sys.stderr):
        if not sys.stdout.isatty() and not os.environ.get("GIT_PAGER_IN_USE"):
            return None
        with contextlib.suppress(OSError, ValueError):
            return max(20, os.get_terminal_size(stream.fileno()).columns or 80)
    return 80


def writer() -> Callable[[str], None]:
    """What writes a line to standard output itself, in colour where that is wanted."""
    colour = wants_colour()
    return lambda line: click.echo(line, color=colour)


@contextlib.contextmanager
def paged() -> Iterator[Callable[[str], None]]:
    """Gives what writes a line. A reader that went away ends the output, and is no failure."""
    process = _start() if sys.stdout.isatty() else None
    if process is None:
        yield writer()
        return
    colour = wants_colour()
    assert process.stdin is not None
    stream = process.stdin

    def write(line: str) -> None:
        text = line if colour else click.unstyle(line)
        stream.write(text.encode("utf-8", "backslashreplace") + b"\n")

    try:
        with contextlib.suppress(BrokenPipeError):
            yield write
    finally:
        with contextlib.suppress(BrokenPipeError):
            stream.close()
        process.wait()


def _start() -> subprocess.Popen[bytes] | None:
    if os.environ.get("GIT_PAGER_IN_USE") or _is_off():
        return None
    done = command.attempt(["var", "GIT_PAGER"])
    pager = os.fsdecode(done.stdout).strip()
    if done.returncode != 0 or pager in ("", "cat"):
        return None
    env = {"LESS": "FRX", "LV": "-c", **os.environ, "GIT_PAGER_IN_USE": "true"}
    try:
        return subprocess.Popen(["sh", "-c", pager], stdin=subprocess.PIPE, env=env)
    except OSError:
        return None


def _is_off() -> bool:
    done = command.attempt(["config", "--type=bool", "--get", "pager.mlver"])
    return done.stdout.strip() == b"false"
