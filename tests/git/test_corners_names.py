"""Every name that git can hold: spaces, line ends, quotes, dashes, Unicode forms, broken UTF-8.

Each in the locale of a desktop and in the C locale, through git and through our own commands.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.sandbox import Clone, Sandbox, content, pointer_to

NAMES = {
    "space": "with space.bin",
    "outer spaces": " leading and trailing .bin",
    "newline": "line\nend.bin",
    "tab": "tab\tand\rreturn.bin",
    "quotes": 'it\'s "quoted".bin',
    "backslash": "back\\slash.bin",
    "dash": "-rf.bin",
    "double dash": "--all.bin",
    "pathspec magic": ":(top)x.bin",
    "stage": ":2:a.bin",
    "glob": "a*[b]?.bin",
    "dollar": "$(touch ran) `touch ran`.bin",
    "hash": "#comment.bin",
    "bang": "!not.bin",
    "nfc": "caf\u00e9.bin",
    "nfd": "cafe\u0301.bin",
    "broken utf-8": os.fsdecode(b"br\xff\xfeken.bin"),
    "escape": "esc\x1b[31m.bin",
    "bidi": "x\u202enib.bin",
    "emoji": "sub \U0001f600/\U0001f4be.bin",
    "long": "l" * 240 + ".bin",
}
LOCALES = pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
FILES = {name: content(kind, 3000) for kind, name in NAMES.items()}


def write_all(work: Clone, files: dict[str, bytes] = FILES) -> None:
    for name, data in files.items():
        work.write(name, data)


def read_all(work: Clone, files: dict[str, bytes] = FILES) -> dict[str, bytes]:
    return {name: work.read(name) for name in files}


@LOCALES
def test_every_name_goes_through_git_add_commit_checkout_and_clone(
    work: Clone, box: Sandbox, locale: str
) -> None:
    box.env["LC_ALL"] = locale
    write_all(work)
    work.git("add", "-A")
    work.git("commit", "-qm", "x")
    for name, data in FILES.items():
        assert work.blob(f"HEAD:{name}") == pointer_to(data), name
    for name in FILES:
        work.path(name).unlink()
    work.git("checkout", "-q", "--", ".")
    assert read_all(work) == FILES
    work.settled()
    clone = box.clone(work.top, "second", "-q")
    assert read_all(clone) == FILES
    clone.settled()


@LOCALES
def test_every_name_goes_through_our_own_commands(work: Clone, box: Sandbox, locale: str) -> None:
    box.env["LC_ALL"] = locale
    far = box.bare()
    work.git("remote", "add", "origin", str(far))
    write_all(work)
    work.mlver("add", "--", *(f"./{name}" for name in FILES))
    for name, data in FILES.items():
        assert work.blob(f":{'0:' if ':' in name else ''}{name}") == pointer_to(data), name
    work.git("commit", "-qm", "x")
    work.git("push", "-q", "origin", "main")
    work.mlver("drop", "--", *(f"./{name}" for name in FILES))
    assert all(work.read(name) == pointer_to(data) for name, data in FILES.items())
    assert {row["path"] for row in work.json("status")["files"]} == set(FILES)
    assert {row["path"] for row in work.json("ls")["files"]} == set(FILES)
    listed = work.mlver("ls").out
    assert "\x1b" not in listed and "\u202e" not in listed
    work.mlver("checkout", "--", *(f"./{name}" for name in FILES))
    assert read_all(work) == FILES
    assert work.json("fsck") == {"version": 1, "ok": True, "problems": []}
    work.settled()
    work.lose_content()
    assert work.json("fsck")["ok"]  # all of it is on the remote
    for name in FILES:
        work.path(name).unlink()
    work.git("checkout", "-q", "--", ".")
    assert read_all(work) == FILES
    work.settled()


@LOCALES
def test_a_commit_captures_files_of_every_name(work: Clone, box: Sandbox, locale: str) -> None:
    box.env["LC_ALL"] = locale
    work.write(".mlver.toml", b"threshold = 1000\n")
    files = {name.replace(".bin", ".raw"): data for name, data in FILES.items()}
    write_all(work, files)
    work.git("add", "-A")
    done = work.git("commit", "-qm", "x")
    assert done.err.count("git-mlver: captured") == len(files)
    assert "\x1b" not in done.err and "\u202e" not in done.err
    for name, data in files.items():
        assert work.blob(f"HEAD:{name}") == pointer_to(data), name
    work.settled()
    for name in files:
        work.path(name).unlink()
    work.git("checkout", "-q", "--", ".")
    assert read_all(work, files) == files
    work.write("another", b"small")  # captured names are matched exactly, no other file with them
    work.write("b.raw", b"small too")
    work.given("y")
    assert work.blob("HEAD:b.raw") == b"small too"
    work.settled()


def test_nothing_in_a_name_is_run_or_written_elsewhere(work: Clone, box: Sandbox) -> None:
    box.env["LC_ALL"] = "C"
    write_all(work)
    work.given("x")
    work.mlver("doctor")
    work.mlver("status", "--all")
    work.git("rm", "-q", "--cached", "-r", ".")  # which may read, and so store, young files again
    work.lose_content()
    done = work.git("reset", "--hard", "-q")
    assert len(done.warnings) == 1 and "\x1b" not in done.err and "\u202e" not in done.err
    assert not list(Path(work.top).rglob("ran"))


@pytest.mark.parametrize("name", ["café.bin", "cafe\u0301.bin"])
def test_a_name_keeps_its_unicode_form(work: Clone, name: str) -> None:
    work.given("x", {name: content(1)})
    assert os.fsencode(name) in os.listdir(os.fsencode(work.top))
    listed = work.git("ls-files", "-z").raw.split(b"\0")
    assert os.fsencode(name) in listed
    work.settled()


@pytest.mark.parametrize("folder", ["with space", "line\nend", "it's $(touch ran)"])
def test_a_repository_may_lie_under_any_path(box: Sandbox, folder: str) -> None:
    work = box.init(f"{folder}/deep er", "--quiet")
    work.given("x", {"a.bin": content(1)})
    work.write("raw.parquet", content(2))
    work.commit("captured")
    assert work.blob("HEAD:raw.parquet") == pointer_to(content(2))
    work.path("a.bin").unlink()
    work.git("checkout", "--", "a.bin")
    assert work.read("a.bin") == content(1)
    beside = "far" if "\n" in folder else folder  # an address with a line end is refused
    far = box.root / beside / "far.git"
    box.git("init", "-q", "--bare", str(far))
    work.git("remote", "add", "origin", os.path.relpath(far, work.top))
    work.git("push", "-q", "origin", "main")
    clone = box.clone(far, f"{folder}/second", "-q")
    assert clone.read("raw.parquet") == content(2)
    assert clone.json("fsck")["ok"]
    clone.settled()
    work.settled()
    assert not (box.root / "ran").exists() and not work.path("ran").exists()
