"""Files that lie, break off, nest without end or hold too much: a right answer or a clear note."""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import random
import struct
import zipfile
from pathlib import Path

import pytest
from tests.cli.test_json_contract import checked
from tests.diff.sources import Memory
from tests.diff.test_formats import _database, _parquet, compared, notebook
from tests.diff.test_models import _floats, npy, onnx, safetensors, zipped
from tests.support.sandbox import Clone

from mlver.diff import summaries

F = ("F32", [1], _floats(1))
DEEP = b"[" * 100_000


def _header(text: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text)) + text + body


def _bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.npy", b"\0" * 10_000_000)
    data = bytearray(out.getvalue())
    for place in (data.rfind(b"PK\x01\x02") + 24,):
        data[place : place + 4] = struct.pack("<I", 0xFFFFFFF0)
    return bytes(data)


def _entry(**changes: object) -> bytes:
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | changes
    return _header(json.dumps({"w": entry}).encode(), b"\0" * 4)


LAUGHS = b"a: &a [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (n, n, b", ".join([b"*%c" % (n - 1)] * 10)) for n in range(98, 108)
)
CALL = b"__import__('os')"
WIDE = b",".join(b"c%d" % n for n in range(10_000)) + b"\n"
CYCLE: list[object] = []
CYCLE.append(CYCLE)
OPAQUE = {
    "safetensors: a huge header": ("x.safetensors", struct.pack("<Q", 2**63) + b"{}"),
    "safetensors: cut off": ("x.safetensors", safetensors({"w": F})[:-1]),
    "safetensors: four bytes": ("x.safetensors", b"\x01\0\0\0"),
    "safetensors: outside of the file": ("x.safetensors", _entry(data_offsets=[0, 10**12])),
    "safetensors: backwards": ("x.safetensors", _entry(data_offsets=[4, 0])),
    "safetensors: negative": ("x.safetensors", _entry(data_offsets=[-4, 0])),
    "safetensors: another shape": ("x.safetensors", _entry(shape=[7])),
    "safetensors: a huge shape": ("x.safetensors", _entry(shape=[2**62, 2**62])),
    "safetensors: a shape of words": ("x.safetensors", _entry(shape=["a"])),
    "safetensors: a list": ("x.safetensors", _header(b"[]")),
    "safetensors: an entry that is none": ("x.safetensors", _header(b'{"w": 1}')),
    "safetensors: one name twice": ("x.safetensors", _header(b'{"w": 1, "w": 2}')),
    "safetensors: deep": ("x.safetensors", _header(DEEP)),
    "json: deep": ("x.json", DEEP),
    "json: broken": ("x.json", b'{"a": '),
    "json: one name twice": ("x.json", b'{"a": 1, "a": 2}'),
    "json: no text": ("x.json", b"\xff\xfe\xfd"),
    "json: a number without end": ("x.json", b"1" * 10_000),
    "jsonl: a broken line": ("x.jsonl", b'{"id": 1}\n{"id": \n'),
    "jsonl: deep": ("x.jsonl", DEEP + b"\n"),
    "yaml: broken": ("x.yaml", b"a: [1\nb: }"),
    "yaml: an object of Python": ("x.yaml", b"!!python/object/apply:os.system ['exit 3']"),
    "yaml: one name twice": ("x.yaml", b"a: 1\na: 2\n"),
    "yaml: aliases of aliases": ("x.yaml", LAUGHS),
    "yaml: a cycle": ("x.yaml", b"a: &a [*a]\n"),
    "yaml: deep": ("x.yaml", b"[" * 3000),
    "toml: broken": ("x.toml", b"a = \n"),
    "toml: deep": ("x.toml", b"a = " + b"[" * 5000),
    "npy: no array": ("x.npy", b"\x93NUMPZ"),
    "npy: a huge header": ("x.npy", b"\x93NUMPY\x02\0\xff\xff\xff\x7f"),
    "npy: a header that calls": ("x.npy", b"\x93NUMPY\x01\0" + struct.pack("<H", 16) + CALL),
    "npy: deep": ("x.npy", b"\x93NUMPY\x02\0" + struct.pack("<I", 100_000) + b"(" * 100_000),
    "npy: another shape": ("x.npy", npy("<f4", (9,), b"")),
    "npy: a negative shape": ("x.npy", npy("<f4", (-1,), b"")),
    "npz: no archive": ("x.npz", b"PK\x03\x04"),
    "npz: a bomb": ("x.npz", _bomb()),
    "npz: no array in it": ("x.npz", zipped({"w.npy": b"x"})),
    "torch: without a listing": ("x.pt", zipped({"a": b"b"})),
    "pickle: no end": ("x.pkl", pickle.dumps([1, 2])[:-1]),
    "pickle: no such opcode": ("x.pkl", b"\xff\xff."),
    "pickle: an empty stack": ("x.pkl", b"."),
    "pickle: a mark that is missing": ("x.pkl", b"t."),
    "pickle: a name that was never put": ("x.pkl", b"h\x05."),
    "onnx: cut off": ("x.onnx", onnx(_floats(1, 2))[:-3]),
    "onnx: no graph": ("x.onnx", b"\x08\x01"),
    "onnx: a number without end": ("x.onnx", b"\xff" * 20),
    "onnx: another length": ("x.onnx", onnx(_floats(1, 2, 3))),
    "notebook: no cells": ("x.ipynb", b"{}"),
    "notebook: cells that are none": ("x.ipynb", b'{"cells": [1]}'),
    "sqlite: none": ("x.db", b"not a database, but long enough to be one"),
    "sqlite: cut off": ("x.db", b"SQLite format 3\0" + b"\xff" * 200),
    "parquet: torn": ("x.parquet", b"PAR1" + b"\0" * 50 + b"PAR1"),
    "arrow: torn": ("x.arrow", b"ARROW1\0\0" + b"\xff" * 50),
    "csv: ragged": ("x.csv", b"a,b\n1\n"),
    "csv: one name twice": ("x.csv", b"a,a\n1,2\n"),
    "csv: NUL": ("x.csv", b"a,b\0\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", OPAQUE)
def test_what_cannot_be_read_is_opaque_and_says_why(case: str) -> None:
    name, data = OPAQUE[case]
    # A broken line that both have cancels before it is read: no more than that is right.
    both = (data, data + b" ")
    for old, new in ((b"", data), (data, b""), *(() if name == "x.jsonl" else (both,))):
        found = compared(old, new, name)
        assert found.format == "opaque" and found.notes and found.notes[0], (old[:20], found)
    lines = summaries.summary(Memory(data), name)
    assert case.startswith(("csv: ragged", "jsonl")) or lines[-1].startswith("opaque: "), lines


READABLE = {
    "json: lone surrogates": ("x.json", b'{"a\\ud800": "\\udfff"}', b'{"a\\ud800": "\\ud800"}'),
    "json: NaN and infinities": ("x.json", b'{"a": NaN, "b": 1}', b'{"a": -Infinity, "b": 1e999}'),
    "json: 10,000 members": (
        "x.json", json.dumps({str(n): n for n in range(10_000)}).encode(),
        json.dumps({str(n): n + (n == 7) for n in range(10_000)}).encode()),
    "json: a root that is a number": ("x.json", b"1", b"[2]"),
    "jsonl: values that are no objects": ("x.jsonl", b"1\n[2]\n", b"1\nnull\n"),
    "jsonl: keys that nest": ("x.jsonl", b'{"id": [1]}\n{"id": {"a": 1}}\n', b'{"id": [1.0]}\n'),
    "csv: 10,000 columns": (
        "x.csv", WIDE + b",".join([b"1"] * 10_000), WIDE + b",".join([b"2"] * 10_000)),
    "csv: one huge cell": ("x.csv", b'a,b\n1,"' + b"x\n" * 200_000 + b'"\n', b"a,b\n1,y\n"),
    "csv: bytes that are no text": ("x.csv", b"a,b\n1,\xff\n", b"a,b\n1,\xfe\n"),
    "pickle: a cycle": ("x.pkl", pickle.dumps([1]), pickle.dumps(CYCLE)),
    "pickle: deep": ("x.pkl", pickle.dumps(1), b"(l" * 5000 + b"a" * 4999 + b"."),
    "notebook: ids twice": (
        "x.ipynb", notebook(("a", "x", ""), ("a", "y", "")),
        notebook(("a", "x", ""), ("a", "z", ""))),
    "notebook: escape sequences": (
        "x.ipynb", notebook(("a", "x", "\x1b[31m")), notebook(("a", "\x07", ""))),
    "safetensors: escape sequences": (
        "x.safetensors", safetensors({"w\x1b[31m": F}), safetensors({"w\u202e\ud800": F})),
    "safetensors: a type of the future": (
        "x.safetensors", safetensors({"w": ("F4", [2], b"a")}),
        safetensors({"w": ("F4", [2], b"b")})),
    "npy: objects": ("x.npy", npy("|O", (1,), b"a"), npy("|O", (1,), b"b")),
    "npy: fields": ("x.npy", npy("|S3", (1,), b"abc"), npy("|S3", (1,), b"abd")),
    "torch: nothing but names": ("x.pkl", b"cos\nsystem\n.", b"cposix\nsystem\n(S'x'\ntR."),
}  # fmt: skip


@pytest.mark.parametrize("case", READABLE)
def test_what_is_odd_is_compared_and_shown(case: str, work: Clone) -> None:
    name, a, b = READABLE[case]
    assert not (found := compared(a, b, name)).is_empty and found.format != "opaque", found.notes
    old, new = work.write(f"a-{name}", a), work.write(f"b-{name}", b)
    both = ("diff", "--no-index", str(old), str(new))
    text = work.mlver(*both, "--all", "--html", "o.html").out + work.mlver(*both).out
    assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text
    assert work.attempt("mlver", *both, "--json", "--exit-code").code == 1
    checked("diff", json.loads(work.mlver(*both, "--json").raw, parse_constant=pytest.fail))
    assert b"\x1b" not in work.read("o.html")


def _seeds(folder: Path) -> dict[str, bytes]:
    pa = pytest.importorskip("pyarrow")
    return {
        "x.safetensors": safetensors({"w": F, "v": ("I8", [3], b"abc")}, k="v"),
        "x.npz": zipped({"w.npy": npy("<f4", (1,), _floats(1))}, zipfile.ZIP_DEFLATED),
        "x.npy": npy("<f4", (1,), _floats(1)),
        "x.pkl": pickletools.optimize(pickle.dumps({"a": [1, (2, "x")], "b": {3}}, 4)),
        "x.onnx": onnx(_floats(1, 2)),
        "x.ipynb": notebook(("a", "x", "y")),
        "x.db": _database(folder / "d", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)"),
        "x.parquet": _parquet(pa.table({"a": [1, 2], "b": ["x", None]})),
        "x.jsonl": b'{"a": 1}\n{"a": [2]}\n',
        "x.yaml": b"a: [1, {b: c}]\nd: &x 1\ne: *x\n",
        "x.toml": b"[a]\nb = [1, 2]\nc = 1979-05-27\n",
        "x.csv": b'a,b\n1,"x\ny"\n2,z\n',
    }  # fmt: skip


@pytest.mark.parametrize("part", range(2))
def test_no_damage_raises_anything_but_a_note(part: int, tmp_path: Path) -> None:
    dice = random.Random(part)
    for name, whole in _seeds(tmp_path).items():
        for _ in range(60):
            data = bytearray(whole)
            for _ in range(dice.randint(1, 4)):
                place = dice.randrange(len(data))
                kind = dice.randrange(4)
                if kind == 0:
                    data[place] = dice.randrange(256)
                elif kind == 1:
                    del data[place : place + dice.randint(1, 9)]
                elif kind == 2:
                    data[place:place] = dice.randbytes(dice.randint(1, 9))
                else:
                    data[place : place + 4] = b"\xff\xff\xff\x7f"
                data = data or bytearray(b"x")
            found = compared(whole, bytes(data), name)
            assert found.format != "opaque" or found.notes
            summaries.summary(Memory(bytes(data)), name)
