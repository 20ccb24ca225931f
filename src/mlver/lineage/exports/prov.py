"""W3C PROV-JSON: contents are entities, runs activities, people and environments agents, and the
command of a run its plan. One content is one entity, whatever runs it ties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlver.lineage.exports.material import Material, dump
from mlver.model.digest import digest_of
from mlver.model.run import Artifact

_PREFIXES = {"mlver": "urn:git-mlver:", "xsd": "http://www.w3.org/2001/XMLSchema#"}
_Statements = dict[str, dict[str, Any]]


def document(materials: Sequence[Material]) -> str:
    """One bundle that holds all these runs."""
    found: dict[str, _Statements] = {}
    for name in ("entity", "activity", "agent", "used", "wasGeneratedBy", "wasAssociatedWith"):
        found[name] = {}
    for material in materials:
        _add(found, material)
    return dump({"prefix": _PREFIXES, **found})


def _add(found: dict[str, _Statements], material: Material) -> None:
    run = material.run
    activity = f"mlver:run-{run.run_id}"
    if activity in found["activity"]:  # another record claims the same id
        activity += "-" + digest_of(repr(run).encode("utf-8", "replace")).hex()[:12]
    found["activity"][activity] = _activity(material)
    for relation, items in (("used", material.inputs), ("wasGeneratedBy", material.outputs)):
        for number, item in enumerate(items):
            entity = _entity(found["entity"], item, activity)
            found[relation][f"_:{relation}-{activity[6:]}-{number}"] = {
                "prov:activity": activity,
                "prov:entity": entity,
                "mlver:path": item.path,
                "mlver:role": item.role,
            }
    _who(found, material, activity)


def _activity(material: Material) -> dict[str, Any]:
    run = material.run
    members: dict[str, Any] = {
        "prov:startTime": material.started,
        "prov:label": run.name,
        "prov:type": _name("mlver:Run"),
        "mlver:status": run.status,
        "mlver:commit": material.git_id("commit"),
        "mlver:tree": material.git_id("tree"),
        "mlver:repository": material.repository,
        "mlver:parameter": [f"{name}={text}" for name, text in material.param_texts.items()],
        "mlver:metric": [f"{name}={text}" for name, text in material.metrics.items()],
        "mlver:tag": [f"{name}={text}" for name, text in run.tags.items()],
    }
    if material.ended:
        members["prov:endTime"] = material.ended
    if run.exit_code is not None:
        members["mlver:exitCode"] = run.exit_code
    return {name: value for name, value in members.items() if value not in ("", [])}


def _entity(entities: _Statements, item: Artifact, activity: str) -> str:
    if item.oid is None:  # nobody knows its content: it is this run's alone
        short = digest_of(item.path.encode("utf-8", "replace")).hex()[:16]
        name = f"mlver:unknown-{activity[10:]}-{short}"
    else:
        name = f"mlver:blake3-{item.oid.hex()}"
    entities.setdefault(
        name,
        {"prov:label": item.path, "prov:type": _name("mlver:File"), "mlver:size": item.size},
    )
    return name


def _who(found: dict[str, _Statements], material: Material, activity: str) -> None:
    run = material.run
    plan = f"mlver:command-{activity[6:]}"
    command = {"prov:type": _name("prov:Plan"), "mlver:argv": material.argv}
    found["entity"][plan] = {name: value for name, value in command.items() if value != []}
    agents = {}
    if run.actor:
        agents[_agent("person", run.actor)] = {
            "prov:type": _name("prov:Person"), "prov:label": run.actor,
        }  # fmt: skip
    lock = run.env.get("lock")
    software = {
        "prov:type": _name("prov:SoftwareAgent"),
        "prov:label": f"Python {run.env['python']}" if run.env.get("python") else "environment",
        "mlver:lock": lock if isinstance(lock, str) else "",
    }
    agents[_agent("environment", f"{software['prov:label']} {lock}")] = {
        name: value for name, value in software.items() if value
    }
    for number, (agent, members) in enumerate(agents.items()):
        found["agent"][agent] = members
        found["wasAssociatedWith"][f"_:with-{activity[6:]}-{number}"] = {
            "prov:activity": activity,
            "prov:agent": agent,
            "prov:plan": plan,
        }


def _agent(kind: str, text: str) -> str:
    return f"mlver:{kind}-{digest_of(text.encode('utf-8', 'replace')).hex()[:16]}"


def _name(qualified: str) -> dict[str, str]:
    return {"$": qualified, "type": "prov:QUALIFIED_NAME"}
