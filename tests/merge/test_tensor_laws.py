"""What holds for any three versions of a safetensors file, against a model of a merge that knows
dictionaries only; and single cases."""

from __future__ import annotations

import ast
import json
import os
import random
import struct
from typing import Any

import pytest
from tests.merge.merging import clean, merged, told

from mlver.formats import safetensors as headers
from mlver.formats.numeric import WIDTH
from mlver.merge.base import Copy, Versions
from mlver.merge.options import Choice, Options, identity
from mlver.merge.safetensors import merge as merge_tensors
from mlver.model.digest import digest_of
from mlver.workflows.versions import BytesSource

CASES = int(os.environ.get("MLVER_CASES", "240"))
NAME = "m.safetensors"
Tensor = tuple[str, tuple[int, ...], bytes]
Model = tuple[dict[str, Tensor], dict[str, str]]


def written(model: Model, order: list[str] | None = None) -> bytes:
    """`order`: that of the bytes, where it is not that of the header."""
    tensors, metadata = model
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    places, body = {}, b""
    for name in order or tensors:
        places[name] = [len(body), len(body) + len(tensors[name][2])]
        body += tensors[name][2]
    for name, (dtype, shape, _) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": places[name]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def read(data: bytes) -> Model:
    """Of a file that must be as the format's own library wants it: no gap, no overlap."""
    found = headers.read(BytesSource(data))
    at = found.start
    for tensor in sorted(found.tensors.values(), key=lambda t: (t.offset, t.length)):
        assert tensor.offset == at
        at += tensor.length
    assert at == len(data)
    return {
        t.name: (t.dtype, t.shape, data[t.offset : t.offset + t.length])
        for t in found.tensors.values()
    }, found.metadata


def tensor(dice: random.Random) -> Tensor:
    dtype = dice.choice(["F32", "F16", "U8", "I64"])
    shape = tuple(dice.randrange(4) for _ in range(dice.randrange(3)))
    count = WIDTH[dtype]
    for n in shape:
        count *= n
    return dtype, shape, dice.randbytes(count)


def edited(dice: random.Random, model: Model) -> Model:
    tensors, metadata = dict(model[0]), dict(model[1])
    for _ in range(dice.randrange(4)):
        name = f"t{dice.randrange(7)}"
        match dice.randrange(4):
            case 0:
                tensors.pop(name, None)
            case 1:
                tensors[name] = tensor(dice)
            case 2 if name in tensors:
                dtype, shape, data = tensors[name]
                tensors[name] = dtype, shape, dice.randbytes(len(data))
            case 3:
                metadata[dice.choice("abc.")] = dice.choice("xyz")
    return tensors, metadata


def versions(seed: int) -> tuple[list[Model], list[bytes]]:
    dice = random.Random(seed)
    names = dice.sample([f"t{n}" for n in range(7)], dice.randrange(6))
    base = {name: tensor(dice) for name in names}, {"a": "x"} if seed % 3 else {}
    models = [base, edited(dice, base), edited(dice, base)]
    return models, [written(m, dice.sample(list(m[0]), len(m[0]))) for m in models]


def model_of(base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]) -> Any:
    """(the result, what is in conflict)."""
    result, torn = {}, set()
    for name in [*ours, *(n for n in theirs if n not in ours)]:
        a, b, c = base.get(name), ours.get(name), theirs.get(name)
        if a == b:
            taken = c
        else:
            taken = b
            if c not in (a, b):
                torn.add(name)
        if taken is not None:
            result[name] = taken
    return result, torn


@pytest.mark.parametrize("part", range(2))
def test_a_merge_is_that_of_its_tensors_and_of_the_keys_of_its_metadata(part: int) -> None:
    for seed in range(part, CASES, 2):
        models, files = versions(seed)
        data, found = merged(*files, NAME)
        wanted, torn = model_of(*(model[0] for model in models))
        metadata, torn_keys = model_of(*(model[1] for model in models))
        tensors, strings = read(data)
        assert (tensors, strings) == (wanted, metadata), seed
        names = {c.key["tensor"] for c in found.conflicts if c.kind == "tensor"}
        keys = {c.key["path"] for c in found.conflicts if c.kind == "path"}
        assert names == torn, seed
        assert keys == {'metadata["."]' if k == "." else f"metadata.{k}" for k in torn_keys}
        if found.format == "safetensors":
            mine = [name for name in models[1][0] if name in wanted]
            assert list(tensors)[: len(mine)] == mine, seed  # the header keeps the order of ours


def test_laws_of_sides() -> None:
    for seed in range(CASES):
        models, (base, ours, theirs) = versions(seed)
        assert merged(base, base, theirs, NAME)[0] == theirs
        assert merged(base, ours, base, NAME)[0] == ours
        data, found = merged(base, ours, theirs, NAME)
        other, back = merged(base, theirs, ours, NAME)
        mirrored = [(*rest, b, a) for *rest, a, b in told(back)]
        assert sorted(map(repr, told(found))) == sorted(map(repr, mirrored)), seed
        if not found.conflicts:
            assert read(data) == read(other), seed
        for side, choice in ((1, "ours"), (2, "theirs"), (0, "base")):
            decided = read(clean_or_bytes(base, ours, theirs, choice))
            for conflict in found.conflicts:
                if conflict.kind == "tensor":
                    name = conflict.key["tensor"]
                    assert decided[0].get(name) == models[side][0].get(name), seed


def clean_or_bytes(base: bytes, ours: bytes, theirs: bytes, side: str) -> bytes:
    data, found = merged(base, ours, theirs, NAME, rest=Choice(side))
    assert not found.conflicts and found.format != "opaque"
    return data


def test_all_tensors_of_a_result_are_aligned_where_those_of_ours_are() -> None:
    a, h, w = ("U8", (3,), b"abc"), ("F16", (3,), b"h" * 6), ("F32", (2,), b"w" * 8)
    base = written(({"a": a}, {}))
    ours = written(({"h": h, "a": a}, {}))
    data = clean(base, ours, written(({"a": a, "w": w}, {})), NAME)
    tensors, _ = read(data)
    assert list(tensors) == ["h", "a", "w"] and tensors["w"] == w
    for item in headers.read(BytesSource(data)).tensors.values():
        assert item.offset % WIDTH[item.dtype] == 0


def test_nothing_but_a_changed_tensor_is_written_anew() -> None:
    """The header of ours stays, however it is written; what is not touched is one range."""
    one = {f"t{n}": ("U8", (50,), bytes([n]) * 50) for n in range(6)}
    ours = {**one, "t1": ("U8", (50,), b"o" * 50)}
    theirs = {**one, "t4": ("U8", (50,), b"t" * 50)}
    raw = [written((side, {})) for side in (one, ours, theirs)]
    data = clean(*raw, NAME)
    assert data == written(({**ours, "t4": theirs["t4"]}, {}))
    found = merge_tensors(Versions(*map(BytesSource, raw)), NAME, Options())
    assert [part.side for part in found.parts if isinstance(part, Copy)] == [1, 2, 1]


def test_a_conflict_tells_types_shapes_and_digests_and_is_decided_by_name() -> None:
    base = {"k": ("F32", (1,), b"base"), "g": ("U8", (2,), b"gg")}
    ours = {"k": ("F32", (1,), b"ours"), "g": ("U8", (2,), b"GG")}
    theirs = {"k": ("F16", (2,), b"them")}
    raw = [written((side, {"s": s})) for side, s in ((base, "1"), (ours, "2"), (theirs, "3"))]
    data, found = merged(*raw, NAME)
    assert data == raw[1]

    def shown(dtype: str, shape: list[int], content: bytes) -> dict[str, Any]:
        return {"dtype": dtype, "shape": shape, "digest": digest_of(content).hex()}

    sides = shown("F32", [1], b"base"), shown("F32", [1], b"ours"), shown("F16", [2], b"them")
    assert told(found)[0] == ("tensor", "k", None, *sides)
    assert (found.conflicts[1].key, found.conflicts[1].absent) == ({"tensor": "g"}, ("theirs",))
    assert told(found)[2] == ("path", "metadata.s", None, "1", "2", "3")
    choices = {
        identity({"tensor": "k"}, None): Choice("theirs"),
        identity({"tensor": "g"}, None): Choice("theirs"),
        identity({"path": "metadata.s"}, None): Choice(None, 7),
    }
    assert read(clean(*raw, NAME, choices=choices)) == (theirs, {"s": "7"})


def test_factors_of_one_product_that_come_from_two_sides_are_told() -> None:
    names = "q.lora_A.weight", "q.lora_B.weight"
    base = dict.fromkeys(names, ("U8", (1,), b"0"))
    raw = [written(({**base, name: ("U8", (1,), b"1")}, {})) for name in names]
    _, found = merged(written((base, {})), *raw, NAME)
    assert len(found.notes) == 1 and names[0] in found.notes[0]
    plain = [data.replace(b"lora_", b"some_") for data in (written((base, {})), *raw)]
    assert merged(*plain, NAME)[1].notes == ()


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"no header",
        written(({"a": ("U8", (1,), b"1")}, {})) + b"hidden",
        written(({"a": ("U8", (2,), b"1234")}, {})).replace(b"[0, 4]", b"[2, 4]"),
        written(({"a": ("U8", (1,), b"1")}, {"k": "v"})).replace(b'"v"', b"100"),
    ],
)  # fmt: skip
def test_what_would_lose_bytes_is_one_conflict_of_the_file(broken: bytes) -> None:
    base, other = (written(({"a": ("U8", (1,), byte)}, {})) for byte in (b"2", b"3"))
    for ours, theirs in ((broken, other), (other, broken)):
        data, found = merged(base, ours, theirs, NAME)
        assert (data, found.format, len(found.notes)) == (ours, "opaque", 1)
        assert [c.kind for c in found.conflicts] == ["file"]


def array(data: bytes, shape: tuple[int, ...] = (4,), spaces: int = 3) -> bytes:
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}" + " " * spaces + "\n"
    assert ast.literal_eval(text.strip())
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + data


def test_an_array_that_one_side_wrote_anew_and_the_other_changed() -> None:
    base, again = array(b"1234"), array(b"1234", spaces=9)
    ours, theirs = array(b"12o4"), array(b"1234", (2, 2))
    assert clean(base, ours, again, "x.npy") == ours
    assert clean(base, again, theirs, "x.npy") == theirs
    data, found = merged(base, ours, theirs, "x.npy")
    assert data == ours and found.format == "npy"
    (conflict,) = found.conflicts
    assert conflict.kind == "tensor" and conflict.theirs["shape"] == [2, 2]
    assert clean(base, ours, theirs, "x.npy", rest=Choice("theirs")) == theirs
    assert merged(base, ours, b"\x93NUMPY", "x.npy")[1].format == "opaque"
