"""OpenLineage 2-0-2: a START event, and COMPLETE, FAIL (another exit code) or ABORT (killed).

A dataset is a path in the repository's namespace, its version the content id. Facets of our own
begin with `mlver_`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlver.lineage.exports.material import PRODUCER, Material, dump, oid_text
from mlver.model.run import Artifact

_SPEC = "https://openlineage.io/spec"
_CORE = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs"
_ENDS = {"finished": "COMPLETE", "failed": "FAIL", "killed": "ABORT"}


def document(materials: Sequence[Material]) -> str:
    """Events, one a line, in the order of time."""
    found = [event for material in materials for event in events(material)]
    found.sort(key=lambda event: str(event["eventTime"]))
    return "".join(dump(event, indent=None) for event in found)


def events(material: Material) -> list[dict[str, Any]]:
    run = material.run
    start = _event("START", material.started, material)
    if run.status not in _ENDS:
        return [start]
    return [start, _event(_ENDS[run.status], material.ended or material.started, material)]


def _event(kind: str, time: str, material: Material) -> dict[str, Any]:
    is_end = kind != "START"
    return {
        "eventType": kind,
        "eventTime": time,
        "producer": PRODUCER,
        "schemaURL": f"{_CORE}/RunEvent",
        "run": {"runId": material.run.run_id, "facets": _run_facets(material, is_end)},
        "job": {
            "namespace": _namespace(material),
            "name": material.run.name or "run",
            "facets": _job_facets(material),
        },
        "inputs": [_dataset(item, material) for item in material.inputs],
        "outputs": [_dataset(item, material) for item in material.outputs] if is_end else [],
    }


def _namespace(material: Material) -> str:
    return material.repository or "git-mlver"


def _facet(schema: str, /, **members: Any) -> dict[str, Any]:
    return {"_producer": PRODUCER, "_schemaURL": schema, **members}


def _named(facet: str, number: str, /, **members: Any) -> dict[str, Any]:
    return _facet(f"{_SPEC}/facets/{number}/{facet}.json#/$defs/{facet}", **members)


def _dataset(item: Artifact, material: Material) -> dict[str, Any]:
    own = {"role": item.role, "size": item.size}
    facets = {"mlver_file": _facet(f"{_CORE}/DatasetFacet", **own)}
    if item.oid is not None:
        facets["version"] = _named(
            "DatasetVersionDatasetFacet", "1-0-1", datasetVersion=oid_text(item.oid)
        )
    return {"namespace": _namespace(material), "name": item.path, "facets": facets}


def _run_facets(material: Material, is_end: bool) -> dict[str, Any]:
    run = material.run
    facets = {
        "executionParameters": _named(
            "ExecutionParametersRunFacet", "1-0-0",
            parameters=[{"key": k, "value": v} for k, v in material.param_texts.items()],
        ),
        "mlver_environment": _facet(f"{_CORE}/RunFacet", environment=dict(run.env)),
        "mlver_run": _facet(f"{_CORE}/RunFacet", actor=run.actor, status=run.status),
    }  # fmt: skip
    python = run.env.get("python")
    if isinstance(python, str):
        facets["processing_engine"] = _named(
            "ProcessingEngineRunFacet", "1-1-1", name="Python", version=python
        )
    if run.tags:
        tags = [{"key": k, "value": v, "source": "USER"} for k, v in run.tags.items()]
        facets["tags"] = _named("TagsRunFacet", "1-0-0", tags=tags)
    if not is_end:
        return facets
    facets["mlver_metrics"] = _facet(f"{_CORE}/RunFacet", metrics=material.metrics)
    if run.status in ("failed", "killed"):
        facets["errorMessage"] = _named(
            "ErrorMessageRunFacet", "1-0-1",
            message=f"{run.status}, exit code {run.exit_code}", programmingLanguage="unknown",
        )  # fmt: skip
    return facets


def _job_facets(material: Material) -> dict[str, Any]:
    command = {"argv": material.argv, "cwd": str(material.run.job.get("cwd") or "")}
    facets = {
        "jobType": _named(
            "JobTypeJobFacet", "2-0-4", processingType="BATCH", integration="GIT_MLVER",
            jobType="COMMAND",
        ),
        "mlver_command": _facet(f"{_CORE}/JobFacet", **command),
    }  # fmt: skip
    if material.repository:
        branch = material.run.code.get("branch")
        place = {"type": "git", "url": material.repository, "repoUrl": material.repository}
        if material.git_id("commit"):
            place["version"] = material.git_id("commit")
        if isinstance(branch, str):
            place["branch"] = branch
        facets["sourceCodeLocation"] = _named("SourceCodeLocationJobFacet", "1-1-0", **place)
    return facets
