"""Parameters and metrics in files: JSON, YAML, TOML, flattened to dotted names.

Content is what the command read, so it is not trusted: nothing is executed (YAML by the safe
loader, which knows no tags of Python), and size, depth and count are bounded. PyYAML is optional:
where it is missing, `Unreadable` says so by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

MAX_BYTES = 256 * 1024
MAX_LEAVES = 1000
_MAX_DEPTH = 16
_MAX_LIST = 32
_LONGEST = 500
ENDINGS = (b".json", b".yaml", b".yml", b".toml")
_FLOAT = re.compile(r"\A[-+]?[0-9][0-9_]*(?:\.[0-9]*)?[eE][-+]?[0-9]+\Z")
_METRICS = re.compile(
    rb"\A(?:.*[_.-])?(?:metrics?|scores?|eval(?:uation)?|summary)(?:[_.-].*)?"
    rb"\.(?:json|jsonl|ya?ml|toml|csv)\Z",
    re.IGNORECASE,
)


class Unreadable(Exception):
    """A file that tells nothing, and why, in words for the user."""


def is_config(path: bytes) -> bool:
    """True for a file that may hold parameters, by its name."""
    name = path.rpartition(b"/")[2].lower()
    lock = name.endswith((b".lock", b"lock.json", b"lock.yaml")) or name.startswith(b".")
    return name.endswith(ENDINGS) and not lock


def is_metrics(path: bytes) -> bool:
    """True for a file that holds metrics, by its name: metrics.json, val_scores.yaml, …"""
    return _METRICS.match(path.rpartition(b"/")[2]) is not None


def params(path: bytes, data: bytes) -> dict[str, Any] | None:
    """The parameters of a configuration; None where the file is none. Raises Unreadable."""
    value = _load(path, data)
    if not isinstance(value, dict):
        return None
    found = dict(flattened(value))
    return found if len(found) <= MAX_LEAVES else None


def metrics(path: bytes, data: bytes) -> list[tuple[str, float, int | None]]:
    """(name, value, step) of a metrics file, in its order. Raises Unreadable.

    JSON, YAML, TOML: every number in it. JSON lines and CSV: a row a step; a column `step` or
    `epoch` names it.
    """
    name = path.lower()
    if name.endswith(b".csv"):
        import csv
        import io

        rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig", "replace")))
        try:
            return _points([{k: v for k, v in row.items() if isinstance(k, str)} for row in rows])
        except csv.Error as error:
            raise Unreadable(str(error)) from error
    if name.endswith(b".jsonl"):
        return _points([_load(b".json", line) for line in data.splitlines() if line.strip()])
    value = _load(path, data)
    if isinstance(value, list):
        return _points(value)
    return [(key, number, None) for key, number in _numbers(value)]


def _points(rows: list[Any]) -> list[tuple[str, float, int | None]]:
    found = []
    for row in rows:
        values = dict(_numbers(row))
        step = next((values.pop(key) for key in ("step", "epoch") if key in values), None)
        whole = int(step) if step is not None and step == step and abs(step) < 2**53 else None
        found += [(key, number, whole) for key, number in values.items()]
    return found


def _numbers(value: Any) -> Iterator[tuple[str, float]]:
    for key, leaf in flattened(value if isinstance(value, dict) else {"value": value}):
        if isinstance(leaf, bool):
            continue
        if isinstance(leaf, int | float):
            yield key, float(leaf)
        elif isinstance(leaf, str):
            try:
                yield key, float(leaf)
            except ValueError:
                continue


def flattened(value: Any) -> Iterator[tuple[str, Any]]:
    """(dotted name, scalar or list of scalars) of nested mappings and lists, in their order.

    Ends after MAX_LEAVES + 1 of them, and after ten times as many places looked at: YAML's
    aliases let a few lines stand for billions, and for nothing but empty mappings too.
    """
    return islice(_flattened(value, "", 0, [10 * MAX_LEAVES]), MAX_LEAVES + 1)


def _flattened(value: Any, prefix: str, depth: int, left: list[int]) -> Iterator[tuple[str, Any]]:
    left[0] -= 1
    if depth > _MAX_DEPTH or left[0] < 0:
        return
    if isinstance(value, dict):
        for key, item in islice(value.items(), MAX_LEAVES + 1):
            name = f"{prefix}.{key}" if prefix else str(key)
            yield from _flattened(item, name, depth + 1, left)
    elif isinstance(value, list):
        if len(value) <= _MAX_LIST and not any(isinstance(item, dict | list) for item in value):
            yield prefix, [_scalar(item) for item in value]
        else:
            for at, item in enumerate(value[:_MAX_LIST]):
                yield from _flattened(item, f"{prefix}.{at}", depth + 1, left)
    else:
        yield prefix, _scalar(value)


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= 2**53 else str(value)
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    text = str(value)[:_LONGEST].encode("utf-8", "replace").decode("utf-8")
    return (
        float(text) if _FLOAT.match(text) and len(text) < 40 else text
    )  # YAML 1.1: 1e-3 is a text


def _load(path: bytes, data: bytes) -> Any:
    if len(data) > MAX_BYTES:
        raise Unreadable("it is too large for a configuration")
    try:
        if path.lower().endswith(b".json"):
            return json.loads(data)
        if path.lower().endswith(b".toml"):
            import tomllib

            return tomllib.loads(data.decode("utf-8"))
        return _yaml(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it cannot be read ({str(error)[:100]})") from error


def _yaml(data: bytes) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise Unreadable(
            "PyYAML would read it, and is not installed beside git-mlver: pip install PyYAML"
        ) from error
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return yaml.load(data, Loader=loader)  # noqa: S506 - the safe one, in C
    except yaml.YAMLError as error:
        words = " ".join(str(error).split())
        raise Unreadable(f"it cannot be read ({words[:100]})") from error
