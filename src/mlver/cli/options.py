"""Options and surroundings that several commands share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

from mlver.cli.output import warn
from mlver.cli.progress import for_terminal
from mlver.git.objects import refuse_unmatched
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


def filters(include: Iterable[str], exclude: Iterable[str]) -> list[bytes]:
    """Pathspecs for --include and --exclude patterns."""
    specs = _included(include)
    specs += [b":(top,exclude,glob)" + os.fsencode(_anywhere(pattern)) for pattern in exclude]
    return specs


def known_filters(repo: Repo, include: Sequence[str], exclude: Iterable[str]) -> list[bytes]:
    """As `filters`. Raises UsageError for an included pattern that matches nothing in the index."""
    refuse_unmatched(repo, _included(include), include)
    return filters(include, exclude)


def _included(include: Iterable[str]) -> list[bytes]:
    return [b":(top,glob)" + os.fsencode(_anywhere(pattern)) for pattern in include]


def _anywhere(pattern: str) -> str:
    """A pattern without a slash matches in every folder, as in .gitattributes."""
    if pattern.endswith("/"):
        pattern += "**"
    return pattern.lstrip("/") if "/" in pattern else f"**/{pattern}"
