"""Parquet: key-value metadata of the file, by pyarrow; row groups and compression stay as they
were, a row group at a time in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from mlver.errors import MlverError


def write(source: BinaryIO, target: BinaryIO, metadata: Mapping[str, str]) -> None:
    """Copy `source` with `metadata`. Raises MlverError without pyarrow, ValueError for what is no
    Parquet file."""
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MlverError(
            "metadata of a Parquet file cannot be written without pyarrow",
            fix="pip install pyarrow",
        ) from error
    file: Any = parquet.ParquetFile(source)
    schema = file.schema_arrow
    told = {**(schema.metadata or {}), **{k.encode(): v.encode() for k, v in metadata.items()}}
    schema = schema.with_metadata(told)
    groups = file.metadata.num_row_groups
    codecs = _codecs(file.metadata) if groups else "snappy"
    with parquet.ParquetWriter(target, schema, compression=codecs) as writer:
        for number in range(groups):
            table = file.read_row_group(number).replace_schema_metadata(told)
            writer.write_table(table, row_group_size=max(1, table.num_rows))


def _codecs(metadata: Any) -> dict[str, str]:
    first = metadata.row_group(0)
    columns = (first.column(at) for at in range(first.num_columns))
    return {
        column.path_in_schema: "NONE"
        if column.compression == "UNCOMPRESSED"
        else column.compression.lower()
        for column in columns
    }
