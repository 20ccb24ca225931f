"""The words of `git mlver run`, read without click: recording is a tenth slower with it.

Only what is plain is read here. Whatever else stands there (help, a mistake, an abbreviation) is
left to click, which knows what to say: `plain` gives None. A test holds the two to one meaning.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

_FLAGS = {"-q": "quiet", "--quiet": "quiet", "--sidecar": "sidecar", "--embed": "embed"}
_TEXTS = {"--exclude": "exclude", "--param": "params", "--tag": "tags"}
_PATHS = {"--input": "inputs", "--output": "outputs", "--metrics": "metrics"}


class Words(NamedTuple):
    """What a person asked for; `params` and `tags` as NAME=VALUE."""

    name: str = ""
    inputs: tuple[bytes, ...] = ()
    outputs: tuple[bytes, ...] = ()
    exclude: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    metrics: tuple[bytes, ...] = ()
    tags: tuple[str, ...] = ()
    sidecar: bool = False
    embed: bool = False
    quiet: bool = False
    command: tuple[str, ...] = ()


def plain(args: Sequence[str]) -> Words | None:
    """The words after `run`; None where click is to look at them."""
    found: dict[str, Any] = {}
    at = 0
    while at < len(args):
        word = args[at]
        at += 1
        if word == "--" or not word.startswith("-"):
            found["command"] = tuple(args[at:] if word == "--" else args[at - 1 :])
            return Words(**found) if found["command"] else None
        if word in _FLAGS:
            found[_FLAGS[word]] = True
            continue
        option, equals, value = word.partition("=")
        if not equals:
            if at >= len(args):
                return None
            value = args[at]
            at += 1
        if option == "--name":
            found["name"] = value
        elif option in _TEXTS:
            found[_TEXTS[option]] = (*found.get(_TEXTS[option], ()), value)
        elif option in _PATHS:
            found[_PATHS[option]] = (*found.get(_PATHS[option], ()), os.fsencode(value))
        else:
            return None
    return None
