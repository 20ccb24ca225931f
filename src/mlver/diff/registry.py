"""Which format a file's name promises, and the module that compares two versions of it.

A module of diff/ has `diff(old, new, old_name, new_name, options) -> FileDiff`. To add a format: a
module in formats/ that reads it, one here that compares it, a line below, a section in
docs/guides/diff.md.
"""

from __future__ import annotations

import importlib
from typing import cast

from mlver.diff.options import Options
from mlver.formats.base import NotThisFormat, Source
from mlver.model.change import FileDiff

BY_SUFFIX = {
    ".arrow": "columnar",
    ".csv": "delimited",
    ".db": "sqlite",
    ".feather": "columnar",
    ".ipynb": "notebook",
    ".joblib": "pickled",
    ".json": "parameters",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".npy": "arrays",
    ".npz": "arrays",
    ".onnx": "onnx",
    ".parquet": "columnar",
    ".pickle": "pickled",
    ".pkl": "pickled",
    ".psv": "delimited",
    ".pt": "pickled",
    ".pth": "pickled",
    ".safetensors": "safetensors",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".tab": "delimited",
    ".toml": "parameters",
    ".tsv": "delimited",
    ".yaml": "parameters",
    ".yml": "parameters",
}
NAMES = {"dvc.lock": "parameters"}


def module_for(name: str) -> str | None:
    """The module for a file of this name, None for content that nobody can look into."""
    lower = name.lower()
    suffix = lower[lower.rfind(".") :] if "." in lower else ""
    return NAMES.get(lower) or BY_SUFFIX.get(suffix)


def compare(old: Source, new: Source, old_name: str, new_name: str, options: Options) -> FileDiff:
    """What changed, by the new version's name; opaque, with the reason, where that cannot be told.

    An empty version is a table without rows, a model without tensors.
    """
    name = module_for(new_name)
    if name is None:
        return FileDiff("opaque")
    module = importlib.import_module(f"mlver.diff.{name}")
    try:
        return cast(FileDiff, module.diff(old, new, old_name, new_name, options))
    except NotThisFormat as error:
        why = error.what + (f": {error.why}" if error.why else "")
        return FileDiff("opaque", notes=(why,))
    except (RecursionError, MemoryError) as error:
        error.__traceback__ = None  # its frames hold what took the memory
        return FileDiff("opaque", notes=("it needs too much memory to be looked into",))
