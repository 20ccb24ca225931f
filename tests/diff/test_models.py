"""Models: tensors by name, whatever file they are in; nothing of a file is run."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import struct
import zipfile
from typing import Any

import pytest
from tests.diff.sources import Memory
from tests.diff.test_formats import compared, told

from mlver.diff import registry
from mlver.diff.options import Options
from mlver.diff.rows import Tolerance
from mlver.formats.numeric import values


def safetensors(tensors: dict[str, tuple[str, list[int], bytes]], **metadata: str) -> bytes:
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    at, body = 0, b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at, body = at + len(data), body + data
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _floats(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


def test_safetensors_by_name() -> None:
    same, old, new = _floats(1, 2, 3), _floats(3, 4), _floats(3, 4.5)
    a = safetensors(
        {"s": ("F32", [3], same), "m": ("F32", [2], old), "g": ("F32", [2], old)}, v="1"
    )
    b = safetensors(
        {"m": ("F32", [2], new), "n": ("F32", [1, 2], old), "s": ("F32", [3], same)}, v="2"
    )
    found = compared(a, b, "x.safetensors")
    [moved] = found.tensors.modified
    assert (moved.name, moved.max_abs, moved.rel_l2) == ("m", 0.5, pytest.approx(0.1))
    assert [t.name for t in found.tensors.added] == ["n"]
    assert [t.name for t in found.tensors.removed] == ["g"]
    assert ("modified", "metadata.v", ("value", "1", "2")) in told(found)
    assert ("modified", "m") in [c[:2] for c in told(found)]
    shape = safetensors({"m": ("F32", [1, 2], old)})
    [other] = compared(
        safetensors({"m": ("F32", [2], old)}), shape, "x.safetensors"
    ).tensors.modified
    assert (other.shape, other.old_shape, other.max_abs) == ((1, 2), (2,), None)


def test_tensors_near_one_another_and_nan() -> None:
    def pair(a: float, b: float, options: Options = Options()) -> Any:  # noqa: B008
        one, two = (safetensors({"m": ("F32", [1], _floats(x))}) for x in (a, b))
        return compared(one, two, "x.safetensors", options).tensors.modified

    assert pair(1.0, 1.25)[0].max_abs == 0.25
    assert pair(1.0, 1.25, Options(tolerance=Tolerance(0.5))) == ()
    assert pair(1.0, math.nan)[0].max_abs is None
    assert pair(math.inf, 1.0)[0].max_abs is None
    assert pair(0.0, -0.0) == ()


def test_large_tensors_are_measured_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlver.diff import tensors

    monkeypatch.setattr(tensors, "_MOST_NUMBERS", 1)
    a, b = (safetensors({"m": ("F32", [2], _floats(1, x))}) for x in (1, 2))
    found = compared(a, b, "x.safetensors")
    assert found.tensors.modified[0].max_abs is None and "--all" in found.notes[0]
    assert compared(a, b, "x.safetensors", Options(thorough=True)).tensors.modified[0].max_abs == 1


class _Cut(Memory):
    is_cut = True


@pytest.mark.parametrize("seed", range(20))
def test_what_equal_pieces_cover_is_not_read(seed: int) -> None:
    import random

    dice = random.Random(seed)
    data = {f"t{n}": ("U8", [400], dice.randbytes(400)) for n in range(20)}
    old = safetensors(data)
    changed = bytearray(data["t7"][2])
    changed[dice.randrange(400)] ^= 1
    new = safetensors({**data, "t7": ("U8", [400], bytes(changed))})
    sources = _Cut(old), _Cut(new)
    found = registry.compare(*sources, "x.safetensors", "x.safetensors", Options())
    assert [t.name for t in found.tensors.modified] == ["t7"]
    assert sources[0].asked < len(old) / 2


def test_numbers_of_every_type() -> None:
    assert list(values("BF16", b"\x80\x3f\x00\xc0")) == [1.0, -2.0]
    assert list(values("BF16", b"\x3f\x80\xc0\x00", big=True)) == [1.0, -2.0]
    assert list(values("F16", struct.pack("<2e", 0.5, -3))) == [0.5, -3.0]
    assert list(values("F8_E4M3", b"\x38\x7e\x01\xc0")) == [1.0, 448.0, 2.0**-9, -2.0]
    assert list(values("F8_E5M2", b"\x3c\x7b\x01\x7c")) == [1.0, 57344.0, 2.0**-16, math.inf]
    assert list(values("I64", struct.pack(">q", -5), big=True)) == [-5]
    assert math.isnan(values("F8_E4M3", b"\x7f")[0])


def npy(descr: str, shape: tuple[int, ...], data: bytes, fortran: bool = False) -> bytes:
    text = repr({"descr": descr, "fortran_order": fortran, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def zipped(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_numpy_by_array() -> None:
    old, new = npy("<f4", (2,), _floats(1, 2)), npy("<f4", (2,), _floats(1, 4))
    [moved] = compared(old, new, "x.npy").tensors.modified
    assert (moved.name, moved.dtype, moved.max_abs) == ("array", "F32", 2.0)
    for how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        a, b = zipped({"w.npy": old, "v.npy": old}, how), zipped({"v.npy": old, "w.npy": new})
        assert [t.name for t in compared(a, b, "x.npz").tensors.modified] == ["w"]
        assert compared(a, zipped({"v.npy": old, "w.npy": old}), "x.npz").is_empty
    big = npy(">f4", (2,), struct.pack(">2f", 1, 2))
    assert compared(old, big, "x.npy").is_empty, "byte order is none"


class _Pid:
    def __init__(self, key: Any) -> None:
        self.key = key


class FloatStorage:
    """Stands for torch's."""


def _rebuild_tensor_v2(*args: Any) -> None:
    """Stands for torch's."""


class _Tensor:
    def __init__(self, key: str, size: tuple[int, ...]) -> None:
        self.key, self.size = key, size

    def __reduce__(self) -> Any:
        strides, step = [], 1
        for n in reversed(self.size):
            strides.insert(0, step)
            step *= n
        pid = _Pid(("storage", FloatStorage, self.key, "cpu", step))
        return _rebuild_tensor_v2, (pid, 0, self.size, tuple(strides), False, {})


def _torch(state: dict[str, Any], storages: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    pickler = pickle.Pickler(out, 2)
    pickler.persistent_id = lambda o: o.key if isinstance(o, _Pid) else None  # type: ignore[method-assign]
    pickler.dump(state)
    listing = out.getvalue()
    module = FloatStorage.__module__.encode()
    listing = listing.replace(b"c" + module + b"\nFloatStorage", b"ctorch\nFloatStorage")
    listing = listing.replace(b"c" + module + b"\n_rebuild", b"ctorch._utils\n_rebuild")
    members = {f"m/data/{key}": data for key, data in storages.items()}
    return zipped({"m/data.pkl": listing, "m/byteorder": b"little", **members})


def test_pytorch_by_tensor_and_path() -> None:
    state = {"w": {"a": _Tensor("0", (2,)), "b": _Tensor("1", (1, 2))}, "epoch": 3}
    old = _torch(state, {"0": _floats(1, 2), "1": _floats(3, 4)})
    new = _torch({**state, "epoch": 4}, {"0": _floats(1, 2), "1": _floats(3, 5)})
    found = compared(old, new, "x.pt")
    [moved] = found.tensors.modified
    assert (moved.name, moved.dtype, moved.shape, moved.max_abs) == ("w.b", "F32", (1, 2), 1.0)
    assert ("modified", "epoch", ("value", 3, 4)) in told(found) and found.format == "pytorch"


class Boom:
    def __reduce__(self) -> Any:
        return os._exit, (3,)


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_are_listed_and_never_run(protocol: int) -> None:
    old = pickle.dumps({"a": [1, 2.5, "x"], "b": {"c": (None, True)}, "s": {1}}, protocol)
    new = pickle.dumps({"a": [1, 2.5, "y"], "b": {"c": (None, False)}, "z": Boom()}, protocol)
    found = compared(old, new, "x.pkl")
    assert ("modified", "a", ("value", [1, 2.5, "x"], [1, 2.5, "y"])) in told(found)
    assert any("_exit" in note for note in found.notes)


def _field(number: int, data: bytes | int) -> bytes:
    def number_of(value: int) -> bytes:
        out = b""
        while value > 0x7F:
            out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
        return out + bytes([value])

    if isinstance(data, int):
        return number_of(number << 3) + number_of(data)
    return number_of(number << 3 | 2) + number_of(len(data)) + data


def onnx(data: bytes, op: str = "Relu", typed: bool = False, note: str = "n") -> bytes:
    tensor = _field(1, 2) + _field(2, 1) + _field(8, b"w") + _field(4 if typed else 9, data)
    node = _field(1, b"x") + _field(2, b"y") + _field(4, op.encode())
    meta = _field(1, b"author") + _field(2, note.encode())
    opset = _field(2, 17)
    graph = _field(1, node) + _field(5, tensor)
    return _field(1, 8) + _field(7, graph) + _field(8, opset) + _field(14, meta)


@pytest.mark.parametrize("typed", [False, True])
def test_onnx_by_initializer_node_and_metadata(typed: bool) -> None:
    old = onnx(_floats(1, 2), typed=typed)
    found = compared(old, onnx(_floats(1, 3), "Gelu", typed, "m"), "x.onnx")
    [moved] = found.tensors.modified
    assert (moved.name, moved.max_abs) == ("w", 1.0)
    paths = {change.key.get("path") for change in found.changes}
    assert paths == {None, "nodes.y", "metadata.author"}
    assert compared(old, onnx(_floats(1, 2), typed=typed), "x.onnx").is_empty
