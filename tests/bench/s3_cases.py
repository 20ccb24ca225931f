"""The cases of transfers, against a real S3 server: see `bucket` and `transfers`.

Every round starts with an empty bucket and a fresh repository, and pulls into a fresh clone.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from case import LARGE, SMALL, TABLE, Case, Turn
from models import VERSIONS
from scratch import CommandError, Sample
from transfers import TRANSFERS, Transfer

MODEL = "model.safetensors"


@contextmanager
def _transfer(turn: Turn) -> Iterator[Transfer]:
    name = f"{turn.repo.parent.name}-{turn.peer.name}"
    transfer = TRANSFERS[turn.peer.name](turn.peer, turn.bench.server(), name, turn.repo)
    transfer.prepare()
    try:
        yield transfer
    finally:
        transfer.end()


def _there_and_back(turn: Turn, source: str, path: str, step: str) -> dict[str, Sample]:
    """Push, then the step named, `pull` or `fetch`, in a fresh clone; the bytes are compared."""
    with _transfer(turn) as transfer:
        turn.bench.place(source, turn.repo, path)
        transfer.commit(path)
        push = transfer.measured_push(path)
        transfer.make_clone()
        command = transfer.pull(path) if step == "pull" else transfer.fetch(path)
        back = turn.peer.scratch.measure(command, transfer.clone)
        if turn.number == 0:
            turn.peer.scratch.run(transfer.pull(path), transfer.clone)
            _compare(turn.bench.source(source), transfer.clone / path)
        shutil.rmtree(transfer.clone)
        return {"push": push, step: back}


def _compare(source: Path, found: Path) -> None:
    """A tool that brings other bytes back is fast for nothing."""
    files = [path for path in source.rglob("*") if path.is_file()] or [source]
    for path in files:
        other = found / path.relative_to(source) if source.is_dir() else found
        if not other.exists() or not filecmp.cmp(path, other, shallow=False):
            raise CommandError(f"{other.name} came back with other bytes, or not at all")


def _small(turn: Turn) -> dict[str, Sample]:
    return _there_and_back(turn, "small", SMALL, "pull")


def _large(turn: Turn) -> dict[str, Sample]:
    return _there_and_back(turn, "large", LARGE, "fetch")


def _table(turn: Turn) -> dict[str, Sample]:
    samples = {}
    with _transfer(turn) as transfer:
        for source, step in (("table1", "push"), ("table2", "push-v2")):
            turn.bench.place(source, turn.repo, TABLE)
            transfer.commit(TABLE)
            samples[step] = transfer.measured_push(TABLE)
    return samples


def _model(turn: Turn) -> dict[str, Sample]:
    """Ten versions one after the other: the first push, and the nine others added up."""
    samples = []
    with _transfer(turn) as transfer:
        for version in range(VERSIONS):
            turn.bench.place(f"model{version}", turn.repo, MODEL)
            transfer.commit(MODEL)
            samples.append(transfer.measured_push(MODEL))
    return {"first": samples[0], "later": _added_up(samples[1:]), "all": _added_up(samples)}


def _added_up(samples: list[Sample]) -> Sample:
    return replace(
        samples[0],
        seconds=sum(sample.seconds for sample in samples),
        cpu_seconds=sum(sample.cpu_seconds for sample in samples),
        peak_bytes=max(sample.peak_bytes for sample in samples),
        background_seconds=sum(sample.background_seconds for sample in samples),
        stored_bytes=sum(sample.stored_bytes or 0 for sample in samples),
    )


S3_CASES = (
    Case(
        "s3-small",
        "10,000 random files of 10 KiB to a bucket, and into a fresh clone",
        ("mlver-add", "dvc", "rclone"),
        _small,
    ),
    Case(
        "s3-large",
        "one random file of 1 GiB to a bucket, and back to this machine",
        ("mlver-add", "boto3", "rclone", "dvc"),
        _large,
    ),
    Case(
        "s3-table",
        "a CSV of 3M rows to a bucket, then its second version with 151 rows changed",
        ("mlver-add", "dvc", "xet"),
        _table,
    ),
    Case(
        "s3-model",
        f"{VERSIONS} checkpoints of a bf16 model in fine-tuning to a bucket, one after the other",
        ("mlver-add", "dvc", "xet"),
        _model,
    ),
)
