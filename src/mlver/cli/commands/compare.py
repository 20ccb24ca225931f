"""`git mlver compare`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import escape
from mlver.cli.run_argument import RunName
from mlver.workflows.compare_runs import Comparison, Pair


@click.command()
@click.argument("first", metavar="RUN", type=RunName())
@click.argument("second", metavar="RUN", type=RunName())
@click.option("--all", "everything", is_flag=True, help="Also name what is the same.")
@JSON
def command(first: str, second: str, everything: bool, as_json: bool) -> None:
    """Compare two runs: what they were given, read, and gave.

    Parameters, metrics, data, packages, machine and code are compared.
    Data is compared by content: a file that was only renamed is the same. Code is compared by the
    trees that ran, local changes among them; the command for the whole difference is printed.
    """
    from mlver.workflows.compare_runs import compare

    with opened() as ctx:
        found = compare(ctx, first, second)
    if as_json:
        print_json(_document(found))
        return
    for line in _lines(found, everything):
        click.echo(line)


def _document(found: Comparison) -> dict[str, object]:
    from mlver.workflows.compare_runs import delta

    code = found.code
    files = code.files
    return {
        "version": 1,
        "a": found.a.run.as_json(),
        "b": found.b.run.as_json(),
        **{
            name: [pair._asdict() for pair in getattr(found, name)]
            for name in ("about", "params", "inputs", "outputs", "env")
        },
        "metrics": [{**pair._asdict(), "delta": _finite(delta(pair))} for pair in found.metrics],
        "packages": None if found.packages is None else [p._asdict() for p in found.packages],
        "code": {
            "a": code.a or None,
            "b": code.b or None,
            "files": None if files is None else [{"status": s, "path": p} for s, p in files],
            "command": code.command or None,
        },
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and abs(value) < float("inf") else None


def _lines(found: Comparison, everything: bool) -> Iterator[str]:
    from mlver.cli.run_text import short_id, when
    from mlver.workflows.compare_runs import delta

    for letter, known in (("a", found.a), ("b", found.b)):
        run = known.run
        yield escape(f"{letter}: {short_id(run)}  {run.name}  {when(run.started)}")
    for title in ("about", "params", "metrics", "inputs", "outputs", "env"):
        pairs = getattr(found, title)
        extra = {p.name: delta(p) for p in pairs} if title == "metrics" else {}
        yield from _section(title, pairs, everything, extra)
    if found.packages is None:
        yield "packages: the lock of one of them is not in this clone"
    else:
        yield from _section("packages", found.packages, everything, {})
    yield from _code(found)


def _section(
    title: str, pairs: Sequence[Pair], everything: bool, deltas: dict[str, float | None]
) -> Iterator[str]:
    from mlver.cli.run_text import layout

    shown = [pair for pair in pairs if everything or not pair.same]
    same = len(pairs) - len([pair for pair in pairs if not pair.same])
    yield f"{title}: " + (f"{same} the same" if same or not shown else "")
    rows = [
        [
            "=" if pair.same else "~" if None not in pair[1:] else "-" if pair.b is None else "+",
            pair.name,
            _short(pair.a),
            _short(pair.b),
            f"{deltas[pair.name]:+.6g}" if deltas.get(pair.name) is not None else "",
        ]
        for pair in shown
    ]
    if rows:
        yield from (f"  {line}" for line in layout(["", "NAME", "A", "B", ""], rows))


def _short(text: str | None) -> str:
    if text is None:
        return ""
    return text[7:19] if text.startswith("blake3:") else text


def _code(found: Comparison) -> Iterator[str]:
    code = found.code
    if not code.a or not code.b:
        yield "code: not known of one of them"
    elif not code.command:
        yield f"code: the same tree {code.a[:12]}"
    elif code.files is None:
        yield "code: it differs; one of the trees is not in this clone (git fetch)"
    else:
        yield f"code: {len(code.files)} file(s) differ"
        for status, path in code.files[:50]:
            yield escape(f"  {status} {path}")
        yield f"  {code.command}"
