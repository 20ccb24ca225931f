"""CycloneDX 1.6, an ML-BOM: the model with its card, its data and packages, and how it was made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mlver import __version__
from mlver.errors import UsageError
from mlver.lineage.exports.material import Material, dump, oid_text, purl
from mlver.model.digest import Digest
from mlver.model.run import Artifact


def document(materials: Sequence[Material]) -> str:
    """One bill of materials, of the run that was asked for."""
    return dump(bill(materials[0]))


def bill(material: Material) -> dict[str, Any]:
    """Raises UsageError where the run has no output whose content is known."""
    models = _models(material)
    if not models:
        raise UsageError(
            f"the run {material.run.run_id} has no output whose content is known",
            why="a bill of materials is about something that is told by its digest",
            fix="git mlver export RUN --format openlineage, or prov",
        )
    data = _once(item for item in material.inputs if item.oid is not None)
    packages = list(dict.fromkeys(purl(*package) for package in material.packages))
    first, *others = [_model(item, material, data) for item in models]
    refs = [model["bom-ref"] for model in (first, *others)]
    data = [item for item in data if _ref(item) not in refs]
    names = {purl(*package): package for package in material.packages}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{material.run.run_id}",
        "version": 1,
        "metadata": {
            "timestamp": material.ended or material.started,
            "tools": {
                "components": [{"type": "application", "name": "git-mlver", "version": __version__}]
            },
            "component": first,
        },
        "components": [
            *others,
            *map(_data, data),
            *(_package(ref, *names[ref]) for ref in packages),
        ],
        "dependencies": [{"ref": ref, "dependsOn": [*map(_ref, data), *packages]} for ref in refs],
        "formulation": [{"workflows": [_workflow(material)]}],
    }


def _models(material: Material) -> list[Artifact]:
    """Outputs that are models; where the record names none, all of them."""
    made = _once(material.made)
    return [item for item in made if item.role == "model"] or made


def _once(items: Iterable[Artifact]) -> list[Artifact]:
    """The first of each content: a bom-ref stands once."""
    return list({item.oid: item for item in reversed(list(items))}.values())[::-1]


def _ref(item: Artifact) -> str:
    assert item.oid is not None
    return oid_text(item.oid)


def _hashes(oid: Digest | None) -> list[dict[str, str]]:
    return [] if oid is None else [{"alg": "BLAKE3", "content": oid.hex()}]


def _model(item: Artifact, material: Material, data: Sequence[Artifact]) -> dict[str, Any]:
    used = [{"ref": _ref(each)} for each in data if each.role in ("data", "other")]
    card: dict[str, Any] = {"modelParameters": {"datasets": used}}
    if material.metrics:
        values = [{"type": name, "value": text} for name, text in material.metrics.items()]
        card["quantitativeAnalysis"] = {"performanceMetrics": values}
    component = {
        "type": "machine-learning-model",
        "bom-ref": _ref(item),
        "name": item.path,
        "hashes": _hashes(item.oid),
        "modelCard": card,
        "properties": _properties(material),
    }
    if material.git_id("commit"):
        component["pedigree"] = {"commits": [{"uid": material.git_id("commit")}]}
    if material.run.actor:
        component["authors"] = [{"name": material.run.actor}]
    return component


def _properties(material: Material) -> list[dict[str, str]]:
    run = material.run
    found = {
        "mlver:run_id": run.run_id,
        "mlver:status": run.status,
        "mlver:tree": material.git_id("tree"),
        "mlver:repository": material.repository,
        **{f"mlver:param:{name}": text for name, text in material.param_texts.items()},
        **{f"mlver:env:{name}": str(value) for name, value in run.env.items()},
    }
    return [{"name": name, "value": value} for name, value in found.items() if value]


def _data(item: Artifact) -> dict[str, Any]:
    kind = "configuration" if item.role == "config" else "dataset"
    return {
        "type": "data",
        "bom-ref": _ref(item),
        "name": item.path,
        "hashes": _hashes(item.oid),
        "data": [{"type": kind, "name": item.path}],
    }


def _package(ref: str, name: str, version: str) -> dict[str, Any]:
    return {"type": "library", "bom-ref": ref, "name": name, "version": version, "purl": ref}


def _workflow(material: Material) -> dict[str, Any]:
    import shlex

    run = material.run
    found: dict[str, Any] = {
        "bom-ref": f"run:{run.run_id}",
        "uid": run.run_id,
        "name": run.name or "run",
        "taskTypes": ["build"],
        "steps": [{"commands": [{"executed": shlex.join(material.argv)}]}],
        "timeStart": material.started,
    }
    if material.ended:
        found["timeEnd"] = material.ended
    return found
