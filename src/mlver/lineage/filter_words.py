"""The words of a filter expression, each with its place, for `filters` to put together.

Keys and texts may be quoted: 'text', "text" or a key, `key`; a quote inside is written twice.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mlver.errors import UsageError

WORD, TEXT, NUMBER, KEY, SIGN, END = "word", "text", "number", "key", "sign", "end"
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w]))
    | (?P<word>[^\W\d][\w./-]*)
    | '(?P<text>(?:[^']|'')*)'
    | "(?P<double>(?:[^"]|"")*)"
    | `(?P<back>(?:[^`]|``)*)`
    | (?P<sign>!=|<>|>=|<=|==|[=<>(),.])
    )""",
    re.VERBOSE,
)
_MOST = 100_000


class Token(NamedTuple):
    """`kind` with its `text` (unquoted), and where it begins. A text in double quotes is TEXT with
    `is_key`: it may be either, as its place says."""

    kind: str
    text: str
    at: int
    is_key: bool = False


def words(expression: str) -> list[Token]:
    """The tokens of an expression, END last. Raises UsageError."""
    if len(expression) > _MOST:
        raise UsageError("the filter is too long", why=f"more than {_MOST} characters")
    found: list[Token] = []
    at, end = 0, len(expression.rstrip())
    while at < end:
        match = _TOKEN.match(expression, at)
        if match is None:
            start = at + len(expression[at:]) - len(expression[at:].lstrip())
            raise wrong(expression, start, "nothing can begin so, or a quote is not closed")
        kind = match.lastgroup
        assert kind is not None
        text, start = match[kind], match.start(kind)
        if kind == "double":
            found.append(Token(TEXT, text.replace('""', '"'), start - 1, is_key=True))
        elif kind == "back":
            found.append(Token(KEY, text.replace("``", "`"), start - 1))
        elif kind == "text":
            found.append(Token(TEXT, text.replace("''", "'"), start - 1))
        else:
            found.append(Token(kind, text, start))
        at = match.end()
    return [*found, Token(END, "", end)]


def wrong(expression: str, at: int, why: str) -> UsageError:
    """The error for what stands at a place of an expression."""
    rest = expression[at : at + 20]
    place = f"at character {at + 1}, {rest!r}" if rest else "at its end"
    return UsageError(
        f"the filter cannot be understood {place}",
        why=why,
        fix="write it like params.lr = '0.1' and metrics.acc > 0.9; git mlver runs --help",
    )
