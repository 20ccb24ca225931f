"""`git mlver gc --remote` with real git and a directory remote: what any ref of any repository, or
this clone alone, names is kept; the rest goes after its grace; in doubt nothing does."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.support.sandbox import Clone, Sandbox, content
from tests.unit.test_tensors import BIG, model, weights

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs" / "schema" / "gc.json").read_text())
MONTH = 30 * 24 * 3600
KEPT, GONE = content("kept", 30_000), content("gone", 40_000)


@pytest.fixture
def far(box: Sandbox, work: Clone) -> Path:
    """A git remote, and content in a directory of its own; one commit is pushed."""
    bare = box.bare()
    work.git("remote", "add", "origin", str(bare))
    work.mlver("remote", "add", "team", str(box.root / "content"))
    work.given("kept", {"kept.bin": KEPT})
    work.git("push", "-q", "-u", "origin", "main")
    return bare


@pytest.fixture
def team(box: Sandbox) -> Path:
    return box.root / "content"


def packs(team: Path) -> int:
    return sum(path.is_file() for path in (team / "packs").rglob("*"))


def age(team: Path) -> None:
    """All that lies there was written a month earlier."""
    for path in team.rglob("*"):
        if path.is_file():
            when = path.stat().st_mtime - MONTH
            path.chmod(0o644)
            os.utime(path, (when, when))


def gc(clone: Clone, *words: str) -> dict[str, Any]:
    done = clone.json("gc", "--remote", *words)
    Draft202012Validator(SCHEMA).validate(done)
    return dict(done)


def collect(clone: Clone, team: Path) -> int:
    """Condemn, let the grace pass, delete; how many packs went."""
    before = packs(team)
    age(team)
    gc(clone, "--yes")
    # The list tells its own time too, which no touching changes.
    gc(clone, "--yes", "--grace", "0")
    return before - packs(team)


def branch_then_delete(work: Clone) -> None:
    """Push content that only a branch names, and take the branch away again, everywhere."""
    work.git("switch", "-q", "-c", "topic")
    work.given("gone", {"gone.bin": GONE})
    work.git("push", "-q", "origin", "topic")
    work.git("switch", "-q", "main")
    work.git("push", "-q", "origin", ":topic")
    work.git("branch", "-q", "-D", "topic")


def forget_reflogs(work: Clone) -> None:
    work.git("reflog", "expire", "--expire=now", "--all")
    (work.git_dir() / "ORIG_HEAD").unlink(missing_ok=True)


def test_what_nothing_names_goes_in_two_marks_and_the_rest_restores(
    box: Sandbox, work: Clone, far: Path, team: Path
) -> None:
    branch_then_delete(work)
    forget_reflogs(work)
    assert gc(work)["packs_condemned"] == 0, "too young"
    age(team)
    before = sorted(team.rglob("*"))
    assert gc(work)["packs_condemned"] == 1
    assert sorted(team.rglob("*")) == before, "a dry run writes nothing"
    assert "--yes does it" in work.mlver("gc", "--remote").out
    assert gc(work, "--yes")["packs_condemned"] == 1
    assert packs(team) == 2
    assert gc(work, "team", "--yes", "--grace", "0")["packs_deleted"] == 1
    assert packs(team) == 1
    clone = box.clone(far, "second")
    clone.mlver("remote", "add", "team", str(team))
    clone.mlver("pull")
    assert clone.read("kept.bin") == KEPT
    assert work.json("fsck", "--remote")["ok"]
    assert "refs/mlver" not in work.git("for-each-ref").out


def test_what_this_clone_alone_names_stays(
    box: Sandbox, work: Clone, team: Path, far: Path
) -> None:
    ways = ("reflog", "stash", "index", "worktree", "tag", "notes", "conflict", "odd")
    datas = {way: content(way, 20_000) for way in ways}
    work.given("all", {f"{way}.bin": data for way, data in datas.items()})
    work.git("push", "-q", "origin", "HEAD:topic")
    blobs = {way: work.head(f"HEAD:{way}.bin") for way in ways}
    work.git("reset", "-q", "--hard", "origin/main")
    work.git("push", "-q", "origin", ":topic")
    forget_reflogs(work)
    work.write("x.bin", datas["stash"])
    work.git("add", "x.bin")
    work.git("stash", "-q")
    work.git("worktree", "add", "-q", "--detach", str(box.root / "linked"))
    for where, way in ((work, "index"), (box.at("linked"), "worktree")):
        where.write("y.bin", datas[way])
        where.git("add", "y.bin")
    work.git("update-ref", "refs/tags/x", blobs["tag"])
    work.git("update-ref", "refs/odd/x", blobs["odd"])
    work.git("notes", "add", "-C", blobs["notes"])
    rows = "".join(f"100644 {blobs['conflict']} {stage}\tz.bin\n" for stage in (1, 2))
    work.git("update-index", "--index-info", input=rows.encode())
    tree = work.git("mktree", input=f"100644 blob {blobs['reflog']}\ta.bin\n".encode()).out.strip()
    commit = work.git("commit-tree", tree, "-m", "left").out.strip()
    work.git("update-ref", "--create-reflog", "refs/heads/moved", commit)
    work.git("update-ref", "refs/heads/moved", "HEAD")
    age(team)
    done = gc(work)
    assert done["roots"] == len(ways) + 1 and done["packs_condemned"] == 0


def test_what_another_repository_with_the_same_content_names_stays(
    box: Sandbox, work: Clone, far: Path, team: Path
) -> None:
    box.git("init", "-q", "--bare", str(box.root / "elsewhere.git"))
    other = box.clone(box.root / "elsewhere.git", "other")
    other.mlver("init")
    other.mlver("track", "*.bin")
    other.mlver("remote", "add", "team", str(team))
    other.given("theirs", {"gone.bin": GONE})
    other.git("push", "-q", "origin", "HEAD:main")
    assert collect(work, team) == 0
    shutil.rmtree(box.root / "elsewhere.git")
    age(team)
    before = sorted(team.rglob("*"))
    done = work.attempt("mlver", "gc", "--remote", "--yes")
    assert done.code == 3 and "elsewhere.git" in done.err and "gc/repositories/" in done.err
    assert sorted(team.rglob("*")) == before


def test_what_was_pushed_without_git_is_held_for_its_clone(
    box: Sandbox, work: Clone, far: Path, team: Path
) -> None:
    work.git("switch", "-q", "-c", "topic")
    work.given("not pushed by git", {"gone.bin": GONE})
    work.mlver("push")
    work.mlver("prune", "--yes", "--expire-days", "0")
    clone = box.clone(far, "second")
    clone.mlver("remote", "add", "team", str(team))
    assert collect(clone, team) == 0
    work.path("gone.bin").unlink()
    work.git("checkout", "-q", "--", "gone.bin")
    assert work.read("gone.bin") == GONE


def test_what_prune_frees_here_is_held_there(
    box: Sandbox, work: Clone, far: Path, team: Path
) -> None:
    """Someone else pushed the same content, and then took it away."""
    clone = box.clone(far, "second")
    clone.mlver("remote", "add", "team", str(team))
    branch_then_delete(clone)
    forget_reflogs(clone)
    work.git("switch", "-q", "-c", "mine")
    work.given("not pushed", {"gone.bin": GONE})
    work.mlver("prune", "--yes", "--expire-days", "0")
    assert collect(clone, team) == 0
    work.path("gone.bin").unlink()
    work.git("checkout", "-q", "--", "gone.bin")
    assert work.read("gone.bin") == GONE


@pytest.mark.parametrize("harm", ["shallow", "partial", "unreachable", "lost", "nothing"])
def test_in_doubt_nothing_is_condemned(
    box: Sandbox, work: Clone, far: Path, team: Path, harm: str
) -> None:
    branch_then_delete(work)
    forget_reflogs(work)
    clone = work
    if harm == "shallow":
        clone = box.clone(f"file://{far}", "thin", "--depth=1")
    elif harm == "partial":
        box.git("-C", str(far), "config", "uploadpack.allowFilter", "true")
        clone = box.clone(f"file://{far}", "thin", "--filter=blob:none")
    elif harm == "unreachable":
        work.git("remote", "add", "away", str(box.root / "away.git"))
    elif harm == "lost":
        work.given("lost", {"lost.bin": content("lost")})
        work.lose_content()
    else:
        work.mlver("remote", "add", "empty", str(box.root / "empty"))
    if clone is not work:
        clone.mlver("remote", "add", "team", str(team))
    age(team)
    before = sorted(team.rglob("*"))
    words = ["empty"] if harm == "nothing" else []
    done = clone.attempt("mlver", "gc", "--remote", *words, "--yes", "--grace", "0")
    assert done.code in (3, 4, 6, 8) and "next:" in done.err, done.err
    assert [path for path in sorted(team.rglob("*")) if "gc/locks" not in str(path)] == before


def test_content_that_comes_back_after_it_was_condemned_is_sent_again(
    box: Sandbox, work: Clone, far: Path, team: Path
) -> None:
    branch_then_delete(work)
    forget_reflogs(work)
    age(team)
    gc(work, "--yes")
    work.given("again", {"gone.bin": GONE})
    work.git("push", "-q")
    assert packs(team) == 3
    gc(work, "--yes", "--grace", "0")
    clone = box.clone(far, "second")
    clone.mlver("remote", "add", "team", str(team))
    clone.mlver("pull")
    assert clone.read("gone.bin") == GONE and clone.read("kept.bin") == KEPT


def test_gc_without_remote_says_what_there_is(work: Clone) -> None:
    done = work.attempt("mlver", "gc")
    assert done.code == 2 and "prune" in done.err


def test_what_drop_leaves_on_the_remote_alone_is_held_there(
    box: Sandbox, work: Clone, far: Path, team: Path
) -> None:
    """The branch that named it goes; this clone's index still does."""
    work.git("switch", "-q", "-c", "topic")
    work.given("gone", {"gone.bin": GONE})
    work.git("push", "-q", "origin", "topic")
    work.mlver("prune", "--yes", "--expire-days", "0")
    work.git("push", "-q", "origin", ":topic")
    work.mlver("drop", "gone.bin")
    clone = box.clone(far, "second")
    clone.mlver("remote", "add", "team", str(team))
    assert collect(clone, team) == 0
    work.mlver("checkout", "gone.bin")
    assert work.read("gone.bin") == GONE


def test_a_tensor_whose_base_nothing_else_names_restores_after_collection(
    box: Sandbox, work: Clone, far: Path, team: Path
) -> None:
    """The first version of a model goes from history; the second lies upon it, by XOR."""
    old, new = (model([("w", "BF16", weights("w", BIG, move=move))]) for move in (0, 1))
    work.git("mlver", "track", "*.safetensors")
    work.given("first", {"m.safetensors": old})
    work.git("push", "-q", "origin", "main")
    before = sum(path.stat().st_size for path in (team / "packs").rglob("*") if path.is_file())
    work.given("second", {"m.safetensors": new})
    work.git("push", "-q", "origin", "main")
    after = sum(path.stat().st_size for path in (team / "packs").rglob("*") if path.is_file())
    assert after - before < len(new) / 3, "sent as what differs"
    work.git("reset", "-q", "--soft", "HEAD~2")
    work.git("commit", "-q", "-m", "only the second")
    work.git("push", "-q", "--force", "origin", "main")
    forget_reflogs(work)
    work.git("reflog", "expire", "--expire=now", "--all")
    work.mlver("prune")
    collect(work, team)
    assert work.json("fsck", "--remote")["ok"]
    assert work.json("fsck")["ok"]
    clone = box.clone(far, "second")
    clone.mlver("remote", "add", "team", str(team))
    clone.mlver("pull")
    assert clone.read("m.safetensors") == new
