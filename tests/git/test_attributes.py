"""Patterns mean to git what they are meant to mean, and edits leave other lines alone.

The oracle is `git check-attr`, asked about a .gitattributes file that was really written.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlver.errors import UsageError
from mlver.git.attributes import (
    TRACKED,
    pattern_for_path,
    pattern_from_user,
    patterns,
    with_pattern,
    without_pattern,
)

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "LC_ALL": "C",
}
BOM = b"\xef\xbb\xbf"
HOSTILE = [
    b"plain",
    b"a b",
    b" leading",
    b"trailing ",
    b"trailing\t",
    b"tab\there",
    b"new\nline",
    b"\n",
    b"return\r",
    b"bell\a\x01\x1f\x7f",
    b'quo"te',
    b'"quoted"',
    b"back\\slash",
    b"back\\",
    b"\\*",
    b"*",
    b"**",
    b"a*b",
    b"a?b",
    b"[ab]",
    b"a[",
    b"a]",
    b"[attr]x",
    b"[attr]",
    b"-dash",
    b"--help",
    b"!not",
    b"#comment",
    b"a#b",
    b"a=b",
    b"filter=mlver",
    b"~",
    b"{a,b}",
    b"gr\xc3\xbc\xc3\x9fe \xe6\xa8\xa1\xe5\x9e\x8b.bin",
    b"\xff\xfe.bin",
    b"\xef\xbb\xbfbom",
    b"\xc2\xa0",
    b"dir/plain",
    b"dir/a b/*.csv",
    b"dir/**/x",
    b"dir \n/[!a]/\\?",
    b"x" * 200 + b"/" + b"y" * 200,
]


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("attributes")
    subprocess.run(["git", "init", "-q", str(top)], env=ENVIRONMENT, check=True)
    return top


def check(repo: Path, text: bytes, paths: Iterable[bytes], name: str = "filter") -> list[bytes]:
    """The value of one attribute for each path, as git reads that text."""
    (repo / ".gitattributes").write_bytes(text)
    done = subprocess.run(
        ["git", "-C", str(repo), "check-attr", "-z", "--stdin", name],
        input=b"".join(path + b"\0" for path in paths),
        env=ENVIRONMENT,
        capture_output=True,
        check=True,
    )
    return done.stdout.split(b"\0")[2::3]


@pytest.mark.parametrize("path", HOSTILE)
def test_the_pattern_for_a_path_matches_it_and_no_other(repo: Path, path: bytes) -> None:
    others = [other for other in HOSTILE if other != path] + [b"sub/" + path, path + b"x"]
    text = with_pattern(b"", pattern_for_path(path))
    assert patterns(text) == [pattern_for_path(path)]
    values = check(repo, text, [path, *others])
    assert values == [b"mlver"] + [b"unspecified"] * len(others)


PART = st.one_of(
    st.binary(min_size=1, max_size=12),
    st.text(' \t\n"\\*?[]!#-ab', min_size=1, max_size=6).map(str.encode),
).map(lambda raw: raw.replace(b"\0", b"_").replace(b"/", b"_"))
PATH = (
    st.lists(PART.filter(lambda part: part not in (b".", b"..")), min_size=1, max_size=3)
    .map(b"/".join)
    .filter(lambda path: path != b".gitattributes" and not path.startswith(b".git/"))
)


@settings(max_examples=100, deadline=None)
@given(paths=st.lists(PATH, min_size=1, max_size=12, unique=True))
def test_each_of_many_paths_is_matched_by_its_own_pattern(repo: Path, paths: list[bytes]) -> None:
    lines = [pattern_for_path(path) + b" n=%d\n" % i for i, path in enumerate(paths)]
    assert check(repo, b"".join(lines), paths, "n") == [b"%d" % i for i in range(len(paths))]


def test_the_attributes_of_a_tracked_path_are_ours(repo: Path) -> None:
    text = with_pattern(b"*.csv text filter=lfs\n", pattern_from_user("*.csv"))
    for name, value in (("filter", b"mlver"), ("diff", b"mlver"), ("merge", b"mlver")):
        assert check(repo, text, [b"a.csv", b"d/a.csv"], name) == [value, value]
    assert check(repo, text, [b"a.csv"], "text") == [b"unset"]


@pytest.mark.parametrize(
    ("typed", "written", "matching", "other"),
    [
        ("*.parquet", b"*.parquet", b"d/a.parquet", b"a.parquetx"),
        ("data/**/*.csv", b"data/**/*.csv", b"data/x/y/a.csv", b"a.csv"),
        ("/top.bin", b"/top.bin", b"top.bin", b"d/top.bin"),
        ("./top*.bin", b"/top*.bin", b"top1.bin", b"d/top1.bin"),
        ("my data/*.csv", b'"my data/*.csv"', b"my data/a.csv", b"my"),
        ("ends ", b'"ends "', b"d/ends ", b"ends"),
        ("a\\ b*", b'"a\\\\ b*"', b"a bc", b"a\\ b"),
        ("\\*.csv", b"\\*.csv", b"*.csv", b"a.csv"),
        ("\\!x", b"\\!x", b"!x", b"\\!x"),
        ("#x", b'"#x"', b"d/#x", b"x"),
        ('"x"', b'"\\"x\\""', b'"x"', b"x"),
        ("tab\tx", b'"tab\\tx"', b"tab\tx", b"tab"),
        ("new\nx", b'"new\\nx"', b"new\nx", b"new"),
        ("[a-c].bin", b"[a-c].bin", b"b.bin", b"[a-c].bin"),
        ("[attr]*.bin", b"[rtta]*.bin", b"tx.bin", b"x.bin"),
        ("[attr]", b"[attr]", b"t", b"[attr]"),
        ("größe-*", "größe-*".encode(), "größe-1".encode(), b"gr"),
        ("\udcff*", b"\xff*", b"\xff1", b"\xfe1"),
        ("\ufeffx", b'"\xef\xbb\xbfx"', b"\xef\xbb\xbfx", b"x"),
    ],
)
def test_a_typed_pattern_keeps_its_meaning(
    repo: Path, typed: str, written: bytes, matching: bytes, other: bytes
) -> None:
    assert pattern_from_user(typed) == written
    text = with_pattern(b"", written)
    assert check(repo, text, [matching, other]) == [b"mlver", b"unspecified"]
    assert patterns(text) == [written]
    assert without_pattern(text, written) == b""


@pytest.mark.parametrize("typed", ["", "!x", "!"])
def test_a_pattern_that_git_would_ignore_is_refused(typed: str) -> None:
    with pytest.raises(UsageError):
        pattern_from_user(typed)


def test_a_line_that_git_would_find_too_long_is_refused(repo: Path) -> None:
    room = 2047 - len(b"/" + b" " + TRACKED)
    longest = b"d/" * (room // 2) + b"x" * (room % 2 or 2)
    longest = longest[len(longest) - room :]
    text = with_pattern(b"", pattern_for_path(longest))
    assert check(repo, text, [longest]) == [b"mlver"]
    with pytest.raises(UsageError):
        with_pattern(b"", pattern_for_path(longest + b"x"))
    ignored = pattern_for_path(longest + b"x") + b" " + TRACKED + b"\n"
    assert check(repo, ignored, [longest + b"x"]) == [b"unspecified"]
    assert patterns(ignored) == []


@pytest.mark.parametrize("pattern", [b"", b"a b", b"#x", b"!x", b"x\ny", b"[attr]x", b" x"])
def test_a_pattern_that_is_not_in_its_written_form_is_refused(pattern: bytes) -> None:
    with pytest.raises(ValueError):
        with_pattern(b"", pattern)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"*.csv %s\n"),
        (b"*.txt text\n", b"*.txt text\n*.csv %s\n"),
        (b"*.txt text", b"*.txt text\n*.csv %s\n"),
        (b"*.txt text\r\n", b"*.txt text\r\n*.csv %s\r\n"),
        (b"*.txt text\r\n# end", b"*.txt text\r\n# end\r\n*.csv %s\r\n"),
        (b"*.csv text\n", b"*.csv text\n*.csv %s\n"),
        (b"*.csv filter=lfs -text\n", b"*.csv filter=lfs -text\n*.csv %s\n"),
        (b"# *.csv filter=mlver\n", b"# *.csv filter=mlver\n*.csv %s\n"),
        (b"*.csv filter=mlver -filter\n", b"*.csv filter=mlver -filter\n*.csv %s\n"),
        (b"\v*.csv filter=mlver\n", b"\v*.csv filter=mlver\n*.csv %s\n"),
        (b"x\r*.csv filter=mlver\n", b"x\r*.csv filter=mlver\n*.csv %s\n"),
        (b"*.csv filter=mlver b*d\n", b"*.csv filter=mlver b*d\n*.csv %s\n"),
        (b"*.csv filter=mlverx\n", b"*.csv filter=mlverx\n*.csv %s\n"),
        (
            b"*.csv filter=mlver\n*.csv filter=lfs\n",
            b"*.csv filter=mlver\n*.csv filter=lfs\n*.csv %s\n",
        ),
        (b"*.csv filter=mlver\n*.csv !filter\n", b"*.csv filter=mlver\n*.csv !filter\n*.csv %s\n"),
        (b"[attr]*.csv filter=mlver\n", b"[attr]*.csv filter=mlver\n*.csv %s\n"),
        # Already tracked, however it is written: nothing to do.
        (b"*.csv filter=mlver", b"*.csv filter=mlver"),
        (b"\t *.csv  text\tfilter=mlver \r\n", b"\t *.csv  text\tfilter=mlver \r\n"),
        (b'"*.csv" filter=mlver\n', b'"*.csv" filter=mlver\n'),
        (b'"*.csv"filter=mlver\n', b'"*.csv"filter=mlver\n'),
        (b'"\\052.csv" -filter filter=mlver\n', b'"\\052.csv" -filter filter=mlver\n'),
        (b"\xef\xbb\xbf*.csv filter=mlver\n", b"\xef\xbb\xbf*.csv filter=mlver\n"),
    ],
)
def test_tracking_adds_one_line_or_none(repo: Path, before: bytes, after: bytes) -> None:
    after = after.replace(b"%s", TRACKED)
    assert with_pattern(before, b"*.csv") == after
    assert with_pattern(after, b"*.csv") == after
    assert check(repo, after, [b"a.csv"]) == [b"mlver"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a text\n*.csv %s\nb text", b"a text\nb text"),
        (b"*.csv %s", b""),
        (b'"*.csv" %s\r\n\r\n', b"\r\n"),
        (b"*.csv %s\n*.csv filter=mlver\n", b""),
        (b"\xef\xbb\xbf*.csv %s\na text\n", b"\xef\xbb\xbfa text\n"),
        # What others set stays, on our line too.
        (b"  *.csv %s lockable  eol=lf\r\n", b"  *.csv lockable eol=lf\r\n"),
        (b"*.csv filter=lfs -text\n", b"*.csv filter=lfs -text\n"),
        (b"*.csv.gz %s\n", b"*.csv.gz %s\n"),
        (b"# *.csv %s\n", b"# *.csv %s\n"),
    ],
)
def test_untracking_removes_what_is_ours_alone(repo: Path, before: bytes, after: bytes) -> None:
    before, after = before.replace(b"%s", TRACKED), after.replace(b"%s", TRACKED)
    assert without_pattern(before, b"*.csv") == after
    assert without_pattern(after, b"*.csv") == after
    assert check(repo, after, [b"a.csv"]) != [b"mlver"]


def test_patterns_are_listed_in_order_as_written() -> None:
    text = (
        b"# x filter=mlver\n*.b filter=mlver\n*.c filter=lfs\n*.d\n!e filter=mlver\n"
        b'"a b" x filter=mlver\n'
    )
    assert patterns(text) == [b"*.b", b'"a b"']


LINE = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            b"*.csv filter=mlver diff=mlver merge=mlver -text",
            b"*.csv filter=lfs",
            b"/p filter=mlver x",
            b'"/a b" -filter',
            b"# comment",
            b"",
            b"[attr]m diff merge",
            b'"unclosed filter=mlver',
        ]
    ),
)
TEXT = st.builds(
    lambda bom, lines, end, last: bom + end.join([*lines, last]),
    st.sampled_from([b"", BOM]),
    st.lists(LINE, max_size=6),
    st.sampled_from([b"\n", b"\r\n"]),
    st.one_of(st.just(b""), LINE),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=TEXT, path=PATH)
def test_whatever_the_file_holds_a_path_can_be_tracked_and_untracked(
    repo: Path, text: bytes, path: bytes
) -> None:
    pattern = pattern_for_path(path)
    tracked = with_pattern(text, pattern)
    assert tracked.startswith(text)
    assert with_pattern(tracked, pattern) == tracked
    assert pattern in patterns(tracked)
    assert check(repo, tracked, [path]) == [b"mlver"]
    untracked = without_pattern(tracked, pattern)
    assert pattern not in patterns(untracked)
    assert without_pattern(untracked, pattern) == untracked
    if pattern not in patterns(text):
        assert untracked.removesuffix(b"\n").removesuffix(b"\r") in (
            text,
            text.removesuffix(b"\n").removesuffix(b"\r"),
        )


# Separated by "|": ways to write a pattern, and settings, that git takes or does not.
WRITTEN = (
    b'*.csv|"*.csv"|"\\052.csv"|\t *.csv|\v*.csv|!*.csv|"!*.csv"|#*.csv|\r#*.csv|"#*.csv"'
    b'|[attr]csv|"[attr]*.csv"|"*.csv|"*.\\c"'
).split(b"|")
SETTINGS = (
    b"filter=mlver|filter=mlver|-filter|!filter|filter|filter=lfs|-filter=mlver|!filter=mlver"
    b"|filter=mlver=|text|=|--x|b*d|#"
).split(b"|")
RULE = st.builds(
    lambda pattern, blank, settings: pattern + blank + b" ".join(settings),
    st.sampled_from(WRITTEN),
    st.sampled_from([b" ", b"\t", b"\r", b"", b"\v"]),
    st.lists(st.sampled_from(SETTINGS), max_size=3),
)


@settings(max_examples=250, deadline=None)
@given(rules=st.lists(RULE, max_size=3), bom=st.sampled_from([b"", BOM]))
def test_a_pattern_counts_as_tracked_exactly_when_git_agrees(
    repo: Path, rules: list[bytes], bom: bytes
) -> None:
    text = bom + b"\n".join(rules)
    is_tracked = with_pattern(text, b"*.csv") == text
    assert is_tracked == (check(repo, text, [b"a.csv"]) == [b"mlver"])


@settings(max_examples=300, deadline=None)
@given(text=TEXT)
def test_untracking_all_that_is_listed_leaves_the_other_lines(text: bytes) -> None:
    after = text
    for pattern in patterns(text):
        after = without_pattern(after, pattern)
    assert patterns(after) == []
    remaining = iter(after.removeprefix(BOM).split(b"\n"))
    others = [line for line in text.removeprefix(BOM).split(b"\n") if b"mlver" not in line]
    assert all(line in remaining for line in others if line)  # in their order
    if not patterns(text):
        assert after == text
