"""JSON, YAML and TOML by path: ours, with single values changed in its text, so that comments,
order and spelling stay.

Each format has an editor of its text (json_text, yaml_text, toml_text). What they wrote is read
again and must be the values that were meant; where it is not, the file is merged as a whole.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from mlver.diff.parameters import member
from mlver.diff.rows import hashable
from mlver.diff.typed import ABSENT
from mlver.formats import parameters
from mlver.formats.base import NotThisFormat, Source
from mlver.merge.base import Merged, Versions
from mlver.merge.options import Options
from mlver.merge.rows import same
from mlver.model.change import Value
from mlver.model.conflict import Conflict

Path = tuple[str | int, ...]


class Editor(Protocol):
    """A document's text in which values are changed. Paths are those before any change."""

    def data(self) -> bytes: ...
    def raw(self, path: Path) -> Any: ...
    def put(self, path: Path, raw: Any) -> None: ...
    def delete(self, path: Path) -> None: ...
    def add(self, path: Path, raw: Any, after: str | None) -> None: ...
    def write(self, value: Value) -> Any: ...


class Step(NamedTuple):
    """What becomes of a path: another value (ABSENT: none), and whether theirs has it so."""

    path: Path
    old: Value
    new: Value
    is_theirs: bool
    after: str | None = None


def merge(versions: Versions, name: str, options: Options) -> Merged:
    """The three versions merged. Raises NotThisFormat."""
    values = [parameters.read(source, name) for source in versions]
    if values[1] is None or values[2] is None:
        raise NotThisFormat("one side emptied the file")
    if values[0] is None:
        values[0] = {} if isinstance(values[1], dict) else ABSENT
    walk = Walk(options)
    result = walk.value((), *values)
    kind = _kind(name)
    editors = [_editor(kind, source) for source in versions[1:]]
    for step in walk.steps:
        _take(editors[0], editors[1], step)
    data = editors[0].data()
    if hashable(parameters.value_of(data, name)) != hashable(result):
        raise NotThisFormat("what both sides changed cannot be put together in its text")
    return Merged(kind, [data], tuple(walk.conflicts), ("path",), "format")


def _kind(name: str) -> str:
    lower = name.lower()
    if lower.endswith((".yaml", ".yml")) or lower == "dvc.lock":
        return "yaml"
    return "toml" if lower.endswith(".toml") else "json"


def _editor(kind: str, source: Source) -> Editor:
    module = importlib.import_module(f"mlver.merge.{kind}_text")
    found: Editor = getattr(module, f"{kind.capitalize()}Text")(source.read(0, source.size))
    return found


def _take(ours: Editor, theirs: Editor, step: Step) -> None:
    if step.new is ABSENT:
        ours.delete(step.path)
        return
    raw = theirs.raw(step.path) if step.is_theirs else ours.write(step.new)
    if step.old is ABSENT:
        ours.add(step.path, raw, step.after)
    else:
        ours.put(step.path, raw)


class Walk:
    """Walks three values together. `told`: how a conflict of theirs is called outside."""

    def __init__(
        self, options: Options, told: Callable[[Conflict], Conflict] = lambda conflict: conflict
    ) -> None:
        self._options, self._told = options, told
        self.steps: list[Step] = []
        self.conflicts: list[Conflict] = []

    def value(self, path: Path, base: Value, ours: Value, theirs: Value) -> Value:
        """The merged value; what it takes to make ours that is in `steps`."""
        if _same(ours, theirs) or _same(base, theirs):
            return ours
        if _same(base, ours):
            return self._become(path, ours, theirs, is_theirs=True)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            return self._object(path, base if isinstance(base, dict) else {}, ours, theirs)
        lists = [item for item in (base, ours, theirs) if isinstance(item, list)]
        if len(lists) == 3 and len({len(item) for item in lists}) == 1:
            rows = enumerate(zip(*lists, strict=True))
            return [self.value((*path, number), *items) for number, items in rows]
        return self._conflict(path, base, ours, theirs)

    def _object(
        self, path: Path, base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]
    ) -> dict[str, Any]:
        result: dict[str, Any] = {}
        self._last: str | None = None
        order = list(theirs)
        for name in dict.fromkeys([*ours, *theirs, *base]):
            values = (side.get(name, ABSENT) for side in (base, ours, theirs))
            before = order[: order.index(name)] if name in order else []
            self._last = next((n for n in reversed(before) if n in ours), None)
            if self._last is None and ours and before:
                self._last = list(ours)[-1]
            found = self.value((*path, name), *values)
            if found is not ABSENT:
                result[name] = found
        return result

    def _become(self, path: Path, old: Value, new: Value, *, is_theirs: bool) -> Value:
        if not _same(old, new):
            self.steps.append(Step(path, old, new, is_theirs, self._last if path else None))
        return new

    def _conflict(self, path: Path, base: Value, ours: Value, theirs: Value) -> Value:
        values = {"base": base, "ours": ours, "theirs": theirs}
        absent = tuple([side for side, value in values.items() if value is ABSENT])
        shown = {side: None if v is ABSENT else v for side, v in values.items()}
        conflict = self._told(Conflict("path", {"path": _name(path)}, None, **shown, absent=absent))
        choice = self._options.choice(conflict)
        if choice is None:
            self.conflicts.append(conflict)
            return ours
        value = choice.value if choice.side is None else values[choice.side]
        return self._become(path, ours, value, is_theirs=choice.side == "theirs")


def _same(a: Value, b: Value) -> bool:
    return same(a, b)


def _name(path: Sequence[str | int]) -> str:
    """As a diff names it: `train.lr`, `layers[0]`; the root is `.`."""
    name = ""
    for step in path:
        name = member(name, step) if isinstance(step, str) else f"{name}[{step}]"
    return name or "."
