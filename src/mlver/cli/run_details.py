"""One run in full, for a terminal. Everything in a record is escaped: nobody vouches for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlver.cli.output import escape, human_size
from mlver.cli.run_text import lasted, short_id, status, when
from mlver.lineage.run_rows import as_text, command_line
from mlver.model.run import Artifact, Run
from mlver.workflows.known_runs import KnownRun, KnownRuns

_MOST = 200


def lines(runs: KnownRuns, known: KnownRun) -> Iterator[str]:
    """What `git mlver show` prints."""
    run = known.run
    yield f"run {run.run_id}  {escape(run.name)}  {escape(status(run))}"
    took = lasted(run)
    yield _row("started", when(run.started) + (f"  took {took}" if took else ""))
    yield _row("by", run.actor)
    yield _row("command", command_line(run))
    if run.job.get("cwd"):
        yield _row("in", str(run.job["cwd"]))
    yield from _code(run)
    for place in runs.places(known):
        if place.is_commit:
            yield _row("noted at", f"{place.key[:12]} ({place.ref})")
    if known.in_journal:
        yield _row("noted at", "nowhere yet: it is in this clone's journal")
    if run.parent_run:
        yield _row("inside run", run.parent_run)
    yield from _files("inputs", runs.inputs(known))
    yield from _files("configs", run.configs)
    yield from _files("outputs", runs.outputs(known))
    if not runs.is_complete(known):
        yield "  (a listing of this run is not in this clone: some files are not named)"
    yield from _values("params", runs.params(known))
    yield from _values("metrics", {name: _metric(v) for name, v in run.metrics.items()})
    yield from _values("tags", run.tags)
    yield from _values("env", run.env)
    yield from _values("logs", {n: f"{human_size(b.size)}" for n, b in run.blobs.items()})
    unseen = run.other.get("unseen")
    if isinstance(unseen, list) and unseen:
        yield "not observed:"
        yield from (f"  {_cut(str(text))}" for text in unseen[:_MOST])


def _row(name: str, text: str) -> str:
    return f"  {name:<10} {_cut(text)}"


def _cut(text: str) -> str:
    return escape(text if len(text) < 2000 else text[:2000] + "…")


def _code(run: Run) -> Iterator[str]:
    code = run.code
    commit = code.get("commit")
    words = [str(commit)[:12] if commit else "no commit yet"]
    if code.get("branch"):
        words.append(f"({code['branch']})")
    if code.get("dirty"):
        words.append("with local changes")
    yield _row("code", " ".join(words))
    if code.get("tree"):
        yield _row("tree", str(code["tree"]))
    left_out = code.get("left_out")
    if isinstance(left_out, list) and left_out:
        yield _row("left out", ", ".join(map(str, left_out[:20])))


def _files(title: str, items: Sequence[Artifact]) -> Iterator[str]:
    if not items:
        return
    yield f"{title}:"
    for item in items[:_MOST]:
        oid = "unknown     " if item.oid is None else item.oid.hex()[:12]
        yield f"  {oid}  {human_size(item.size):>9}  {_cut(item.path)}"
    if len(items) > _MOST:
        yield f"  … and {len(items) - _MOST} more; --json names those of the record"


def _values(title: str, values: Mapping[str, Any]) -> Iterator[str]:
    if not values:
        return
    yield f"{title}:"
    width = min(30, max(len(escape(name)) for name in values))
    for name, value in list(values.items())[:_MOST]:
        yield f"  {escape(name):<{width}}  {_cut(as_text(value))}"


def _metric(values: Mapping[str, Any]) -> str:
    text = as_text(values.get("last"))
    if values.get("count") not in (None, 1):
        low, high = as_text(values.get("min")), as_text(values.get("max"))
        text += f"   (min {low}, max {high}, {as_text(values.get('count'))} points)"
    return text


def sentence(reason: Any) -> str:
    """`git mlver why`: a paragraph. `reason`: of workflows/explain."""
    target = reason.target
    what = target.path + (f"@{target.rev}" if target.rev else "") if target.path else "This content"
    if target.oid is not None:
        what += f" (blake3:{target.oid.hex()[:12]}…)"
    if target.run is not None:
        what = f"Run {target.run.run.run_id}"
    unknown = f" Not known: {'; '.join(reason.unknown)}." if reason.unknown else ""
    if not reason.makers:
        return escape(f"{what}: {'; '.join(reason.unknown)}.")
    return escape(_made(what, reason) + unknown)


def _made(what: str, reason: Any) -> str:
    run: Run = reason.makers[0].run
    others = len({known.run.run_id for known in reason.makers}) - 1
    parts = [
        f"{what} {'is' if reason.target.run else 'was made by'} run"
        f" {'' if reason.target.run else short_id(run) + ' '}“{run.name}”, which"
        f" {run.actor or 'somebody'} started on {when(run.started)} UTC as"
        f" `{command_line(run)}`" + (f" in {run.job['cwd']}" if run.job.get("cwd") else "")
        + f"; it {_end(run)}."
    ]  # fmt: skip
    parts.append(_of_code(run))
    named = [f"{item.path} ({_short(item)})" for item in reason.inputs[:8]]
    more = len(reason.inputs) - len(named)
    parts.append(
        f"It read {', '.join(named)}{f' and {more} more' if more > 0 else ''}."
        if named
        else "It read no file that is known."
    )
    if reason.params:
        some = [f"{name}={as_text(value)}" for name, value in list(reason.params.items())[:12]]
        parts.append(f"Parameters: {', '.join(some)}{'…' if len(reason.params) > 12 else ''}.")
    if run.metrics:
        some = [f"{name} {as_text(values.get('last'))}" for name, values in run.metrics.items()]
        parts.append(f"Metrics: {', '.join(some[:12])}.")
    parts.append(_environment(run))
    commits = list(dict.fromkeys(p.key[:12] for p in reason.places if p.is_commit))
    if commits:
        parts.append(f"It is noted at {', '.join(commits[:4])}.")
    if others:
        parts.append(f"{others} other run(s) made the same content; this is the newest.")
    return " ".join(part for part in parts if part)


def _end(run: Run) -> str:
    if run.status == "running":
        return "is running"
    code = "" if run.exit_code is None else f" with exit code {run.exit_code}"
    verb = {"finished": "finished", "failed": "failed", "killed": "was killed"}[run.status]
    return f"{verb}{code if run.exit_code else ''}" + (f" after {lasted(run)}" if run.ended else "")


def _of_code(run: Run) -> str:
    commit = run.code.get("commit")
    if not commit:
        return ""
    branch = f" on {run.code['branch']}" if run.code.get("branch") else ""
    dirty = ", with local changes that are kept" if run.code.get("dirty") else ""
    return f"The code was commit {str(commit)[:12]}{branch}{dirty}."


def _environment(run: Run) -> str:
    env = run.env
    words = [f"Python {env['python']}"] if env.get("python") else []
    words += [str(env[name]) for name in ("os", "machine", "host") if env.get(name)]
    lock = f"; packages {str(env['lock'])[:19]}…" if env.get("lock") else ""
    return f"Environment: {', '.join(words)}{lock}." if words or lock else ""


def _short(item: Artifact) -> str:
    return "content not known" if item.oid is None else item.oid.hex()[:12]
