"""Each family of failure has one exit code, words that say what, why and what next, and never a
traceback. Real conditions, no pretending."""

from __future__ import annotations

import fcntl
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.sandbox import Clone, Done, Sandbox, content
from tests.support.worlds import Worlds

from mlver.errors import EXIT_CODES

_LIMITED = """\
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def said(done: Done, code: int) -> str:
    """What the command said, which must have ended with this code."""
    assert done.code == code, (done.code, done.out, done.err)
    assert "Traceback" not in done.err
    if code > 2:
        assert done.err.startswith("git-mlver: "), done.err
        assert re.search(r"^  next: \S|; next: \S", done.err, re.MULTILINE), done.err
    return done.err


def _pushed(box: Sandbox) -> None:
    work = box.at("work")
    work.commit("two", {f"{name}.bin": content(name) for name in "ab"})
    box.bare()
    work.git("remote", "add", "origin", "../far.git")
    work.git("push", "-q", "origin", "main")


@pytest.fixture
def pushed(box: Sandbox, worlds: Worlds) -> Clone:
    worlds.enter(box, _pushed)
    return box.at("work")


def test_0_done(pushed: Clone) -> None:
    for words in (["status"], ["ls"], ["fsck"], ["doctor"], ["push"], ["pull"], ["prune"]):
        said(pushed.attempt("mlver", *words), 0)


def test_1_differences_only_where_they_are_asked_for(pushed: Clone) -> None:
    pushed.commit("change", {"a.bin": content("other")})
    said(pushed.attempt("mlver", "diff", "HEAD~1", "HEAD"), 0)
    said(pushed.attempt("mlver", "diff", "--exit-code", "HEAD~1", "HEAD"), 1)
    said(pushed.attempt("mlver", "diff", "--exit-code", "HEAD", "HEAD"), 0)


def test_1_problems_found_by_doctor(pushed: Clone) -> None:
    (pushed.git_dir() / "hooks/pre-commit").unlink()
    said(pushed.attempt("mlver", "doctor"), 1)
    said(pushed.attempt("mlver", "doctor", "--fix"), 0)


def test_1_problems_found_by_fsck(pushed: Clone) -> None:
    shutil.rmtree(pushed.store)
    shutil.rmtree(pushed.box.root / "far.git/mlver")
    said(pushed.attempt("mlver", "fsck"), 1)


def test_1_a_conflict_keeps_ours_and_says_how_to_take_theirs(pushed: Clone) -> None:
    pushed.git("switch", "-q", "-c", "side")
    pushed.commit("theirs", {"a.bin": content("theirs")})
    pushed.git("switch", "-q", "main")
    pushed.commit("ours", {"a.bin": content("ours")})
    done = pushed.attempt("merge", "side")
    assert done.code == 1
    assert "git checkout --theirs -- a.bin && git add a.bin" in done.err
    assert pushed.read("a.bin") == content("ours")
    pushed.git("checkout", "--theirs", "--", "a.bin")
    pushed.git("add", "a.bin")
    pushed.git("commit", "-q", "-m", "theirs was right")
    assert pushed.read("a.bin") == content("theirs")
    pushed.settled()


_WRONG_WORDS = [
    ["no-such-command"],
    ["status", "--no-such-option"],
    ["add"],
    ["add", "no-such-file"],
    ["clone"],
    ["diff", "no-such-thing"],
    ["drop"],
    ["drop", "no-such-file"],
    ["checkout", "no-such-file"],
    ["checkout", "a.bin", "no-such-file"],
    ["fetch", "no-such-remote"],
    ["fetch", "origin", "no-such-commit"],
    ["fetch", "--include", "no-such-file"],
    ["pull", "no-such-remote"],
    ["pull", "--include", "no-such-file"],
    ["ls", "--rev", "no-such-commit"],
    ["pointer", "no-such-file"],
    ["pointer", "."],
    ["prune", "--expire-days", "nan"],
    ["push", "no-such-remote"],
    ["remote", "add", "x", "relative/path"],
    ["remote", "add", "x", "gs://bucket/prefix"],
    ["remote", "add", "two words", "/x"],
    ["remote", "remove", "no-such-remote"],
    ["remote", "trust", "no-such-remote"],
    ["track", "!negative"],
    ["hook", "no-such-hook"],
    ["merge-driver", "too", "few"],
    ["merge", "main"],
    ["merge", "--dry-run", "no-such-commit"],
    ["merge-file", "too", "few"],
    ["resolve", "a.bin"],
    ["resolve", "--ours", "a.bin"],
    ["resolve", "--ours", "no-such-file"],
    ["resolve", "--value", "x", "a.bin", "b.bin"],
]


def test_2_usage(pushed: Clone) -> None:
    for words in _WRONG_WORDS:
        assert said(pushed.attempt("mlver", *words), 2), words


def test_2_nothing_to_push_to(work: Clone) -> None:
    work.commit("one", {"a.bin": content(1)})
    assert "git mlver remote add NAME /a/directory" in said(work.attempt("mlver", "push"), 2)


def test_3_no_repository(box: Sandbox) -> None:
    assert "git init" in said(box.run(["git", "mlver", "status"], box.root), 3)


def test_3_a_bare_repository_has_no_worktree(box: Sandbox) -> None:
    bare = box.at(box.bare("bare.git"))
    assert "no worktree" in said(bare.attempt("mlver", "status"), 3)


@pytest.mark.parametrize(
    "text", [b"policy = [", b'policy = "no"', b"\xff\xfe", b"threshold = 1.5", b"patterns = [1]"]
)
def test_3_settings_that_cannot_be_read_stop_the_commit_and_the_push(
    pushed: Clone, text: bytes
) -> None:
    pushed.write(".mlver.toml", text)
    said(pushed.attempt("mlver", "env"), 3)
    said(pushed.attempt("mlver", "push"), 3)
    head = pushed.head()
    pushed.write("untracked.dat", content("c"))  # is it too large? the settings have to say
    pushed.git("add", "untracked.dat")
    done = pushed.attempt("commit", "-q", "-m", "no")
    assert done.code == 1 and ".mlver.toml" in done.err and "Traceback" not in done.err
    assert pushed.head() == head


def test_fetch_by_name_and_commit_brings_only_what_is_included(pushed: Clone) -> None:
    shutil.rmtree(pushed.store)
    pushed.mlver("fetch", "origin", "HEAD", "--include", "a.bin", "--exclude", "b.bin")
    assert {row["path"]: row["state"] for row in pushed.json("ls")["files"]} == {
        "a.bin": "here",
        "b.bin": "absent",
    }


def test_4_missing_content(pushed: Clone) -> None:
    pushed.mlver("drop", "a.bin")
    pushed.lose_content()
    shutil.rmtree(pushed.box.root / "far.git/mlver")
    err = said(pushed.attempt("mlver", "checkout"), 4)
    assert "1 file stays a pointer (a.bin" in err
    said(pushed.attempt("mlver", "pull"), 4)
    said(pushed.attempt("mlver", "fetch"), 4)


def test_5_damaged_content(pushed: Clone) -> None:
    pushed.mlver("drop", "a.bin", "b.bin")
    for pack in pushed.store.rglob("*.pack"):
        pack.chmod(0o644)
        data = bytearray(pack.read_bytes())
        for at in range(200, len(data) - 2000, 5000):
            data[at] ^= 1
        pack.write_bytes(data)
    shutil.rmtree(pushed.box.root / "far.git/mlver")
    pointer = pushed.blob(":a.bin")
    said(pushed.attempt("mlver", "checkout", "a.bin"), 5)
    assert pushed.read("a.bin") == pointer


def test_6_a_remote_that_is_not_there(pushed: Clone) -> None:
    folder = pushed.box.root / "mount" / "team"
    folder.mkdir(parents=True)
    pushed.mlver("remote", "add", "team", str(folder))
    shutil.rmtree(folder.parent)
    assert str(folder) in said(pushed.attempt("mlver", "push", "team"), 6)
    head = pushed.commit("new", {"c.bin": content("c")})
    done = pushed.attempt("push", "origin", "main")
    assert done.code == 1 and "Traceback" not in done.err
    assert head not in pushed.git("ls-remote", "origin").out, "refs went without their content"


def test_7_a_full_disk_leaves_everything_as_it_was(pushed: Clone) -> None:
    data = content("large", 3_000_000)
    pushed.write("large.bin", data)
    before = pushed.status()
    limited = [sys.executable, "-c", _LIMITED, "1000000", "git-mlver", "add", "large.bin"]
    said(pushed.box.run(limited, pushed.top), 7)
    assert pushed.status() == before and pushed.read("large.bin") == data
    pushed.mlver("add", "large.bin")
    pushed.git("commit", "-q", "-m", "large")
    pushed.mlver("drop", "large.bin")
    limited[-2:] = ["checkout", "large.bin"]
    said(pushed.box.run(limited, pushed.top), 7)
    assert pushed.read("large.bin") == pushed.blob("HEAD:large.bin")
    pushed.mlver("checkout")
    assert pushed.read("large.bin") == data
    pushed.settled()


def test_7_output_that_cannot_be_written(pushed: Clone) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            ["git", "mlver", "ls"],
            cwd=pushed.top,
            env=pushed.box.env,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 7 and b"Traceback" not in done.stderr


def test_8_changes_that_would_be_lost(pushed: Clone) -> None:
    pushed.write("a.bin", content("not added"))
    said(pushed.attempt("mlver", "drop", "a.bin"), 8)
    assert pushed.read("a.bin") == content("not added")


def test_8_a_remote_that_came_with_the_clone(pushed: Clone) -> None:
    folder = pushed.box.root / "team"
    folder.mkdir()
    pushed.write(".mlver.toml", f'[remotes.team]\nurl = "{folder}"\n'.encode())
    assert "git mlver remote trust team" in said(pushed.attempt("mlver", "push"), 8)
    assert list(folder.iterdir()) == []
    pushed.mlver("remote", "trust", "team")
    said(pushed.attempt("mlver", "push"), 0)


def test_8_a_policy_that_refuses(pushed: Clone) -> None:
    pushed.write(".mlver.toml", b'policy = "reject"\nthreshold = "1k"\n')
    pushed.write("large.dat", content("large"))
    pushed.git("add", "large.dat", ".mlver.toml")
    head = pushed.head()
    done = pushed.attempt("commit", "-q", "-m", "no")
    assert done.code == 1 and "git mlver track large.dat" in done.err
    said(pushed.attempt("mlver", "hook", "pre-commit"), 8)
    assert pushed.head() == head


def test_2_a_pathspec_that_matches_nothing_is_named_as_git_does(pushed: Clone) -> None:
    for words in (["checkout", "nö"], ["drop", "nö"], ["pull", "--include", "nö"]):
        err = said(pushed.attempt("mlver", *words), 2)
        assert "pathspec 'nö' did not match any file(s)" in err and "  next: " in err
    pushed.write("sub/c.bin", content("c"))
    pushed.mlver("add", "sub")
    for words in (
        ["checkout", "c.bin"],
        ["checkout", "*.bin"],
        ["checkout", "."],
        ["drop", "c.bin"],
    ):
        done = pushed.box.run(["git", "mlver", *words], pushed.path("sub"))
        assert said(done, done.code) is not None and done.code in (0, 8), words
    said(pushed.attempt("mlver", "fetch", "--include", "sub/"), 0)
    said(pushed.attempt("mlver", "fetch", "origin", "HEAD", "--include", "a*"), 0)


def test_9_an_index_that_git_holds(pushed: Clone) -> None:
    lock = pushed.git_dir() / "index.lock"
    pushed.write("new.bin", content("new"))
    before = pushed.status()
    lock.touch()
    for words in (["add", "new.bin"], ["add", "--all"]):
        err = said(pushed.attempt("mlver", *words), 9)
        assert str(lock) in err and "index is locked" in err
    # What only tells the index a file's stat can do without: git looks for itself.
    said(pushed.attempt("mlver", "drop", "a.bin"), 0)
    assert pushed.read("a.bin") == pushed.blob("HEAD:a.bin")
    said(pushed.attempt("mlver", "checkout"), 0)
    assert pushed.read("a.bin") == content("a")
    for words in (["track", "*.new"], ["untrack", "*.new"], ["status"], ["pull"], ["fsck"]):
        said(pushed.attempt("mlver", *words), 0)
    assert lock.exists()
    lock.unlink()
    assert pushed.status() == before
    pushed.mlver("add", "new.bin")
    assert "A  new.bin" in pushed.status()


def test_9_a_lock_that_is_taken_while_files_are_added(pushed: Clone) -> None:
    from mlver.errors import BusyError, RepositoryError
    from mlver.git.command import failure

    lock = pushed.git_dir() / "index.lock"
    words = f"fatal: Kann '{lock}' nicht erstellen: Die Datei existiert bereits.\n"
    assert isinstance(failure("git add failed", words.encode()), RepositoryError)
    lock.touch()
    error = failure("git add failed", words.encode())
    assert isinstance(error, BusyError) and str(lock) in error.why


def test_9_a_store_in_use(pushed: Clone) -> None:
    with (pushed.store / "users").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        said(pushed.attempt("mlver", "prune", "--yes"), 9)
    said(pushed.attempt("mlver", "prune", "--yes"), 0)


def test_130_interrupted(pushed: Clone) -> None:
    process = subprocess.Popen(
        ["git-mlver", "filter-process"],
        cwd=pushed.top,
        env=pushed.box.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Where the tests run in the background of a shell, they inherit that it is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"0016git-filter-client\n000eversion=2\n0000")
    process.stdin.flush()
    assert process.stdout.readline() == b"0016git-filter-server\n"  # now it waits for git
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"interrupted" in err and b"Traceback" not in err


def test_130_an_add_that_was_interrupted_is_done_by_the_next_one(pushed: Clone) -> None:
    data = content("large", 60_000_000)
    pushed.write("large.bin", data)
    process = subprocess.Popen(
        ["git-mlver", "add", "large.bin"],
        cwd=pushed.top,
        env=pushed.box.env,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 20
    while not list((pushed.store / "incoming").glob("*.pack")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode in (0, 130) and b"Traceback" not in err
    assert not (pushed.git_dir() / "index.lock").exists()
    pushed.git("mlver", "add", "large.bin")
    pushed.git("commit", "-q", "-m", "large")
    pushed.mlver("drop", "large.bin")
    pushed.mlver("checkout", "large.bin")
    assert pushed.read("large.bin") == data


def test_a_reader_that_goes_away_is_no_failure(pushed: Clone) -> None:
    pushed.box.without_warmth()
    for words in ("ls", "ls --json", "status -a", "doctor", "env", "--help-all", "-h"):
        script = f"git-mlver {words} | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}"
        done = pushed.box.run(["bash", "-c", script], pushed.top)
        expected = "2" if words == "--help-all" else "0"
        assert done.out.strip() == expected, (words, done.err)
        assert "Traceback" not in done.err and "Exception ignored" not in done.err


_WORDS = {
    "add": ["x.bin"],
    "clone": ["/no/such/repository"],
    "completion": ["bash"],
    "diff": ["HEAD"],
    "drop": ["a.bin"],
    "fetch": ["no-such-remote"],
    "ls": ["--rev", "HEAD"],
    "pull": ["no-such-remote"],
    "push": ["no-such-remote"],
    "remote": ["list"],
    "track": ["*.x"],
    "untrack": ["*.x"],
}


def _garbage(box: Sandbox) -> Path:
    (box.root / "work/.mlver.toml").write_bytes(b"\x00[")
    return box.root / "work"


def _no_git_dir(box: Sandbox) -> Path:
    (box.root / "work/.git/HEAD").write_bytes(b"garbage")
    return box.root / "work"


def _bad_attributes(box: Sandbox) -> Path:
    (box.root / "work/.gitattributes").unlink()
    (box.root / "work/.gitattributes").mkdir()
    return box.root / "work"


def _read_only_git(box: Sandbox) -> Path:
    shutil.rmtree(box.root / "work/.git/mlver", ignore_errors=True)
    (box.root / "work/.git/mlver").write_bytes(b"no folder")
    return box.root / "work"


_PLACES = {
    "nowhere": lambda box: box.root,
    "a bare repository": lambda box: box.bare("bare.git"),
    "settings that are garbage": _garbage,
    "a git directory that is garbage": _no_git_dir,
    "a folder for .gitattributes": _bad_attributes,
    "a file for the store": _read_only_git,
}


@pytest.mark.parametrize("place", _PLACES, ids=str)
def test_no_command_ends_in_a_traceback(box: Sandbox, place: str) -> None:
    from mlver.cli.group import COMMANDS

    folder = _PLACES[place](box)
    for command in COMMANDS:
        done = box.run(["git-mlver", command, *_WORDS.get(command, [])], folder)
        assert "Traceback" not in done.err, (command, done.err)
        assert done.code in EXIT_CODES, (command, done)
        assert done.code == 0 or done.err or done.out, f"{command} says nothing"
