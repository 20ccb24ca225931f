"""Reads and edits the text of a .gitattributes file, a line at a time; never touches a file.

A pattern is handled as it is written in the file: quoted where git needs that. Two patterns are
the same when they mean the same to git (`*.csv` and `"*.csv"`). Lines of others are kept byte for
byte, and every edit is idempotent.

The syntax is that of git's attr.c (`parse_attr_line`): lines end with LF alone; blanks are space,
tab, CR and LF; `#` starts a comment only at the line's start; of several settings the last one
holds. Imports nothing of mlver but the errors.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass

from mlver.errors import UsageError

TRACKED = b"filter=mlver diff=mlver merge=mlver -text"

_LINE_LIMIT = 2048  # git ignores a line of that length, with no more than a warning
_BOM = b"\xef\xbb\xbf"
_MACRO = b"[attr]"
_BLANK = b" \t\r\n"
_WORD = re.compile(rb"[^ \t\r\n]+")
_GLOB = re.compile(rb"[*?\[\\]")

_SETTING = re.compile(rb"[-!]?[A-Za-z0-9_.][-A-Za-z0-9_.]*(?:=.*)?")  # else git skips the line
_QUOTED = re.compile(rb'"((?:[^"\\]|\\(?:["\\abfnrtv]|[0-3][0-7]{2}))*)"')
_ESCAPE = re.compile(rb'\\(?:(["\\abfnrtv])|([0-7]{3}))')
_NEEDS_QUOTES = re.compile(rb'\A#|\A\xef\xbb\xbf|[\x00-\x20"\x7f]')
_UNSAFE = re.compile(rb'[\x00-\x1f"\\\x7f]')
_LETTERS = dict(zip(b'"\\abfnrtv', b'"\\\a\b\f\n\r\t\v', strict=True))
_ESCAPES = {value: b"\\%c" % letter for letter, value in _LETTERS.items()}


@dataclass(frozen=True, slots=True)
class _Line:
    """`raw` includes the line's end; `pattern` is empty where git reads no rule from the line."""

    raw: bytes
    pattern: bytes = b""
    meaning: bytes = b""
    settings: tuple[bytes, ...] = ()

    @property
    def filter(self) -> bytes | None:
        """The filter that the line sets, empty for an unset one, None where it sets none."""
        for setting in reversed(self.settings):
            name, _, value = setting.partition(b"=")
            if name == b"filter":
                return value
            if name in (b"-filter", b"!filter"):
                return b""  # whatever value follows
        return None


def pattern_for_path(path: bytes) -> bytes:
    """The pattern, from the worktree's top, that matches exactly this path and no other."""
    return _written(b"/" + _GLOB.sub(rb"\\\g<0>", path))


def pattern_from_user(text: str) -> bytes:
    """The pattern that a person typed, quoted as the file needs it, with its meaning unchanged.

    A leading `./`, with which git would match nothing, anchors the pattern as `/` does.
    Raises UsageError where git would ignore the line.
    """
    pattern = os.fsencode(text)
    if not pattern:
        raise UsageError("The pattern is empty.", fix="git mlver track '*.parquet'")
    if pattern.startswith(b"!"):
        raise UsageError(
            f"The pattern {text!r} starts with '!'.",
            why="git ignores negative patterns in .gitattributes",
            fix="git mlver untrack PATTERN; or for a name with that letter: '\\!name'",
        )
    if pattern.startswith(b"./"):
        pattern = pattern[1:]
    if pattern.startswith(_MACRO) and pattern != _MACRO:
        # Git takes it for the definition of a macro, even in quotes: the same set, otherwise.
        pattern = b"[rtta]" + pattern[len(_MACRO) :]
    return _written(pattern)


def with_pattern(text: bytes, pattern: bytes) -> bytes:
    """The text in which `pattern` is tracked: as it is, or with a line more at its end.

    Raises UsageError when the line would be too long for git, ValueError when `pattern` is not
    written as a line needs it: the functions above do that.
    """
    if _meaning(pattern) in _tracked(text):
        return text
    end = b"\r\n" if re.match(rb"[^\n]*\r\n", text) else b"\n"
    line = pattern + b" " + TRACKED + end
    if len(line) > _LINE_LIMIT:
        raise UsageError(
            f"A pattern of {len(pattern)} bytes is too long for .gitattributes.",
            why=f"git ignores lines of {_LINE_LIMIT} bytes and more",
            fix="track a shorter pattern that matches it, such as '*.ext'",
        )
    if _parsed(line).pattern != pattern:
        raise ValueError(f"not a pattern for .gitattributes: {pattern!r}")
    if text and not text.endswith(b"\n"):
        text += end
    return text + line


def without_pattern(text: bytes, pattern: bytes) -> bytes:
    """The text in which no line tracks `pattern`; settings of others on such a line stay."""
    meaning = _meaning(pattern)
    kept = [
        _without_ours(line) if line.filter == b"mlver" and line.meaning == meaning else line.raw
        for line in _lines(text)
    ]
    return b"".join(kept)


def patterns(text: bytes) -> list[bytes]:
    """The patterns, as written, that have filter=mlver in this text, in its order."""
    return list(_tracked(text).values())


def _tracked(text: bytes) -> dict[bytes, bytes]:
    """Meaning → pattern as written, of those whose last line that sets a filter sets ours."""
    found: dict[bytes, bytes] = {}
    for line in _lines(text):
        if line.filter == b"mlver":
            found[line.meaning] = line.pattern
        elif line.filter is not None:
            found.pop(line.meaning, None)
    return found


def _lines(text: bytes) -> list[_Line]:
    lines = [_parsed(raw) for raw in io.BytesIO(text.removeprefix(_BOM))]
    return [_Line(_BOM), *lines] if text.startswith(_BOM) else lines


def _parsed(raw: bytes) -> _Line:
    start = len(raw) - len(raw.lstrip(_BLANK))
    if len(raw.removesuffix(b"\n")) >= _LINE_LIMIT:
        return _Line(raw)
    match = _QUOTED.match(raw, start) or _WORD.match(raw, start)
    if not match or match[0].startswith(b"#"):
        return _Line(raw)
    meaning = _meaning(match[0])
    if meaning.startswith(b"!") or (meaning.startswith(_MACRO) and meaning != _MACRO):
        return _Line(raw)
    settings = _WORD.findall(raw, match.end())
    if not all(map(_SETTING.fullmatch, settings)):
        return _Line(raw)
    return _Line(raw, match[0], meaning, tuple(settings))


def _without_ours(line: _Line) -> bytes:
    rest = [setting for setting in line.settings if setting not in TRACKED.split()]
    if not rest:
        return b""
    before = line.raw[: line.raw.index(line.pattern)]
    end = line.raw[len(line.raw.rstrip(b"\r\n")) :]
    return before + line.pattern + b" " + b" ".join(rest) + end


def _written(pattern: bytes) -> bytes:
    if not _NEEDS_QUOTES.search(pattern):
        return pattern
    return b'"' + _UNSAFE.sub(lambda unsafe: _escaped(unsafe[0][0]), pattern) + b'"'


def _escaped(value: int) -> bytes:
    return _ESCAPES.get(value) or b"\\%03o" % value


def _meaning(pattern: bytes) -> bytes:
    """What git's unquote_c_style makes of it; what is not well quoted stands for itself."""
    quoted = _QUOTED.fullmatch(pattern)
    return _ESCAPE.sub(_unescaped, quoted[1]) if quoted else pattern


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return bytes([_LETTERS[escape[1][0]] if escape[1] else int(escape[2], 8)])
