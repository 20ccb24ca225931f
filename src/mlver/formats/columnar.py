"""Parquet, Arrow and Feather through pyarrow, where it is installed; typed values as JSON has
them."""

from __future__ import annotations

import datetime
import io
from typing import Any

from mlver.formats.base import NotThisFormat, Source
from mlver.formats.zip_members import SourceFile
from mlver.model.digest import digest_of


def read(source: Source, name: str) -> Any:
    """A pyarrow.Table; None for an empty file. Raises NotThisFormat."""
    if not source.size:
        return None
    try:
        import pyarrow as pa
        from pyarrow import feather, parquet
    except ImportError as error:
        raise NotThisFormat(
            "Parquet and Arrow are not looked into here",
            why="pyarrow is missing: pip install pyarrow",
        ) from error
    file = io.BufferedReader(SourceFile(source))
    try:
        if source.read(0, 4) == b"PAR1":
            table = parquet.ParquetFile(file).read()
        elif source.read(0, 6) == b"ARROW1" or source.read(0, 4) == b"FEA1":
            table = feather.read_table(file, memory_map=False)
        else:
            table = pa.ipc.open_stream(file).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        why = " ".join(str(error).split())[:200]
        raise NotThisFormat(f"it is no {_kind(name)} file that can be read", why=why) from error
    names = table.column_names
    if len(set(names)) != len(names):
        doubled = next(n for n in names if names.count(n) > 1)
        raise NotThisFormat("it names a column twice", why=repr(doubled[:60]))
    return table


def _kind(name: str) -> str:
    return "Parquet" if name.lower().endswith(".parquet") else "Arrow"


def rows(table: Any, names: list[str]) -> list[tuple[Any, ...]]:
    """Rows of these columns as JSON values."""
    columns = [[plain(value) for value in table.column(name).to_pylist()] for name in names]
    return list(zip(*columns, strict=True)) if columns else [()] * table.num_rows


def plain(value: Any) -> Any:
    """A value of Python as one of JSON: times in ISO form, decimals as text, bytes by their hex."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, bytes):
        if len(value) <= 32:
            return {"bytes": value.hex()}
        return {"size": len(value), "blake3": digest_of(value).hex()[:16]}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
