"""Two people, a pipeline of three steps, five variations, every way in which commits are made anew:
from a fresh clone each model leads back to the raw data, and the oldest is made again."""

from __future__ import annotations

import json
import subprocess

from tests.support import pipeline
from tests.support.sandbox import Clone, Sandbox, pointer_in


def _upstream(clone: Clone, oid: str) -> set[str]:
    """The names of the runs that lead to a content, by the content ids of the fetched notes."""
    runs = []
    for ref in ("refs/notes/mlver", "refs/mlver/remotes/origin/notes"):
        for row in clone.attempt("ls-tree", "-r", ref).out.splitlines():
            runs += [json.loads(line) for line in clone.blob(row.split()[2]).splitlines()]
    names: set[str] = set()
    todo, seen = [f"blake3:{oid}"], set[str]()
    while todo:
        wanted = todo.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        for run in runs:
            if wanted in {row["oid"] for row in run["outputs"]}:
                names.add(run["name"])
                todo += [row["oid"] for row in run["inputs"]]
    return names


def _push_at_once(*clones: Clone) -> None:
    words = ["git", "push", "-q", "origin", "HEAD"]
    pushes = [
        subprocess.Popen(words, cwd=clone.top, env=clone.box.env, stderr=subprocess.PIPE)
        for clone in clones
    ]
    for push in pushes:
        _, said = push.communicate(timeout=240)
        assert push.returncode == 0, said


def test_every_model_leads_back_to_its_data_from_a_fresh_clone(box: Sandbox, work: Clone) -> None:
    far = box.bare()
    work.git("remote", "add", "origin", str(far))
    pipeline.write(work)
    pipeline.run_all(work)
    oldest = work.head()
    models = [pointer_in(work.blob("HEAD:model.bin")).oid.hex()]
    work.git("push", "-q", "-u", "origin", "main")
    ann = box.clone(far, "ann")
    ann.mlver("init")
    ann.git("switch", "-qc", "ann")
    work.git("switch", "-qc", "bob")
    for clone, rates in ((ann, (0.2, 0.3)), (work, (0.4, 0.5))):
        for lr in rates:
            pipeline.train(clone, lr)
            models.append(pointer_in(clone.blob("HEAD:model.bin")).oid.hex())
    _push_at_once(ann, work)
    # ann's branch is squashed into main, bob's is rebased upon that.
    ann.git("switch", "-q", "main")
    ann.git("merge", "-q", "--squash", "ann")
    ann.git("commit", "-qm", "squashed")
    ann.git("push", "-q", "origin", "main")
    work.git("fetch", "-q")
    assert work.attempt("rebase", "-q", "--onto", "origin/main", "main", "bob").code != 0
    work.git("checkout", "--theirs", "--", "model.bin", "metrics.json")
    work.git("add", "-A")
    work.git("rebase", "--continue")
    work.git("push", "-q", "--force", "origin", "bob")
    box.git("-C", str(far), "branch", "-D", "ann")
    fresh = box.clone(far, "fresh")
    fresh.mlver("init")
    fresh.git("fetch", "-q")
    assert len(set(models)) == 5
    for oid in models:
        assert _upstream(fresh, oid) == {"ingest", "features", "train"}, oid
    for revision in ("origin/main", "origin/bob", "origin/bob~1"):
        assert fresh.attempt("mlver", "verify", "--strict", revision).code in (0, 8)
        commit = fresh.head(revision)
        note = f"refs/mlver/remotes/origin/notes:{commit[:2]}/{commit[2:]}"
        assert b'"name":"train"' in fresh.blob(note), revision
    done = fresh.attempt("mlver", "reproduce", f"model.bin@{oldest}", "--from-scratch", "--yes")
    assert done.code == 0 and done.out.splitlines()[-1] == "identical", done.err
