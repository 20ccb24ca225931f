"""`git mlver doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import escape
from mlver.errors import EXIT_DIFFERENT

if TYPE_CHECKING:
    from mlver.workflows.doctor_remotes import RemoteState

_SIGNS = {"ok": "✓", "note": "·", "problem": "✗"}


@click.command()
@click.option("--fix", "mend", is_flag=True, help="Mend what can be mended safely.")
@JSON
def command(mend: bool, as_json: bool) -> int:
    """Check that git-mlver is set up here, and name what is wrong.

    Exit 1 where a problem is found. Locks of git's that were left behind are named, never removed.
    """
    from mlver.workflows.doctor import doctor, fix
    from mlver.workflows.doctor_remotes import states

    with opened() as ctx:
        done = fix(ctx) if mend else []
        findings = doctor(ctx)
        remotes = [_row(state) for state in states(ctx)] if as_json else []
    ok = all(finding.level != "problem" for finding in findings)
    if as_json:
        rows = [{"level": f.level, "what": f.what, "fix": f.fix} for f in findings]
        print_json({"version": 1, "ok": ok, "done": done, "findings": rows, "remotes": remotes})
    else:
        for line in done:
            click.echo(f"mended: {escape(line)}")
        for finding in findings:
            click.echo(f"{_SIGNS[finding.level]} {escape(finding.what)}")
            if finding.fix:
                click.echo(f"    next: {escape(finding.fix)}")
    return 0 if ok else EXIT_DIFFERENT


def _row(state: RemoteState) -> dict[str, object]:
    place, found = state.place, state.capabilities
    return {
        "name": place.name,
        "url": place.url,
        "origin": place.origin,
        "trusted": place.trusted,
        "needs_probe": state.needs_probe,
        "capabilities": None if found is None else asdict(found),
    }
