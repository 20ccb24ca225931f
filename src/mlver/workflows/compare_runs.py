"""Two runs side by side: parameters, metrics, data by content, packages, machine, code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mlver.errors import RepositoryError
from mlver.git import command
from mlver.git.repo import Repo
from mlver.lineage.run_rows import as_number, as_text
from mlver.model.run import Artifact
from mlver.workflows import known_runs
from mlver.workflows.context import Context
from mlver.workflows.known_runs import KnownRun, KnownRuns

_PACKAGE = re.compile(r"\A([A-Za-z0-9._-]+)\s*(?:==|@)\s*(\S.*)\Z")


class Pair(NamedTuple):
    """What two runs have under a name, as texts; None: the one has nothing there."""

    name: str
    a: str | None
    b: str | None

    @property
    def same(self) -> bool:
        return self.a == self.b


class CodeDiff(NamedTuple):
    """`files`: git's status letter and path of each file that differs; None where a tree is not in
    this clone. `command`: prints the whole difference; "" where there is none."""

    a: str
    b: str
    files: list[tuple[str, str]] | None
    command: str


class Comparison(NamedTuple):
    """Lists hold all names of either run. `packages`: what differs; None: a lock is not here."""

    a: KnownRun
    b: KnownRun
    about: list[Pair]
    params: list[Pair]
    metrics: list[Pair]
    inputs: list[Pair]
    outputs: list[Pair]
    env: list[Pair]
    packages: list[Pair] | None
    code: CodeDiff


def compare(ctx: Context, first: str, second: str) -> Comparison:
    """Raises UsageError where a word names no run."""
    with known_runs.known(ctx) as runs:
        a, b = runs.find(first), runs.find(second)
        configs = (a.run.configs, b.run.configs)
        return Comparison(
            a, b,
            _pairs(*({"status": r.run.status, "command": _words(r)} for r in (a, b))),
            _pairs(runs.params(a), runs.params(b)),
            _pairs(_last(a), _last(b)),
            _files((*runs.inputs(a), *configs[0]), (*runs.inputs(b), *configs[1])),
            _files(runs.outputs(a), runs.outputs(b)),
            _pairs(_machine(a), _machine(b)),
            _packages(runs, a, b),
            _code(ctx.repo, a, b),
        )  # fmt: skip


def delta(pair: Pair) -> float | None:
    """The second value less the first, of numbers."""
    a, b = as_number(pair.a), as_number(pair.b)
    return None if a is None or b is None else b - a


def _words(known: KnownRun) -> str:
    from mlver.lineage.run_rows import command_line

    return command_line(known.run)


def _last(known: KnownRun) -> dict[str, Any]:
    return {name: values.get("last") for name, values in known.run.metrics.items()}


def _machine(known: KnownRun) -> dict[str, Any]:
    return {name: value for name, value in known.run.env.items() if name != "lock"}


def _pairs(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Pair]:
    names = sorted({*a, *b})
    return [
        Pair(name, *(as_text(side[name]) if name in side else None for side in (a, b)))
        for name in names
    ]


def _files(a: Iterable[Artifact], b: Iterable[Artifact]) -> list[Pair]:
    """Contents by path. A file that only changed its name stands under `old → new`."""
    left, right = ({item.path: _content(item) for item in side} for side in (a, b))
    moved: dict[str, str] = {}
    new = {content: path for path, content in right.items() if path not in left}
    for path in [path for path in left if path not in right]:
        content = left[path]
        if content in new and content != "unknown":
            moved[path] = new.pop(content)
    pairs = _pairs(
        {path: text for path, text in left.items() if path not in moved},
        {path: text for path, text in right.items() if path not in moved.values()},
    )
    return [*pairs, *(Pair(f"{old} → {to}", left[old], left[old]) for old, to in moved.items())]


def _content(item: Artifact) -> str:
    return "unknown" if item.oid is None else f"blake3:{item.oid.hex()}"


def _packages(runs: KnownRuns, a: KnownRun, b: KnownRun) -> list[Pair] | None:
    if a.run.env.get("lock") == b.run.env.get("lock") and a.run.env.get("lock"):
        return []
    texts = [runs.kept_file(known, "lock.txt") for known in (a, b)]
    if texts[0] is None or texts[1] is None:
        return None
    return [pair for pair in _pairs(_locked(texts[0]), _locked(texts[1])) if not pair.same]


def _locked(text: bytes) -> dict[str, str]:
    """Package → version, of a lock: pip's `name==version`, or `name @ url`."""
    found = {}
    for line in text.decode("utf-8", "replace").splitlines():
        match = _PACKAGE.match(line.strip())
        if match:
            found[match[1].lower().replace("_", "-")] = match[2]
    return found


def _code(repo: Repo, a: KnownRun, b: KnownRun) -> CodeDiff:
    left, right = (_tree(known) for known in (a, b))
    if not left or not right:
        return CodeDiff(left, right, None, "")
    if left == right:
        return CodeDiff(left, right, [], "")
    try:
        output = repo.git("diff-tree", "-r", "-z", "--name-status", "-M", left, right, "--")
    except RepositoryError:
        return CodeDiff(left, right, None, f"git diff {left} {right}")
    return CodeDiff(left, right, _statuses(command.fields(output)), f"git diff {left} {right}")


def _tree(known: KnownRun) -> str:
    """A git object id that a record names; "" for what is none."""
    for name in ("tree", "commit"):
        value = known.run.code.get(name)
        if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", value):
            return value
    return ""


def _statuses(fields: list[bytes]) -> list[tuple[str, str]]:
    found = []
    rest = iter(fields)
    for status in rest:
        path = next(rest, b"").decode("utf-8", "surrogateescape")
        if status[:1] in b"RC":
            path += " → " + next(rest, b"").decode("utf-8", "surrogateescape")
        found.append((status[:1].decode("ascii", "replace"), path))
    return found
