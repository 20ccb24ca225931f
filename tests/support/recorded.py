"""Runs in a sandbox's clone, written as a recorder writes them, without running a command."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from tests.support.sandbox import Clone

from mlver.git import repo, run_refs
from mlver.git.run_refs import Addition, KeptFile
from mlver.lineage import journal
from mlver.model.digest import digest_of
from mlver.model.run import Artifact, Run

WHO = "A <a@example.com>"


def artifact(path: str, data: bytes, role: str = "model") -> Artifact:
    return Artifact(path, digest_of(data), len(data), role)


def run_of(outputs: Mapping[str, bytes], **members: Any) -> Run:
    """A finished run that made this."""
    return Run(
        run_id=journal.new_id(),
        name="train",
        status="finished",
        started=journal.now(),
        exit_code=0,
        outputs=tuple(artifact(path, data) for path, data in outputs.items()),
        **members,
    )


def record(clone: Clone, outputs: Mapping[str, bytes], at: str = "HEAD", **members: Any) -> str:
    """Note a run that made `outputs` at a commit; its id."""
    run = run_of(outputs, **members)
    here = repo.discover(os.fsencode(clone.top))
    commit = clone.head(at)
    addition = Addition()
    addition.note(commit, run.encode())
    tree = clone.head(f"{at}^{{tree}}")
    addition.kept[run.run_id] = [KeptFile("code", tree=tree), KeptFile("lock.txt", b"a==1\n")]
    run_refs.add(here, addition, {run.encode(): run.run_id}, WHO)
    return run.run_id


def noted(clone: Clone, ref: str = run_refs.NOTES) -> dict[str, list[str]]:
    """Annotated object → the ids of the runs in its note."""
    found: dict[str, list[str]] = {}
    done = clone.attempt("ls-tree", "-r", ref)
    for row in done.out.splitlines():
        meta, path = row.split("\t")
        lines = clone.blob(meta.split(" ")[2]).splitlines()
        found[path.replace("/", "")] = sorted(json.loads(line)["run_id"] for line in lines)
    return found


def run_ids(clone: Clone, ref: str = run_refs.NOTES) -> set[str]:
    """Every run in the notes of a ref."""
    return {run_id for ids in noted(clone, ref).values() for run_id in ids}


def kept_ids(clone: Clone, ref: str = run_refs.KEPT) -> set[str]:
    """Every run that has a folder in a ref of kept things."""
    done = clone.attempt("ls-tree", "-d", "-r", "--name-only", ref)
    return {row.split("/")[1] for row in done.out.splitlines() if row.count("/") == 1}
