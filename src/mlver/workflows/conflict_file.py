"""Conflicts of this worktree on disk: one file a path in `<git dir>/mlver/conflicts/`
(docs/format/conflict.md). Written by the merge driver, replaced by the next merge of that path,
removed when what it tells of is decided.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlver.merge.options import Choice
from mlver.model.conflict import Conflict, from_json, to_json
from mlver.model.digest import digest_of, from_hex
from mlver.model.pointer import Pointer
from mlver.store.files import disk_errors
from mlver.workflows.context import Context

VERSION = 1
_FOLDER = b"conflicts"


@dataclass(frozen=True, slots=True)
class Record:
    """A merge of one path that left conflicts. `result`: what the merge put in place, with ours
    where the conflicts are; `head`: the commit that was checked out; `in_rebase`: a rebase ran it.
    """

    path: bytes
    base: Pointer | None
    ours: Pointer | None
    theirs: Pointer | None
    result: Pointer
    conflicts: tuple[Conflict, ...]
    key: tuple[str, ...] = ()
    key_source: str | None = None
    strict: bool = False
    choices: Mapping[str, Choice] = field(default_factory=dict)
    head: str = ""
    in_rebase: bool = False
    format: str = ""


def write(ctx: Context, record: Record) -> None:
    """Put a record on disk, whole. Raises LocalIOError."""
    path = _file(ctx, record.path)
    data = json.dumps(_to_json(record), indent=1, sort_keys=True).encode() + b"\n"
    with disk_errors("writing a conflict file", path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        temporary = path + b".%d" % os.getpid()
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, path)


def read(ctx: Context, path: bytes) -> Record | None:
    """The record of this path; None where there is none, or one that cannot be read."""
    return _read(_file(ctx, path))


def _read(file_name: bytes) -> Record | None:
    try:
        with open(file_name, "rb") as file:
            return _from_json(json.loads(file.read()))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def records(ctx: Context) -> Iterator[Record]:
    """All records of this worktree, by path."""
    folder = os.path.join(ctx.repo.state_dir, _FOLDER)
    found = []
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            if name.endswith(b".json"):
                record = _read(os.path.join(folder, name))
                if record is not None:
                    found.append(record)
    return iter(sorted(found, key=lambda record: record.path))


def are_there(ctx: Context) -> bool:
    """Whether there may be any record: all that most commits pay for."""
    return os.path.exists(os.path.join(ctx.repo.state_dir, _FOLDER))


def remove(ctx: Context, path: bytes) -> None:
    """Forget the record of a path."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_file(ctx, path))
    with contextlib.suppress(OSError):
        os.rmdir(os.path.join(ctx.repo.state_dir, _FOLDER))


def _file(ctx: Context, path: bytes) -> bytes:
    name = digest_of(path).hex()[:32].encode() + b".json"
    return os.path.join(ctx.repo.state_dir, _FOLDER, name)


def _to_json(record: Record) -> dict[str, Any]:
    return {
        "version": VERSION,
        "path": record.path.decode("utf-8", "surrogateescape"),
        "format": record.format,
        **{name: pointer_json(getattr(record, name)) for name in ("base", "ours", "theirs")},
        "result": pointer_json(record.result),
        "key": list(record.key),
        "key_source": record.key_source,
        "strict": record.strict,
        "choices": {name: list(choice) for name, choice in record.choices.items()},
        "head": record.head,
        "in_rebase": record.in_rebase,
        "conflicts": [to_json(conflict) for conflict in record.conflicts],
    }


def _from_json(row: dict[str, Any]) -> Record:
    result = pointer_from(row["result"])
    if row["version"] != VERSION or result is None:
        raise ValueError("another version")
    base, ours, theirs = (pointer_from(row[name]) for name in ("base", "ours", "theirs"))
    return Record(
        row["path"].encode("utf-8", "surrogateescape"),
        base,
        ours,
        theirs,
        result=result,
        conflicts=tuple([from_json(item) for item in row["conflicts"]]),
        key=tuple(row["key"]),
        key_source=row["key_source"],
        strict=bool(row["strict"]),
        choices={name: Choice(*choice) for name, choice in row["choices"].items()},
        head=row["head"],
        in_rebase=bool(row["in_rebase"]),
        format=row["format"],
    )


def pointer_json(pointer: Pointer | None) -> dict[str, Any] | None:
    """A pointer in these files; null for an empty version."""
    return None if pointer is None else {"oid": pointer.oid.hex(), "size": pointer.size}


def pointer_from(row: Any) -> Pointer | None:
    """What pointer_json wrote. Raises KeyError, TypeError, ValueError."""
    return None if row is None else Pointer(from_hex(row["oid"]), int(row["size"]))
