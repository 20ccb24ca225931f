"""A YAML document as text of which single values are changed, by the marks that PyYAML gives.

An entry of a block mapping is whole lines, and is put in and taken out as such; a scalar, or a
value in flow style, is what stands between its marks. What is written in other ways (aliases,
merged keys) is told by the look at the result (parameters.py): the file is then merged as a whole.
"""

from __future__ import annotations

import json
from typing import Any

from mlver.formats.base import NotThisFormat
from mlver.merge.json_text import Path
from mlver.model.change import Value

_LARGEST = 4 * 1024 * 1024


class YamlText:
    """One document."""

    def __init__(self, data: bytes) -> None:
        """Raises NotThisFormat."""
        import yaml  # the file was read with it already

        if len(data) > _LARGEST:
            raise NotThisFormat("it is too large to be edited as YAML", why=f"{len(data):,} bytes")
        self._text = data.decode("utf-8")
        self._edits: list[tuple[int, int, str]] = []
        try:
            self._root = yaml.compose(self._text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            why = " ".join(str(error).split())[:80]
            raise NotThisFormat("it is no YAML that can be edited", why=why) from error

    def data(self) -> bytes:
        """The bytes with every change made."""
        text = self._text
        order = sorted(
            range(len(self._edits)), key=lambda n: (self._edits[n][0], self._is_old(n), n)
        )
        for start, end, new in (self._edits[number] for number in reversed(order)):
            text = text[:start] + new + text[end:]
        return text.encode("utf-8")

    def _is_old(self, number: int) -> bool:
        """Whether it is a change of what stands there, which comes before what is put there."""
        return self._edits[number][1] > self._edits[number][0]

    def raw(self, path: Path) -> str:
        """How a value is written; that of a block with the indent of its first line."""
        node = self._node(path)
        start, end = self._span(node)
        if self._is_block(node):
            start = self._line(start)
            return "\n" + self._text[start:end]
        return self._text[start:end]

    def put(self, path: Path, raw: str) -> None:
        """Write another value in its place."""
        node = self._node(path)
        start, end = self._span(node)
        is_block = self._is_block(node)
        if is_block or raw.startswith("\n"):
            key, _ = self._entry(path)
            start = key.end_mark.index + 1
            raw = raw if raw.startswith("\n") else " " + raw
        self._edits.append((start, end, raw))

    def delete(self, path: Path) -> None:
        """Take an entry's lines out."""
        parent = self._node(path[:-1])
        key, value = self._entry(path)
        if not self._is_block(parent) or len(parent.value) == 1:
            raise NotThisFormat("a value cannot be taken out of its text")
        start = self._line(key.start_mark.index)
        end = self._text.find("\n", self._span(value)[1])
        self._edits.append((start, len(self._text) if end < 0 else end + 1, ""))

    def add(self, path: Path, raw: str, after: str | None) -> None:
        """Put an entry's lines in, behind those of `after`."""
        parent = self._node(path[:-1])
        if not self._is_block(parent) or not parent.value:
            raise NotThisFormat("a value cannot be put into its text")
        entries = {key.value: (key, value) for key, value in parent.value}
        key, value = entries.get(after or "") or parent.value[-1]
        indent = " " * key.start_mark.column
        name = str(path[-1])
        shown = name if name.replace("_", "").replace("-", "").isalnum() else json.dumps(name)
        line = f"{indent}{shown}:" + (raw if raw.startswith("\n") else f" {raw}")
        end = self._text.find("\n", self._span(value)[1])
        if end < 0:
            self._edits.append((len(self._text), len(self._text), "\n" + line))
        else:
            self._edits.append((end + 1, end + 1, line + "\n"))

    def write(self, value: Value) -> str:
        """A value of nobody's text: JSON, which is YAML."""
        return json.dumps(value, ensure_ascii=False)

    def _is_block(self, node: Any) -> bool:
        return isinstance(node.value, list) and node.flow_style is False

    def _span(self, node: Any) -> tuple[int, int]:
        """Where a value stands, without the blank lines and comments that follow it."""
        start, end = node.start_mark.index, node.end_mark.index
        if not self._is_block(node) or not node.value:
            return start, end if end == start else start + len(self._text[start:end].rstrip())
        last = node.value[-1]
        return start, self._span(last[1] if isinstance(last, tuple) else last)[1]

    def _line(self, at: int) -> int:
        return self._text.rfind("\n", 0, at) + 1

    def _node(self, path: Path) -> Any:
        node = self._root
        for step in path:
            node = node.value[step] if isinstance(step, int) else self._member(node, step)[1]
        return node

    def _entry(self, path: Path) -> tuple[Any, Any]:
        if not path or not isinstance(path[-1], str):
            raise NotThisFormat("a value cannot be put into its text")
        return self._member(self._node(path[:-1]), path[-1])

    @staticmethod
    def _member(node: Any, name: str) -> tuple[Any, Any]:
        pairs: Any = node.value if isinstance(node.value, list) else []
        for pair in pairs:
            if isinstance(pair, tuple) and pair[0].value == name:
                return pair
        raise NotThisFormat(f"{name!r} is not written where it counts")
