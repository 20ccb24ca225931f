"""JSON, YAML and TOML as plain JSON values. What names a member twice is refused: each reader
would take another of the two. Aliases of YAML are written out, within bounds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from mlver.formats.base import NotThisFormat, Source

_LARGEST = 64 * 1024 * 1024
_MOST_VALUES = 2_000_000


def read(source: Source, name: str) -> Any:
    """The value; None for an empty file. Raises NotThisFormat."""
    if source.size > _LARGEST:
        raise NotThisFormat("it is too large to be compared by path", why=f"{source.size:,} bytes")
    return value_of(source.read(0, source.size), name)


def value_of(data: bytes, name: str) -> Any:
    """As read, of a document in memory."""
    if not data.strip():
        return None
    lower = name.lower()
    parse: Callable[[bytes], Any] = parse_json
    if lower.endswith((".yaml", ".yml")) or lower == "dvc.lock":
        parse = _parse_yaml
    elif lower.endswith(".toml"):
        parse = _parse_toml
    try:
        return _Plain().value(parse(data))
    except RecursionError as error:
        raise NotThisFormat("it nests too deeply to be looked into") from error


def parse_json(data: bytes) -> Any:
    """One JSON document, strictly. Raises NotThisFormat."""
    try:
        text = data.decode(json.detect_encoding(data)).removeprefix("\ufeff")
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise NotThisFormat("it nests too deeply to be looked into") from error
    except ValueError as error:  # also bytes that are no text, and numbers without end
        raise NotThisFormat("it is no JSON that can be read", why=str(error)[:200]) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object names {doubled[:60]!r} twice")
    return found


def _parse_toml(data: bytes) -> Any:
    import tomllib

    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except ValueError as error:
        raise NotThisFormat("it is no TOML that can be read", why=str(error)[:200]) from error


def _parse_yaml(data: bytes) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise NotThisFormat(
            "YAML is not looked into here", why="PyYAML is missing: pip install pyyaml"
        ) from error
    try:
        documents = list(yaml.load_all(data, Loader=_yaml_loader()))
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, OverflowError) as error:
        why = " ".join(str(error).split())[:200]
        raise NotThisFormat("it is no YAML that can be read", why=why) from error
    return documents[0] if len(documents) == 1 else documents


def _yaml_loader() -> Any:
    """The safe loader, which makes plain values alone, and refuses a name that stands twice."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc, unused-ignore]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            names = [
                (key.tag, key.value)
                for key, _ in node.value
                if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge"
            ]
            for name in names if len(set(names)) != len(names) else ():
                if names.count(name) > 1:
                    raise yaml.YAMLError(f"a mapping names {name[1][:60]!r} twice")
            return super().construct_mapping(node, deep)

    return Loader


class _Plain:
    """Values as JSON has them; counts them, so that aliases of aliases end."""

    def __init__(self) -> None:
        self._left = _MOST_VALUES

    def value(self, item: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise NotThisFormat("it holds too many values to be compared by path")
        if item is None or isinstance(item, str | bool | int | float):
            return item
        if isinstance(item, dict):
            return {_name(name): self.value(part) for name, part in item.items()}
        if isinstance(item, list | tuple | set):
            parts = sorted(item, key=repr) if isinstance(item, set) else item
            return [self.value(part) for part in parts]
        if isinstance(item, bytes):
            return item.hex()
        return item.isoformat() if hasattr(item, "isoformat") else str(item)


def _name(name: Any) -> str:
    return name if isinstance(name, str) else json.dumps(name, default=str)
