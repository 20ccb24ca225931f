"""What a filter, a sort and a column can name: the kinds of keys, and each one's SQL.

A key is `params.NAME`, `metrics.NAME`, `tags.NAME`, or an attribute of the run. Names come from
users and go to SQLite as bound values, never into the text of a statement.
"""

from __future__ import annotations

from typing import NamedTuple

PARAM, METRIC, TAG = "params", "metrics", "tags"
TEXT, NUMBER, TIME, STATUS, COMMIT, PATH = "text", "number", "time", "status", "commit", "path"

ENTITIES = {
    "params": PARAM, "param": PARAM, "parameters": PARAM, "parameter": PARAM,
    "metrics": METRIC, "metric": METRIC,
    "tags": TAG, "tag": TAG,
}  # fmt: skip
OWN = ("attributes", "attribute", "attr", "run")
"""Before an attribute, as MLflow lets one write it."""

ATTRIBUTES: dict[str, tuple[str, str]] = {
    "actor": (TEXT, "r.actor"),
    "author": (TEXT, "r.actor"),
    "branch": (TEXT, "r.branch"),
    "command": (TEXT, "r.argv"),
    "commit": (COMMIT, "r.commit_id"),
    "duration": (NUMBER, "(r.end_ms - r.start_ms) / 1000.0"),
    "end_time": (TIME, "r.end_ms"),
    "ended": (TIME, "r.end_ms"),
    "exit_code": (NUMBER, "r.exit_code"),
    "id": (TEXT, "r.run_id"),
    "input": (PATH, "u.direction <> 1"),
    "name": (TEXT, "r.name"),
    "output": (PATH, "u.direction = 1"),
    "parent": (TEXT, "r.parent"),
    "parent_run": (TEXT, "r.parent"),
    "path": (PATH, "1"),
    "run_id": (TEXT, "r.run_id"),
    "run_name": (TEXT, "r.name"),
    "start_time": (TIME, "r.start_ms"),
    "started": (TIME, "r.start_ms"),
    "status": (STATUS, "r.status"),
    "tree": (COMMIT, "r.tree"),
    "user_id": (TEXT, "r.actor"),
}
"""Name → its kind, and the SQL of its value, of a row `r` of runs (of a path: which uses `u`)."""


class Key(NamedTuple):
    """`entity`: PARAM, METRIC, TAG, or "" for an attribute."""

    entity: str
    name: str

    @property
    def kind(self) -> str:
        """How its values compare."""
        if self.entity:
            return NUMBER if self.entity == METRIC else TEXT
        return ATTRIBUTES[self.name][0]

    @property
    def title(self) -> str:
        return f"{self.entity}.{self.name}" if self.entity else self.name


def parse(text: str) -> Key | None:
    """The key that an unquoted word names, such as `metrics.acc`; None where there is none."""
    entity, dot, name = text.partition(".")
    if dot and name and entity in ENTITIES:
        return Key(ENTITIES[entity], name)
    if dot and entity in OWN:
        text = name
    return Key("", text) if text in ATTRIBUTES else None


def expected() -> str:
    """What may stand where a key is expected, in words."""
    return f"a key is params.NAME, metrics.NAME, tags.NAME, or one of {', '.join(ATTRIBUTES)}"
