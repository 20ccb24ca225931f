"""An in-toto Statement v1 whose predicate is SLSA provenance v1: what was made, by which run.

Subjects and inputs carry the digest `blake3`, which in-toto lets one name. The statement is not
signed, and its builder is whoever ran the command: it claims SLSA build level 1 at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlver import __version__
from mlver.errors import UsageError
from mlver.lineage.exports.material import Material, dump, purl
from mlver.model.digest import Digest
from mlver.model.run import Artifact


def document(materials: Sequence[Material]) -> str:
    """One statement, of the run that was asked for."""
    return dump(statement(materials[0]))


def statement(material: Material) -> dict[str, Any]:
    """Raises UsageError where the run has no output whose content is known."""
    run = material.run
    subjects = [{"name": item.path, "digest": _digest(item.oid)} for item in material.made]
    if not subjects:
        raise UsageError(
            f"the run {run.run_id} has no output whose content is known",
            why="a statement is about at least one subject, told by its digest",
            fix="git mlver export RUN --format openlineage, or prov",
        )
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:git-mlver:run:1",
                "externalParameters": {
                    "command": material.argv,
                    "directory": str(run.job.get("cwd") or ""),
                    "parameters": material.param_texts,
                },
                "internalParameters": {"environment": dict(run.env)},
                "resolvedDependencies": _dependencies(material),
            },
            "runDetails": {
                "builder": {"id": "urn:git-mlver:local", "version": {"git-mlver": __version__}},
                "metadata": _metadata(material),
                "byproducts": _byproducts(material),
            },
        },
    }


def _digest(oid: Digest | None) -> dict[str, str]:
    return {} if oid is None else {"blake3": oid.hex()}


def _metadata(material: Material) -> dict[str, str]:
    found = {"invocationId": material.run.run_id, "startedOn": material.started}
    return {**found, "finishedOn": material.ended} if material.ended else found


def _dependencies(material: Material) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    commit, tree = material.git_id("commit"), material.git_id("tree")
    digest = {k: v for k, v in (("gitCommit", commit), ("gitTree", tree)) if v}
    if digest:
        code = {"name": "code", "digest": digest}
        found.append({**code, "uri": f"git+{material.repository}"} if material.repository else code)
    found += [_input(item) for item in material.inputs if item.oid is not None]
    found += [{"uri": purl(*package)} for package in material.packages]
    return found


def _input(item: Artifact) -> dict[str, Any]:
    return {"name": item.path, "digest": _digest(item.oid), "annotations": {"role": item.role}}


def _byproducts(material: Material) -> list[dict[str, Any]]:
    run = material.run
    found: list[dict[str, Any]] = [
        {"name": name, "digest": _digest(blob.oid)} for name, blob in run.blobs.items()
    ]
    made = {item.oid for item in material.made}
    found += [
        {"name": item.path, "digest": _digest(item.oid)}
        for item in material.outputs
        if item.oid is not None and item.oid not in made
    ]
    if material.metrics:
        found.append(
            {
                "name": "metrics",
                "uri": f"urn:uuid:{run.run_id}",
                "annotations": {"metrics": material.metrics, "status": run.status},
            }
        )
    return found
