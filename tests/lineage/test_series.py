"""Points of metrics come back as they were told; what a kill or a full disk tore costs its line
only."""

from __future__ import annotations

import math
from pathlib import Path

from mlver.lineage import series
from mlver.lineage.series import EventWriter


def test_points_come_back_in_order_and_exactly(tmp_path: Path) -> None:
    writer = EventWriter(bytes(tmp_path))
    values = [1 / (n + 3) for n in range(10_000)]
    for step, value in enumerate(values):
        writer.point("loss", step, value)
    writer.point("odd", None, math.nan)
    writer.event("p", "lr", 0.1)
    writer.close()
    told = series.read(bytes(tmp_path))
    loss = told.metrics["loss"]
    assert (loss.values, loss.steps) == (values, list(range(10_000)))
    assert math.isnan(told.metrics["odd"].values[0]) and told.params == {"lr": 0.1}


def test_a_torn_line_costs_no_other(tmp_path: Path) -> None:
    lines = [b'["m","a",%d,%d,0.5]\n' % (n, n) for n in range(5000)]
    lines[17] = b'["m","a",17,1\n'
    lines[18] = b'["m","a",18,["m","a",18,18,0.5]\n'
    lines[19] = b"\n"
    lines[20] = b'{"m": 1}\n'
    lines[21] = b"[]\n"
    (tmp_path / "events-1-a.jsonl").write_bytes(b"".join(lines) + b'["p","lr",')
    told = series.read(bytes(tmp_path))
    assert told.metrics["a"].steps == [n for n in range(5000) if not 17 <= n <= 21]
    assert told.params == {}
