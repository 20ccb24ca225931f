"""JSON, YAML, TOML: by path, such as `train.lr` or `layers[0].units`. Order of members is none.

Lists of one length are compared item by item, others as one value: an item that was put in front
would change every other. A JSON file that is a list of objects is a table, and compared by row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from mlver.diff import objects
from mlver.diff.options import Options
from mlver.diff.rows import hashable
from mlver.formats import parameters
from mlver.formats.base import NotThisFormat, Source
from mlver.model.change import Cell, Change, FileDiff

_PLAIN_NAME = re.compile(r"\A[^\s.\[\]\"']+\Z")


def diff(old: Source, new: Source, old_name: str, new_name: str, options: Options) -> FileDiff:
    """What changed from `old` to `new`. Raises NotThisFormat."""
    before, after = parameters.read(old, old_name), parameters.read(new, new_name)
    kind = _kind(new_name)
    if _is_table(before) and _is_table(after) and (before or after):
        rows = [item or [] for item in (before, after)]
        return objects.compare(kind, rows[0], rows[1], (len(rows[0]), len(rows[1])), options)
    empty: dict[str, Any] | None = (
        {} if isinstance(before, dict) or isinstance(after, dict) else None
    )
    try:
        changes = tuple(
            compare(empty if before is None else before, empty if after is None else after, options)
        )
    except RecursionError as error:
        raise NotThisFormat("it nests too deeply to be looked into") from error
    return FileDiff(kind, ("path",), "format", changes=changes)


def _kind(name: str) -> str:
    lower = name.lower()
    if lower.endswith((".yaml", ".yml")) or lower == "dvc.lock":
        return "yaml"
    return "toml" if lower.endswith(".toml") else "json"


def _is_table(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def compare(old: Any, new: Any, options: Options, path: str = "") -> Iterator[Change]:
    """Changes of two JSON values, by path; the root's path is `.`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            at = member(path, name)
            if name in options.ignore or at in options.ignore:
                continue
            if name not in new:
                yield from (_whole("removed", *leaf) for leaf in leaves(old[name], at))
            elif name not in old:
                yield from (_whole("added", *leaf) for leaf in leaves(new[name], at))
            else:
                yield from compare(old[name], new[name], options, at)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from compare(a, b, options, f"{path}[{number}]")
    elif hashable(old) != hashable(new) and not _near(old, new, options):
        path = path or "."
        yield Change(
            "modified", {"path": path}, {"path": path, "value": new}, (Cell("value", old, new),)
        )


def _near(old: Any, new: Any, options: Options) -> bool:
    numbers = (int, float)
    if not isinstance(old, numbers) or not isinstance(new, numbers):
        return False
    if isinstance(old, bool) or isinstance(new, bool):
        return False
    bounds = options.tolerance
    return bool(bounds.absolute or bounds.relative) and bounds.equal(old, new)


def leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Paths and values below a value; a list is one value."""
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from leaves(part, member(path, name))
    else:
        yield path or ".", value


def _whole(kind: str, path: str, value: Any) -> Change:
    return Change(kind, {"path": path}, {"path": path, "value": value})


def member(path: str, name: str) -> str:
    """The path of a member of what is at `path`."""
    if not _PLAIN_NAME.match(name):
        return f"{path}[{json.dumps(name, ensure_ascii=False)}]"
    return f"{path}.{name}" if path else name
