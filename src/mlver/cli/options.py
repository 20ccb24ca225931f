"""Options and surroundings that several commands share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from mlver.cli.output import warn
from mlver.cli.progress import for_terminal
from mlver.git.repo import Repo
from mlver.workflows.context import Context, open_context

PATHS: Callable[[Any], Any] = click.argument(
    "paths", nargs=-1, metavar="[PATH…]", type=click.Path(path_type=bytes)
)
JSON: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def opened() -> Context:
    """The surroundings of a command that a person runs here."""
    return open_context(warn=warn, progress=for_terminal())


def pathspecs(repo: Repo, paths: Sequence[bytes]) -> list[bytes]:
    """Paths of the user, relative to the worktree's top as git's pathspecs."""
    cwd, top = os.getcwdb(), os.path.realpath(repo.top)
    result = []
    for path in paths:
        if path.startswith(b":"):
            result.append(path)
            continue
        inside = os.path.relpath(os.path.join(os.path.realpath(cwd), path), top)
        result.append(
            b":(top)" + (b"" if inside == b"." else inside.replace(os.sep.encode(), b"/"))
        )
    return result


def print_json(value: object) -> None:
    """One JSON document, keys in the order given; bytes that are no UTF-8 as \\udcXX."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


def filters(include: Iterable[str], exclude: Iterable[str]) -> list[bytes]:
    """Pathspecs for --include and --exclude patterns."""
    specs = [b":(top,glob)" + os.fsencode(_anywhere(pattern)) for pattern in include]
    specs += [b":(top,exclude,glob)" + os.fsencode(_anywhere(pattern)) for pattern in exclude]
    return specs


def _anywhere(pattern: str) -> str:
    """A pattern without a slash matches in every folder, as in .gitattributes."""
    if pattern.endswith("/"):
        pattern += "**"
    return pattern.lstrip("/") if "/" in pattern else f"**/{pattern}"
