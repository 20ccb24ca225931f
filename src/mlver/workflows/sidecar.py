"""A model that says where it came from: a file beside it, or words in its own metadata.

On request: `git mlver run --sidecar` (or `[runs] sidecar = true`) writes `MODEL.mlver.json` beside
each model that a run made; `--embed` writes into the model where its format has room (lineage/
embed), and the record then names the content that is there now.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace

from mlver.errors import MlverError
from mlver.git.worktree import Worktree
from mlver.model.digest import Digest, Hasher
from mlver.model.run import Artifact, Run
from mlver.workflows.context import Context
from mlver.workflows.recording import Wanted

ENDING = ".mlver.json"
EMBEDDED = "embedded"
"""Member of a record: paths of the outputs that hold its words."""
_WINDOW = 1 << 20


def completer(ctx: Context, wanted: Wanted) -> Callable[[Run], Run] | None:
    """What is done to a run's models when it has ended well; None where nothing is asked for."""
    beside = wanted.sidecar or (ctx.settings.runs.sidecar and wanted.embed_metadata is None)
    if not wanted.embed and not beside:
        return None

    def complete(run: Run) -> Run:
        if run.status != "finished":
            return run
        if wanted.embed:
            run = embed_all(ctx, run, wanted.embed_metadata)
        if beside:
            write_all(ctx, run)
        return run

    return complete


def embed_all(ctx: Context, run: Run, metadata: Mapping[str, str] | None = None) -> Run:
    """Write into every output that has room; the run with those as they are now."""
    from mlver.lineage import embed

    metadata = metadata or embed.metadata_of(run)
    outputs, paths = [], []
    for item in run.outputs:
        if embed.has_room(item.path) and _is_plain(ctx, item):
            try:
                path = os.path.join(ctx.repo.top, os.fsencode(item.path))
                embed.embed(path, metadata)
                item = _as_it_is(path, item)
                paths.append(item.path)
            except MlverError as error:
                why = f" ({error.why})" if error.why else ""
                ctx.warn(f"{error.what}{why}; it stays as the command wrote it")
        outputs.append(item)
    if not paths:
        return run
    return replace(run, outputs=tuple(outputs), other={**run.other, EMBEDDED: paths})


def _is_plain(ctx: Context, item: Artifact) -> bool:
    """An ordinary file that no link leads to: nothing outside the worktree is written."""
    try:
        with Worktree(ctx.repo.top) as worktree:
            info = worktree.stat(os.fsencode(item.path))
        return info is not None and info.st_mode & 0o170000 == 0o100000
    except (OSError, MlverError):
        return False


def _as_it_is(path: bytes, item: Artifact) -> Artifact:
    hasher, size = Hasher(), 0
    with open(path, "rb") as file:
        while data := file.read(_WINDOW):
            hasher.update(data)
            size += len(data)
    return item._replace(oid=Digest(hasher.digest()), size=size)


def write_all(ctx: Context, run: Run) -> list[str]:
    """Write a file beside every model; their paths."""
    written = []
    for item in run.outputs:
        if item.role != "model" or not _is_plain(ctx, item):
            continue
        text = json.dumps(sidecar_of(run, item), indent=2, sort_keys=True).encode() + b"\n"

        def write(fd: int, text: bytes = text) -> None:
            with open(fd, "wb", closefd=False) as file:
                file.write(text)

        path = item.path + ENDING
        try:
            with Worktree(ctx.repo.top) as worktree:
                worktree.replace(os.fsencode(path), write, mode=0o644, still=lambda: True)
            written.append(path)
        except (MlverError, OSError) as error:
            ctx.warn(f"{path} could not be written: {error}")
    return written


def sidecar_of(run: Run, item: Artifact) -> dict[str, object]:
    """What stands beside a model (docs/format/run.md)."""
    return {
        "schema": "mlver.sidecar/1",
        "model": item.as_json(),
        "run": run.run_id,
        "name": run.name,
        "made": run.ended or run.started,
        "code": {name: run.code[name] for name in ("commit", "tree") if run.code.get(name)},
        "data": [other.as_json() for other in run.inputs],
        "params": dict(run.params),
        "metrics": {name: values.get("last") for name, values in run.metrics.items()},
    }
