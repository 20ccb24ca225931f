"""`git mlver runs`."""

from __future__ import annotations

import click

from mlver.cli.options import JSON, opened, print_json_rows

_SHOWN = 100


@click.command()
@click.option("--filter", "expression", default="", metavar="EXPR", help="Which runs; see above.")
@click.option(
    "--sort",
    multiple=True,
    metavar="KEY",
    help="Sort by this key, `KEY desc` or `-KEY` downwards; several times for several keys. The"
    " newest runs are first otherwise.",
)
@click.option(
    "--columns",
    metavar="KEY,…",
    help="Show these keys. Otherwise metrics, and parameters in which the runs differ.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"At most so many, 0 for all; a table has {_SHOWN} unless told.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: every parameter, metric and tag.")
@JSON
def command(
    expression: str,
    sort: tuple[str, ...],
    columns: str | None,
    limit: int | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List runs: of this clone, and those that were fetched.

    An expression compares keys with values, in the syntax that MLflow's users know, and joins
    comparisons by `and`, `or`, `not` and parentheses:

    \b
      params.lr = '0.1' and metrics.acc > 0.9
      status = 'failed' or exit_code >= 128
      path like 'data/%' and started > '2026-01-31'

    Keys: params.NAME, metrics.NAME (its last value), tags.NAME; status, name, author, branch,
    commit, tree, run_id, parent, exit_code, command, started, ended, duration (seconds), and path,
    input, output: of a run's files. A name of other characters is quoted: params."a b". Operators:
    = != > >= < <= LIKE ILIKE IN, NOT before the last three, IS NULL, IS NOT NULL. A parameter is
    compared as text with 'a text', and as a number with a number.
    """
    from mlver.cli import run_text
    from mlver.cli.output import warn
    from mlver.workflows import list_runs
    from mlver.workflows.list_runs import all_columns, choose, column, telling_columns

    named = [column(name) for name in _split(columns)]
    most = _SHOWN if limit is None and not (as_csv or as_json) else limit or None
    with opened() as ctx:
        found = choose(ctx, expression, sort, most)
    if as_json:
        print_json_rows({"version": 1, "runs": list(map(run_text.record, found.runs))})
    elif as_csv:
        shown = named or [*map(column, list_runs.USUAL), *all_columns(found.runs)]
        click.echo(run_text.csv_text(found.runs, shown), nl=False)
    else:
        shown = named or telling_columns(found.runs)
        click.echo("\n".join(run_text.table(found.runs, shown, bool(named))))
        if len(found.runs) < found.total and limit is None:
            warn(f"{found.total - len(found.runs)} more; --limit 0 shows all {found.total}")


def _split(columns: str | None) -> list[str]:
    """Names between commas; one inside quotes does not divide."""
    import re

    found = re.findall(r"""(?:[^,"'`]|"[^"]*"|'[^']*'|`[^`]*`)+""", columns or "")
    return [name.strip() for name in found if name.strip()]
