"""What a user may say about a diff; all of it has a default."""

from __future__ import annotations

from typing import NamedTuple

from mlver.diff.rows import Tolerance


class Options(NamedTuple):
    """`key`: columns, or () to infer; `key_source`: where they were named. `keyless`: rows have no
    key, whatever is unique. `ignore`: columns that are not compared. `thorough`: what costs much is
    computed too (how far large tensors moved)."""

    key: tuple[str, ...] = ()
    key_source: str = "option"
    keyless: bool = False
    tolerance: Tolerance = Tolerance()
    ignore: tuple[str, ...] = ()
    thorough: bool = False
