"""Each export is what its standard's own schema takes, whatever the record holds, and says what the
record says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator, Draft7Validator, Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource
from tests.support.run_notes import artifacts, make, oid

from mlver.errors import UsageError
from mlver.lineage import exports
from mlver.lineage.exports.material import Material
from mlver.model.run import Artifact, Blob, Run

SCHEMAS = Path(__file__).parent / "schemas"
TREE, COMMIT = "1" * 40, "2" * 40


def _read(name: str) -> Any:
    return json.loads((SCHEMAS / name).read_text(encoding="utf-8"))


def _registry(folder: str, base: str = "") -> Registry[Any]:
    registry: Registry[Any] = Registry()
    for path in (SCHEMAS / folder).rglob("*.json"):
        schema = json.loads(path.read_text(encoding="utf-8"))
        resource = Resource.from_contents(schema)
        registry = registry.with_resource(schema["$id"], resource)
        registry = registry.with_resource(base + path.name, resource)
    return registry


def _openlineage(text: str) -> None:
    registry = _registry("openlineage")
    core = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
    event = Draft202012Validator(
        {"$ref": f"{core}#/$defs/RunEvent"}, registry=registry, format_checker=FormatChecker()
    )
    for line in text.splitlines():
        value = json.loads(line)
        event.validate(value)
        parts = [value["run"], value["job"], *value["inputs"], *value["outputs"]]
        for facets in (part["facets"] for part in parts):
            for facet in facets.values():
                Draft202012Validator(
                    {"$ref": facet["_schemaURL"]}, registry=registry,
                    format_checker=FormatChecker(),
                ).validate(facet)  # fmt: skip


def _prov(text: str) -> None:
    # Formats are not asserted: `uri` there marks a qualified name, which is none.
    schema, value = _read("prov/prov-json-schema-v4.json"), json.loads(text)
    Draft4Validator(schema).validate(value)
    # The schema lets any other member pass, a misspelt one too.
    if not set(value) <= set(schema["definitions"]["bundle"]["properties"]):
        raise ValidationError("a member that PROV-JSON does not have")


def _slsa(text: str) -> None:
    Draft202012Validator(_read("in-toto/slsa-provenance-v1.schema.json")).validate(json.loads(text))


def _cyclonedx(text: str) -> None:
    registry = _registry("cyclonedx", "http://cyclonedx.org/schema/")
    schema = _read("cyclonedx/bom-1.6.schema.json")
    Draft7Validator(schema, registry=registry, format_checker=FormatChecker()).validate(
        json.loads(text)
    )


VALIDATORS: dict[str, Callable[[str], None]] = {
    "openlineage": _openlineage,
    "prov": _prov,
    "slsa": _slsa,
    "cyclonedx": _cyclonedx,
}


def full(**members: Any) -> Run:
    values: dict[str, Any] = {
        "params": {"lr": 0.1, "opt": "adam", "deep": True, "layers": [1, 2], "none": None},
        "metrics": {"acc": {"last": 0.9, "min": 0.1}, "loss": {"last": "NaN"}},
        "tags": {"stage": "prod"},
        "inputs": (*artifacts("data/a.csv", "data/b.csv"), Artifact("lost.csv", None, 0)),
        "outputs": (
            Artifact("model.bin", oid("m"), 10, "model"),
            Artifact("plot.png", oid("p"), 3, "other"),
        ),
        "configs": (Artifact("params.yaml", oid("c"), 5, "config"),),
        "code": {"commit": COMMIT, "tree": TREE, "branch": "main", "dirty": True,
                 "remote": "git@github.com:team/project.git"},
        "env": {"python": "3.11.7", "os": "Linux", "cpus": 2, "lock": f"blake3:{'a' * 64}",
                "gpus": ["A100"], "vars": {"OMP_NUM_THREADS": "2"}},
        "blobs": {"stdout": Blob(oid("o"), 100)},
    }  # fmt: skip
    return make(1, **(values | members))


def material(run: Run, **members: Any) -> Material:
    values: dict[str, Any] = {
        "inputs": (*run.inputs, *run.configs),
        "outputs": run.outputs,
        "params": dict(run.params),
        "lock": "numpy==1.26.4\nPyYAML==6.0.1\ntorch==2.1.0+cu121\nmine @ file:///x\n",
    }
    return Material(run, **(values | members))


STRANGE = "\x1b[2J\u202e\ud800'\"<>&\n=cmd|' /C calc'!A0"
RUNS = {
    "full": full(),
    "bare": make(2, outputs=artifacts("o")),
    "failed": full(status="failed", exit_code=3),
    "killed": full(status="killed", exit_code=None, ended=""),
    "running": full(status="running", exit_code=None, ended=""),
    "forged time": full(started="yesterday", ended="9" * 30),
    "strange texts": full(
        name=STRANGE, actor=STRANGE, params={STRANGE: STRANGE}, tags={STRANGE: STRANGE},
        inputs=artifacts(STRANGE.replace("\ud800", "")), metrics={STRANGE: {"last": STRANGE}},
        job={"argv": [STRANGE, 5], "cwd": STRANGE},
        code={"commit": STRANGE, "tree": 5, "branch": [STRANGE], "remote": STRANGE},
        env={"python": STRANGE, "lock": {"a": STRANGE}},
    ),
    "odd types": full(
        job={"argv": {"a": 1}, "cwd": []}, code={"commit": None, "remote": {}, "branch": 5},
        env={"python": 3, "lock": 5}, metrics={"a": {}, "b": {"last": [1]}},
        params={"p": {"deep": {"deeper": [1]}}},
    ),
    "one content at two paths": full(
        inputs=artifacts("a=x", "b=x", "m2=m"), outputs=artifacts("o=y", "p=y", "model.bin=m")
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", exports.FORMATS)
@pytest.mark.parametrize("kind", RUNS)
def test_an_export_fits_the_schema_of_its_standard(form: str, kind: str) -> None:
    run = RUNS[kind]
    text = exports.text(form, [material(run)])
    VALIDATORS[form](text)
    assert text.isascii() and text.endswith("\n")
    assert text == exports.text(form, [material(run)])


@pytest.mark.parametrize(
    ("form", "harm"),
    [
        ("openlineage", lambda v: v.__setitem__("eventTime", 5)),
        ("openlineage", lambda v: v["run"].__setitem__("runId", "x")),
        ("openlineage", lambda v: v["job"]["facets"]["jobType"].pop("integration")),
        ("prov", lambda v: v["used"].__setitem__("_:x", {"prov:entity": "mlver:a"})),
        ("prov", lambda v: v.__setitem__("entities", {})),
        ("slsa", lambda v: v["predicate"]["runDetails"].pop("builder")),
        ("slsa", lambda v: v["subject"].clear()),
        ("cyclonedx", lambda v: v["metadata"]["component"].__setitem__("type", "model")),
        ("cyclonedx", lambda v: v["metadata"]["component"]["hashes"][0].update(alg="BLAKE4")),
    ],
)
def test_the_validators_refuse_what_is_wrong(form: str, harm: Callable[[Any], None]) -> None:
    text = exports.text(form, [material(full())])
    value = json.loads(text.splitlines()[0] if form == "openlineage" else text)
    harm(value)
    with pytest.raises(ValidationError):
        VALIDATORS[form](json.dumps(value))


def test_openlineage_tells_how_a_run_ended_and_versions_by_content() -> None:
    ends = {"finished": "COMPLETE", "failed": "FAIL", "killed": "ABORT", "running": None}
    for status, end in ends.items():
        text = exports.text("openlineage", [material(full(status=status))])
        found = [json.loads(line) for line in text.splitlines()]
        assert [event["eventType"] for event in found] == ["START", *([end] if end else [])]
    last = json.loads(exports.text("openlineage", [material(full())]).splitlines()[-1])
    assert last["outputs"][0]["facets"]["version"]["datasetVersion"] == f"blake3:{oid('m').hex()}"
    assert last["job"]["namespace"] == "ssh://github.com/team/project.git"
    parameters = last["run"]["facets"]["executionParameters"]["parameters"]
    assert {"key": "lr", "value": "0.1"} in parameters
    assert "version" not in last["inputs"][2]["facets"]  # its content is not known


def test_prov_ties_two_runs_by_the_content_that_passed_between_them() -> None:
    first = full(outputs=artifacts("f=features"))
    second = make(2, inputs=artifacts("renamed=features"), outputs=artifacts("m"))
    found = json.loads(exports.text("prov", [material(second), material(first)]))
    entity = f"mlver:blake3-{oid('features').hex()}"
    assert {u["prov:activity"] for u in found["used"].values() if u["prov:entity"] == entity} == {
        f"mlver:run-{second.run_id}"
    }
    made = found["wasGeneratedBy"].values()
    assert [g["prov:activity"] for g in made if g["prov:entity"] == entity] == [
        f"mlver:run-{first.run_id}"
    ]
    activity = found["activity"][f"mlver:run-{first.run_id}"]
    assert "lr=0.1" in activity["mlver:parameter"]


def test_slsa_names_subject_inputs_code_and_packages() -> None:
    found = json.loads(exports.text("slsa", [material(full(), subject=oid("m"))]))
    assert found["subject"] == [{"name": "model.bin", "digest": {"blake3": oid("m").hex()}}]
    dependencies = found["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert dependencies[0]["digest"] == {"gitCommit": COMMIT, "gitTree": TREE}
    assert {"uri": "pkg:pypi/numpy@1.26.4"} in dependencies
    assert {"uri": "pkg:pypi/torch@2.1.0%2Bcu121"} in dependencies
    names = [item.get("name") for item in dependencies]
    assert "data/a.csv" in names and "lost.csv" not in names
    byproducts = {item["name"] for item in found["predicate"]["runDetails"]["byproducts"]}
    assert byproducts == {"stdout", "plot.png", "metrics"}


def test_cyclonedx_has_the_model_its_card_its_data_and_its_packages() -> None:
    found = json.loads(exports.text("cyclonedx", [material(full())]))
    model = found["metadata"]["component"]
    assert model["name"] == "model.bin"
    assert model["hashes"] == [{"alg": "BLAKE3", "content": oid("m").hex()}]
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert {"type": "acc", "value": "0.9"} in metrics
    names = {(item["type"], item["name"]) for item in found["components"]}
    assert {("data", "data/a.csv"), ("data", "params.yaml"), ("library", "PyYAML")} <= names
    refs = [item["bom-ref"] for item in found["components"]] + [model["bom-ref"]]
    assert len(refs) == len(set(refs))
    (ties,) = found["dependencies"]
    assert set(ties["dependsOn"]) <= set(refs)


@pytest.mark.parametrize("form", ["slsa", "cyclonedx"])
def test_what_has_no_subject_is_refused_in_words(form: str) -> None:
    with pytest.raises(UsageError, match="no output whose content is known"):
        exports.text(form, [material(full(outputs=(Artifact("a", None, 0),)))])
