"""Tensors of three versions by name: for each, the version that stands in the result. Their bytes
are compared, and hashed where a person must decide; no tensor is ever in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mlver.diff.tensors import same
from mlver.formats.tensors import Tensor
from mlver.merge.base import BASE, OURS, THEIRS
from mlver.merge.options import Options
from mlver.model.change import Value
from mlver.model.conflict import SIDES, Conflict
from mlver.model.digest import Hasher

_BLOCK = 1024 * 1024
_LORA = ("lora_A", "lora_B")

Side = Mapping[str, Tensor]


class Outcome(NamedTuple):
    """`sides`: tensor → the version that it is taken of; those of ours first, in its order."""

    sides: dict[str, int]
    conflicts: list[Conflict]
    notes: tuple[str, ...]


def choose(versions: Sequence[Side], options: Options) -> Outcome:
    """For each tensor of base, ours and theirs, whose it is in the result."""
    sides: dict[str, int] = {}
    conflicts: list[Conflict] = []
    changed: dict[str, int] = {}
    for name in dict.fromkeys([*versions[OURS], *versions[THEIRS], *versions[BASE]]):
        base, ours, theirs = tensors = [side.get(name) for side in versions]
        if _equal(ours, theirs):
            side = OURS
        elif _equal(base, theirs):
            side = changed[name] = OURS
        elif _equal(base, ours):
            side = changed[name] = THEIRS
        else:
            side = _decided(name, tensors, options, conflicts)
            changed[name] = side
        if tensors[side] is not None:
            sides[name] = side
    return Outcome(sides, conflicts, tuple(_notes(changed)))


def _equal(a: Tensor | None, b: Tensor | None) -> bool:
    if a is None or b is None:
        return a is b
    return same(a, b)


def _decided(
    name: str, tensors: Sequence[Tensor | None], options: Options, conflicts: list[Conflict]
) -> int:
    absent = tuple([side for side, item in zip(SIDES, tensors, strict=True) if item is None])
    asked = Conflict("tensor", {"tensor": name}, None, None, None, None, absent)
    choice = options.choice(asked)
    if choice is not None and choice.side is not None:
        return SIDES.index(choice.side)
    base, ours, theirs = (item and _shown(item) for item in tensors)
    conflicts.append(asked._replace(base=base, ours=ours, theirs=theirs))
    return OURS


def _shown(tensor: Tensor) -> Value:
    """What tells a tensor from others, without its numbers."""
    source, hasher = tensor.source, Hasher()
    at, end = tensor.offset, tensor.offset + tensor.length
    while source is not None and at < end:
        data = source.read(at, min(_BLOCK, end - at))
        if not data:
            break
        hasher.update(data)
        at += len(data)
    return {"dtype": tensor.dtype, "shape": list(tensor.shape), "digest": hasher.digest().hex()}


def _notes(changed: Mapping[str, int]) -> list[str]:
    """LoRA: the two factors of one product, trained together, may be of two sides now."""
    first, second = _LORA
    torn = [
        name
        for name, side in changed.items()
        if first in name and changed.get(name.replace(first, second), side) != side
    ]
    return [
        f"{name} and its {second} are factors of one product, and are of two sides now"
        for name in torn
    ]
