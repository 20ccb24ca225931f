"""Which paths a command brings: patterns to include and to exclude, as in .gitignore.

A pattern without a slash (but at its end) matches at any depth, one with a slash from the
worktree's top; `*` and `?` stop at a slash, `**` does not; what matches a folder matches all that
is in it, and a slash at the end matches folders only. An exclusion wins over an inclusion. Several
stand in one word, with commas between; a comma of a name is written `\\,`.

Asked of every file of a checkout, so no git is started: the filter has one path at a time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mlver.errors import UsageError

_COMMA = re.compile(r"(?<!\\),")
_CLASSES = {
    b"alnum": b"0-9A-Za-z", b"alpha": b"A-Za-z", b"blank": rb" \t", b"cntrl": rb"\x00-\x1f\x7f",
    b"digit": b"0-9", b"graph": rb"\x21-\x7e", b"lower": b"a-z", b"print": rb"\x20-\x7e",
    b"punct": rb"!-/:-@\[-`{-~", b"space": rb" \t\n\r\f\v", b"upper": b"A-Z",
    b"xdigit": b"0-9A-Fa-f",
}  # fmt: skip
_NOTHING = rb"(?!)"
_REPEATED = re.compile(rb"(\A|/)\*\*(?:/\*\*)+(?=/|\Z)")
_IN_FOLDER = rb"/.*\Z"


class Pattern(NamedTuple):
    """One pattern, as it was written and as it is asked."""

    text: str
    compiled: re.Pattern[bytes]

    def matches(self, path: bytes) -> bool:
        """True for the file, and for every file in the folder, that it names."""
        return self.compiled.match(path) is not None


class Selection(NamedTuple):
    """Nothing included: everything is, but what is excluded."""

    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()

    def takes(self, path: bytes) -> bool:
        """True if the file of this path, relative to the worktree's top, is chosen."""
        if self.include and not any(pattern.matches(path) for pattern in self.include):
            return False
        return not any(pattern.matches(path) for pattern in self.exclude)

    @property
    def is_everything(self) -> bool:
        return not (self.include or self.exclude)

    def unmatched(self, paths: Sequence[bytes]) -> Pattern | None:
        """The first pattern to include that matches none of these paths."""
        for pattern in self.include:
            if not any(map(pattern.matches, paths)):
                return pattern
        return None


EVERYTHING = Selection()


def select(include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Selection:
    """The selection of these words. Raises UsageError for a pattern that is none."""
    return Selection(tuple(map(_pattern, words(include))), tuple(map(_pattern, words(exclude))))


def words(texts: Iterable[str]) -> list[str]:
    """The patterns in these texts, of which each may hold several."""
    parts = [part.strip() for text in texts for part in _COMMA.split(text)]
    return [part.replace("\\,", ",") for part in parts if part]


def _pattern(text: str) -> Pattern:
    if text.startswith("!") or not text.strip("/") or "\0" in text:
        raise UsageError(
            f"{text!r} is no pattern",
            why="it names no file" if not text.startswith("!") else "it begins with '!'",
            fix="--include 'data/**' --exclude '*.tmp'; a name's own '!' is written '\\!'",
        )
    return Pattern(text, re.compile(_regex(os.fsencode(text)), re.DOTALL))


def _regex(pattern: bytes) -> bytes:
    pattern = _REPEATED.sub(rb"\1**", pattern)
    below = _IN_FOLDER if pattern.endswith(b"/") else rb"(?:/.*)?\Z"
    pattern = pattern[:-1] if pattern.endswith(b"/") else pattern
    found = rb"\A" if b"/" in pattern else rb"\A(?:.*/)?"
    rest = pattern.removeprefix(b"/")
    if rest.startswith(b"**/"):
        found, rest = found + rb"(?:.*/)?", rest[3:]
    while rest:
        if rest == b"/**":  # all that is in it; with a slash at the end, all that is in its folders
            return found + rb"/.+" + (rb"/.*\Z" if below == _IN_FOLDER else rb"\Z")
        part, rest = (rb"/(?:.*/)?", rest[4:]) if rest.startswith(b"/**/") else _step(rest)
        found += part
    return found + below


def _step(rest: bytes) -> tuple[bytes, bytes]:
    """What the first word of a pattern becomes, and what is left of the pattern."""
    first = rest[:1]
    if first == b"*":
        return rb"[^/]*", rest.lstrip(b"*")
    if first == b"?":
        return rb"[^/]", rest[1:]
    if first == b"[":
        return _bracket(rest)
    if first == b"\\":
        return (re.escape(rest[1:2]), rest[2:]) if len(rest) > 1 else (_NOTHING, b"")
    return re.escape(first), rest[1:]


def _bracket(rest: bytes) -> tuple[bytes, bytes]:
    """A set of characters; one that is not closed matches nothing, as in git."""
    at = 1
    negated = rest[at : at + 1] in (b"!", b"^") and bool(rest[at : at + 1])
    at += negated
    items = b""
    begin = at
    while at < len(rest) and (rest[at : at + 1] != b"]" or at == begin):
        item, at = _item(rest, at)
        items += item
    if at >= len(rest):
        return _NOTHING, b""
    rest = rest[at + 1 :]
    if not items:  # [z-a] has no characters
        return rb"[^/]" if negated else _NOTHING, rest
    return rb"(?!/)[" + (b"^" if negated else b"") + items + b"]", rest


def _item(rest: bytes, at: int) -> tuple[bytes, int]:
    """One item of a set as the expression has it, and where the next one begins."""
    if rest.startswith(b"[:", at):
        end = rest.find(b":]", at)
        name = rest[at + 2 : end]
        if end > 0 and name in _CLASSES:
            return _CLASSES[name], end + 2
    char, at = _char(rest, at)
    if rest[at : at + 1] == b"-" and rest[at + 1 : at + 2] not in (b"]", b""):
        last, after = _char(rest, at + 1)
        if char <= last:
            return re.escape(char) + b"-" + re.escape(last), after
        return b"", after
    return re.escape(char), at


def _char(rest: bytes, at: int) -> tuple[bytes, int]:
    if rest[at : at + 1] == b"\\" and at + 1 < len(rest):
        at += 1
    return rest[at : at + 1], at + 1
