"""An undocumented command, option or plumbing word is a failing test; so is a stale man page."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mlver.cli import manual, manual_text
from mlver.cli.group import COMMANDS, group
from mlver.cli.main import PLUMBING
from mlver.errors import EXIT_CODES

ROOT = Path(__file__).resolve().parents[2]
MAN = ROOT / "docs" / "man"


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command for people, those inside `remote` too, by the words that call it."""
    context = click.Context(group)
    for name in sorted(COMMANDS):
        command = group.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            for inner, sub in command.commands.items():
                yield f"{name} {inner}", sub


def readme_table() -> set[str]:
    """The first words of the README's tables whose rows start with `git mlver …`."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`[^`]*`(?:, )?)+)", text, re.MULTILINE)
    shown = [code for row in rows for code in re.findall(r"`([^`]*)`", row)]
    return {code.split()[0] for code in shown if code}


def test_the_committed_man_pages_are_those_of_the_commands() -> None:
    made = manual.pages()
    again = "python -m mlver.cli.manual docs/man"
    assert {path.name for path in MAN.iterdir()} == set(made), again
    for name, text in made.items():
        assert (MAN / name).read_text(encoding="utf-8") == text, f"{name} is stale: {again}"


@pytest.mark.parametrize(("words", "command"), list(commands()), ids=str)
def test_every_command_and_option_has_help(words: str, command: click.Command) -> None:
    assert command.help, words
    assert command.get_short_help_str(1000) == command.get_short_help_str(62), (
        f"the first sentence of {words} is cut off in the list of commands"
    )
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help and param.help.endswith((".", "?")), f"{words} {param.opts}"
        else:
            assert param.metavar, f"{words} {param.name}"


def test_every_command_has_examples_in_its_man_page() -> None:
    assert set(manual_text.EXAMPLES) == set(COMMANDS)
    for name, text in manual_text.EXAMPLES.items():
        assert f"mlver {name}" in text


def test_every_command_is_in_the_readme() -> None:
    missing = set(COMMANDS) - readme_table()
    assert not missing, f"the README's table of commands lacks {sorted(missing)}"


def test_every_plumbing_command_is_documented() -> None:
    assert set(manual_text.PLUMBING) == set(PLUMBING)
    assert set(PLUMBING) <= readme_table()


def test_every_exit_code_is_in_the_readme_and_the_help() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = {int(code) for code in re.findall(r"^\| ([0-9]+) \|", text, re.MULTILINE)}
    assert shown == set(EXIT_CODES)
    page = (MAN / "git-mlver.1").read_text(encoding="utf-8")
    for code, meaning in EXIT_CODES.items():
        assert meaning in (group.epilog or "")
        assert f"\\fB{code}\\fR" in page


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
@pytest.mark.parametrize("page", sorted(MAN.glob("*.1")), ids=lambda path: path.stem)
def test_man_pages_render_without_warnings(page: Path) -> None:
    for locale in ("C", "C.UTF-8"):
        done = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(page)],
            env={"PATH": "/usr/bin:/bin:/usr/local/bin", "LC_ALL": locale, "MANWIDTH": "80"},
            capture_output=True,
            check=True,
        )
        assert done.stderr == b""


def test_no_line_of_help_is_wider_than_a_terminal() -> None:
    for words, command in commands():
        context = click.Context(command, info_name=f"git mlver {words}", terminal_width=80)
        for line in command.get_help(context).splitlines():
            assert len(line) <= 80, f"{words}: {line}"
