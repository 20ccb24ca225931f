"""What `git mlver doctor` says of the remotes: trust, an answer, and what their servers can do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass

from mlver.errors import MlverError
from mlver.remotes.base import Capabilities, Probed, Remote
from mlver.workflows import capabilities, places
from mlver.workflows.context import Context
from mlver.workflows.finding import Finding
from mlver.workflows.places import Place


@dataclass(frozen=True, slots=True)
class RemoteState:
    """A remote and what is kept of its server: None for a directory, and where nothing is kept.

    `needs_probe`: it has a server, and what is kept is nothing or of another address.
    """

    place: Place
    capabilities: Capabilities | None
    needs_probe: bool


def states(ctx: Context) -> list[RemoteState]:
    """Every remote, the default one first. Nothing is contacted."""
    return [_state(place) for place in places.configured(ctx) or places.beside(ctx)]


def _state(place: Place) -> RemoteState:
    kept = capabilities.kept(place.options)
    is_probed = False
    with suppress(MlverError):
        from mlver.remotes.registry import open_remote

        with closing(open_remote(place.url, place.options)) as remote:
            is_probed = isinstance(remote, Probed)
            if kept is not None and _address(remote) not in (None, kept.place):
                return RemoteState(place, None, needs_probe=True)
    return RemoteState(place, kept if is_probed else None, is_probed and kept is None)


def _address(remote: Remote) -> str | None:
    """The server and bucket that settings of today lead to; None where that is not told."""
    place = getattr(remote, "place", None)
    return place if isinstance(place, str) else None


def check(ctx: Context) -> Iterator[Finding]:
    """Trust, an answer and the server of each remote."""
    found = states(ctx)
    if not found:
        yield Finding(
            "note", "no remote keeps content outside this clone", "git mlver remote add NAME URL"
        )
    for state in found:
        place = state.place
        if not place.trusted:
            yield Finding(
                "note",
                f"the remote {place.name!r} ({place.url}) is not trusted yet",
                f"git mlver remote trust {place.name}",
            )
            continue
        yield _answer(ctx, place)
        yield from _server(state)


def _answer(ctx: Context, place: Place) -> Finding:
    try:
        with closing(places.open_place(ctx, place)) as catalog:
            count = len(catalog.objects())
    except MlverError as error:
        return Finding("problem", f"{place.name}: {error.what}. {error.why}", error.fix)
    return Finding("ok", f"the remote {place.name!r} answers ({count} index objects)")


def _server(state: RemoteState) -> Iterator[Finding]:
    name = state.place.name
    if state.capabilities is not None:
        doubts = capabilities.doubts(state.capabilities)
        yield Finding(
            "note" if doubts else "ok",
            f"the server of {name!r}: {capabilities.in_words(state.capabilities)}",
            f"git mlver testremote {name}" if doubts else "",
        )
        for doubt in doubts:
            yield Finding("note", f"{name}: {doubt}")
    elif state.needs_probe:
        yield Finding(
            "note",
            f"what the server of {name!r} can do is not known, so it is used the careful way",
            _trying(state.place),
        )


def _trying(place: Place) -> str:
    if place.origin == "tree":
        return f"git mlver remote trust {place.name}"
    return (
        f"git mlver remote remove {place.name} && git mlver remote add {place.name} '{place.url}'"
    )
