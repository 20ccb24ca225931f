"""Where a model came from, written into the model's own file, where its format has room for that.

safetensors, ONNX and Parquet. The file gets another content id, so it is done before outputs are
named in a record. What is written is a function of the record alone (`metadata_of`), so that a
reproduction can write the same. A file is replaced in one step; one that does not parse is left as
it is. Tensors and offsets stay as they were; nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Mapping
from typing import BinaryIO

from mlver.errors import LocalIOError, MlverError
from mlver.lineage import embed_onnx, embed_parquet, embed_safetensors
from mlver.model.run import Run

_WRITERS: dict[str, Callable[[BinaryIO, BinaryIO, Mapping[str, str]], None]] = {
    ".onnx": embed_onnx.write,
    ".parquet": embed_parquet.write,
    ".safetensors": embed_safetensors.write,
}
SHOWN = 20
"""So many inputs and parameters; a record holds as many, however long its listing is."""


def has_room(path: str) -> bool:
    """Whether this type of file can hold such words."""
    return os.path.splitext(path)[1].lower() in _WRITERS


def metadata_of(run: Run) -> dict[str, str]:
    """What is told of a model: its run, code, data and parameters. Texts by names."""
    code = {name: run.code[name] for name in ("commit", "tree") if run.code.get(name)}
    data = [
        {"path": item.path, "oid": None if item.oid is None else f"blake3:{item.oid.hex()}"}
        for item in run.inputs[:SHOWN]
    ]
    params = {name: run.params[name] for name in list(sorted(run.params))[:SHOWN]}
    return {
        "mlver.run": run.run_id,
        "mlver.code": _text(code),
        "mlver.data": _text(data),
        "mlver.params": _text(params),
    }


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def embed(path: bytes, metadata: Mapping[str, str]) -> None:
    """Write `metadata` into the file, in place of what it had under the same names.

    Raises MlverError (the file is not what its name says, a library lacks), LocalIOError.
    """
    shown = os.fsdecode(path)
    write = _WRITERS[os.path.splitext(shown)[1].lower()]
    fresh = os.path.join(os.path.dirname(path), b".mlver-" + secrets.token_hex(6).encode())
    try:
        with open(path, "rb") as source, open(fresh, "xb") as target:
            mode = os.fstat(source.fileno()).st_mode & 0o7777
            write(source, target, metadata)
            if hasattr(os, "fchmod"):
                os.fchmod(target.fileno(), mode)
        os.replace(fresh, path)
    except OSError as error:
        raise LocalIOError(f"{shown} could not be written", why=str(error)) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MlverError(
            f"{shown} has no room for a record", why=f"it is not what its name says: {error}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
