"""What a step that was run again made, beside what it made when it was recorded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from mlver.errors import MlverError
from mlver.git.objects import BlobReader
from mlver.lineage.compare import LIMIT, Tolerance, compare, compare_values
from mlver.model.digest import Digest, digest_of
from mlver.model.pointer import Pointer
from mlver.model.run import Artifact, Run
from mlver.store.assemble import read_blob
from mlver.workflows.context import Context
from mlver.workflows.fetch import fetch_pointers
from mlver.workflows.reproduce_plan import Step
from mlver.workflows.scratch import Scratch

IDENTICAL, WITHIN, DIFFERENT = "identical", "within tolerance", "different"
ORDER = (IDENTICAL, WITHIN, DIFFERENT)


@dataclass
class Output:
    """One output, then and now. `new`: None where it was not written."""

    path: str
    old: Digest | None
    new: Digest | None
    verdict: str
    differences: list[str] = field(default_factory=list)


@dataclass
class Made:
    """One step that was run again. `run`: its new record, where it could be written."""

    step: Step
    exit_code: int
    run: Run | None
    verdict: str
    outputs: list[Output] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    folder: str = ""

    def at_least(self, verdict: str) -> None:
        """Make the verdict no better than this one."""
        self.verdict = max(self.verdict, verdict, key=ORDER.index)


def judge(
    ctx: Context,
    made: Made,
    scratch: Scratch,
    commits: Mapping[int, Sequence[str]],
    tolerance: Tolerance,
) -> None:
    """Fill in the outputs, the differences and the verdict. `commits`: a run's number → commits
    that may hold what it made."""
    run = made.step.known.run
    if made.exit_code != (run.exit_code or 0):
        made.differences.append(f"exit code {run.exit_code} then, {made.exit_code} now")
        made.at_least(DIFFERENT)
    at = commits.get(made.step.known.number, ())
    for item in made.step.outputs:
        output = _output(ctx, item, scratch, at, tolerance)
        made.outputs.append(output)
        made.at_least(output.verdict)
    if made.run is not None:
        _metrics(made, _last(run), _last(made.run), tolerance)


def _metrics(
    made: Made, old: Mapping[str, object], new: Mapping[str, object], tolerance: Tolerance
) -> None:
    for name in sorted(old.keys() & new.keys()):
        if not compare_values(old[name], new[name], tolerance).within:
            made.differences.append(f"metric {name}: {old[name]} then, {new[name]} now")
            made.at_least(DIFFERENT)
        elif old[name] != new[name]:
            made.at_least(WITHIN)


def _last(run: Run) -> dict[str, object]:
    return {name: values.get("last") for name, values in run.metrics.items()}


def _output(
    ctx: Context, item: Artifact, scratch: Scratch, commits: Sequence[str], tolerance: Tolerance
) -> Output:
    path = os.fsencode(item.path)
    new = scratch.digest(path)
    if new is None:
        return Output(item.path, item.oid, None, DIFFERENT, ["it was not written"])
    if new == item.oid or item.oid is None:
        return Output(item.path, item.oid, new, IDENTICAL)
    before, after = _then(ctx, item, item.oid, commits), scratch.read(path, LIMIT)
    if before is None or after is None:
        why = "what it held then cannot be had" if before is None else "too large to compare"
        return Output(item.path, item.oid, new, DIFFERENT, [why])
    found = compare(item.path, before, after, tolerance)
    if found is None:
        sizes = f"{len(before)} bytes then, {len(after)} now"
        return Output(item.path, item.oid, new, DIFFERENT, [sizes])
    verdict = WITHIN if found.within else DIFFERENT
    return Output(item.path, item.oid, new, verdict, found.differences)


def _then(ctx: Context, item: Artifact, oid: Digest, commits: Sequence[str]) -> bytes | None:
    """What an output held when it was recorded, from the store or a commit that holds it."""
    if not 0 < item.size <= LIMIT:
        return None if item.size else b""
    pointer = Pointer(oid, item.size)
    if pointer in fetch_pointers(ctx, [pointer]).fetched:
        with suppress(MlverError):
            return bytes(read_blob(ctx.store, pointer))
    with BlobReader(ctx.repo) as reader:
        for commit in ["HEAD", *commits]:
            name = f"{commit}:{item.path}".encode("utf-8", "surrogateescape")
            data = reader.read(name, LIMIT)
            if data is not None and digest_of(data) == oid:
                return data
    return None
