"""The columns by which rows of a file are told apart, as somebody has set them.

The option comes first, then the attribute `mlver-key` (columns with commas between), then the table
`[keys]` of .mlver.toml: patterns in the order of the file, the last that matches holds, as in
.gitattributes. What nobody set is inferred (diff/rows.infer_key).
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Sequence

from mlver.diff.options import Options
from mlver.git import command
from mlver.workflows.context import Context
from mlver.workflows.diff import FileChange


def options_for(
    ctx: Context, changes: Sequence[FileChange], options: Options
) -> Callable[[FileChange], Options]:
    """The options of each file: those given, with its key."""
    if options.key or options.keyless:
        return lambda _change: options
    attributes = _attributes(ctx, [change.path for change in changes])
    table = ctx.settings.keys

    def of(change: FileChange) -> Options:
        if change.path in attributes:
            return options._replace(key=attributes[change.path], key_source="attribute")
        name = os.fsdecode(change.path)
        for pattern, key in reversed(table):
            if _matches(name, pattern):
                return options._replace(key=key, key_source="config")
        return options

    return of


def _attributes(ctx: Context, paths: Sequence[bytes]) -> dict[bytes, tuple[str, ...]]:
    if not paths:
        return {}
    asked = b"\0".join(paths) + b"\0"
    rows = command.fields(ctx.repo.git("check-attr", "-z", "--stdin", "mlver-key", input=asked))
    found = {}
    for path, value in zip(rows[::3], rows[2::3], strict=True):
        if value not in (b"unspecified", b"unset", b"set", b""):
            found[path] = tuple(os.fsdecode(value).split(","))
    return found


def _matches(name: str, pattern: str) -> bool:
    """As git's ignore patterns in the main: without a slash, a pattern matches in every folder."""
    if "/" not in pattern:
        name = name.rpartition("/")[2]
    return fnmatch.fnmatchcase(name, pattern.lstrip("/"))
