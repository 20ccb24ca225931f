"""A model says where it came from, in its own file or beside it, and is otherwise unchanged."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from tests.support.sandbox import Clone

from mlver.errors import MlverError
from mlver.lineage.embed import embed
from mlver.model.digest import digest_of

TOLD = {"mlver.run": "r1", "mlver.params": '{"lr":"ä"}'}


def safetensors(values: list[float], **told: str) -> bytes:
    data = struct.pack(f"<{len(values)}f", *values)
    row = {"dtype": "F32", "shape": [len(values)], "data_offsets": [0, len(data)]}
    header = json.dumps(({"__metadata__": told} if told else {}) | {"w": row}).encode()
    return len(header).to_bytes(8, "little") + header + data


def _header(data: bytes) -> tuple[dict[str, object], bytes]:
    size = int.from_bytes(data[:8], "little")
    assert size % 8 == 0
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def test_safetensors_keeps_its_tensors_and_what_it_was_told(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    before = safetensors([1.0, 2.0, 3.0], format="pt")
    path.write_bytes(before)
    path.chmod(0o640)
    embed(str(path).encode(), {**TOLD, "mlver.run": "an older one"})
    embed(str(path).encode(), TOLD)
    header, data = _header(path.read_bytes())
    assert header["__metadata__"] == {"format": "pt", **TOLD}
    assert data == before[-12:] and header["w"] == json.loads(before[8:-12])["w"]
    assert path.stat().st_mode & 0o777 == 0o640 and len(list(tmp_path.iterdir())) == 1


def _field(number: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes([number << 3 | 2, len(body)]) + body


def test_onnx_gets_properties_and_keeps_those_of_others(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    other = _field(14, _field(1, b"theirs") + _field(2, b"kept"))
    before = bytes([1 << 3, 8]) + other + _field(7, b"\x0a\x01g")
    path.write_bytes(before)
    embed(str(path).encode(), {"mlver.run": "an older one"})
    embed(str(path).encode(), {"mlver.run": "r1"})
    ours = _field(14, _field(1, b"mlver.run") + _field(2, b"r1"))
    assert path.read_bytes() == before + ours


def test_parquet_keeps_its_rows(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    path = tmp_path / "m.parquet"
    table = arrow.table({"a": [1, 2, 3], "b": ["x", "y", None]}).replace_schema_metadata({"k": "v"})
    parquet.write_table(table, path, row_group_size=2, compression="gzip")
    embed(str(path).encode(), TOLD)
    found = parquet.ParquetFile(path)
    assert found.read().equals(table)
    assert found.metadata.num_row_groups == 2
    assert found.metadata.row_group(0).column(0).compression == "GZIP"
    told = found.schema_arrow.metadata
    assert (told[b"k"], told[b"mlver.run"]) == (b"v", b"r1")


@pytest.mark.parametrize("name", ["m.safetensors", "m.onnx", "m.parquet"])
@pytest.mark.parametrize(
    "data", [b"", b"\x08", b"not such a file at all", b"\xff" * 40, bytes(64), b"PAR1" + bytes(8)]
)
def test_a_file_that_is_something_else_stays_as_it_is(
    tmp_path: Path, name: str, data: bytes
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(MlverError):
        embed(str(path).encode(), TOLD)
    assert path.read_bytes() == data and len(list(tmp_path.iterdir())) == 1


SCRIPT = b"""\
import json, struct
h = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
open("m.safetensors", "wb").write(len(h).to_bytes(8, "little") + h + struct.pack("<f", 1.5))
open("broken.onnx", "wb").write(b"nothing of the kind")
"""


def test_the_record_names_the_model_as_it_is_with_its_words(work: Clone) -> None:
    work.commit("code", {"t.py": SCRIPT})
    done = work.mlver("run", "--embed", "--sidecar", "--param", "lr=0.1", "--", "python3", "t.py")
    assert "broken.onnx has no room" in done.err
    data = work.read("m.safetensors")
    header, _ = _header(data)
    told = header["__metadata__"]
    assert isinstance(told, dict)
    beside = json.loads(work.read("m.safetensors.mlver.json"))
    oid = f"blake3:{digest_of(data).hex()}"
    assert (beside["run"], beside["model"]["oid"]) == (told["mlver.run"], oid)
    assert json.loads(told["mlver.params"])["lr"] == beside["params"]["lr"] == 0.1
    work.commit("a model")
    record = work.json("show", "latest")
    assert record["embedded"] == ["m.safetensors"]
    assert {row["path"]: row["oid"] for row in record["outputs"]}["m.safetensors"] == oid
    done = work.attempt("mlver", "reproduce", "m.safetensors")
    assert done.code == 0 and done.out.splitlines()[-1] == "identical", done.out + done.err


def test_a_repository_may_ask_for_sidecars(work: Clone) -> None:
    work.commit("code", {"t.py": SCRIPT, ".mlver.toml": b"[runs]\nsidecar = true\n"})
    work.mlver("run", "-q", "--", "python3", "t.py")
    assert json.loads(work.read("m.safetensors.mlver.json"))["schema"] == "mlver.sidecar/1"
    assert b"__metadata__" not in work.read("m.safetensors")
