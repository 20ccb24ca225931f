"""What goes in comes back, byte for byte: pointers, what resembles them, modes, links, line ends.

The rows "Idempotence" and "autocrlf" of the corners table.
"""

from __future__ import annotations

import os

import pytest
from tests.support.sandbox import Clone, Sandbox, content, pointer_in, pointer_to

VALID = pointer_to(content("somewhere else"))
OID = VALID.split(b"\n")[1]
RESEMBLING = {
    "crlf": VALID.replace(b"\n", b"\r\n"),
    "no-final-newline": VALID[:-1],
    "leading-zero": b"version mlver/1\n%s\nsize 0020000\n" % OID,
    "size-zero": b"version mlver/1\n%s\nsize 0\n" % OID,
    "blank-line": VALID + b"\n",
    "extra-line": VALID + b"ext-0 something\n",
    "other-order": b"version mlver/1\nsize 20000\n%s\n" % OID,
    "upper-case": b"version mlver/1\noid blake3:%s\nsize 20000\n" % OID[11:].upper(),
    "short-oid": b"version mlver/1\n%s\nsize 20000\n" % OID[:-1],
    "too-large": b"version mlver/1\n%s\nsize 9999999999999999999\n" % OID,
    "bom": b"\xef\xbb\xbf" + VALID,
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 1\n" % (b"a" * 64),
    "spaces": VALID.replace(b"\nsize", b" \nsize"),
    "two-pointers": VALID + VALID,
    "nul": VALID + b"\0",
}


def fresh_checkout(work: Clone, *names: str) -> None:
    """The files, deleted and checked out again."""
    for name in names:
        work.path(name).unlink()
    work.git("checkout", "--", *names)


def test_git_holds_a_pointer_and_the_worktree_the_content(work: Clone) -> None:
    data = content(1)
    work.given("add", {"a.bin": data})
    assert work.blob("HEAD:a.bin") == pointer_to(data)
    fresh_checkout(work, "a.bin")
    assert work.read("a.bin") == data
    work.settled()


@pytest.mark.parametrize("add", ["add", "mlver add"])
def test_content_that_only_resembles_a_pointer_comes_back_byte_for_byte(
    work: Clone, add: str
) -> None:
    names = {f"{name}.bin": data for name, data in RESEMBLING.items()}
    for name, data in names.items():
        work.write(name, data)
    work.git(*add.split(), "--", *names)
    work.git("commit", "-qm", "x")
    for name, data in names.items():
        assert work.blob(f"HEAD:{name}") == pointer_to(data), name
    fresh_checkout(work, *names)
    assert {name: work.read(name) for name in names} == names
    work.settled()


@pytest.mark.parametrize("add", ["add", "mlver add"])
def test_a_pointer_passes_through_clean_even_to_bytes_that_nobody_has(
    work: Clone, add: str
) -> None:
    work.write("a.bin", VALID)
    work.git(*add.split(), "a.bin")
    assert work.blob(":a.bin") == VALID
    work.git("commit", "-qm", "x")
    work.path("a.bin").unlink()
    done = work.git("checkout", "--", "a.bin")
    assert len(done.warnings) == 1 and "git mlver pull" in done.warnings[0]
    assert work.read("a.bin") == VALID
    work.settled()


@pytest.mark.parametrize("add", ["add", "mlver add"])
def test_a_pointer_in_place_of_its_content_is_no_change(work: Clone, add: str) -> None:
    """git calls it modified until it looks, by its size alone; adding it changes nothing."""
    work.given("add", {"a.bin": content(1)})
    work.write("a.bin", pointer_to(content(1)))
    assert work.git("diff", "--numstat").out == ""
    work.git(*add.split(), "a.bin")
    assert work.status() == ""
    work.mlver("checkout")
    assert work.read("a.bin") == content(1)
    work.settled()


@pytest.mark.parametrize("add", ["add", "mlver add"])
def test_an_empty_file_stays_empty(work: Clone, add: str) -> None:
    work.write("empty.bin", b"")
    work.git(*add.split(), "empty.bin")
    work.git("commit", "-qm", "x")
    assert work.blob("HEAD:empty.bin") == b""
    fresh_checkout(work, "empty.bin")
    assert work.read("empty.bin") == b""
    work.given("filled", {"empty.bin": content(1)})
    work.given("emptied", {"empty.bin": b""})
    work.git("checkout", "-q", "HEAD~1")
    assert work.read("empty.bin") == content(1)
    work.git("checkout", "-q", "main")
    assert work.read("empty.bin") == b""
    assert work.json("fsck")["ok"]
    work.settled()


def test_one_byte_files_and_files_around_a_packet_come_back(work: Clone) -> None:
    sizes = [1, 2, 511, 512, 513, 16383, 16384, 16385, 65515, 65516, 65517, 262144]
    files = {f"{size}.bin": content(size, size) for size in sizes}
    work.given("add", files)
    fresh_checkout(work, *files)
    assert {name: work.read(name) for name in files} == files
    work.settled()


@pytest.mark.parametrize("limit", ["64m", "1"], ids=["through the pipe", "written afterwards"])
def test_executable_bits_stay(work: Clone, limit: str) -> None:
    work.git("config", "mlver.smudgeLimit", limit)
    work.write("run.bin", content(1), 0o755)
    work.write("data.bin", content(2), 0o644)
    work.write("later.bin", content(3), 0o755)
    work.git("add", "run.bin", "data.bin")
    work.mlver("add", "later.bin")
    work.git("commit", "-qm", "x")
    rows = work.git("ls-files", "-s", "*.bin").out.splitlines()
    assert [row.split()[0] for row in rows] == ["100644", "100755", "100755"]
    fresh_checkout(work, "run.bin", "data.bin", "later.bin")
    assert [os.access(work.path(n), os.X_OK) for n in ("run.bin", "data.bin")] == [True, False]
    assert work.read("run.bin") == content(1) and work.read("data.bin") == content(2)
    work.path("data.bin").chmod(0o755)
    work.mlver("add", "data.bin")
    assert work.git("diff", "--cached", "--summary").out.split()[:4] == [
        *("mode", "change", "100644", "=>")
    ]
    assert work.git("ls-files", "-s", "data.bin").out.startswith("100755")
    work.git("commit", "-qm", "mode")
    work.settled()


def test_dropping_and_checking_out_keeps_the_executable_bit(work: Clone) -> None:
    work.write("run.bin", content(1), 0o755)
    work.given("x")
    work.mlver("drop", "run.bin")
    assert pointer_in(work.read("run.bin")) and os.access(work.path("run.bin"), os.X_OK)
    work.settled()
    work.mlver("checkout", "run.bin")
    assert work.read("run.bin") == content(1) and os.access(work.path("run.bin"), os.X_OK)
    work.settled()


def test_where_the_file_system_keeps_no_mode_the_indexed_one_stays(work: Clone) -> None:
    work.write("run.bin", content(1), 0o755)
    work.given("x")
    work.git("config", "core.fileMode", "false")
    work.write("run.bin", content(2), 0o644)
    work.mlver("add", "run.bin")
    assert work.git("ls-files", "-s", "run.bin").out.startswith("100755")
    work.git("commit", "-qm", "y")
    work.settled()


@pytest.mark.parametrize("add", ["add", "mlver add"])
def test_a_symlink_that_matches_the_pattern_stays_a_symlink(work: Clone, add: str) -> None:
    work.write("real.bin", content(1))
    work.path("link.bin").symlink_to("real.bin")
    work.path("broken.bin").symlink_to("no/such/file")
    work.git(*add.split(), "--", "link.bin", "broken.bin", "real.bin")
    work.git("commit", "-qm", "x")
    assert work.blob("HEAD:link.bin") == b"real.bin"
    assert work.git("ls-files", "-s", "link.bin").out.startswith("120000")
    fresh_checkout(work, "link.bin", "real.bin", "broken.bin")
    assert os.readlink(work.path("link.bin")) == "real.bin"
    assert os.readlink(work.path("broken.bin")) == "no/such/file"
    assert work.read("link.bin") == content(1)
    work.settled()


def test_a_file_that_became_a_symlink_and_back_keeps_its_content(work: Clone) -> None:
    first = work.given("file", {"a.bin": content(1), "b.bin": content(2)})
    work.path("a.bin").unlink()
    work.path("a.bin").symlink_to("b.bin")
    work.mlver("add", "a.bin")
    work.git("commit", "-qm", "link")
    assert work.blob("HEAD:a.bin") == b"b.bin"
    work.git("checkout", "-q", first)
    assert not work.path("a.bin").is_symlink() and work.read("a.bin") == content(1)
    work.git("checkout", "-q", "main")
    assert work.path("a.bin").is_symlink() and work.read("b.bin") == content(2)
    work.settled()


@pytest.mark.parametrize("line", [b"* text eol=crlf\n", b"*.bin text=auto eol=crlf\n"])
def test_a_line_that_sets_line_ends_below_ours_spoils_nothing(work: Clone, line: bytes) -> None:
    """git then converts the pointer before it asks for the content."""
    work.write(".gitattributes", work.read(".gitattributes") + line)
    files = {"lf.bin": b"a,b\n1,2\n" * 500, "p.bin": RESEMBLING["crlf"]}
    work.given("x", files)
    assert all(work.blob(f"HEAD:{name}") == pointer_to(data) for name, data in files.items())
    fresh_checkout(work, *files)
    assert {name: work.read(name) for name in files} == files
    work.settled()
    lost = work.lose_content()
    fresh_checkout(work, *files)
    assert all(work.read(name) == pointer_to(data) for name, data in files.items())
    work.settled()
    work.find_content(lost)
    work.mlver("pull")
    assert {name: work.read(name) for name in files} == files
    work.settled()


@pytest.mark.parametrize("eol", ["true", "input"])
def test_no_line_end_is_converted_under_autocrlf(work: Clone, box: Sandbox, eol: str) -> None:
    box.git("config", "--global", "core.autocrlf", eol)
    files = {
        "lf.bin": b"a,b\n1,2\n" * 500,
        "crlf.bin": b"a,b\r\n1,2\r\n" * 500,
        "mixed.bin": b"a\nb\r\nc\rd" * 500,
        "short.bin": b"x\r\n",
    }
    work.given("x", files)
    assert all(work.blob(f"HEAD:{name}") == pointer_to(data) for name, data in files.items())
    fresh_checkout(work, *files)
    assert {name: work.read(name) for name in files} == files
    work.settled()
    clone = box.clone(work.top, "second")
    assert {name: clone.read(name) for name in files} == files
    clone.settled()
    bare = box.clone(work.top, "pointers", MLVER_SKIP_SMUDGE="1")
    assert all(bare.read(name) == pointer_to(data) for name, data in files.items())
    bare.settled()
