"""What the terminal is given: text in which nothing of a file, a path or a server can act.

Control characters, escape sequences and bidirectional overrides are shown, not obeyed.
"""

from __future__ import annotations

import contextlib
import os
import sys

_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
_USUAL, _NARROWEST = 80, 20


def escape(text: str, *, keep_newlines: bool = False) -> str:
    """`text` with every character that a terminal would act on written out as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(char, keep_newlines) for char in text)


def _shown(char: str, keep_newlines: bool) -> str:
    code = ord(char)
    if char == "\n" and keep_newlines:
        return char
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x20 or 0x7F <= code < 0xA0 or code in _BIDI:
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return char


def show_path(path: bytes) -> str:
    """A path for people."""
    return escape(os.fsdecode(path))


def json_path(path: bytes) -> str:
    """A path for JSON: bytes that are no UTF-8 become surrogates (PEP 383), as os.fsdecode does."""
    return path.decode("utf-8", "surrogateescape")


def human_size(size: int) -> str:
    """A size for people: 1.2 GB, powers of 1000."""
    value = float(size)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def warn(message: str) -> None:
    """One message on standard error: an error, a warning, or what was done."""
    text = f"git-mlver: {escape(message, keep_newlines=True)}"
    with contextlib.suppress(OSError, ValueError):  # where nobody listens, the work goes on
        print(wrapped(text, _columns()), file=sys.stderr, flush=True)


def wrapped(text: str, columns: int | None) -> str:
    """A message in lines of at most `columns` (None: as it is), hanging under their first word.

    What comes after `next:` is broken between alternatives only: a command that was cut in two
    cannot be copied. Nor is a word ever cut: it may be a path.
    """
    if columns is None or max(map(len, text.split("\n"))) <= columns:
        return text
    text = text.replace("; next: ", "\n  next: ")  # a warning of one line: its command stays whole
    return "\n".join(_wrapped_line(line, max(columns, _NARROWEST)) for line in text.split("\n"))


def _wrapped_line(line: str, columns: int) -> str:
    if len(line) <= columns:
        return line
    import re  # only for those who need it: a hook's start is measured

    label = re.match(r"\s*(?:git-mlver: |why:  |next: |or:   )?", line)
    assert label is not None
    head, rest = label[0], line[label.end() :]
    breaks = r"(?<=[;,]) +" if head.endswith(("next: ", "or:   ")) else r" +"
    rows, row = [], head
    hang = "  " if head == "git-mlver: " else " " * len(head)
    for word in re.split(breaks, rest):
        if row.strip() and row != head and len(row) + 1 + len(word) > columns:
            rows.append(row)
            row = hang + word
        else:
            row += word if row in (head, hang) else f" {word}"
    return "\n".join([*rows, row])


def _columns() -> int | None:
    """The terminal's width; None for a pipe or a file, where whoever searches wants whole lines."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL
    except (AttributeError, OSError, ValueError):
        return None
