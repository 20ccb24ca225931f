"""Merges of tracked files: one side, both sides, and a git that has no driver of ours.

A change on one side is taken. Two different changes keep ours and are a conflict: git keeps all
three versions in the index, and the file in the worktree is valid at every moment.
"""

from __future__ import annotations

import pytest
from tests.support.sandbox import Clone, Sandbox, content, pointer_to

BASE, OURS, THEIRS = content("base"), content("ours"), content("theirs")
MARKED = b"<<<<<<< "


def diverge(work: Clone, ours: dict[str, bytes], theirs: dict[str, bytes]) -> None:
    """Commit these on `main` and on `side`, both on top of the present commit."""
    work.git("checkout", "-qb", "side")
    work.given("theirs", theirs)
    work.git("checkout", "-q", "main")
    work.given("ours", ours)


def conflicted(work: Clone) -> None:
    work.given("base", {"a.bin": BASE})
    diverge(work, {"a.bin": OURS}, {"a.bin": THEIRS})


def test_two_changes_keep_ours_and_hold_all_three_versions_as_pointers(work: Clone) -> None:
    conflicted(work)
    done = work.attempt("merge", "side")
    assert done.code == 1
    assert "git checkout --theirs -- a.bin" in done.err and "ours is kept" in done.err
    assert work.read("a.bin") == OURS
    stages = [work.blob(f":{stage}:a.bin") for stage in (1, 2, 3)]
    assert stages == [pointer_to(data) for data in (BASE, OURS, THEIRS)]
    work.git("checkout", "--theirs", "--", "a.bin")
    assert work.read("a.bin") == THEIRS
    work.git("checkout", "--ours", "--", "a.bin")
    assert work.read("a.bin") == OURS
    work.git("checkout", "--theirs", "--", "a.bin")
    work.git("add", "a.bin")
    work.git("commit", "-qm", "merged")
    assert work.blob("HEAD:a.bin") == pointer_to(THEIRS)
    work.settled()


@pytest.mark.parametrize("add", ["add", "mlver add"])
def test_adding_ours_settles_the_conflict(work: Clone, add: str) -> None:
    conflicted(work)
    work.attempt("merge", "side")
    work.git(*add.split(), "a.bin")
    assert work.git("ls-files", "-u").out == ""
    work.git("commit", "-qm", "merged")
    assert work.blob("HEAD:a.bin") == pointer_to(OURS)
    work.settled()


def test_a_conflict_can_be_left_in_every_way(work: Clone) -> None:
    conflicted(work)
    for back in (("merge", "--abort"), ("reset", "--hard", "-q"), ("stash", "-q")):
        assert work.attempt("merge", "side").code == 1
        if back[0] == "stash":
            work.git("add", "a.bin")
        work.git(*back)
        assert work.read("a.bin") == OURS
        work.settled()


def test_a_conflict_in_a_rebase_and_in_a_cherry_pick(work: Clone) -> None:
    conflicted(work)
    assert work.attempt("rebase", "side").code == 1
    assert work.read("a.bin") == THEIRS  # "ours" of a rebase is the branch that it lands on
    work.git("checkout", "--theirs", "--", "a.bin")
    assert work.read("a.bin") == OURS
    work.git("add", "a.bin")
    work.git("rebase", "--continue")
    assert work.read("a.bin") == OURS
    work.settled()
    work.git("checkout", "-q", "-b", "again", "main~2")
    work.git("cherry-pick", "side")
    assert work.attempt("cherry-pick", "main").code in (0, 1)
    work.attempt("cherry-pick", "--abort")
    work.git("checkout", "-q", "-f", "main")
    assert work.read("a.bin") == OURS
    work.settled()


def test_checkout_m_keeps_the_local_change_as_theirs(work: Clone) -> None:
    conflicted(work)
    work.git("checkout", "-q", "side~1")
    local = content("local")
    work.write("a.bin", local)
    done = work.git("checkout", "-q", "-m", "main")
    assert "git checkout --theirs -- a.bin" in done.err
    assert work.read("a.bin") == OURS
    work.git("checkout", "--theirs", "--", "a.bin")
    assert work.read("a.bin") == local
    work.git("reset", "-q", "--hard")
    work.settled()


def test_changes_on_one_side_alone_are_taken(work: Clone) -> None:
    work.given("base", {"a.bin": BASE, "b.bin": BASE, "c.bin": BASE, "d.bin": BASE})
    diverge(work, {"a.bin": OURS, "c.bin": OURS}, {"b.bin": THEIRS, "c.bin": OURS, "d.bin": b""})
    work.git("merge", "-q", "--no-edit", "side")
    found = [work.read(f"{name}.bin") for name in "abcd"]
    assert found == [OURS, THEIRS, OURS, b""]
    work.settled()


def test_a_rename_here_and_a_change_there_meet(work: Clone) -> None:
    work.given("base", {"old.bin": BASE, "other.bin": content("o")})
    work.git("checkout", "-qb", "side")
    work.given("theirs", {"old.bin": THEIRS})
    work.git("checkout", "-q", "main")
    work.git("mv", "old.bin", "new.bin")
    work.git("commit", "-qm", "renamed")
    work.git("merge", "-q", "--no-edit", "side")
    assert work.read("new.bin") == THEIRS and not work.path("old.bin").exists()
    work.settled()


def test_a_file_that_one_side_deleted_and_the_other_changed_is_a_conflict(work: Clone) -> None:
    work.given("base", {"a.bin": BASE})
    work.git("checkout", "-qb", "side")
    work.given("theirs", {"a.bin": THEIRS})
    work.git("checkout", "-q", "main")
    work.git("rm", "-q", "a.bin")
    work.git("commit", "-qm", "gone")
    assert work.attempt("merge", "side").code == 1
    assert work.read("a.bin") == THEIRS
    work.git("add", "a.bin")
    work.git("commit", "-qm", "kept")
    work.settled()


def test_both_sides_add_the_same_path(work: Clone) -> None:
    diverge(
        work, {"same.bin": OURS, "differs.bin": OURS}, {"same.bin": OURS, "differs.bin": THEIRS}
    )
    assert work.attempt("merge", "side").code == 1
    assert work.read("same.bin") == OURS and work.read("differs.bin") == OURS
    work.git("checkout", "--theirs", "--", "differs.bin")
    work.given("merged")
    assert work.read("differs.bin") == THEIRS
    work.settled()


def test_an_octopus_brings_files_of_every_branch(work: Clone) -> None:
    work.given("base", {"a.bin": BASE})
    for name in ("one", "two", "three"):
        work.git("checkout", "-q", "-b", name, "main")
        work.given(
            name, {f"{name}.bin": content(name), **({"a.bin": THEIRS} if name == "two" else {})}
        )
    work.git("checkout", "-q", "main")
    work.git("merge", "-q", "--no-edit", "one", "two", "three")
    assert [work.read(f"{name}.bin") for name in ("one", "two", "three")] == [
        content(name) for name in ("one", "two", "three")
    ]
    assert work.read("a.bin") == THEIRS
    work.settled()


# -- one branch tracks the file, the other not yet -------------------------------------------


TABLE, MORE = b"a,b\n1,2\n" * 300, b"a,b\n1,3\n" * 300


def start_to_track(work: Clone, changed: str) -> None:
    """`main` starts to track *.csv; `side` still has the plain file."""
    work.given("base", {"t.csv": TABLE})
    work.git("checkout", "-qb", "side")
    work.given("side", {"t.csv": MORE if changed == "plain" else TABLE, "side.txt": b"x"})
    work.git("checkout", "-q", "main")
    work.mlver("track", "*.csv")
    if changed == "tracking":
        work.write("t.csv", MORE)
    work.mlver("add", "t.csv")
    work.git("add", "--renormalize", "-A")
    work.git("commit", "-qam", "tracks")


@pytest.mark.parametrize(
    ("here", "changed"),
    [(here, who) for here in ("main", "side") for who in ("neither", "tracking", "plain")][:-1],
)
def test_one_branch_tracks_the_file_and_the_other_not_yet(
    work: Clone, here: str, changed: str
) -> None:
    start_to_track(work, changed)
    work.git("checkout", "-q", here)
    work.git("merge", "-q", "--no-edit", "side" if here == "main" else "main")
    wanted = TABLE if changed == "neither" else MORE
    assert work.read("t.csv") == wanted
    assert work.blob("HEAD:t.csv") == pointer_to(wanted)
    work.settled()


def test_where_the_branch_does_not_track_yet_and_changed_the_file_nothing_is_lost(
    work: Clone,
) -> None:
    """git asks our driver only where the branch that it stands on has the attribute."""
    start_to_track(work, "plain")
    work.git("checkout", "-q", "side")
    assert work.attempt("merge", "main").code == 1
    assert work.blob(":2:t.csv") == MORE and work.blob(":3:t.csv") == pointer_to(TABLE)
    work.git("checkout", "--theirs", "--", "t.csv")
    assert work.read("t.csv") == TABLE
    work.git("checkout", "--ours", "--", "t.csv")
    assert work.read("t.csv") == MORE
    work.git("add", "t.csv")
    work.git("commit", "-qm", "merged")
    assert work.blob("HEAD:t.csv") == pointer_to(MORE)
    work.settled()


# -- git without our driver -------------------------------------------------------------------


def merged_as_text(work: Clone, box: Sandbox) -> None:
    """A merge by a git that has the filter and not the driver: markers in the pointer."""
    conflicted(work)
    box.git("config", "--global", "--remove-section", "merge.mlver")
    done = work.attempt("merge", "side")
    assert done.code == 1
    assert MARKED in work.read("a.bin")
    assert "damaged pointer" in done.err and "git mlver doctor" in done.err


def test_markers_in_a_pointer_are_refused_by_a_commit(work: Clone, box: Sandbox) -> None:
    merged_as_text(work, box)
    head = work.head()
    work.git("add", "a.bin")
    assert MARKED in work.blob(":a.bin")
    refused = work.attempt("commit", "-qm", "x")
    assert refused.code != 0 and "conflict markers" in refused.err
    assert "git checkout --ours" in refused.err or "git checkout --theirs" in refused.err
    assert work.head() == head
    work.git("reset", "-q", "--hard")
    assert work.read("a.bin") == OURS
    work.settled()


def test_checkout_away_from_markers_works(work: Clone, box: Sandbox) -> None:
    merged_as_text(work, box)
    work.git("checkout", "-q", "-f", "side")
    assert work.read("a.bin") == THEIRS
    work.git("checkout", "-q", "main")
    assert work.read("a.bin") == OURS
    work.attempt("merge", "side")
    work.git("add", "a.bin")
    work.git("checkout", "-q", "-f", "side")
    assert work.read("a.bin") == THEIRS
    work.settled()


def test_doctor_repairs_markers_in_a_pointer(work: Clone, box: Sandbox) -> None:
    merged_as_text(work, box)
    found = work.attempt("mlver", "doctor")
    assert found.code == 1 and "a.bin" in found.out and "doctor --fix" in found.out
    work.mlver("doctor", "--fix")
    assert work.read("a.bin") == OURS
    work.git("add", "a.bin")
    work.git("commit", "-qm", "merged")
    assert work.blob("HEAD:a.bin") == pointer_to(OURS)
    work.settled()


def test_doctor_repairs_markers_that_were_added(work: Clone, box: Sandbox) -> None:
    merged_as_text(work, box)
    work.git("add", "a.bin")
    work.mlver("doctor", "--fix")
    assert work.read("a.bin") == OURS and work.blob(":a.bin") == pointer_to(OURS)
    assert work.json("doctor")["ok"]
    work.git("commit", "-qm", "merged")
    work.settled()


def test_a_merge_whose_content_is_missing_keeps_ours(work: Clone) -> None:
    conflicted(work)
    lost = work.lose_content()
    done = work.attempt("merge", "side")
    assert done.code == 1 and "Traceback" not in done.err
    assert work.read("a.bin") in (OURS, pointer_to(OURS))
    assert work.blob(":3:a.bin") == pointer_to(THEIRS)
    work.find_content(lost)
    work.git("checkout", "--theirs", "--", "a.bin")
    assert work.read("a.bin") == THEIRS
    work.given("merged")
    work.settled()
