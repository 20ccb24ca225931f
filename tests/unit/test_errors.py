"""Every family has one exit code, and every message says what, why and what next."""

from __future__ import annotations

import pytest

from mlver import errors
from mlver.errors import EXIT_CODES, MlverError

FAMILIES = [one for one in MlverError.__subclasses__() if one.__module__ == errors.__name__]
"""What is derived elsewhere is caught there: no person meets it."""


def test_every_exit_code_is_documented_and_belongs_to_one_family() -> None:
    codes = [family.exit_code for family in FAMILIES]
    assert len(codes) == len(set(codes))
    assert set(codes) <= set(EXIT_CODES)
    assert all(EXIT_CODES.values())
    assert errors.EXIT_OK not in codes and errors.EXIT_DIFFERENT not in codes


@pytest.mark.parametrize("family", FAMILIES)
def test_a_message_says_what_why_and_what_next(family: type[MlverError]) -> None:
    error = family("it broke", why="it was old", fix="git mlver doctor")
    assert str(error) == "it broke\n  why:  it was old\n  next: git mlver doctor"
    assert str(family("it broke")) == "it broke"
