"""Two branches fine-tuned a model: other layers, then the same one."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft202012Validator
from tests.merge.test_tensor_laws import Tensor, written
from tests.support.sandbox import Clone, pointer_to

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "schema" / "conflicts.json"
BASE: dict[str, Tensor] = {
    f"layer.{n}.weight": ("F32", (256,), bytes([n]) * 1024) for n in range(9)
}


def tuned(tensors: dict[str, Tensor], layer: int, value: bytes) -> dict[str, Tensor]:
    return {**tensors, f"layer.{layer}.weight": ("F32", (256,), value * 1024)}


def test_layers_of_both_branches_and_a_layer_of_both(work: Clone) -> None:
    work.mlver("track", "*.safetensors")
    work.given("base", {"m.safetensors": written((BASE, {"step": "1"}))})
    theirs = tuned(BASE, 7, b"t")
    ours = {**tuned(BASE, 2, b"o"), "head": ("F32", (2,), b"new head")}
    work.git("checkout", "-qb", "side")
    work.given("theirs", {"m.safetensors": written((theirs, {"step": "1"}))})
    work.git("checkout", "-q", "main")
    work.given("ours", {"m.safetensors": written((ours, {"step": "2"}))})
    work.git("merge", "-q", "--no-edit", "side")
    both = tuned(ours, 7, b"t")
    data = work.read("m.safetensors")
    assert data == written((both, {"step": "2"}))
    assert work.blob("HEAD:m.safetensors") == pointer_to(data)
    work.settled()

    work.git("checkout", "-qb", "other")
    last = tuned(tuned(both, 3, b"T"), 4, b"T")
    work.given("theirs again", {"m.safetensors": written((last, {"step": "2"}))})
    work.git("checkout", "-q", "main")
    mine = tuned(tuned(both, 3, b"O"), 4, b"O")
    work.given("ours again", {"m.safetensors": written((mine, {"step": "2"}))})
    done = work.attempt("merge", "other")
    assert done.code == 1 and "2 tensor" in done.err
    assert work.read("m.safetensors") == written((mine, {"step": "2"}))
    found = work.json("conflicts")
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(found)
    (file,) = found["files"]
    names = [conflict["key"] for conflict in file["conflicts"]]
    assert names == [{"tensor": "layer.3.weight"}, {"tensor": "layer.4.weight"}]
    assert work.attempt("commit", "-qm", "too early").code != 0
    one = ["resolve", "m.safetensors", "--key", "layer.3.weight"]
    refused = work.attempt("mlver", *one, "--value", "1")
    assert refused.code == 2
    done = work.attempt("mlver", *one, "--theirs")
    assert done.code == 1 and "1 conflict(s) left" in done.err
    work.mlver("resolve", "m.safetensors", "--ours")
    assert work.read("m.safetensors") == written((tuned(mine, 3, b"T"), {"step": "2"}))
    work.git("commit", "-qm", "merged")
    work.settled()
