"""What was measured, and the few questions that tables and goals ask of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from statistics import median

from scratch import Sample


@dataclass
class Results:
    """Samples by case, step and peer, in the order in which they were taken."""

    samples: dict[tuple[str, str], dict[str, list[Sample]]] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)
    """Counts that are no timing, such as the filters that `git status` started."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Why a peer, or a peer in one case (`case/peer`), has no figures."""

    def add(self, case: str, step: str, peer: str, sample: Sample) -> None:
        self.samples.setdefault((case, step), {}).setdefault(peer, []).append(sample)

    def of(self, case: str, step: str, peer: str) -> list[Sample]:
        return self.samples.get((case, step), {}).get(peer, [])

    def seconds(self, case: str, step: str, peer: str) -> float | None:
        """The median wall clock time, None where there is no sample."""
        samples = self.of(case, step, peer)
        return median(sample.seconds for sample in samples) if samples else None

    def stored(self, case: str, step: str, peer: str) -> float | None:
        """The median of the bytes stored, None where they were not asked for."""
        counts = [s.stored_bytes for s in self.of(case, step, peer) if s.stored_bytes is not None]
        return median(counts) if counts else None

    def ratio(self, case: str, step: str, peer: str, other: str) -> float | None:
        """The peer's median time divided by the other's."""
        return divided(self.seconds(case, step, peer), self.seconds(case, step, other))

    def peak(self, peers: tuple[str, ...]) -> tuple[float, str] | None:
        """The largest peak of memory that the peers had anywhere, and where."""
        peaks = [
            (float(sample.peak_bytes), f"{case}/{step}/{peer}")
            for (case, step), by_peer in self.samples.items()
            for peer in peers
            for sample in by_peer.get(peer, [])
        ]
        return max(peaks) if peaks else None

    def rows(self) -> Iterator[dict[str, object]]:
        """Every sample as a flat JSON object."""
        for (case, step), by_peer in self.samples.items():
            for peer, samples in by_peer.items():
                for number, sample in enumerate(samples):
                    place = {"case": case, "step": step, "peer": peer, "round": number}
                    yield place | asdict(sample)


def divided(value: float | None, by: float | None) -> float | None:
    """The quotient, None where one of the two is missing."""
    return None if value is None or not by else value / by
