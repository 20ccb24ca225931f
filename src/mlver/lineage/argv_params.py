"""Parameters that a command's words give: `--lr 0.1`, `--lr=0.1`, `-e 3`, `model.depth=4`.

No program's own parser is asked, so this is a reading of the usual forms; `--param` corrects it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

_NUMBER = re.compile(r"\A[-+]?(?:0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?\Z|\A[-+]?\.[0-9]+\Z")
_ASSIGNED = re.compile(r"\A\+{0,2}([A-Za-z_][\w./@-]*)=(.*)\Z", re.S)
_OPTION = re.compile(r"\A--?[A-Za-z]")
_PYTHON = re.compile(r"\A(?:python|pypy)[0-9.]*(?:\.exe)?\Z")
_SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "fish"}
_LONGEST = 500
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}


def params_of(argv: Sequence[str]) -> dict[str, Any]:
    """Name → value of a command's options and assignments, the program's and interpreter's own
    left out."""
    words = list(argv[_start(argv) :])
    found: dict[str, Any] = {}
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            continue
        assigned = _ASSIGNED.match(word)
        if assigned and not word.startswith("-"):
            _put(found, assigned[1], value_of(assigned[2]))
        elif _OPTION.match(word):
            name, equals, value = word.lstrip("-").partition("=")
            if equals:
                _put(found, name, value_of(value))
                continue
            values = _following(words, at)
            at += len(values)
            if not values:
                _put(found, name, True)
            else:
                _put(found, name, values[0] if len(values) == 1 else values)
    return found


def value_of(text: str) -> Any:
    """A number, a truth value or null where the text is one as JSON and Python write it."""
    if text in _WORDS:
        return _WORDS[text]
    match = _NUMBER.match(text)
    if match is None or len(text) > 40:
        return text[:_LONGEST]
    if text.lstrip("+-").isdigit():
        number = int(text)
        return number if abs(number) <= 2**53 else text
    value = float(text)
    return value if value not in (float("inf"), float("-inf")) else text


def _following(words: Sequence[str], at: int) -> list[Any]:
    """The values after an option: one word, or as many numbers as follow each other."""
    values: list[Any] = []
    for word in words[at:]:
        if _OPTION.match(word) or word == "--" or (_ASSIGNED.match(word) and not values):
            break
        value = value_of(word)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if values and not is_number:
            break
        values.append(value)
        if not is_number:
            break
    return values


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    """A name that is given twice holds a list."""
    if name in found:
        have = found[name]
        found[name] = [*have, value] if isinstance(have, list) else [have, value]
    else:
        found[name] = value


def _start(argv: Sequence[str]) -> int:
    """Where the program's own words begin: after `python -u train.py`, `env X=1 nice train`."""
    at = program_at(argv)
    name = os.path.basename(argv[at]) if at < len(argv) else ""
    if not _PYTHON.match(name):
        return len(argv) if name in _SHELLS and "-c" in argv[at + 1 : at + 3] else at + 1
    at += 1
    while at < len(argv) and argv[at].startswith("-"):
        if argv[at] in ("-m", "-c"):
            return at + 2
        at += 2 if argv[at] in ("-W", "-X") else 1
    return at + 1


_WRAPPERS = {
    "env", "nice", "time", "timeout", "nohup", "stdbuf", "srun", "mpirun", "mpiexec", "uv", "run",
    "poetry", "pipenv", "conda", "mamba", "pixi", "hatch", "xvfb-run", "numactl", "taskset", "exec",
}  # fmt: skip


def program_at(argv: Sequence[str]) -> int:
    """The place of the program that does the work, behind `env`, `nice`, `uv run` and the like."""
    if not argv or os.path.basename(argv[0]) not in _WRAPPERS:
        return 0
    for at, word in enumerate(argv):
        base = os.path.basename(word)
        if _PYTHON.match(base) or base.endswith((".py", ".sh")):
            return at
    return 0


def is_python(word: str) -> bool:
    """True for the name or path of a Python interpreter."""
    return _PYTHON.match(os.path.basename(word)) is not None
