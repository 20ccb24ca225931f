"""Tracked tables in git's own commands: merge, rebase, cherry-pick, revert, stash, squash, octopus.
 What both sides changed meets by row and cell; what conflicts never breaks the file, and is
never committed or pushed without a decision."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tests.support.sandbox import Clone, Sandbox, pointer_to

BASE = b"id,n,v\n" + b"".join(b"%d,name %d,x\n" % (n, n) for n in range(40))
SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "schema" / "conflicts.json"


def row(data: bytes, number: int, value: bytes) -> bytes:
    old = b"\n%d,name %d,x\n" % (number, number)
    assert old in data
    return data.replace(old, b"\n%d,name %d,%s\n" % (number, number, value))


OURS = row(BASE, 3, b"ours")
THEIRS = row(BASE, 30, b"theirs") + b"40,name 40,new\n"
BOTH = row(row(BASE, 3, b"ours"), 30, b"theirs") + b"40,name 40,new\n"
CLASH_OURS, CLASH_THEIRS = row(OURS, 9, b"p"), row(THEIRS, 9, b"q")
CLASHED = row(BOTH, 9, b"p")
DECIDED = row(BOTH, 9, b"q")


@pytest.fixture
def tables(work: Clone) -> Clone:
    """Tracks t.csv, and has its first version on main."""
    work.mlver("track", "*.csv")
    work.given("base", {"t.csv": BASE})
    return work


def diverge(work: Clone, ours: bytes, theirs: bytes) -> None:
    """`side` and `main` change t.csv."""
    work.git("checkout", "-qb", "side")
    work.given("theirs", {"t.csv": theirs})
    work.git("checkout", "-q", "main")
    work.given("ours", {"t.csv": ours})


def conflicts(work: Clone) -> list[dict[str, object]]:
    found = work.json("conflicts")
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(found)
    rows: list[dict[str, object]] = found["files"]
    return rows


def test_a_merge_takes_both_and_its_pointer_is_that_of_clean(tables: Clone) -> None:
    diverge(tables, OURS, THEIRS)
    tables.git("merge", "-q", "--no-edit", "side")
    assert tables.read("t.csv") == BOTH
    assert tables.blob("HEAD:t.csv") == pointer_to(BOTH)
    tables.settled()
    assert conflicts(tables) == []
    assert tables.json("fsck")["ok"]


def test_a_conflict_is_told_kept_out_of_history_and_decided(tables: Clone) -> None:
    diverge(tables, CLASH_OURS, CLASH_THEIRS)
    done = tables.attempt("merge", "side")
    assert done.code == 1 and "git mlver resolve t.csv" in done.err and "1 cell" in done.err
    assert tables.read("t.csv") == CLASHED
    assert [tables.blob(f":{n}:t.csv") for n in (1, 2, 3)] == [
        pointer_to(data) for data in (BASE, CLASH_OURS, CLASH_THEIRS)
    ]
    (file,) = conflicts(tables)
    assert (file["path"], file["key"]) == ("t.csv", ["id"])
    assert file["conflicts"] == [
        {
            "kind": "cell", "key": {"id": "9"}, "column": "v",
            "base": "x", "ours": "p", "theirs": "q", "absent": [],
        }
    ]  # fmt: skip
    tables.git("add", "t.csv")
    head = tables.head()
    for words in (["commit", "-qm", "x"], ["mlver", "conflicts"]):
        refused = tables.attempt(*words)
        assert refused.code != 0 and "t.csv" in refused.err + refused.out
    assert tables.head() == head
    assert (
        tables.attempt("mlver", "resolve", "t.csv", "--key", "8", "--col", "v", "--ours").code == 2
    )
    done = tables.mlver("resolve", "t.csv", "--key", "9", "--col", "v", "--theirs")
    assert tables.read("t.csv") == DECIDED and conflicts(tables) == []
    tables.git("commit", "-qm", "merged")
    assert tables.blob("HEAD:t.csv") == pointer_to(DECIDED)
    tables.settled()


def test_a_dry_run_tells_beforehand_and_changes_nothing(tables: Clone) -> None:
    tables.given("more", {"a.bin": b"a" * 600, "mine.csv": BASE, "new.csv": BASE})
    tables.git("checkout", "-qb", "side")
    theirs = {"t.csv": CLASH_THEIRS, "a.bin": b"b" * 600, "mine.csv": OURS, "u.csv": BASE}
    tables.given("theirs", theirs)
    tables.git("rm", "-q", "new.csv")
    tables.git("commit", "-qm", "gone")
    tables.git("checkout", "-q", "main")
    ours = {"t.csv": CLASH_OURS, "a.bin": b"c" * 600, "mine.csv": THEIRS, "new.csv": OURS}
    tables.given("ours", ours)
    done = tables.attempt("mlver", "merge", "--dry-run", "--json", "side")
    found = json.loads(done.raw)
    schema = json.loads((SCHEMA.parent / "merge.json").read_text())
    Draft202012Validator(schema).validate(found)
    told = {f["path"]: (f["state"], [c["kind"] for c in f["conflicts"]]) for f in found["files"]}
    assert done.code == 1 and told == {
        "a.bin": ("conflict", ["file"]),
        "mine.csv": ("merged", []),
        "new.csv": ("conflict", ["file"]),
        "t.csv": ("conflict", ["cell"]),
        "u.csv": ("theirs", []),
    }
    shown = tables.attempt("mlver", "merge", "--dry-run", "side").out
    assert "id=9, column v: base x, ours p, theirs q" in shown
    assert tables.attempt("mlver", "merge", "side").code == 2
    assert tables.attempt("mlver", "merge", "--dry-run", "nothing").code == 2
    assert conflicts(tables) == []
    tables.settled()


def test_ways_to_decide(tables: Clone) -> None:
    diverge(tables, CLASH_OURS, CLASH_THEIRS)
    other = tables.box.root / "other.csv"
    other.write_bytes(row(BOTH, 9, b"from a file"))
    for words, wanted in (
        (["--ours"], CLASHED),
        (["--theirs"], DECIDED),
        (["--base"], BOTH),
        (["--key", "id=9", "--col", "v", "--value", "a,b"], row(BOTH, 9, b'"a,b"')),
        (["--from", str(other)], row(BOTH, 9, b"from a file")),
    ):
        for known in (tables.store / "resolutions").glob("*"):
            known.unlink()
        assert tables.attempt("merge", "side").code == 1
        tables.mlver("resolve", "t.csv", *words)
        assert tables.read("t.csv") == wanted, words
        assert tables.blob(":t.csv") == pointer_to(wanted)
        tables.git("reset", "-q", "--hard", "HEAD")


def test_a_file_that_is_a_pointer_in_the_worktree_was_not_edited(tables: Clone) -> None:
    """As a large file is after a merge that stopped, or where nothing is smudged."""
    diverge(tables, CLASH_OURS, CLASH_THEIRS)
    assert tables.attempt("merge", "side", MLVER_SKIP_SMUDGE="1").code == 1
    assert tables.read("t.csv") == pointer_to(CLASHED)
    tables.mlver("resolve", "t.csv", "--theirs")
    assert tables.read("t.csv") == DECIDED and tables.blob(":t.csv") == pointer_to(DECIDED)


def test_what_somebody_edited_is_not_written_over_and_is_a_decision(tables: Clone) -> None:
    diverge(tables, CLASH_OURS, CLASH_THEIRS)
    tables.attempt("merge", "side")
    mine = row(BOTH, 9, b"mine")
    tables.write("t.csv", mine)
    refused = tables.attempt("mlver", "resolve", "t.csv", "--ours")
    assert refused.code == 8 and tables.read("t.csv") == mine
    tables.git("commit", "-qam", "merged")
    assert conflicts(tables) == []
    tables.git("reset", "-q", "--hard", "HEAD~1")
    done = tables.git("merge", "-q", "--no-edit", "side")
    assert "decided as before" in done.err and tables.read("t.csv") == mine


def test_an_aborted_merge_leaves_nothing_undecided(tables: Clone) -> None:
    clash = row(BASE, 9, b"p")
    diverge(tables, clash, row(BASE, 9, b"q"))
    assert tables.attempt("merge", "side").code == 1  # what it put in place is ours itself
    tables.git("add", "t.csv")
    assert tables.attempt("commit", "-qm", "x").code == 1
    tables.git("merge", "--abort")
    assert conflicts(tables) == []
    tables.given("more", {"u.csv": BASE})
    tables.commit("and more", {"w.csv": BASE})
    assert tables.read("t.csv") == clash


def test_a_commit_that_skipped_the_hook_is_not_pushed_and_fails_verify(tables: Clone) -> None:
    tables.box.bare()
    tables.git("remote", "add", "origin", "../far.git")
    tables.git("push", "-q", "origin", "main")
    diverge(tables, CLASH_OURS, CLASH_THEIRS)
    tables.attempt("merge", "side")
    tables.git("add", "t.csv")
    tables.git("commit", "-q", "--no-verify", "-m", "hidden")
    pushed = tables.attempt("push", "-q", "origin", "main")
    assert pushed.code != 0 and "nothing is pushed" in pushed.err
    checked = tables.attempt("mlver", "verify", "--json")
    assert checked.code == 8 and json.loads(checked.raw)["unresolved"] == ["t.csv"]
    tables.mlver("resolve", "t.csv", "--theirs")
    tables.git("commit", "-qm", "decided")
    tables.git("push", "-q", "origin", "main")
    assert tables.json("verify")["unresolved"] == []


def test_rebase_cherry_pick_revert_squash_and_stash(tables: Clone) -> None:
    diverge(tables, OURS, THEIRS)
    tables.git("branch", "ours")
    tables.git("rebase", "-q", "side")
    assert tables.read("t.csv") == BOTH
    tables.git("reset", "-q", "--hard", "ours")
    tables.git("cherry-pick", "side")
    assert tables.read("t.csv") == BOTH
    tables.git("revert", "--no-edit", "ours")
    assert tables.read("t.csv") == THEIRS
    tables.git("reset", "-q", "--hard", "ours")
    tables.git("merge", "-q", "--squash", "side")
    assert tables.read("t.csv") == BOTH
    tables.git("reset", "-q", "--hard", "ours")
    tables.write("t.csv", row(OURS, 20, b"local"))
    tables.git("stash", "-q")
    tables.git("merge", "-q", "--no-edit", "side")
    tables.git("stash", "pop", "-q")
    assert tables.read("t.csv") == row(BOTH, 20, b"local")


def test_a_conflict_in_a_rebase_waits_for_its_decision(tables: Clone) -> None:
    diverge(tables, CLASH_OURS, CLASH_THEIRS)
    assert tables.attempt("rebase", "side").code == 1
    tables.git("add", "t.csv")
    refused = tables.attempt("rebase", "--continue")
    assert refused.code != 0 and "nobody has decided" in refused.err
    tables.mlver("resolve", "t.csv", "--theirs")  # "theirs" of a rebase is the branch itself
    tables.git("rebase", "--continue")
    assert tables.read("t.csv") == CLASHED and conflicts(tables) == []
    tables.git("reset", "-q", "--hard", "ORIG_HEAD")
    tables.git("reset", "-q", "--hard", "main@{1}")


def test_octopus_criss_cross_rename_and_add_on_both_sides(tables: Clone) -> None:
    diverge(tables, OURS, THEIRS)
    tables.git("branch", "third", "HEAD~1")
    tables.git("checkout", "-q", "third")
    tables.given("third", {"t.csv": row(BASE, 15, b"third")})
    tables.git("checkout", "-q", "main")
    tables.git("branch", "before")
    tables.attempt("merge", "-q", "--no-edit", "side", "third")
    # git's octopus does not call drivers: it takes both or gives up, and blends no two pointers
    assert tables.blob("HEAD:t.csv") in (pointer_to(OURS), pointer_to(row(BOTH, 15, b"third")))
    tables.git("reset", "-q", "--hard", "before")
    # criss-cross: each branch merges the other, and both go on
    tables.git("merge", "-q", "--no-edit", "side")
    tables.git("checkout", "-q", "side")
    tables.git("merge", "-q", "--no-edit", "before")
    tables.given("on", {"t.csv": row(BOTH, 21, b"side")})
    tables.git("checkout", "-q", "main")
    tables.given("on", {"t.csv": row(BOTH, 11, b"main")})
    tables.git("merge", "-q", "--no-edit", "side")
    assert tables.read("t.csv") == row(row(BOTH, 11, b"main"), 21, b"side")
    # a rename here, a change there
    tables.git("checkout", "-q", "side")
    tables.git("merge", "-q", "--no-edit", "main")
    late = row(tables.read("t.csv"), 25, b"late")
    tables.given("edit", {"t.csv": late})
    tables.git("checkout", "-q", "main")
    tables.git("mv", "t.csv", "renamed.csv")
    tables.git("commit", "-qm", "renamed")
    tables.git("merge", "-q", "--no-edit", "side")
    assert tables.read("renamed.csv") == late
    # added on both sides: there is no base
    diverge_added(tables)
    tables.settled()


def diverge_added(work: Clone) -> None:
    work.git("checkout", "-qb", "adds")
    work.given("theirs", {"new.csv": BASE + b"51,b,b\n"})
    work.git("checkout", "-q", "main")
    work.given("ours", {"new.csv": BASE + b"50,a,a\n"})
    work.git("merge", "-q", "--no-edit", "adds")
    assert work.read("new.csv") == BASE + b"50,a,a\n51,b,b\n"


def test_content_that_is_not_here_is_fetched_and_a_remote_that_is_down_changes_nothing(
    tables: Clone, box: Sandbox
) -> None:
    diverge(tables, CLASH_OURS, THEIRS)
    box.bare()
    tables.git("remote", "add", "origin", "../far.git")
    tables.git("push", "-q", "origin", "main", "side")
    lost = tables.lose_content()
    far = box.root / "far.git" / "mlver"
    far.rename(box.root / "down")
    done = tables.attempt("merge", "side")
    assert done.code == 1 and "was not merged, ours is kept" in done.err
    assert tables.read("t.csv") == CLASH_OURS or tables.read("t.csv") == pointer_to(CLASH_OURS)
    assert tables.blob(":3:t.csv") == pointer_to(THEIRS)
    tables.git("merge", "--abort")
    (box.root / "down").rename(far)
    tables.git("merge", "-q", "--no-edit", "side")
    assert tables.read("t.csv") == row(BOTH, 9, b"p")
    assert lost.exists()
    tables.settled()


def test_the_key_and_strictness_come_from_attributes(tables: Clone) -> None:
    with tables.path(".gitattributes").open("a") as file:
        file.write("t.csv mlver-key=n mlver-strict=row\n")
    tables.given("attributes")
    diverge(tables, row(BASE, 5, b"p"), BASE.replace(b"\n5,name 5", b"\n500,name 5"))
    assert tables.attempt("merge", "side").code == 1
    (file_,) = conflicts(tables)
    assert (file_["key"], file_["key_source"]) == (["n"], "attribute")
    assert [c["column"] for c in file_["conflicts"]] == ["id", "v"]  # type: ignore[index,attr-defined]


def test_what_one_deleted_and_the_other_changed_is_decided_by_a_side(tables: Clone) -> None:
    tables.git("checkout", "-qb", "side")
    tables.given("theirs", {"t.csv": THEIRS})
    tables.git("checkout", "-q", "main")
    tables.git("rm", "-q", "t.csv")
    tables.git("commit", "-qm", "gone")
    assert tables.attempt("merge", "side").code == 1
    (file,) = conflicts(tables)
    (conflict,) = file["conflicts"]  # type: ignore[attr-defined]
    assert (conflict["kind"], conflict["absent"]) == ("file", ["ours"])
    tables.mlver("resolve", "t.csv", "--theirs")
    assert tables.read("t.csv") == THEIRS and conflicts(tables) == []
    tables.git("commit", "-qm", "kept")
    tables.settled()
