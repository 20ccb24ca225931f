"""Capture: in every way that git makes a commit, nothing large goes into history."""

from __future__ import annotations

import shlex
import sys

import pytest
from tests.support.sandbox import Clone, Sandbox, content, pointer_to

BIG, BIGGER, SMALL = content("big", 6000), content("bigger", 7000), b"small\n"
POLICY = b'threshold = 5000\npatterns = ["*.pt", "models/*.h5"]\n'


@pytest.fixture
def repo(work: Clone) -> Clone:
    """A repository whose threshold is 5000 bytes."""
    work.given("policy", {".mlver.toml": POLICY, "text.txt": b"one\n" * 20})
    return work


def captured(work: Clone, name: str, data: bytes, revision: str = "HEAD") -> bool:
    assert work.read(name) == data
    return work.blob(f"{revision}:{name}") == pointer_to(data)


def test_a_large_file_is_captured_attributed_and_told(repo: Clone) -> None:
    repo.write("big.dat", BIG)
    repo.write("small.dat", SMALL)
    repo.git("add", "-A")
    done = repo.git("commit", "-qm", "x")
    assert "git-mlver: captured big.dat (6.0 KB), added to .gitattributes" in done.err
    assert captured(repo, "big.dat", BIG)
    assert repo.blob("HEAD:small.dat") == SMALL
    assert b"/big.dat filter=mlver diff=mlver merge=mlver -text\n" in repo.blob(
        "HEAD:.gitattributes"
    )
    repo.settled()
    again = repo.given("next", {"big.dat": BIGGER})
    assert captured(repo, "big.dat", BIGGER, again)
    repo.settled()


def test_types_that_the_policy_names_are_captured_whatever_their_size(repo: Clone) -> None:
    files = {
        "net.pt": content("pt", 900),
        "deep/er/net.pt": content("pt2", 900),
        "models/a.h5": content("h5", 900),
    }
    left = {"elsewhere/a.h5": content("h5", 900), "tiny.pt": b"x" * 100}
    repo.commit("x", {**files, **left})
    assert all(captured(repo, name, data) for name, data in files.items())
    assert all(repo.blob(f"HEAD:{name}") == data for name, data in left.items())
    repo.settled()


def test_commit_a(repo: Clone) -> None:
    repo.write("text.txt", BIG)
    done = repo.git("commit", "-qam", "x")
    assert "captured text.txt" in done.err and captured(repo, "text.txt", BIG)
    repo.settled()


@pytest.mark.parametrize("option", ["--only", "--include"])
def test_commit_path_captures_and_stages_nothing_else(repo: Clone, option: str) -> None:
    repo.write("new.dat", BIG)
    repo.write("other.dat", SMALL)
    repo.git("add", "new.dat", "other.dat")
    repo.write("text.txt", BIGGER)
    done = repo.git("commit", "-q", "-m", "x", option, "text.txt")
    assert "captured text.txt" in done.err and captured(repo, "text.txt", BIGGER)
    if option == "--only":
        assert repo.status() == "A  new.dat\nA  other.dat\n"
        repo.git("commit", "-qm", "y")
    assert captured(repo, "new.dat", BIG) and repo.blob("HEAD:other.dat") == SMALL
    attributes = repo.blob("HEAD:.gitattributes")
    assert b"/text.txt filter=mlver" in attributes and b"/new.dat filter=mlver" in attributes
    repo.settled()


def test_commit_path_beside_staged_changes_of_gitattributes_loses_neither(repo: Clone) -> None:
    before = repo.blob("HEAD:.gitattributes")
    repo.write(".gitattributes", before + b"*.staged text\n")
    repo.git("add", ".gitattributes")
    repo.write("text.txt", BIG)
    repo.git("commit", "-q", "-m", "x", "text.txt")
    assert captured(repo, "text.txt", BIG)
    assert b"*.staged" not in repo.blob("HEAD:.gitattributes")
    assert b"/text.txt filter=mlver" in repo.blob("HEAD:.gitattributes")
    staged = repo.blob(":.gitattributes")
    assert b"*.staged text" in staged and b"/text.txt filter=mlver" in staged
    repo.git("commit", "-qm", "y")
    assert b"/text.txt filter=mlver" in repo.blob("HEAD:.gitattributes")
    repo.settled()


def test_commit_p(repo: Clone) -> None:
    repo.write("big.dat", BIG)
    repo.git("add", "big.dat")
    repo.write("text.txt", b"first\n" + b"one\n" * 20 + b"last\n")
    done = repo.git("commit", "-q", "-p", "-m", "x", input=b"y\nn\n")
    assert "captured big.dat" in done.err and captured(repo, "big.dat", BIG)
    assert repo.blob("HEAD:text.txt") == b"first\n" + b"one\n" * 20
    assert repo.status() == " M text.txt\n"
    repo.git("checkout", "--", "text.txt")
    repo.settled()


def test_amend(repo: Clone) -> None:
    repo.given("x", {"a.txt": SMALL})
    repo.write("big.dat", BIG)
    repo.git("add", "big.dat")
    done = repo.git("commit", "-q", "--amend", "--no-edit")
    assert "captured big.dat" in done.err and captured(repo, "big.dat", BIG)
    repo.git("commit", "-q", "--amend", "--no-edit", "-m", "y")
    repo.settled()


def test_a_commit_that_ends_a_merge(repo: Clone) -> None:
    repo.git("checkout", "-qb", "side")
    repo.given("theirs", {"text.txt": b"theirs\n"})
    repo.git("checkout", "-q", "main")
    repo.given("ours", {"text.txt": b"ours\n"})
    assert repo.attempt("merge", "side").code == 1
    repo.write("text.txt", BIG)
    repo.git("add", "text.txt")
    done = repo.git("commit", "-qm", "merged")
    assert "captured text.txt" in done.err and captured(repo, "text.txt", BIG)
    assert len(repo.git("log", "-1", "--format=%P").out.split()) == 2
    repo.settled()


def test_a_commit_made_while_a_rebase_stands_still(repo: Clone) -> None:
    base = repo.head()
    repo.given("one", {"a.txt": SMALL})
    repo.given("two", {"b.txt": SMALL})
    script = "import sys; p = sys.argv[1]; t = open(p).read(); open(p, 'w').write('edit' + t[4:])"
    editor = shlex.join([sys.executable, "-c", script])
    repo.git("rebase", "-i", base, GIT_SEQUENCE_EDITOR=editor)
    repo.write("big.dat", BIG)
    repo.git("add", "big.dat")
    done = repo.git("commit", "-q", "--amend", "--no-edit")
    assert "captured big.dat" in done.err
    repo.git("rebase", "--continue")
    assert captured(repo, "big.dat", BIG) and captured(repo, "big.dat", BIG, "HEAD~1")
    repo.settled()


def conflicted_rebase(repo: Clone) -> None:
    """A rebase that stands still at a conflict in text.txt, with two more commits to come."""
    repo.git("checkout", "-qb", "side")
    repo.given("theirs", {"text.txt": b"theirs\n"})
    repo.git("checkout", "-q", "main")
    repo.given("ours", {"text.txt": b"ours\n"})
    repo.given("raw, from before git-mlver", {"raw.dat": BIGGER})
    repo.given("after it", {"z.txt": SMALL})
    assert repo.attempt("rebase", "side").code == 1


def test_a_commit_that_rebase_continue_makes(repo: Clone) -> None:
    """It skips pre-commit; prepare-commit-msg comes when git has written the tree, so that the
    capture stops the commit once. What the rebase only repeats is none of our business."""
    conflicted_rebase(repo)
    repo.write("text.txt", BIG)
    repo.git("add", "text.txt")
    done = repo.attempt("rebase", "--continue")
    assert done.code != 0 and "captured text.txt" in done.err
    assert "  next: git rebase --continue\n" in done.err
    repo.git("rebase", "--continue")
    assert captured(repo, "text.txt", BIG) and captured(repo, "text.txt", BIG, "HEAD~2")
    assert b"/text.txt filter=mlver" in repo.blob("HEAD~2:.gitattributes")
    assert repo.blob("HEAD:raw.dat") == BIGGER
    repo.settled()


def test_rebase_continue_makes_durable_and_refuses_by_policy(repo: Clone) -> None:
    repo.given("policy", {".mlver.toml": POLICY + b'policy = "reject"\n'})
    conflicted_rebase(repo)
    head = repo.head()
    repo.write("text.txt", BIG)
    repo.write("a.bin", BIGGER)
    repo.git("add", "text.txt", "a.bin")
    done = repo.attempt("rebase", "--continue")
    assert done.code != 0 and 'policy = "reject"' in done.err and repo.head() == head
    repo.write("text.txt", b"both\n")
    repo.git("add", "text.txt")
    assert list((repo.store / "incoming").iterdir())
    repo.git("rebase", "--continue")
    assert list((repo.store / "incoming").iterdir()) == []
    assert repo.blob("HEAD~2:text.txt") == b"both\n" and captured(repo, "a.bin", BIGGER)


def test_rebase_continue_that_amends(repo: Clone) -> None:
    """What is staged at an `edit` is amended by rebase --continue itself."""
    base = repo.head()
    repo.given("one", {"a.txt": SMALL})
    repo.given("two", {"b.txt": SMALL})
    repo.git("rebase", "-i", base, GIT_SEQUENCE_EDITOR="sed -i 1s/^pick/edit/")
    repo.write("big.dat", BIG)
    repo.git("add", "big.dat")
    assert "captured big.dat" in repo.attempt("rebase", "--continue").err
    repo.git("rebase", "--continue")
    assert captured(repo, "big.dat", BIG) and captured(repo, "big.dat", BIG, "HEAD~1")
    repo.settled()


def test_rebase_continue_under_the_pre_commit_framework(repo: Clone) -> None:
    """It starts `git-mlver hook prepare-commit-msg` at every commit, without a shim of ours."""
    hook = repo.git_dir() / "hooks/prepare-commit-msg"
    hook.write_text("#!/bin/sh\nexec git-mlver hook prepare-commit-msg\n")
    conflicted_rebase(repo)
    repo.write("text.txt", BIG)
    repo.git("add", "text.txt")
    assert "captured text.txt" in repo.attempt("rebase", "--continue").err
    repo.git("rebase", "--continue")
    assert captured(repo, "text.txt", BIG) and repo.blob("HEAD:raw.dat") == BIGGER
    repo.write("raw.dat", BIGGER + b"x")
    repo.git("commit", "-q", "-a", "--no-verify", "-m", "as I say")
    assert repo.blob("HEAD:raw.dat") == BIGGER + b"x"


def test_no_verify_of_a_person_in_a_rebase_is_respected(repo: Clone) -> None:
    conflicted_rebase(repo)
    repo.write("text.txt", BIG)
    repo.git("add", "text.txt")
    repo.git("commit", "-q", "--no-verify", "-m", "as I say")
    repo.git("rebase", "--continue")
    assert repo.blob("HEAD~2:text.txt") == BIG


def test_rebase_continue_in_a_linked_worktree(repo: Clone, box: Sandbox) -> None:
    repo.git("worktree", "add", "-q", "../linked", "-b", "other")
    linked = box.at("linked")
    linked.git("checkout", "-qb", "side")
    linked.given("theirs", {"text.txt": b"theirs\n"})
    linked.git("checkout", "-q", "other")
    linked.given("ours", {"text.txt": b"ours\n"})
    assert linked.attempt("rebase", "side").code == 1
    linked.write("text.txt", BIG)
    linked.git("add", "text.txt")
    assert "captured text.txt" in linked.attempt("rebase", "--continue").err
    linked.git("rebase", "--continue")
    assert captured(linked, "text.txt", BIG)
    linked.settled()


def test_a_commit_in_a_linked_worktree(repo: Clone, box: Sandbox) -> None:
    repo.git("worktree", "add", "-q", "../linked", "-b", "side")
    linked = box.at("linked")
    linked.write("text.txt", BIG)
    done = linked.git("commit", "-q", "-m", "x", "text.txt")
    assert "captured text.txt" in done.err and captured(linked, "text.txt", BIG)
    linked.settled()
    repo.git("merge", "-q", "side")
    assert captured(repo, "text.txt", BIG)
    repo.settled()


def test_a_commit_in_a_submodule(repo: Clone, box: Sandbox) -> None:
    library = box.init("library")
    library.given("policy", {".mlver.toml": POLICY})
    repo.git("submodule", "--quiet", "add", str(library.top), "lib")
    lib = box.at("work/lib")
    lib.mlver("init")
    lib.write("big.dat", BIG)
    lib.git("add", "-A")
    done = lib.git("commit", "-qm", "x")
    assert "captured big.dat" in done.err and captured(lib, "big.dat", BIG)
    lib.settled()
    repo.given("lib")
    repo.settled()


def test_a_first_commit(box: Sandbox) -> None:
    box.git("init", "-q", "fresh")
    fresh = box.at("fresh")
    fresh.mlver("init")
    fresh.write(".mlver.toml", POLICY)
    fresh.write("big.dat", BIG)
    fresh.git("add", "-A")
    fresh.git("commit", "-qm", "first")
    assert captured(fresh, "big.dat", BIG)
    fresh.settled()


def test_local_changes_of_gitattributes_stay_out_of_the_commit_and_in_the_worktree(
    repo: Clone,
) -> None:
    before = repo.blob("HEAD:.gitattributes")
    repo.write(".gitattributes", before + b"*.local text")  # no newline at its end
    repo.write("big.dat", BIG)
    repo.git("add", "big.dat")
    repo.git("commit", "-qm", "x")
    assert captured(repo, "big.dat", BIG)
    line = b"/big.dat filter=mlver diff=mlver merge=mlver -text\n"
    assert repo.blob("HEAD:.gitattributes") == before + line
    assert repo.read(".gitattributes") == before + b"*.local text\n" + line
    assert repo.status() == " M .gitattributes\n"
    repo.git("checkout", "--", ".gitattributes")
    repo.settled()


def test_what_is_staged_is_captured_and_later_edits_stay(repo: Clone) -> None:
    repo.write("big.dat", BIG)
    repo.git("add", "big.dat")
    repo.write("big.dat", BIGGER)
    repo.git("commit", "-qm", "x")
    assert repo.blob("HEAD:big.dat") == pointer_to(BIG)
    assert repo.read("big.dat") == BIGGER
    assert repo.status() == " M big.dat\n"
    repo.git("commit", "-qam", "y")
    assert captured(repo, "big.dat", BIGGER)
    repo.settled()


def test_reject_refuses_and_its_advice_works(repo: Clone) -> None:
    repo.given("policy", {".mlver.toml": POLICY + b'policy = "reject"\n'})
    head = repo.head()
    repo.write("big file.dat", BIG)
    repo.git("add", "-A")
    done = repo.attempt("commit", "-qm", "x")
    assert done.code != 0 and "big file.dat" in done.err and 'policy = "reject"' in done.err
    assert repo.head() == head and repo.blob(":big file.dat") == BIG
    advice = done.err.split("next: ")[1].splitlines()[0]
    assert repo.box.run(["sh", "-ec", advice], repo.top).code == 0, advice
    repo.git("commit", "-qm", "x")
    assert captured(repo, "big file.dat", BIG)
    repo.settled()


def test_off_leaves_everything_to_the_user(repo: Clone) -> None:
    repo.given("policy", {".mlver.toml": POLICY + b'policy = "off"\n'})
    repo.write("big.dat", BIG)
    repo.git("add", "-A")
    done = repo.git("commit", "-qm", "x")
    assert done.err == "" and repo.blob("HEAD:big.dat") == BIG
    repo.settled()


def test_a_folder_that_switches_the_filter_off_is_left_alone(repo: Clone) -> None:
    """A pointer there would show up as a change for ever: git would not give its content back."""
    repo.given("x", {"raw/.gitattributes": b"* -filter\n"})
    repo.write("raw/big.dat", BIG)
    repo.git("add", "-A")
    done = repo.git("commit", "-qm", "y")
    assert "raw/big.dat" in done.err
    assert repo.blob("HEAD:raw/big.dat") == BIG
    repo.settled()


def test_nothing_is_held_up_where_there_is_nothing_to_capture(repo: Clone) -> None:
    repo.write("text.txt", SMALL)
    assert repo.git("commit", "-qam", "x").err == ""
    assert repo.git("commit", "-q", "--allow-empty", "-m", "y").err == ""
    repo.git("rm", "-q", "text.txt")
    assert repo.git("commit", "-qm", "gone").err == ""
    repo.settled()
