"""Rows of a user's manifest (JSON lines, CSV, Parquet), one at a time and within limits."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from acula_edge.data.parquet_rows import ParquetError, read_parquet
from acula_edge.data.reader import clean
from acula_edge.data.table import read_cells
from acula_edge.errors import ManifestError, did_you_mean
from acula_edge.extras import missing_package
from acula_edge.limits import (
    FREE_CHARACTERS,
    MAX_CHARACTERS_PER_BYTE,
    MAX_LINE_CHARACTERS,
    MAX_PARQUET_CPU_S,
    MAX_PARQUET_MEMORY_BYTES,
    MAX_ROWS,
)
from acula_edge.untrusted.texts import TextError, open_regular, parse_json, read_lines

SUFFIXES = (".jsonl", ".csv", ".parquet")
REQUIRED = ("path", "subject")
OWN = ("path", "subject", "recording", "dataset", "split", "stratum", "sha256", "sample_rate_hz", "duration_s")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_LONGEST_NUMBER = 18

Row = dict[str, Any]


def read_rows(file: Path) -> Iterator[tuple[str, Row]]:
    """Rows with the place (file and row) that messages name."""
    read = {".jsonl": _read_jsonl, ".csv": _read_csv, ".parquet": _read_parquet}[file.suffix.casefold()]
    try:
        for number, (where, row) in enumerate(read(file), start=1):
            if number > MAX_ROWS:
                raise TextError(f"it has more than {MAX_ROWS} rows")
            yield where, row
    except (OSError, ValueError, csv.Error) as error:
        raise ManifestError(f"the manifest {file} cannot be read", given=str(error)) from error


def _read_jsonl(file: Path) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(read_lines(file), start=1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        try:
            row = parse_json(line, allow_nan=True)
        except ValueError as error:
            raise ManifestError(f"{where}: not JSON", given=str(error)) from error
        if not isinstance(row, dict):
            raise ManifestError(f"{where}: not a JSON object", given=type(row).__name__)
        _require_columns(row, where)
        yield where, row


def _read_csv(file: Path) -> Iterator[tuple[str, Row]]:
    rows = read_cells(file)
    _, header = next(rows, (0, []))
    _require_columns(dict.fromkeys(header), str(file))
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise ManifestError(f"{file}: there are two columns {twice!r}")
    for number, cells in rows:
        where = f"{file}, line {number}"
        if len(cells) != len(header):
            raise ManifestError(f"{where}: has another number of cells than the header")
        row = zip(header, cells, strict=True)
        yield where, {key: value if key in OWN else _value_of_text(value) for key, value in row}


def _read_parquet(file: Path) -> Iterator[tuple[str, Row]]:
    with open_regular(file) as found:
        most = max(FREE_CHARACTERS, MAX_CHARACTERS_PER_BYTE * os.fstat(found.fileno()).st_size)
    lines = read_parquet(file.absolute(), MAX_PARQUET_MEMORY_BYTES, MAX_PARQUET_CPU_S, MAX_LINE_CHARACTERS)
    try:
        for number, line in enumerate(lines, start=1):
            most -= len(line)
            if most < 0:
                raise ParquetError("it unpacks to far more than any list of recordings does")
            row = parse_json(line, allow_nan=True)
            if number == 1:
                _require_columns(row, str(file))
            yield f"{file}, row {number}", row
    except ModuleNotFoundError as error:
        raise missing_package(error) or error from error
    except ParquetError as error:
        raise ManifestError(f"the manifest {file} cannot be read as Parquet", given=str(error)) from error


def _require_columns(row: Mapping[str, Any], where: str) -> None:
    for column in REQUIRED:
        if column not in row:
            raise ManifestError(
                f"{where}: there is no column {column!r}",
                allowed=f"{', '.join(REQUIRED)}, then any of {', '.join(sorted(set(OWN) - set(REQUIRED)))}, metadata",
                remedy=did_you_mean(column, row),
            )


def _value_of_text(text: str) -> str | int | float | None:
    # More digits than this are no measurement but somebody's number.
    if len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text.strip()):
        number = float(text)
        return int(text) if text.strip().lstrip("-").isdigit() else number
    return clean(text)
