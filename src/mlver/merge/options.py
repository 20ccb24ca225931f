"""What a user may say about a merge; all of it has a default."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from mlver.model.change import Value
from mlver.model.conflict import Conflict


class Choice(NamedTuple):
    """How a conflict was decided: by a side (base, ours, theirs), or by a value of its own."""

    side: str | None = None
    value: Value = None


class Options(NamedTuple):
    """`key`: columns, or () to infer; `key_source`: where they were named. `keyless`: rows have no
    key. `strict`: two changes of one row are a conflict, whatever cells they are in. `choices`:
    what was decided, by `identity`; `all`: how every other conflict is decided."""

    key: tuple[str, ...] = ()
    key_source: str = "option"
    keyless: bool = False
    strict: bool = False
    choices: Mapping[str, Choice] = {}
    rest: Choice | None = None

    def choice(self, conflict: Conflict) -> Choice | None:
        """The decision for this conflict; None where there is none."""
        return self.choices.get(identity(conflict.key, conflict.column), self.rest)


def identity(key: Mapping[str, Value], column: str | None) -> str:
    """What one conflict of a file is told from the others by."""
    return json.dumps([dict(sorted(key.items())), column], sort_keys=True, default=str)
