"""What an export is made of: a run with all its files, and facts that several formats need."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from mlver import __version__
from mlver.lineage.run_rows import as_text, milliseconds
from mlver.model.digest import Digest
from mlver.model.run import Artifact, Run

PRODUCER = f"urn:git-mlver:{__version__}"
_SCP = re.compile(r"\A(?:[\w.-]+@)?([\w.-]+):(?!//)([\w./~-]+)\Z")
_URI = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[!#$&-;=?-\[\]_a-z~%]+\Z")
_GIT_ID = re.compile(r"\A(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_LOCKED = re.compile(r"\A([A-Za-z0-9][A-Za-z0-9._-]*)\s*==\s*([A-Za-z0-9.!+_-]+)\Z")


@dataclass(frozen=True, slots=True)
class Material:
    """`inputs` (with configurations), `outputs`, `params`: all of them, listings too. `lock`: the
    text of its lock of packages, "" where it is not here. `subject`: the content asked for."""

    run: Run
    inputs: tuple[Artifact, ...]
    outputs: tuple[Artifact, ...]
    params: dict[str, Any] = field(default_factory=dict)
    lock: str = ""
    subject: Digest | None = None

    @property
    def repository(self) -> str:
        """The repository's URI; "" where the record names none that is one."""
        remote = self.run.code.get("remote")
        if not isinstance(remote, str):
            return ""
        scp = _SCP.match(remote)
        found = f"ssh://{scp[1]}/{scp[2].lstrip('/')}" if scp else remote
        return found if _URI.match(found) else ""

    def git_id(self, member: str) -> str:
        """`commit` or `tree` of its code; "" for what is no object id."""
        value = self.run.code.get(member)
        return value if isinstance(value, str) and _GIT_ID.match(value) else ""

    @property
    def started(self) -> str:
        return self._time(self.run.started) or _id_time(self.run.run_id)

    @property
    def ended(self) -> str:
        """When it ended; "" where that is not known."""
        return self._time(self.run.ended)

    @staticmethod
    def _time(text: str) -> str:
        moment = milliseconds(text)
        return "" if moment is None else _written(moment)

    @property
    def made(self) -> tuple[Artifact, ...]:
        """Outputs whose content is known; only the one that was asked for, where one was."""
        known = [item for item in self.outputs if item.oid is not None]
        asked = [item for item in known if item.oid == self.subject]
        return tuple(asked or known)

    @property
    def packages(self) -> list[tuple[str, str]]:
        """Name and version of each locked package."""
        found = (_LOCKED.match(line.strip()) for line in self.lock.splitlines())
        return [(match[1], match[2]) for match in found if match]

    @property
    def metrics(self) -> dict[str, str]:
        """Each metric's last value, as text."""
        return {name: as_text(values.get("last")) for name, values in self.run.metrics.items()}

    @property
    def param_texts(self) -> dict[str, str]:
        return {name: as_text(value) for name, value in self.params.items()}

    @property
    def argv(self) -> list[str]:
        argv = self.run.job.get("argv")
        words = argv if isinstance(argv, list) else []
        return [word for word in words if isinstance(word, str)]


def oid_text(oid: Digest) -> str:
    return f"blake3:{oid.hex()}"


def purl(name: str, version: str) -> str:
    """The package URL of something on PyPI, as its rules write names."""
    plain = re.sub(r"[-_.]+", "-", name).lower()
    return f"pkg:pypi/{plain}@{version.replace('+', '%2B').replace('!', '%21')}"


def dump(value: Any, *, indent: int | None = 2) -> str:
    """JSON in ASCII: what a record holds cannot act on a terminal."""
    return json.dumps(value, indent=indent, ensure_ascii=True) + "\n"


def _id_time(run_id: str) -> str:
    return _written(int(run_id.replace("-", "")[:12], 16))


def _written(moment: int) -> str:
    from datetime import UTC, datetime

    try:
        when = datetime.fromtimestamp(moment / 1000, UTC)
    except (ValueError, OverflowError, OSError):  # a forged id may be thousands of years ahead
        when = datetime.fromtimestamp(0, UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment % 1000:03d}Z"
