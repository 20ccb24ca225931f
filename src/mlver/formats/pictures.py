"""Which files are pictures, by name; through Pillow, where it is there, whether two show one."""

from __future__ import annotations

import io
import warnings
from typing import Any

from mlver.formats.base import NotThisFormat, Source

_LARGEST = 64 * 1024 * 1024
"""Bytes of a file that is decoded."""


SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".heic", ".jfif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm"),
    *(".tif", ".tiff", ".webp"),
)


def is_image(path: str) -> bool:
    """By the end of its name."""
    return path.endswith(SUFFIXES) or path.lower().endswith(SUFFIXES)


def can_read() -> bool:
    """True where Pillow is there."""
    try:
        import PIL.Image  # noqa: F401 - asked for only
    except ImportError:
        return False
    return True


def same(old: Source, new: Source) -> bool:
    """True where every pixel of both is the same. Raises NotThisFormat."""
    if max(old.size, new.size) > _LARGEST:
        return False
    return bool(_pixels(old) == _pixels(new))


def _pixels(source: Source) -> Any:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a picture that would fill the memory
            with Image.open(io.BytesIO(source.read(0, source.size))) as picture:
                frames = getattr(picture, "n_frames", 1)
                if frames != 1:
                    raise NotThisFormat("it has several pictures")
                return picture.size, picture.convert("RGBA").tobytes()
    except NotThisFormat:
        raise
    except Exception as error:  # what damaged files make of its many readers
        raise NotThisFormat("it is no picture that can be read", why=str(error)[:200]) from error
