"""`git mlver run` means the same, whether its words are read with click or without."""

from __future__ import annotations

from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlver.cli.commands import run
from mlver.cli.run_words import Words, plain

_WORDS = [
    "-q", "--quiet", "--sidecar", "--embed", "--name", "--name=n", "--name=", "--param", "lr=1",
    "--param=lr=2", "--tag", "a=b", "--input", "in.csv", "--input=-", "--output=o", "--metrics",
    "--exclude=*.tmp", "--", "-", "", "python", "t.py", "--lr", "-h", "--no", "--quiet=1", "-qq",
]  # fmt: skip


def _by_click(args: list[str], monkeypatch: pytest.MonkeyPatch) -> Words | None:
    """None where click refuses, or shows its help."""
    seen: list[Words] = []

    def record(words: Words) -> int:
        seen.append(words)
        return 0

    with monkeypatch.context() as patched:
        patched.setattr(run, "record", record)
        try:
            with run.command.make_context("run", list(args)) as ctx:
                run.command.invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            return None
    return seen[0]


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(_WORDS), max_size=7))
def test_both_ways_of_reading_agree(args: list[str]) -> None:
    read = plain(args)
    if read is not None:
        with pytest.MonkeyPatch.context() as patch:
            assert read == _by_click(args, patch)


@pytest.mark.parametrize(
    ("args", "members"),
    [
        (["--", "true"], {"command": ("true",)}),
        (["-q", "python", "t.py", "--lr", "1"], {"command": ("python", "t.py", "--lr", "1")}),
        (["--input", "\udcff", "--", "x"], {"inputs": (b"\xff",)}),
        (["--param", "a=1", "--param=b=2", "x", "--", "y"], {"params": ("a=1", "b=2")}),
    ],
)
def test_the_usual_forms_need_no_click(args: list[str], members: dict[str, Any]) -> None:
    words = plain(args)
    assert words is not None
    assert {name: getattr(words, name) for name in members} == members
