"""Moving through history with ordinary git: stash, add -p, cherry-pick, rebase, bisect, archive.

The row "stash / commit" of the corners table among them.
"""

from __future__ import annotations

import io
import shlex
import sys
import tarfile
import zipfile

import pytest
from tests.support.sandbox import Clone, content, pointer_to

V1, V2, V3 = content("v1"), content("v2"), content("v3")


def test_stash_and_pop_bring_every_byte_back(work: Clone) -> None:
    work.given("x", {"a.bin": V1, "b.bin": V1[:9000], "note.txt": b"one\n"})
    work.write("a.bin", V2)
    work.write("note.txt", b"two\n")
    work.write("b.bin", V3)
    work.git("add", "b.bin")
    work.write("new.bin", V3[:5000])
    work.git("stash", "push", "-q", "--include-untracked")
    work.settled()
    assert work.read("a.bin") == V1 and work.read("b.bin") == V1[:9000]
    assert not work.path("new.bin").exists()
    work.git("stash", "pop", "-q", "--index")
    assert work.read("a.bin") == V2 and work.read("b.bin") == V3
    assert work.read("new.bin") == V3[:5000] and work.read("note.txt") == b"two\n"
    assert work.status() == " M a.bin\nM  b.bin\n M note.txt\n?? new.bin\n"
    work.given("all")
    work.settled()


def test_a_stash_keeps_only_what_is_not_staged_when_told(work: Clone) -> None:
    work.given("x", {"a.bin": V1, "b.bin": V1})
    work.write("a.bin", V2)
    work.git("add", "a.bin")
    work.write("b.bin", V3)
    work.git("stash", "push", "-q", "--keep-index")
    assert work.read("a.bin") == V2 and work.read("b.bin") == V1
    work.git("commit", "-qm", "y")
    work.git("stash", "apply", "-q")
    assert work.read("b.bin") == V3
    work.git("checkout", "--", "b.bin")
    assert work.read("b.bin") == V1
    work.settled()


def test_a_stash_of_a_path_and_its_branch(work: Clone) -> None:
    work.given("x", {"a.bin": V1, "b.bin": V1})
    work.write("a.bin", V2)
    work.write("b.bin", V3)
    work.git("stash", "push", "-q", "--", "a.bin")
    assert work.read("a.bin") == V1 and work.read("b.bin") == V3
    work.git("checkout", "--", "b.bin")
    work.git("stash", "branch", "of-stash")
    assert work.read("a.bin") == V2
    work.given("y")
    work.settled()


@pytest.mark.parametrize("answer", ["y", "n"])
def test_add_p_stages_a_tracked_file_whole_or_not_at_all(work: Clone, answer: str) -> None:
    work.given("x", {"a.bin": V1})
    work.write("a.bin", V2)
    work.git("add", "-p", input=f"{answer}\n".encode())
    assert work.blob(":a.bin") == pointer_to(V2 if answer == "y" else V1)
    assert work.read("a.bin") == V2
    assert work.status() == ("M  a.bin\n" if answer == "y" else " M a.bin\n")
    work.git("checkout", "-p", "HEAD", "--", "a.bin", input=b"y\ny\n")
    work.git("reset", "-q", "--hard")
    assert work.read("a.bin") == V1
    work.settled()


def test_add_p_takes_one_hunk_of_a_text_beside_a_tracked_file(work: Clone) -> None:
    lines = [f"line {number}\n" for number in range(40)]
    work.given("x", {"text.txt": "".join(lines).encode(), "a.bin": V1})
    lines[0], lines[-1] = "first\n", "last\n"
    work.write("text.txt", "".join(lines).encode())
    work.write("a.bin", V2)
    work.git("add", "-p", input=b"n\ny\nn\n")
    staged = work.blob(":text.txt")
    assert staged.startswith(b"first\n") and b"last" not in staged
    assert work.blob(":a.bin") == pointer_to(V1)
    work.git("commit", "-qam", "the rest")
    work.settled()


def test_cherry_pick_and_revert_carry_content(work: Clone) -> None:
    work.given("x", {"a.bin": V1})
    work.git("checkout", "-qb", "side")
    picked = work.given("side", {"a.bin": V2, "new.bin": V3})
    work.git("checkout", "-q", "main")
    work.given("main", {"other.bin": V3[:9000]})
    work.git("cherry-pick", picked)
    assert work.read("a.bin") == V2 and work.read("new.bin") == V3
    work.git("revert", "--no-edit", "HEAD")
    assert work.read("a.bin") == V1 and not work.path("new.bin").exists()
    work.git("cherry-pick", "--no-commit", picked)
    assert work.read("a.bin") == V2
    work.git("commit", "-qm", "again")
    work.settled()


def test_an_interactive_rebase_reorders_edits_and_squashes(work: Clone) -> None:
    base = work.head()
    work.given("one", {"a.bin": V1})
    work.given("two", {"b.bin": V1})
    work.given("three", {"a.bin": V2})
    work.given("four", {"c.bin": V1})
    script = (
        "import sys; path = sys.argv[1];"
        "rows = [l for l in open(path) if l.startswith('pick')];"
        "rows = [rows[1], rows[0], 'squash' + rows[2][4:], 'edit' + rows[3][4:]];"
        "open(path, 'w').writelines(rows)"
    )
    editor = shlex.join([sys.executable, "-c", script])
    work.git("rebase", "-i", base, GIT_SEQUENCE_EDITOR=editor, GIT_EDITOR="true")
    work.settled()  # stopped at "four"
    work.write("c.bin", V3)
    work.git("add", "c.bin")
    work.git("commit", "-q", "--amend", "--no-edit")
    work.git("rebase", "--continue")
    subjects = work.git("log", "--format=%s", f"{base}..").out.split("\n")
    assert subjects[:3] == ["four", "one", "two"]
    assert work.read("a.bin") == V2 and work.read("b.bin") == V1 and work.read("c.bin") == V3
    work.settled()
    work.git("rebase", "-q", "--no-ff", "-x", "git diff --quiet HEAD", base)
    assert work.read("c.bin") == V3
    work.settled()


def test_autostash_of_a_rebase_keeps_changes(work: Clone) -> None:
    work.given("x", {"a.bin": V1, "b.bin": V1})
    work.git("checkout", "-qb", "side")
    work.given("side", {"b.bin": V2})
    work.git("checkout", "-q", "main")
    work.given("main", {"c.bin": V2})
    work.git("checkout", "-q", "side")
    work.write("a.bin", V3)
    work.git("rebase", "-q", "--autostash", "main")
    assert work.read("a.bin") == V3 and work.read("b.bin") == V2 and work.read("c.bin") == V2
    assert work.status() == " M a.bin\n"
    work.git("checkout", "--", "a.bin")
    work.settled()


def test_bisect_finds_the_commit_that_changed_the_content(work: Clone) -> None:
    commits = [
        work.given(f"n{n}", {"a.bin": V1 if n < 4 else V2, "n": b"%d" % n}) for n in range(7)
    ]
    check = "import sys; sys.exit(open('a.bin','rb').read(8) == bytes.fromhex(sys.argv[1]))"
    work.git("bisect", "start", commits[-1], commits[0])
    done = work.git("bisect", "run", sys.executable, "-c", check, V2[:8].hex())
    assert f"{commits[4]} is the first bad commit" in done.out
    work.git("bisect", "reset")
    assert work.read("a.bin") == V2
    work.settled()


@pytest.mark.parametrize("limit", ["64m", "1000"], ids=["in the pipe", "above the limit"])
def test_old_tags_are_checked_out_with_their_bytes(work: Clone, limit: str) -> None:
    work.git("config", "mlver.smudgeLimit", limit)
    versions = {"v1": V1, "v2": V2, "v3": V3}
    for tag, data in versions.items():
        work.given(tag, {"a.bin": data, f"{tag}.bin": data[:5000]})
        work.git("tag", tag)
    for tag in ["v1", "v3", "v2", "main"]:
        work.git("checkout", "-q", tag)
        assert work.read("a.bin") == versions.get(tag, V3)
        work.settled()
    assert {path.name for path in work.top.glob("v*.bin")} == {"v1.bin", "v2.bin", "v3.bin"}


@pytest.mark.parametrize("limit", ["64m", "1000"], ids=["in the pipe", "above the limit"])
def test_an_archive_holds_content(work: Clone, limit: str) -> None:
    work.git("config", "mlver.smudgeLimit", limit)
    large = content("large", 3_000_000)
    work.given("x", {"a.bin": V1, "large.bin": large, "empty.bin": b"", "t.txt": b"text\n"})
    with tarfile.open(fileobj=io.BytesIO(work.git("archive", "HEAD").raw)) as tar:
        found = {m.name: f.read() for m in tar if (f := tar.extractfile(m)) is not None}
    assert found["a.bin"] == V1 and found["large.bin"] == large and found["empty.bin"] == b""
    with zipfile.ZipFile(io.BytesIO(work.git("archive", "--format=zip", "HEAD").raw)) as packed:
        assert packed.read("large.bin") == large and packed.testzip() is None
    work.settled()


def test_an_archive_without_content_holds_pointers_and_warns_once(work: Clone) -> None:
    work.given("x", {"a.bin": V1, "b.bin": V2})
    work.lose_content()
    done = work.git("archive", "HEAD")
    with tarfile.open(fileobj=io.BytesIO(done.raw)) as tar:
        file = tar.extractfile("a.bin")
        assert file is not None and file.read() == pointer_to(V1)
    assert len(done.warnings) == 1 and "2 files stay pointers" in done.warnings[0]


def test_show_and_cat_file_give_content_where_filters_are_asked_for(work: Clone) -> None:
    work.given("x", {"a.bin": V1})
    assert work.git("cat-file", "--filters", "HEAD:a.bin").raw == V1
    work.git("checkout-index", "-f", "--prefix=out/", "a.bin")
    assert work.read("out/a.bin") == V1
    shown = work.git("show", "--stat", "HEAD").out
    assert "a.bin" in shown
    work.path("out/a.bin").unlink()
    work.settled()


def test_diff_and_log_tell_sizes_and_oids_without_content(work: Clone) -> None:
    work.given("x", {"a.bin": V1})
    work.given("y", {"a.bin": V2[:9000], "b.bin": V3})
    work.lose_content()
    shown = work.git("diff", "HEAD~1", "HEAD").out
    assert "-20.0 KB (20,000 bytes)" in shown and "+9.0 KB (9,000 bytes)" in shown
    assert "new file: 20.0 KB" in shown
    logged = work.git("log", "-p", "-1").out
    assert "-size 20000\n" in logged and "+size 9000\n" in logged and "version" not in logged


def test_the_pre_commit_frameworks_stash_works_offline(work: Clone) -> None:
    """It writes a patch, runs `git checkout -- .`, runs the hooks, and applies the patch."""
    work.given("x", {"a.bin": V1, "b.bin": V1})
    work.write("a.bin", V2)
    work.git("add", "a.bin")
    work.write("b.bin", V3)
    tree = work.git("write-tree").out.strip()
    made = work.attempt(
        *("diff-index", "--ignore-submodules", "--binary", "--exit-code", "--no-color"),
        *("--no-ext-diff", tree, "--"),
    )
    assert made.code == 1
    patch = work.git_dir() / "patch"
    patch.write_bytes(made.raw)
    work.git("-c", "submodule.recurse=0", "checkout", "--", ".")
    assert work.read("a.bin") == V2 and work.read("b.bin") == V1
    work.git("-c", "core.autocrlf=false", "apply", "--whitespace=nowarn", str(patch))
    assert work.read("a.bin") == V2 and work.read("b.bin") == V3
    patch.unlink()
    work.git("commit", "-qam", "y")
    work.settled()


def test_a_patch_by_mail_carries_pointers_and_gives_content(work: Clone) -> None:
    work.given("x", {"a.bin": V1})
    work.given("y", {"a.bin": V2, "b.bin": V3})
    mail = work.git("format-patch", "-1", "--stdout").raw
    work.git("reset", "-q", "--hard", "HEAD~1")
    assert work.read("a.bin") == V1
    work.git("am", "-q", input=mail)
    assert work.read("a.bin") == V2 and work.read("b.bin") == V3
    work.settled()
