"""An ancestry as JSON values, and as text for Graphviz (dot) and Mermaid.

Edges go the way that time went: what was read → run → what was written. Labels come from records,
which nobody vouches for: each picture's own quoting keeps them labels.
"""

from __future__ import annotations

from typing import Any

from mlver.lineage.ancestry import ROLES, Ancestry, Use, artifact_id
from mlver.lineage.graph import OUTPUT

Graph = dict[str, Any]
"""`{"version": 1, "nodes": [{"id", "kind", "label", …}], "edges": [{"from", "to", "role"}]}`."""


def as_json(found: Ancestry, *, context: bool = True) -> Graph:
    """`context`: with each run's code and environment as nodes, too."""
    nodes: dict[str, dict[str, Any]] = {}
    edges: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for oid, paths in found.paths.items():
        name = artifact_id(oid)
        nodes[name] = {
            "id": name,
            "kind": "artifact",
            "label": next(iter(paths), name[:19]),
            "paths": list(paths),
            "size": found.sizes.get(oid),
        }
    for run in found.runs.values():
        nodes[run.id] = {
            "id": run.id,
            "kind": "run",
            "label": run.name,
            "run_id": run.run_id,
            "status": run.status,
            "started": run.started,
            "command": run.command,
            "commit": run.commit or None,
        }
        if context:
            for kind, value in (("code", run.tree or run.commit), ("env", _lock(run.lock))):
                if value:
                    node = f"{kind}:{value}"
                    label = value.removeprefix("blake3:")[:12]
                    nodes.setdefault(node, {"id": node, "kind": kind, "label": label})
                    edge = {"from": node, "to": run.id, "role": kind}
                    edges.setdefault((node, run.id, kind, ""), edge)
    for use in found.uses:
        if use.run in found.runs:
            _edge(found, use, nodes, edges)
    return {
        "version": 1,
        "nodes": list(nodes.values()),
        "edges": list(edges.values()),
        "truncated": found.cut,
    }


def _edge(found: Ancestry, use: Use, nodes: Graph, edges: dict[Any, dict[str, Any]]) -> None:
    run, role = found.runs[use.run].id, ROLES.get(use.direction, "input")
    if use.oid is None:  # a file that nobody could tell the content of: this run's alone
        artifact = f"unknown:{run.removeprefix('run:')}:{use.path}"
        unknown = {"id": artifact, "kind": "artifact", "label": use.path, "paths": [use.path]}
        nodes.setdefault(artifact, {**unknown, "size": None})
    else:
        artifact = artifact_id(use.oid)
    ends = (run, artifact) if use.direction == OUTPUT else (artifact, run)
    edge = {"from": ends[0], "to": ends[1], "role": role, "path": use.path}
    edges.setdefault((*ends, role, use.path), edge)


def _lock(lock: bytes | None) -> str:
    return "" if lock is None else f"blake3:{lock.hex()}"


_SHAPES = {"run": "box", "artifact": "ellipse", "code": "note", "env": "component"}


def as_dot(graph: Graph) -> str:
    """Graphviz's language."""
    lines = ["digraph lineage {", "  rankdir=LR;"]
    for node in graph["nodes"]:
        shape = _SHAPES[node["kind"]]
        lines.append(f"  {_quoted(node['id'])} [label={_quoted(_label(node))}, shape={shape}];")
    for edge in graph["edges"]:
        ends = f"{_quoted(edge['from'])} -> {_quoted(edge['to'])}"
        lines.append(f"  {ends} [label={_quoted(edge['role'])}];")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    """A dot string: the only thing that ends it is a quote."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else "?" for char in escaped) + '"'


def as_mermaid(graph: Graph) -> str:
    """Mermaid's flowchart."""
    numbers = {node["id"]: f"n{at}" for at, node in enumerate(graph["nodes"])}
    lines = ["flowchart LR"]
    for node in graph["nodes"]:
        left, right = ("[", "]") if node["kind"] == "run" else ("([", "])")
        lines.append(f'  {numbers[node["id"]]}{left}"{_entities(_label(node))}"{right}')
    for edge in graph["edges"]:
        lines.append(f"  {numbers[edge['from']]} -->|{edge['role']}| {numbers[edge['to']]}")
    return "\n".join(lines)


def _entities(text: str) -> str:
    """Inside Mermaid's quotes nothing but letters and a few signs means itself."""
    return "".join(
        char if char.isalnum() or char in " ._-/:" else f"#{ord(char)};"
        for char in text
        if char.isprintable()
    )


def _label(node: dict[str, Any]) -> str:
    if node["kind"] == "run":
        return f"{node['label']} ({node['status']}, {node['run_id'][-8:]})"
    short = node["id"].partition("blake3:")[2][:12]
    is_file = node["kind"] == "artifact"
    return f"{node['label']} {short}".strip() if is_file else f"{node['kind']} {node['label']}"
