"""git diff, git log -p, git show and git difftool say what changed in tracked files."""

from __future__ import annotations

import shutil

import pytest
from tests.diff.test_front import NEW, OLD
from tests.diff.test_models import _floats, safetensors
from tests.support.sandbox import Clone


@pytest.fixture
def table(work: Clone) -> Clone:
    work.mlver("track", "*.csv", "*.safetensors")
    same = ("F32", [1], _floats(7))
    a, b = (safetensors({"w": ("F32", [1], _floats(x)), "same": same}) for x in (1, 3))
    work.given("one", {"t.csv": OLD, "m.safetensors": a})
    work.given("two", {"t.csv": NEW, "m.safetensors": b})
    return work


def test_git_diff_shows_summary_and_samples(table: Clone) -> None:
    out = table.git("diff", "HEAD~1", "HEAD").out
    assert "1 added, 1 removed, 1 modified of 3 rows" in out
    assert "~ id=1  label: a → b" in out and "+ id=4 name=dan label=a" in out
    assert "~ w  F32 1  max |Δ| 2" in out and "same" not in out
    assert "\x1b" not in out


def test_git_diff_honours_the_attribute_of_keys(table: Clone) -> None:
    table.write(".gitattributes", table.read(".gitattributes") + b"t.csv mlver-key=name\n")
    assert "key: name (attribute)" in table.git("diff", "HEAD~1", "HEAD", "--", "t.csv").out


def test_git_diff_without_the_content_says_so_and_goes_on(table: Clone) -> None:
    shutil.rmtree(table.store)
    done = table.attempt("diff", "HEAD~1", "HEAD")
    assert done.code == 0 and "blake3:" in done.out
    assert done.out.count("diff --mlver") == 2 and "Traceback" not in done.err
    assert "git mlver diff fetches" in done.out
    log = table.attempt("log", "-1", "-p", "--", "t.csv")
    assert log.code == 0 and " its content is not on this machine: git mlver diff" in log.out


def test_log_and_show_compare_a_text_of_each_version(table: Clone) -> None:
    table.given("three", {"t.csv": OLD.replace(b"label", b"class") + b"5,eve,a\n"})
    log = table.git("log", "-p", "--", "m.safetensors").out
    assert " tensor same F32 1 blake3:" in log, "a line that did not change is the same line"
    assert "-tensor w F32 1 blake3:" in log and "+tensor w F32 1 blake3:" in log
    show = table.git("show", "--", "t.csv").out
    assert "-column label\n-lines 4\n+column class\n+lines 5" in show and " column id" in show


def test_difftool_is_given_the_content(table: Clone) -> None:
    done = table.git("difftool", "-y", "-x", "cat", "HEAD~1", "HEAD", "--", "t.csv")
    assert OLD.decode() in done.out and NEW.decode() in done.out


def test_what_a_file_holds_cannot_act_on_the_terminal(table: Clone) -> None:
    table.given("x", {"t.csv": b"id,\x1b[31mname,label\n1,\x1b]0;x\x07,b\n"})
    for words in (("diff", "HEAD~1", "HEAD"), ("log", "-p", "-1"), ("show",)):
        out = table.git(*words).out
        assert "\x1b" not in out and "\x07" not in out
