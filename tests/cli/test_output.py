"""What a terminal is given: nothing that acts, nothing that wraps, in any encoding."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
from tests.support.sandbox import MAIN, Clone, content

from mlver.cli import progress
from mlver.cli.output import escape, human_size, wrapped
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


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_a_message_is_as_wide_as_the_terminal_and_its_commands_stay_whole(columns: int) -> None:
    command = "git checkout --theirs -- models/a-long-name.bin && git add models/a-long-name.bin"
    text = (
        "git-mlver: both sides changed models/a-long-name.bin and nobody knows which is right\n"
        "  why:  ours has 10 kB, theirs has 20 kB, and the one before them both had 30 kB\n"
        f"  next: git add x, to keep ours; {command}"
    )
    lines = wrapped(text, columns).split("\n")
    assert all(len(line) <= columns for line in lines if command not in line), lines
    assert sum(command in line for line in lines) == 1
    assert " ".join(" ".join(lines).split()) == " ".join(text.split())
    assert wrapped(text, None) == text and wrapped(text, 1000) == text


def test_the_command_of_a_warning_of_one_line_gets_a_line_of_its_own() -> None:
    text = f"git-mlver: 2 files stay pointers ({'a word ' * 10}); next: git mlver pull"
    assert wrapped(text, 60).endswith("\n  next: git mlver pull")
    assert wrapped(text, 200) == text


def test_a_word_is_never_cut_and_other_lines_keep_their_place() -> None:
    path = "/" + "x" * 200
    assert wrapped(f"git-mlver: {path} is gone", 40) == f"git-mlver: {path}\n  is gone"
    assert wrapped("      +  kept as it is", 80) == "      +  kept as it is"


def test_what_a_driver_says_on_a_terminal_fits_it(work: Clone) -> None:
    name = "models/a-rather-long-name-of-a-model.bin"
    work.commit("base", {name: content(0)})
    work.git("switch", "-q", "-c", "side")
    work.commit("theirs", {name: content("theirs")})
    work.git("switch", "-q", "main")
    work.commit("ours", {name: content("ours")})
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 70, 0, 0))
    words = ["git", "merge", "side"]
    env = work.box.env
    subprocess.run(words, cwd=work.top, env=env, stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    said = os.read(main, 65536).decode().replace("\r\n", "\n")
    os.close(main)
    lines = said.split("\n")
    assert f"git checkout --theirs -- {name} && git add {name}" in said
    assert all(len(line) <= 70 for line in lines if not line.startswith("  or: ")), lines
    assert any(line.startswith("  next: git add ") for line in lines)


def test_an_encoding_without_our_signs_is_no_failure(work: Clone) -> None:
    # -E is left out here: it is the variable that stands for a terminal of that encoding.
    words = [sys.executable, "-P", str(MAIN), "doctor"]
    work.box.without_warmth()
    done = work.box.run(words, work.top, PYTHONIOENCODING="latin-1")
    assert done.code == 0 and "Traceback" not in done.err
    assert "\\u2713 the hooks are installed" in done.out
