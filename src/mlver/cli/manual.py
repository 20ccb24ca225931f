"""Writes the man pages: `python -m mlver.cli.manual docs/man`.

The pages come from the click commands, so that they cannot fall behind them, and from
`manual_text`. The same source gives the same bytes: no date, no width, nothing of this machine.
A test compares what is committed with what this module makes.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator

import click

from mlver import __version__
from mlver.cli import manual_text
from mlver.cli.group import COMMANDS, group
from mlver.errors import EXIT_CODES

Section = tuple[str, list[str]]
"""A heading and its lines of roff."""

_CHARACTERS = {"\\": "\\e", "-": "\\-", "…": "...", "→": "\\(->", "'": "\\(aq", "`": "\\(ga"}
_BOLD = re.compile(r"`([^`]+)`")


def pages() -> dict[str, str]:
    """File name → roff, for git-mlver and every command for people."""
    found = {"git-mlver.1": _page("git-mlver", _summary(group), _main_sections())}
    for name in sorted(COMMANDS):
        command = _command(name)
        title = f"git-mlver-{name}"
        found[f"{title}.1"] = _page(title, _summary(command), _sections(name, command))
    return found


def main() -> None:
    """Write every page into the folder that is named; pages of no command are removed."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mlver.cli.manual FOLDER")
    folder, made = sys.argv[1], pages()
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        if name.startswith("git-mlver") and name.endswith(".1") and name not in made:
            os.unlink(os.path.join(folder, name))
    for name, text in made.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8", newline="\n") as file:
            file.write(text)


# -- what a page says ------------------------------------------------------------------------


def _main_sections() -> Iterator[Section]:
    usage = r"\fBgit mlver\fR \fICOMMAND\fR"
    yield "SYNOPSIS", [rf"{usage} [\fIARGUMENT\fR...]", ".br", rf"{usage} \fB\-\-help\fR"]
    yield "DESCRIPTION", list(_markup(manual_text.DESCRIPTION))
    yield "COMMANDS", list(_terms((f"git-mlver-{n}(1)", _summary(_command(n))) for n in COMMANDS))
    yield (
        "PLUMBING",
        [
            "Called by git and by hooks, not by people.",
            *_terms((f"git mlver {usage}", text) for usage, text in manual_text.PLUMBING.values()),
        ],
    )
    yield "EXIT STATUS", list(_terms((str(c), f"{text}.") for c, text in EXIT_CODES.items()))
    for heading, text in manual_text.MAIN:
        yield heading, list(_markup(text))
    yield "SEE ALSO", [r"\fBgit\fR(1), \fBgitattributes\fR(5), \fBgithooks\fR(5)"]


def _sections(name: str, command: click.Command) -> Iterator[Section]:
    yield "SYNOPSIS", list(_synopses(f"git mlver {name}", command))
    yield "DESCRIPTION", list(_markup(command.help or ""))
    options = list(_options(command))
    if options:
        yield "OPTIONS", options
    for sub, inner in _subcommands(command):
        lines = [*_markup(inner.help or ""), *_options(inner)]
        yield f"{name} {sub}".upper(), lines
    if name in manual_text.EXAMPLES:
        yield "EXAMPLES", list(_markup(manual_text.EXAMPLES[name]))
    for schema in _schemas(name, command):
        yield "OUTPUT", list(_markup(manual_text.JSON.format(name=schema)))
    yield "EXIT STATUS", ["0 where all was done; other codes are listed in \\fBgit\\-mlver\\fR(1)."]
    yield "SEE ALSO", [r"\fBgit\-mlver\fR(1), \fBgit\fR(1)"]


def _schemas(name: str, command: click.Command) -> Iterator[str]:
    """Names of the schemas of a command's JSON, without their ending."""
    if _has_json(command):
        yield name
    yield from (f"{name}-{sub}" for sub, inner in _subcommands(command) if _has_json(inner))


def _has_json(command: click.Command) -> bool:
    return any("--json" in param.opts for param in command.params)


def _synopses(words: str, command: click.Command) -> Iterator[str]:
    subcommands = list(_subcommands(command))
    if not subcommands:
        yield _synopsis(words, command)
    for at, (sub, inner) in enumerate(subcommands):
        if at:
            yield ".br"
        yield _synopsis(f"{words} {sub}", inner)


def _synopsis(words: str, command: click.Command) -> str:
    parts = [rf"\fB{_text(words)}\fR"]
    for param in command.params:
        if isinstance(param, click.Option):
            shown = rf"\fB{_text(min(param.opts, key=len))}\fR{_value(param)}"
            parts.append(f"[{shown}]" + ("..." if param.multiple else ""))
    parts += [rf"\fI{_text(_argument(p))}\fR" for p in command.params if _is_argument(p)]
    return " ".join(parts)


def _options(command: click.Command) -> Iterator[str]:
    for param in command.params:
        if isinstance(param, click.Option):
            names = sorted(param.opts, key=len)
            term = ", ".join(rf"\fB{_text(name)}\fR" for name in names)
            yield from (".TP", term + _value(param), _text(param.help or ""))


def _value(param: click.Option) -> str:
    if param.is_flag:
        return ""
    return rf" \fI{_text(param.metavar or param.type.name.upper())}\fR"


def _argument(param: click.Parameter) -> str:
    return param.metavar or (param.name or "").upper()


def _is_argument(param: click.Parameter) -> bool:
    return isinstance(param, click.Argument)


def _command(name: str) -> click.Command:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return command


def _subcommands(command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        yield from sorted(command.commands.items())


def _summary(command: click.Command) -> str:
    """The first paragraph of the help, without its full stop."""
    first = " ".join((command.help or "").split("\n\n")[0].split())
    return first.removesuffix(".")


# -- roff ------------------------------------------------------------------------------------


def _page(title: str, summary: str, sections: Iterable[Section]) -> str:
    lines = [
        r".\" Made from the commands by mlver.cli.manual; edit those.",
        rf'.TH {_text(title.upper())} 1 "" "git\-mlver {__version__}" "git\-mlver manual"',
        ".nh",
        ".ad l",
        ".SH NAME",
        rf"{_text(title)} \- {_text(summary[:1].lower() + summary[1:])}",
    ]
    for heading, body in sections:
        lines += [f".SH {_text(heading)}", *body]
    return "\n".join(lines) + "\n"


def _markup(text: str) -> Iterator[str]:
    """Docstring paragraphs as roff; see `manual_text`."""
    for at, paragraph in enumerate(text.strip().split("\n\n")):
        lines = [line.rstrip() for line in paragraph.strip("\n").split("\n")]
        # click marks a paragraph that is not to be wrapped by a backspace.
        if lines[0].strip() in ("\b", "\\b"):
            yield from (".PP", ".RS 4", ".nf", *map(_text, _dedented(lines[1:])), ".fi", ".RE")
        elif lines[0].endswith("::"):
            yield from _terms([(lines[0][:-2], " ".join(line.strip() for line in lines[1:]))])
        else:
            if at:
                yield ".PP"
            yield _text(" ".join(line.strip() for line in lines))


def _dedented(lines: list[str]) -> list[str]:
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[indent:] for line in lines]


def _terms(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, text in rows:
        yield from (".TP", rf"\fB{_text(term)}\fR", _text(text))


def _text(text: str) -> str:
    """`text` with what roff would act on escaped; `words` between backquotes are bold."""
    bold = _BOLD.split(text)
    parts = [
        _escaped(part) if at % 2 == 0 else rf"\fB{_escaped(part)}\fR"
        for at, part in enumerate(bold)
    ]
    joined = "".join(parts)
    return rf"\&{joined}" if joined.startswith((".", "'")) else joined


def _escaped(text: str) -> str:
    return "".join(_CHARACTERS.get(char, char) for char in text)


if __name__ == "__main__":
    main()
