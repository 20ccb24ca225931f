"""Options and surroundings that several commands share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from mlver.cli.output import warn
from mlver.cli.progress import for_terminal
from mlver.git.objects import refuse_unmatched, staged
from mlver.git.repo import Repo
from mlver.git.selection import Selection, select
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
    if not paths:
        return []
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


def known_pathspecs(repo: Repo, paths: Sequence[bytes]) -> list[bytes]:
    """As `pathspecs`, of paths that must match something in the index. Raises UsageError."""
    found = pathspecs(repo, paths)
    refuse_unmatched(repo, found, [os.fsdecode(path) for path in paths])
    return found


def print_json(value: object) -> None:
    """One JSON document, keys in the order given; bytes that are no UTF-8 as \\udcXX."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


INCLUDE: Callable[[Any], Any] = click.option(
    "--include",
    multiple=True,
    metavar="PATTERN",
    help="Only these paths: patterns as in .gitignore, several with commas between.",
)
EXCLUDE: Callable[[Any], Any] = click.option(
    "--exclude", multiple=True, metavar="PATTERN", help="Not these paths."
)


def print_json_rows(document: Mapping[str, Any]) -> None:
    """As `print_json`, for long lists: each of their items is a line. A tenth of the time, since
    Python's encoder indents in Python."""
    parts = []
    for name, value in document.items():
        if isinstance(value, list):
            text = "[\n" + ",\n".join(map(json.dumps, value)) + "\n]"
        else:
            text = json.dumps(value)
        parts.append(f"{json.dumps(name)}: {text}")
    click.echo("{" + ",\n".join(parts) + "}")


def selected(ctx: Context, include: Sequence[str], exclude: Sequence[str]) -> Selection:
    """What --include, --exclude and the settings choose. Raises UsageError, also for a pattern
    that was given and matches nothing in the index."""
    from mlver.workflows import partial

    if include:
        entries = staged(ctx.repo) if ctx.repo.worktree is not None else []
        partial.refuse_unmatched(select(include), [entry.path for entry in entries])
    return partial.chosen(ctx.settings, include, exclude)
