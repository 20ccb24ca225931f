"""A run's record: one execution, what it read and wrote by content id, and all that it depended on.

A record is one line of canonical JSON (model/canonical), at most 64 KiB; docs/format/run.md lists
its members. Records come with clones and are not trusted: `parse` takes any bytes, gives a Run or
raises CorruptContent, and members that it does not know are kept and written back as they came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from mlver.errors import CorruptContent
from mlver.model import canonical
from mlver.model.digest import Digest, from_hex

SCHEMA = "mlver.run/1"
STATUSES = ("running", "finished", "failed", "killed")
MAX_LINE = 64 * 1024
"""Bytes; what is longer is moved to listings by the writer, and skipped by a reader."""

_RUN_ID = re.compile(r"\A[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")
_MAX_DEPTH = 32
_NESTING = (dict, list)
_T = TypeVar("_T")


def new_run_id(milliseconds: int, random: bytes) -> str:
    """A UUID of version 7 (RFC 9562): 48 bits of Unix time, then 10 random bytes."""
    if len(random) != 10:
        raise ValueError("a run id takes 10 random bytes")
    raw = bytearray(milliseconds.to_bytes(6, "big") + random)
    raw[6] = raw[6] & 0x0F | 0x70
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_run_id(text: str) -> bool:
    """True for a UUID of version 7 in its lower-case form."""
    return _RUN_ID.match(text) is not None


class Artifact(NamedTuple):
    """A file that a run read or wrote. `oid`: None where its content at that time is not known.

    `path` is relative to the top of the worktree, `/` between names. `role`: data, model, config,
    metrics, notebook, code or other. `found`: declared, python (its audit hook), opened (the
    system's), changed.
    """

    path: str
    oid: Digest | None
    size: int
    role: str = "data"
    found: str = "declared"

    def as_json(self) -> dict[str, Any]:
        oid = None if self.oid is None else f"blake3:{self.oid.hex()}"
        return {
            "path": self.path,
            "oid": oid,
            "size": self.size,
            "role": self.role,
            "found": self.found,
        }


class Blob(NamedTuple):
    """Content that a record names: a log, a series, a lock, a listing."""

    oid: Digest
    size: int

    def as_json(self) -> dict[str, Any]:
        return {"oid": f"blake3:{self.oid.hex()}", "size": self.size}


@dataclass(frozen=True, slots=True)
class Run:
    """One record. Times are UTC, `2026-01-31T12:00:00.000Z`; `ended` is "" while it runs.

    `exit_code` is the child's own (128 + signal where a signal ended it, as shells say), None while
    it runs and where nobody saw its end. `metrics`: name → {last, min, max, count, step}. `env`,
    `job`, `code`: see docs/format/run.md. `other`: members that this version does not know.
    """

    run_id: str
    name: str
    status: str
    started: str
    ended: str = ""
    exit_code: int | None = None
    actor: str = ""
    parent_run: str | None = None
    job: Mapping[str, Any] = field(default_factory=dict)
    code: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Artifact, ...] = ()
    outputs: tuple[Artifact, ...] = ()
    configs: tuple[Artifact, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, Any] = field(default_factory=dict)
    blobs: Mapping[str, Blob] = field(default_factory=dict)
    other: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The record as JSON values, all members that are set."""
        members: dict[str, Any] = {
            "schema": SCHEMA,
            "run_id": self.run_id,
            "name": self.name,
            "status": self.status,
            "started": self.started,
            "exit_code": self.exit_code,
            "inputs": [item.as_json() for item in self.inputs],
            "outputs": [item.as_json() for item in self.outputs],
            "params": dict(self.params),
            "metrics": {name: dict(values) for name, values in self.metrics.items()},
            "job": dict(self.job),
            "code": dict(self.code),
            "env": dict(self.env),
        }
        optional = {
            "ended": self.ended,
            "actor": self.actor,
            "parent_run": self.parent_run,
            "configs": [item.as_json() for item in self.configs],
            "tags": dict(self.tags),
            "blobs": {name: blob.as_json() for name, blob in self.blobs.items()},
        }
        members |= {name: value for name, value in optional.items() if value}
        return dict(self.other) | members

    def encode(self) -> bytes:
        """The record's one line, without its line end. Raises ValueError for values that JSON
        cannot hold."""
        return canonical.encode(self.as_json())


def parse(line: bytes) -> Run:
    """The run that one line holds. Raises CorruptContent, saying what is wrong."""
    if len(line) > MAX_LINE:
        raise CorruptContent("a run's record is too long", why=f"{len(line)} bytes")
    try:
        value = _JSON.decode(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CorruptContent("a run's record is no JSON", why=str(error)[:200]) from error
    brackets = line.count(b"[") + line.count(b"{")
    return _understood(value, brackets >= _MAX_DEPTH)


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


_JSON = json.JSONDecoder(parse_constant=_no_constant)
"""Made once: `json.loads` makes one a call where it is given an option."""


def from_json(value: Any) -> Run:
    """The run that JSON values describe. Raises CorruptContent."""
    return _understood(value, True)


def _understood(value: Any, may_be_deep: bool) -> Run:
    try:
        if may_be_deep:
            _check_depth(_as(value, dict), _MAX_DEPTH)
        return _run(value)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CorruptContent("a run's record cannot be understood", why=str(error)[:200]) from error


def _run(value: Any) -> Run:
    members = dict(_as(value, dict))
    if members.pop("schema") != SCHEMA:
        raise ValueError("it is of another schema")
    run_id, status = _as(members.pop("run_id"), str), members.pop("status")
    if not is_run_id(run_id):
        raise ValueError("its run_id is no UUID of version 7")
    if status not in STATUSES:
        raise ValueError("its status is none of " + ", ".join(STATUSES))
    exit_code = members.pop("exit_code", None)
    if exit_code is not None:
        _as(exit_code, int)
    parent = members.pop("parent_run", None)
    return Run(
        run_id=run_id,
        name=_as(members.pop("name", ""), str),
        status=status,
        started=_as(members.pop("started"), str),
        ended=_as(members.pop("ended", ""), str),
        exit_code=exit_code,
        actor=_as(members.pop("actor", ""), str),
        parent_run=None if parent is None else _as(parent, str),
        job=_as(members.pop("job", {}), dict),
        code=_as(members.pop("code", {}), dict),
        inputs=_artifacts(members.pop("inputs", [])),
        outputs=_artifacts(members.pop("outputs", [])),
        configs=_artifacts(members.pop("configs", [])),
        params=_as(members.pop("params", {}), dict),
        metrics=_each(members.pop("metrics", {}), dict),
        tags=_each(members.pop("tags", {}), str),
        env=_as(members.pop("env", {}), dict),
        blobs={
            name: Blob(_oid(item["oid"]), _size(item["size"]))
            for name, item in _as(members.pop("blobs", {}), dict).items()
        },
        other=members,
    )  # fmt: skip


def _artifacts(value: Any) -> tuple[Artifact, ...]:
    found = []
    for item in _as(value, list):
        oid, get = item.get("oid"), item.get
        artifact = Artifact(
            _as(item["path"], str),
            None if oid is None else _oid(oid),
            _size(get("size", 0)),
            get("role", "data"),
            get("found", "declared"),
        )
        if type(artifact.role) is not str or type(artifact.found) is not str:
            raise TypeError("an artifact's role and found are texts")
        found.append(artifact)
    return tuple(found)


def artifacts_from_listing(data: bytes) -> tuple[Artifact, ...]:
    """The artifacts of a listing (a JSON list of them). Raises CorruptContent."""
    try:
        return _artifacts(_JSON.decode(data.decode("utf-8")))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CorruptContent(
            "a run's listing cannot be understood", why=str(error)[:200]
        ) from error


def _each(value: Any, kind: type[_T]) -> dict[str, _T]:
    return {name: _as(item, kind) for name, item in _as(value, dict).items()}


def _oid(value: Any) -> Digest:
    text = _as(value, str)
    if len(text) != 71 or not text.startswith("blake3:"):
        raise ValueError("an oid is blake3: and 64 hex digits")
    return from_hex(text[7:])


def _size(value: Any) -> int:
    size = _as(value, int)
    if not 0 <= size < 2**63:
        raise ValueError("a size is from 0 to 2**63 - 1")
    return size


def _as(value: Any, kind: type[_T]) -> _T:
    if type(value) is kind:
        return value
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{str(value)[:40]!r} is no {kind.__name__}")
    return value


def _check_depth(value: Any, most: int) -> None:
    level = [value]
    for _ in range(most):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if type(child) in _NESTING
        ]
        if not level:
            return
    raise ValueError("it nests too deep")
