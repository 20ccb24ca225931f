"""Which strategy merges a file, by its name.

A strategy is a module that satisfies base.Strategy, and a line below. What has none, or is not
what its name promises, is opaque: one conflict, ours kept.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import cast

from mlver.formats.base import NotThisFormat, Source
from mlver.merge.base import OURS, THEIRS, Merged, Strategy, Versions, whole
from mlver.merge.keys import KeyGone
from mlver.merge.options import Options
from mlver.model.conflict import Conflict

BY_SUFFIX = {
    ".csv": "delimited",
    ".ipynb": "notebook",
    ".json": "parameters",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".npy": "arrays",
    ".psv": "delimited",
    ".safetensors": "safetensors",
    ".tab": "delimited",
    ".toml": "parameters",
    ".tsv": "delimited",
    ".yaml": "parameters",
    ".yml": "parameters",
}
NAMES = {"dvc.lock": "parameters"}
_TABLES = {"delimited": "csv", "json_lines": "jsonl"}
_BLOCK = 1024 * 1024


def strategy_for(name: str) -> str | None:
    """The module for a file of this name, None for content that is merged as a whole."""
    lower = name.lower()
    suffix = lower[lower.rfind(".") :] if "." in lower else ""
    return NAMES.get(lower) or BY_SUFFIX.get(suffix)


def merge(versions: Versions, name: str, options: Options) -> Merged:
    """The three versions of the file called `name`, merged.

    Where one side alone changed, or both the same, that side is taken byte for byte, whatever it
    holds. What is decided in `options` is no conflict any more.
    """
    base, ours, theirs = versions
    if same_bytes(ours, theirs) or same_bytes(base, theirs):
        return Merged("bytes", whole(ours, OURS))
    if same_bytes(base, ours):
        return Merged("bytes", whole(theirs, THEIRS))
    module = strategy_for(name)
    if module is None:
        return opaque(versions, options)
    strategy = cast(Strategy, importlib.import_module(f"mlver.merge.{module}"))
    try:
        return strategy.merge(versions, name, options)
    except KeyGone as error:
        found = opaque(versions, options, "schema", error.column)
        return replace(found, format=_TABLES[module], notes=(error.what,))
    except NotThisFormat as error:
        why = error.what + (f": {error.why}" if error.why else "")
        return replace(opaque(versions, options), notes=(why,))
    except (RecursionError, MemoryError) as error:
        error.__traceback__ = None  # its frames hold what took the memory
        note = "it needs too much memory to be merged inside"
        return replace(opaque(versions, options), notes=(note,))


def opaque(
    versions: Versions, options: Options, kind: str = "file", column: str | None = None
) -> Merged:
    """Two changes of content that is not looked into."""
    base, ours, theirs = ({"size": source.size} if source.size else None for source in versions)
    conflict = Conflict(kind, {}, column, base, ours, theirs)
    choice = options.choice(conflict)
    if choice is None or choice.side is None:
        return Merged("opaque", whole(versions.ours, OURS), (conflict,))
    side = ("base", "ours", "theirs").index(choice.side)
    return Merged("opaque", whole(versions[side], side))


def same_bytes(a: Source, b: Source) -> bool:
    """Whether two versions are the same, byte for byte."""
    if a.size != b.size:
        return False
    return all(a.read(at, _BLOCK) == b.read(at, _BLOCK) for at in range(0, a.size, _BLOCK))
