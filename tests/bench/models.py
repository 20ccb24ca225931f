"""Checkpoints of a fine-tuned model: bf16 safetensors, made from a fixed seed.

The shape is a small decoder's: an embedding and 12 blocks of 1,024, 184 MB at scale 1. As is usual
in fine-tuning, the embedding and the lower half of the blocks are frozen; each checkpoint moves
every weight of the other blocks by a random step, whose standard deviation is a fixed share of the
tensor's own, from 1/2000 to 1/125 from tensor to tensor. The optimizer keeps float32, and each
checkpoint is rounded to bf16, whose steps are 1/256 of a value and less: so between two checkpoints
some weights of a tensor stay as they are, and most others move by the last bit or two. Norms are
near 1 and move likewise.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VERSIONS = 10
WIDTH = 1024
BLOCKS = 12
VOCABULARY = 16_384
TIME = 1_704_070_000
SMALLEST_STEP, LARGEST_STEP = 1 / 2000, 1 / 125

Floats = NDArray[np.float32]
Shape = tuple[int, ...]


def checkpoint(path: Path, scale: float, version: int) -> Path:
    """The checkpoint of that number, from 0 on; `scale` is that of its size."""
    shapes = dict(_shapes(max(64, round(WIDTH * scale**0.5) // 8 * 8)))
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for number, (name, shape) in enumerate(shapes.items()):
            out.write(_bf16(_weights(number, name, shape, version)).tobytes())
    os.utime(path, (TIME + version, TIME + version))
    return path


def _shapes(width: int) -> Iterator[tuple[str, Shape]]:
    yield "embed_tokens.weight", (VOCABULARY * width // WIDTH, width)
    for block in range(BLOCKS):
        for part in ("q", "k", "v", "o"):
            yield f"layers.{block:02}.attention.{part}_proj.weight", (width, width)
        for part, shape in (("up", (2 * width, width)), ("down", (width, 2 * width))):
            yield f"layers.{block:02}.mlp.{part}_proj.weight", shape
        yield f"layers.{block:02}.norm.weight", (width,)


def _weights(number: int, name: str, shape: Shape, version: int) -> Floats:
    """The float32 weights after `version` checkpoints' worth of steps."""
    spread = np.float32(0.02)
    values = _normal(number, 0, shape) * spread
    if name.endswith("norm.weight"):
        values += np.float32(1)
    if name.startswith("embed") or int(name.split(".")[1]) < BLOCKS // 2:
        return values
    share = (number * 37 % 64) / 63
    step = np.float32(SMALLEST_STEP * (LARGEST_STEP / SMALLEST_STEP) ** share) * spread
    for earlier in range(1, version + 1):
        values += _normal(number, earlier, shape) * step
    return values


def _normal(number: int, turn: int, shape: Shape) -> Floats:
    """Nearly normal values: each the sum of four uniform ones, of raw random bits."""
    source = np.random.PCG64([20_240_103, number, turn])
    words = source.random_raw(int(np.prod(shape)))
    parts = words.view(np.uint16).reshape(-1, 4).astype(np.float32).sum(axis=1)
    normal: Floats = ((parts / 65_536 - 2) * np.float32(3**0.5)).reshape(shape)
    return normal


def _bf16(values: Floats) -> NDArray[np.uint16]:
    """Rounded to the nearest, ties to even."""
    bits = values.view(np.uint32)
    rounded: NDArray[np.uint16] = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return rounded
