"""What a case is, and what all of them share: the inputs, the results, the S3 server."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import models
import workloads
from bucket import Server
from peers import Peer
from results import Results
from scratch import Sample

LARGE, SMALL, TABLE = "large.bin", "small", "table.csv"


@dataclass
class Bench:
    """What the cases share: the folder to work in, the inputs, and where results go."""

    work: Path
    scale: float
    results: Results = field(default_factory=Results)
    made: dict[str, Path] = field(default_factory=dict)
    _server: Server | None = None

    def source(self, name: str) -> Path:
        """An input, made when it is first asked for."""
        if name not in self.made:
            folder = self.work / "inputs"
            folder.mkdir(exist_ok=True)
            self.made[name] = MAKERS[name](folder / name, self.scale)
        return self.made[name]

    def place(self, name: str, repo: Path, target: str) -> None:
        """Copy an input into a repository, its times kept; what is there is replaced whole."""
        source = self.source(name)
        if source.is_dir():
            shutil.copytree(source, repo / target)
        else:
            temporary = repo / f"{target}.new"
            shutil.copy2(source, temporary)
            temporary.replace(repo / target)

    def server(self) -> Server:
        """The S3 server, started when it is first asked for. Raises CommandError."""
        if self._server is None:
            self._server = Server(self.work / "ceph")
        return self._server

    def end(self) -> None:
        """Stop the server, if there is one."""
        if self._server is not None:
            self._server.stop()


def _checkpoint(number: int) -> Callable[[Path, float], Path]:
    return lambda path, scale: models.checkpoint(path, scale, number)


MAKERS: Mapping[str, Callable[[Path, float], Path]] = {
    "large": workloads.large_file,
    "small": workloads.small_files,
    "table1": lambda path, scale: workloads.table(path, scale, 1),
    "table2": lambda path, scale: workloads.table(path, scale, 2),
    **{f"model{number}": _checkpoint(number) for number in range(models.VERSIONS)},
}


@dataclass(frozen=True)
class Turn:
    """One peer's turn in one round, which is counted from 0."""

    bench: Bench
    peer: Peer
    repo: Path
    number: int


Round = Callable[[Turn], dict[str, Sample]]
Setup = Callable[[Bench, Peer, Path], None]


@dataclass(frozen=True)
class Case:
    """`setup` makes the repository, or is None where a round does; `round` gives step → sample."""

    name: str
    about: str
    peers: tuple[str, ...]
    round: Round
    setup: Setup | None = None
    times: int = 1
    """Rounds for each round that was asked for: short commands need more of them."""
