"""What `git mlver diff` prints and writes: text for a terminal, a page, counts by group."""

from __future__ import annotations

import os
import pty
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.diff.test_front import NEW, OLD, rows_of
from tests.support.sandbox import Clone


@pytest.fixture
def table(work: Clone) -> Clone:
    """A tracked table, and a second commit that changes it."""
    work.mlver("track", "*.csv")
    work.given("one", {"t.csv": OLD, "p.json": b'{"lr": 0.1}'})
    work.given("two", {"t.csv": NEW, "p.json": b'{"lr": 0.2}'})
    return work


def test_what_a_file_holds_cannot_act_on_the_terminal(work: Clone) -> None:
    hostile = "id,x\n1,\x1b[31mred\x07\u202e\n2,=cmd()\n".encode()
    old, new = work.write("a.csv", b"id,x\n1,a\n"), work.write("b.csv", hostile)
    out = work.mlver("diff", "--no-index", "--all", str(old), str(new)).out
    assert "\x1b" not in out and "\x07" not in out and "\u202e" not in out


class _Page(HTMLParser):
    VOID = ("meta", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_holds_the_changes_and_nothing_that_acts(work: Clone) -> None:
    old = work.write("a.csv", b"id,x\n1,a\n2,b\n")
    new = work.write("b.csv", b'id,x\n1,<script>alert(1)</script>\n3,"</td>&amp;"\n')
    work.mlver("diff", "--no-index", str(old), str(new), "--html", "o.html")
    page = _Page()
    page.feed(work.read("o.html").decode())
    page.close()
    assert page.open == [] and "script" not in page.seen and "img" not in page.seen
    assert "<script>alert(1)</script>" in page.text and "</td>&amp;" in page.text
    assert "http" not in work.read("o.html").decode().replace("http-equiv", "")


def test_changes_are_counted_by_the_value_of_a_column(table: Clone) -> None:
    row = rows_of(table.json("diff", "--by", "label", "HEAD~1", "HEAD"))["t.csv"]
    groups = {group.pop("value"): group for group in row["by"]["groups"]}
    assert groups["a"] == {"added": 1, "removed": 1, "modified": 0, "moved_in": 0, "moved_out": 1}
    assert groups["b"] == {"added": 0, "removed": 0, "modified": 1, "moved_in": 1, "moved_out": 0}
    shown = table.mlver("diff", "--by", "label", "HEAD~1", "HEAD").out
    assert "moved in" in shown


def test_stat_is_a_line_a_file(table: Clone) -> None:
    out = table.mlver("diff", "--stat", "HEAD~1", "HEAD").out.splitlines()
    assert len(out) == 2 and "1 added, 1 removed, 1 modified of 3 rows" in out[1]


def test_samples_come_first_and_all_shows_the_rest(work: Clone) -> None:
    rows = b"".join(b"%d,x\n" % n for n in range(40))
    old, new = work.write("a.csv", b"id,x\n"), work.write("b.csv", b"id,x\n" + rows)
    both = ("diff", "--no-index", str(old), str(new))
    assert "30 more: --all shows them" in work.mlver(*both).out
    assert len(work.mlver(*both, "--all").out.splitlines()) == 42


def _on_a_terminal(work: Clone, words: list[str], **env: str) -> str:
    """What a terminal of 60 columns is given."""
    import fcntl
    import struct
    import subprocess
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    process = subprocess.Popen(
        ["git", "mlver", *words], cwd=work.top, env={**work.box.env, "TERM": "xterm", **env},
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    data = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        if not part:
            break
        data += part
    process.wait()
    os.close(ours)
    return data.decode()


def test_a_terminal_gets_colour_the_pager_and_lines_that_fit(table: Clone) -> None:
    table.given("wide", {"t.csv": b"id,name,label\n1," + b"w" * 300 + b",b\n"})
    words = ["diff", "HEAD~1", "HEAD"]
    marker = table.top / "paged"
    shown = _on_a_terminal(table, words, GIT_PAGER=f"tee {marker}")
    assert "\x1b[" in shown and marker.read_text(), "git's pager shows it, in colour"
    import click

    assert all(len(click.unstyle(line)) <= 60 for line in shown.splitlines() if "www" in line)
    table.git("config", "color.ui", "false")
    plain = _on_a_terminal(table, words, GIT_PAGER="cat")
    assert "\x1b[" not in plain
    marker.unlink()
    table.git("config", "pager.mlver", "false")
    _on_a_terminal(table, words, GIT_PAGER=f"tee {marker}")
    assert not marker.exists()
    gone = _on_a_terminal(table, words, GIT_PAGER="true", PAGER="true")
    assert "Traceback" not in gone and "rror" not in gone


def test_a_reader_that_goes_away_is_no_failure(work: Clone, tmp_path: Path) -> None:
    rows = b"".join(b"%d,%s\n" % (n, b"y" * 50) for n in range(5000))
    old, new = work.write("a.csv", b"id,x\n"), work.write("b.csv", b"id,x\n" + rows)
    script = f"git-mlver diff --no-index --all {old} {new} | head -c 1 >/dev/null"
    done = work.box.run(["bash", "-c", f"{script}; echo ${{PIPESTATUS[0]}}"], work.top)
    assert done.out.strip() == "0" and done.err == ""
