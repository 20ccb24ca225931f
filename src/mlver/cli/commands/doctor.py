"""`git mlver doctor`."""

from __future__ import annotations

import click

from mlver.cli.options import JSON, opened, print_json
from mlver.cli.output import escape
from mlver.errors import EXIT_DIFFERENT

_SIGNS = {"ok": "✓", "note": "·", "problem": "✗"}


@click.command()
@click.option("--fix", "mend", is_flag=True, help="Mend what can be mended safely.")
@JSON
def command(mend: bool, as_json: bool) -> int:
    """Check that git-mlver is set up here, and name what is wrong.

    Exit 1 where a problem is found. Locks of git's that were left behind are named, never removed.
    """
    from mlver.workflows.doctor import doctor, fix

    with opened() as ctx:
        done = fix(ctx) if mend else []
        findings = doctor(ctx)
    ok = all(finding.level != "problem" for finding in findings)
    if as_json:
        rows = [{"level": f.level, "what": f.what, "fix": f.fix} for f in findings]
        print_json({"version": 1, "ok": ok, "done": done, "findings": rows})
    else:
        for line in done:
            click.echo(f"mended: {escape(line)}")
        for finding in findings:
            click.echo(f"{_SIGNS[finding.level]} {escape(finding.what)}")
            if finding.fix:
                click.echo(f"    next: {escape(finding.fix)}")
    return 0 if ok else EXIT_DIFFERENT
