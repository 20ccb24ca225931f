"""What a terminal is given: nothing that acts, nothing that wraps, in any encoding."""

from __future__ import annotations

import io
import os
import sys

import pytest
from tests.support.sandbox import MAIN, Clone, content

from mlver.cli import progress
from mlver.cli.output import escape, human_size
from mlver.cli.progress import Bar


def test_control_characters_are_shown_and_not_obeyed() -> None:
    assert escape("a\x1b[2Jb\nc\r\u202e") == "a\\x1b[2Jb\\x0ac\\x0d\\u202e"
    assert escape("one\ntwo", keep_newlines=True) == "one\ntwo"
    assert escape(os.fsdecode(b"\xff.bin")) == "\\xff.bin"
    assert escape("日本 é ✓") == "日本 é ✓"


def test_a_name_that_would_act_is_escaped_by_every_command(work: Clone) -> None:
    name = "a\x1b[2J\n\u202e.bin"
    work.commit("odd", {name: content(1)})
    for words in (("ls",), ("status", "-a"), ("diff", "HEAD~1", "HEAD"), ("fsck",)):
        done = work.mlver(*words)
        for text in (done.out, done.err):
            assert "\x1b" not in text and "\u202e" not in text, words


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (1_500_000, "1.5 MB"), (10**13, "10.0 TB")],
)
def test_sizes_are_powers_of_a_thousand(size: int, text: str) -> None:
    assert human_size(size) == text


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_the_bar_is_never_wider_than_the_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", seen)
    monkeypatch.setattr(progress, "_columns", lambda: columns)
    clock = iter(range(1, 1000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    bar = Bar()
    bar.start("pushing to a-remote-with-a-rather-long-name\x1b[2J", 3_000_000_000)
    for _ in range(12):
        bar.step(250_000_000)
    bar.finish()
    lines = seen.getvalue().split("\r\x1b[K")
    assert len(lines) == 14 and lines[-1] == ""
    assert all(len(line) < max(columns, 42) for line in lines), lines
    assert "\x1b" not in "".join(lines)


def test_an_encoding_without_our_signs_is_no_failure(work: Clone) -> None:
    # -E is left out here: it is the variable that stands for a terminal of that encoding.
    words = [sys.executable, "-P", str(MAIN), "doctor"]
    done = work.box.run(words, work.top, PYTHONIOENCODING="latin-1")
    assert done.code == 0 and "Traceback" not in done.err
    assert "\\u2713 the hooks are installed" in done.out
