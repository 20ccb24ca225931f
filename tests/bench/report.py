"""Results as text for a terminal and as JSON. Prints nothing and measures nothing."""

from __future__ import annotations

import os
import platform
from statistics import median

from case import Case
from cases import CASES
from goals import GOALS
from peers import OURS
from results import Results
from scratch import Sample

Row = list[str]


def case_tables(results: Results, case: Case) -> str:
    """One table for each step of the case, with a peer a line."""
    tables = []
    for (name, step), by_peer in results.samples.items():
        if name != case.name:
            continue
        rows = [_heading(results, name, step)]
        rows += [_line(results, name, step, peer, samples) for peer, samples in by_peer.items()]
        tables.append(f"{name}/{step}: {case.about}\n{_aligned(rows)}")
    return "\n\n".join(tables)


def _heading(results: Results, case: str, step: str) -> Row:
    ours = [f"{peer} ÷" for peer in OURS if results.of(case, step, peer)]
    return ["peer", "median s", "least", "most", "CPU s", "peak MB", "stored MB", *ours]


def _line(results: Results, case: str, step: str, peer: str, samples: list[Sample]) -> Row:
    times = [sample.seconds for sample in samples]
    stored = results.stored(case, step, peer)
    ours = [mine for mine in OURS if results.of(case, step, mine)]
    return [
        peer,
        f"{median(times):.3f}",
        f"{min(times):.3f}",
        f"{max(times):.3f}",
        f"{median(sample.cpu_seconds for sample in samples):.3f}",
        f"{max(sample.peak_bytes for sample in samples) / 1e6:.0f}",
        "-" if stored is None else f"{stored / 1e6:.3f}",
        *(_number(results.ratio(case, step, mine, peer), "") for mine in ours),
        *_background(samples),
    ]


def _background(samples: list[Sample]) -> Row:
    """A remark where a command left work behind when it ended."""
    after = median(sample.background_seconds for sample in samples)
    return [f"+{after:.2f} s in the background"] if after > 0.05 else []


def goals_table(results: Results) -> str:
    """Every goal with its limit, the figure measured and the verdict."""
    rows = [["goal", "limit", "measured", "verdict"]]
    for goal in GOALS:
        value, verdict = goal.verdict(results)
        limit = f"{goal.sign} {goal.limit:g} {goal.unit}".rstrip()
        rows.append([goal.text, limit, _number(value, goal.unit), verdict])
    table = _aligned(rows)
    peak = results.peak(OURS)
    return table if peak is None else f"{table}\nThe largest process was in {peak[1]}."


def all_met(results: Results) -> bool:
    """Whether every goal was measured and met."""
    return all(goal.verdict(results)[1] == "met" for goal in GOALS)


def _number(value: float | None, unit: str) -> str:
    """Three significant digits, and whole numbers from a thousand on."""
    if value is None:
        return "-"
    return f"{value:.0f} {unit}".rstrip() if value >= 1000 else f"{value:.3g} {unit}".rstrip()


def _aligned(rows: list[Row]) -> str:
    """Columns of equal width: the first to the left, the others to the right."""
    columns = min(len(row) for row in rows)
    widths = [max(len(row[column]) for row in rows) for column in range(columns)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [row[column].rjust(widths[column]) for column in range(1, columns)]
        lines.append("  ".join([*cells, *row[columns:]]))
    return "\n".join(lines)


def machine() -> dict[str, object]:
    """What the figures were measured on, as far as it matters to a reader."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
    }


def as_json(results: Results, scale: float, versions: dict[str, str]) -> dict[str, object]:
    """Everything: each sample, the medians being left to the reader, and the goals."""
    goals = []
    for goal in GOALS:
        value, verdict = goal.verdict(results)
        goals.append(
            {
                "goal": goal.text,
                "limit": goal.limit,
                "unit": goal.unit,
                "measured": value,
                "verdict": verdict,
            }
        )
    return {
        "version": 1,
        "scale": scale,
        "machine": machine(),
        "peers": versions,
        "cases": {name: case.about for name, case in CASES.items()},
        "samples": list(results.rows()),
        "facts": results.facts,
        "skipped": results.skipped,
        "goals": goals,
    }
