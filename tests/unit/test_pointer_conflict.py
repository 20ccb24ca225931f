"""Pointer lines between git's conflict markers are the one text that is neither pointer nor
content; a file that merely holds such a line is content."""

from __future__ import annotations

import pytest

from mlver.model.digest import digest_of
from mlver.model.pointer import Pointer, is_conflicted, parse

OURS = Pointer(digest_of(b"ours"), 10).encode()
THEIRS = Pointer(digest_of(b"theirs"), 20).encode()
HEAD, *OURS_LINES = OURS.splitlines(keepends=True)
THEIRS_LINES = THEIRS.splitlines(keepends=True)[1:]

MERGED = b"".join(
    [HEAD, b"<<<<<<< HEAD\n", *OURS_LINES, b"=======\n", *THEIRS_LINES, b">>>>>>> topic\n"]
)
WHOLE = b"".join([b"<<<<<<< HEAD\n", OURS, b"=======\n", THEIRS, b">>>>>>> topic\n"])
DIFF3 = b"".join(
    [b"<<<<<<< HEAD\n", OURS, b"||||||| 1a2b3c4\n", OURS, b"=======\n", THEIRS, b">>>>>>> topic\n"]
)


@pytest.mark.parametrize("text", [MERGED, WHOLE, DIFF3, WHOLE.replace(b"\n", b"\r\n")])
def test_what_gits_text_merge_leaves_is_recognised(text: bytes) -> None:
    assert is_conflicted(text)
    assert parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        OURS,
        OURS + THEIRS,
        b"<<<<<<< HEAD\n=======\n>>>>>>> topic\n",
        MERGED + b"a line of content\n",
        b"# notes\n" + MERGED,
        WHOLE.replace(b"size 10\n", b"size ten\n"),
        b"".join([b"======= title\n", OURS]),
        WHOLE * 100,
    ],
)
def test_what_only_resembles_it_is_content(text: bytes) -> None:
    assert not is_conflicted(text)
