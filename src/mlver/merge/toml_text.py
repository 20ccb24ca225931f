"""A TOML document as text of which single values are changed, by tomlkit: comments and
order stay."""

from __future__ import annotations

from typing import Any

from mlver.formats.base import NotThisFormat
from mlver.merge.json_text import Path
from mlver.model.change import Value


class TomlText:
    """One document."""

    def __init__(self, data: bytes) -> None:
        """Raises NotThisFormat, also where tomlkit is missing."""
        try:
            import tomlkit
        except ImportError as error:
            raise NotThisFormat(
                "TOML is not merged here", why="tomlkit is missing: pip install tomlkit"
            ) from error
        try:
            self._document = tomlkit.parse(data.decode("utf-8"))
        except ValueError as error:
            raise NotThisFormat("it is no TOML that can be edited", why=str(error)[:80]) from error

    def data(self) -> bytes:
        """The bytes with every change made."""
        import tomlkit

        return tomlkit.dumps(self._document).encode("utf-8")

    def raw(self, path: Path) -> Any:
        """The value with all that stands around it."""
        return self._at(path)

    def put(self, path: Path, raw: Any) -> None:
        """Write another value in its place; ours' comment behind it stays."""
        parent, old = self._at(path[:-1]), self._at(path)
        parent[path[-1]] = raw
        new = parent[path[-1]]
        if hasattr(old, "trivia") and hasattr(new, "trivia"):
            for part in ("indent", "comment_ws", "comment", "trail"):
                setattr(new.trivia, part, getattr(old.trivia, part))

    def delete(self, path: Path) -> None:
        """Take a member out."""
        del self._at(path[:-1])[path[-1]]

    def add(self, path: Path, raw: Any, after: str | None) -> None:
        """Put a member in, at the end of its table."""
        self._at(path[:-1])[path[-1]] = raw

    def write(self, value: Value) -> Any:
        """A value of nobody's text."""
        import tomlkit

        return tomlkit.item(value)

    def _at(self, path: Path) -> Any:
        node: Any = self._document
        for step in path:
            node = node[step]
        return node
