"""An ancestry as two trees of text: upstream and downstream. Whatever stands twice is written out
once; there is no recursion, since a chain of runs may be longer than any stack."""

from __future__ import annotations

from collections.abc import Iterator

from mlver.lineage.ancestry import Ancestry, Use
from mlver.lineage.graph import OUTPUT
from mlver.workflows.ancestry import Lineage

_Node = tuple[str, int | bytes]
"""("run", number) or ("oid", content), or ("lost", …) for content that nobody knows."""
_DEEPEST = 60
"""Levels that are indented further; a deeper line stands under them with its level's number."""


def tree(lineage: Lineage, up: bool, down: bool) -> Iterator[str]:
    """Lines; not escaped."""
    found = lineage.found
    target = lineage.target
    root: _Node = (
        ("run", target.run.number) if target.run is not None else ("oid", target.oid or b"")
    )
    yield _label(found, root, "")
    for wanted, title, towards in ((up, "came from", True), (down, "went into", False)):
        if not wanted:
            continue
        lines = list(_branches(found, root, towards))
        yield f"{title}:" if lines else f"{title}: nothing that is known here"
        yield from lines
    if found.cut:
        yield "(cut at the depth that was asked for)"


def _branches(found: Ancestry, root: _Node, up: bool) -> Iterator[str]:
    ties = _ties(found, up)
    seen = {root}
    waiting = [(node, use, 1) for node, use in reversed(ties.get(root, []))]
    while waiting:
        node, use, level = waiting.pop()
        indent = "  " * min(level, _DEEPEST) + (f"[{level}] " if level > _DEEPEST else "")
        again = node in seen and bool(ties.get(node))
        yield indent + _label(found, node, use.path) + ("  (see above)" if again else "")
        if node not in seen:
            seen.add(node)
            waiting += [(n, u, level + 1) for n, u in reversed(ties.get(node, []))]


def _ties(found: Ancestry, up: bool) -> dict[_Node, list[tuple[_Node, Use]]]:
    """Node → what comes next on the way, in the order of records."""
    ties: dict[_Node, dict[_Node, Use]] = {}
    for use in found.uses:
        run: _Node = ("run", use.run)
        content: _Node = (
            ("oid", use.oid) if use.oid is not None else ("lost", f"{use.run}{use.path}".encode())
        )
        wrote = use.direction == OUTPUT
        start, end = (content, run) if wrote == up else (run, content)
        ties.setdefault(start, {}).setdefault(end, use)
    return {node: list(ends.items()) for node, ends in ties.items()}


def _label(found: Ancestry, node: _Node, path: str) -> str:
    kind, value = node
    if kind == "run" and isinstance(value, int):
        run = found.runs[value]
        return f"run {run.run_id[-8:]} {run.name} ({run.status}): {run.command[:120]}"
    if kind == "lost" or not isinstance(value, bytes):
        return f"{path}  (content not known)"
    paths = found.paths.get(value) or {}
    name = path or next(iter(paths), "")
    return f"{name}  {value.hex()[:12]}".strip()
