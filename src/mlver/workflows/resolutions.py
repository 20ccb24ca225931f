"""What conflicts of a file became, remembered by its three versions: a rebase, or a merge that is
done again, meets the same ones. One file a triple in `<common git dir>/mlver/resolutions/`
(docs/format/conflict.md); which side was ours does not matter. All of it may be deleted.
"""

from __future__ import annotations

import json
import os

from mlver.errors import MlverError
from mlver.model.digest import digest_of
from mlver.model.pointer import Pointer
from mlver.store.files import disk_errors
from mlver.workflows.conflict_file import pointer_from, pointer_json
from mlver.workflows.context import Context
from mlver.workflows.merge_versions import Triple

VERSION = 1


def remember(ctx: Context, versions: Triple, result: Pointer) -> None:
    """What these versions became. Raises LocalIOError."""
    path = _file(ctx, versions)
    row = {"version": VERSION, "result": pointer_json(result)}
    row |= dict(zip(("base", "ours", "theirs"), map(pointer_json, versions), strict=True))
    with disk_errors("writing a resolution", path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        temporary = path + b".%d" % os.getpid()
        with open(temporary, "wb") as file:
            file.write(json.dumps(row, indent=1, sort_keys=True).encode() + b"\n")
        os.replace(temporary, path)


def remembered(ctx: Context, versions: Triple) -> Pointer | None:
    """The result of before, if it is known and its content can be had."""
    from mlver.workflows.fetch import fetch_pointers, is_whole

    try:
        with open(_file(ctx, versions), "rb") as file:
            row = json.loads(file.read())
        result = pointer_from(row["result"])
        if row["version"] != VERSION or result is None:
            return None
        if not is_whole(ctx, result) and result in fetch_pointers(ctx, [result]).failed:
            return None
    except (OSError, ValueError, KeyError, TypeError, MlverError):
        return None
    return result


def _file(ctx: Context, versions: Triple) -> bytes:
    base, *sides = (b"" if pointer is None else pointer.encode() for pointer in versions)
    name = digest_of(b"\0".join([base, *sorted(sides)])).hex()[:32]
    return os.path.join(ctx.repo.store_dir, b"resolutions", name.encode() + b".json")
