"""Clones that want only some of the content: by option for once, by configuration for good.

`mlver.fetchInclude` and `mlver.fetchExclude` say what is brought where nobody asked for a path: by
a checkout, pull or fetch. The rest stays pointers, in silence. What is in the store already is
given all the same, and a path that is named is brought whatever they say.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlver.errors import UsageError
from mlver.git.config import Settings
from mlver.git.selection import Selection, select

INCLUDE, EXCLUDE = "fetchInclude", "fetchExclude"


def configured(settings: Settings) -> Selection:
    """What this clone wants. Raises UsageError for a pattern that is none."""
    return select(settings.get_all(INCLUDE), settings.get_all(EXCLUDE))


def chosen(settings: Settings, include: Sequence[str], exclude: Sequence[str]) -> Selection:
    """What a command brings: its options, each in the place of the setting of that name."""
    return select(include or settings.get_all(INCLUDE), exclude or settings.get_all(EXCLUDE))


def refuse_unmatched(selection: Selection, paths: Sequence[bytes]) -> None:
    """Raise UsageError, as git does, for a pattern to include that matches none of these paths."""
    pattern = selection.unmatched(paths)
    if pattern is not None:
        raise UsageError(
            f"pathspec {pattern.text!r} did not match any file(s) known to git",
            why="no file of that name is in the index; a new one has to be added first",
            fix="git mlver ls, to see the tracked files",
        )
