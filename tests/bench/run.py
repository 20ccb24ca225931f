"""Measures git-mlver beside its peers: `python tests/bench/run.py`. README.md tells how to read it.

The rounds of a case are interleaved (A B C A B C …), so that what slows the machine down for a
while slows all peers down, and the goals are ratios within one run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import report
from case import Bench, Case, Turn
from cases import CASES
from peers import PEERS, Peer
from scratch import CommandError, Scratch

DISK_AT_FULL_SIZE = 12 << 30
"""Bytes that the largest case needs at scale 1: its input, and four repositories that hold it."""


def arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description="Measure git-mlver beside its peers.")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each case (default 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the inputs (default 1.0)")
    parser.add_argument(
        "--only", action="append", metavar="CASE", choices=list(CASES),
        help=f"this case only; may be repeated: {', '.join(CASES)}",
    )  # fmt: skip
    parser.add_argument(
        "--peer", action="append", metavar="PEER", choices=list(PEERS),
        help=f"this peer only; may be repeated: {', '.join(PEERS)}",
    )  # fmt: skip
    parser.add_argument(
        "--peers-venv", type=Path, default=Path(sys.prefix), metavar="DIR",
        help="the virtual environment that has dvc, hf-xet and oxenai (default: the running one)",
    )  # fmt: skip
    parser.add_argument("--work", type=Path, metavar="DIR", help="where to make the scratch folder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument("--check", action="store_true", help="exit 1 unless every goal is met")
    return parser.parse_args()


def note(text: str) -> None:
    """Tell a person that waits; the results alone go to standard output."""
    print(text, file=sys.stderr, flush=True)


def usable_peers(bench: Bench, names: list[str], tools: Path) -> dict[str, Peer]:
    """The peers that can run here, installed in their homes; the others are skipped with a word."""
    usable = {}
    for name in names:
        peer = PEERS[name](Scratch(bench.work, name, tools))
        reason = peer.available()
        if reason is None:
            peer.install()
            usable[name] = peer
        else:
            bench.results.skipped[name] = reason
            note(f"{name} skipped: {reason}")
    return usable


def run_case(bench: Bench, case: Case, peers: dict[str, Peer], rounds: int) -> None:
    """Set every peer up, then go round. A peer that fails is out of this case alone."""
    taking_part = {name: peers[name] for name in case.peers if name in peers}
    folder = bench.work / case.name
    folder.mkdir()
    for number in range(-1, rounds * case.times):
        for name, peer in list(taking_part.items()):
            try:
                take_part(bench, case, peer, folder / name, number)
            except CommandError as error:
                del taking_part[name]
                bench.results.skipped[f"{case.name}/{name}"] = str(error)
                note(f"{case.name}: {name} is out: {error}")
        note(f"{case.name}: round {number + 1} of {rounds * case.times}")
    shutil.rmtree(folder)


def take_part(bench: Bench, case: Case, peer: Peer, repo: Path, number: int) -> None:
    """One peer's turn: its setup before the first round, then a round."""
    if number < 0:
        if case.setup is not None:
            case.setup(bench, peer, repo)
        return
    for step, sample in case.round(Turn(bench, peer, repo, number)).items():
        bench.results.add(case.name, step, peer.name, sample)


def benchmark(options: argparse.Namespace, bench: Bench) -> bool:
    """Run what was asked for and print it; True if every goal was measured and met."""
    tools = options.peers_venv.absolute() / "bin"
    peers = usable_peers(bench, options.peer or list(PEERS), tools)
    versions = {name: peer.version_text() for name, peer in peers.items()}
    if options.scale != 1:
        print(f"Inputs at {options.scale:g} of the sizes named; the goals are for scale 1.\n")
    for name in options.only or CASES:
        case = CASES[name]
        run_case(bench, case, peers, options.rounds)
        print(report.case_tables(bench.results, case), end="\n\n", flush=True)
    print(report.goals_table(bench.results))
    for who, reason in bench.results.skipped.items():
        print(f"{who}: {reason}")
    if options.json:
        everything = report.as_json(bench.results, options.scale, versions)
        options.json.write_text(json.dumps(everything, indent=1) + "\n")
    return report.all_met(bench.results)


def main() -> int:
    """Exit code 0; 1 for a goal not met, under --check; 2 for too little disk."""
    options = arguments()
    work = Path(tempfile.mkdtemp(prefix="mlver-bench-", dir=options.work)).absolute()
    try:
        if shutil.disk_usage(work).free < DISK_AT_FULL_SIZE * options.scale:
            note("not enough free disk: name another folder with --work, or a smaller --scale")
            return 2
        bench = Bench(work, options.scale)
        try:
            met = benchmark(options, bench)
        finally:
            bench.end()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0 if met or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
