"""A JSON document as text of which single values are changed: the rest keeps its bytes.

The values were read by formats/parameters before; here it is only found where each stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]

from mlver.formats.base import NotThisFormat
from mlver.model.change import Value

Step = str | int
Path = Sequence[Step]

_SPACE = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"[^\s,\]}]+")


@dataclass(slots=True)
class Node:
    """A value's place in the text; of an object also where its members' names stand."""

    start: int
    end: int = 0
    members: dict[str, tuple[int, int, Node]] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)


class JsonText:
    """One document. `text` gives it with all changes; paths are those before any change."""

    def __init__(self, data: bytes) -> None:
        """Raises NotThisFormat."""
        encoding = json.detect_encoding(data)
        self._encoding = "utf-8" if encoding == "utf-8-sig" else encoding
        self._text = data.decode(encoding)
        self._bom = b"\xef\xbb\xbf" if encoding == "utf-8-sig" else b""
        self._edits: list[tuple[int, int, str]] = []
        self._gone: dict[tuple[Step, ...], set[str]] = {}
        self._new: dict[tuple[Step, ...], list[tuple[str, str, str | None]]] = {}
        try:
            self._root = self._value(self._skip(0))
        except (ValueError, IndexError, RecursionError) as error:
            raise NotThisFormat("it is no JSON that can be edited", why=str(error)[:80]) from error

    def data(self) -> bytes:
        """The bytes with every change made."""
        edits = list(self._edits)
        for path in dict.fromkeys([*self._gone, *self._new]):
            edits += self._object_edits(self._node(path), path)
        text = self._text
        for start, end, new in sorted(edits, key=lambda edit: edit[0], reverse=True):
            text = text[:start] + new + text[end:]
        return self._bom + text.encode(self._encoding)

    def raw(self, path: Path) -> str:
        """How a value is written."""
        node = self._node(path)
        return self._text[node.start : node.end]

    def put(self, path: Path, raw: str) -> None:
        """Write another value in its place."""
        node = self._node(path)
        self._edits.append((node.start, node.end, raw))

    def delete(self, path: Path) -> None:
        """Take a member out, with the comma that it needed."""
        if not isinstance(path[-1], str):
            raise NotThisFormat("an item cannot be taken out of a list")
        self._gone.setdefault(tuple(path[:-1]), set()).add(path[-1])

    def add(self, path: Path, raw: str, after: str | None) -> None:
        """Put a member in, behind `after` (None: first), written as its neighbours are."""
        self._new.setdefault(tuple(path[:-1]), []).append((str(path[-1]), raw, after))

    def _object_edits(self, node: Node, path: tuple[Step, ...]) -> list[tuple[int, int, str]]:
        """Members that go and come, of one object; what goes comes first."""
        gone, new = self._gone.get(path, set()), self._new.get(path, [])
        kept = [name for name in node.members if name not in gone]
        keys = [json.dumps(name, ensure_ascii=self._text.isascii()) for name, _, _ in new]
        if not kept:
            inside = [f"{key}: {raw}" for key, (_, raw, _) in zip(keys, new, strict=True)]
            return [(node.start, node.end, "{" + ", ".join(inside) + "}")]
        edits = self._deletions(node, gone)
        start, end, value = node.members[kept[0]]
        colon = self._text[end : value.start]
        lead = self._text[node.start + 1 : node.members[next(iter(node.members))][0]]
        between = "," + (lead or (" " if colon.endswith(" ") else ""))
        for key, (_, raw, after) in reversed(list(zip(keys, new, strict=True))):
            before = _kept_before(list(node.members), kept, after)
            if before is None:
                edits.append((start, start, f"{key}{colon}{raw}{between}"))
            else:
                at = node.members[before][2].end
                edits.append((at, at, f"{between}{key}{colon}{raw}"))
        return edits

    @staticmethod
    def _deletions(node: Node, gone: set[str]) -> list[tuple[int, int, str]]:
        edits: list[tuple[int, int, str]] = []
        last: int | None = None  # where the last member that stays ends
        first: int | None = None  # where members begin that go, before any that stays
        for name, (start, _, value) in node.members.items():
            if name in gone:
                if last is None:
                    first = start if first is None else first
                else:
                    edits.append((last, value.end, ""))
                    last = value.end
                continue
            if first is not None:
                edits.append((first, start, ""))
                first = None
            last = value.end
        return edits

    def write(self, value: Value) -> str:
        """A value of nobody's text."""
        return json.dumps(value, ensure_ascii=self._text.isascii())

    # -- finding -------------------------------------------------------------------------------

    def _node(self, path: Path) -> Node:
        node = self._root
        for step in path:
            node = node.members[step][2] if isinstance(step, str) else node.items[step]
        return node

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        assert found is not None
        return found.end()

    def _value(self, at: int) -> Node:
        first = self._text[at]
        if first == "{":
            return self._object(at)
        if first == "[":
            return self._list(at)
        if first == '"':
            return Node(at, scanstring(self._text, at + 1)[1])
        found = _SCALAR.match(self._text, at)
        if found is None:
            raise ValueError(f"nothing at {at}")
        return Node(at, found.end())

    def _object(self, at: int) -> Node:
        node, here = Node(at), self._skip(at + 1)
        while self._text[here] != "}":
            start = here
            name, end = scanstring(self._text, here + 1)
            here = self._skip(end)
            member = self._value(self._skip(here + 1))
            node.members[name] = (start, end, member)
            here = self._after(member.end)
        node.end = here + 1
        return node

    def _list(self, at: int) -> Node:
        node, here = Node(at), self._skip(at + 1)
        while self._text[here] != "]":
            node.items.append(self._value(here))
            here = self._after(node.items[-1].end)
        node.end = here + 1
        return node

    def _after(self, at: int) -> int:
        """Where the next member begins, or the bracket that closes."""
        here = self._skip(at)
        return self._skip(here + 1) if self._text[here] == "," else here


def _kept_before(names: Sequence[str], kept: Sequence[str], after: str | None) -> str | None:
    """The member that stays and is nearest before, or at, `after`."""
    if after is None or after not in names:
        return None
    found = [name for name in names[: names.index(after) + 1] if name in kept]
    return found[-1] if found else None
