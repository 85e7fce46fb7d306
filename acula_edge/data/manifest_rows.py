"""Rows of a user's manifest (JSON lines, text with separators, Excel, Parquet), one at a time and within limits."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from acula_edge.data.parquet_rows import ParquetError, read_parquet
from acula_edge.data.release_tables import clean, column_name
from acula_edge.data.table import fold_column, is_nameless, name_cells, split_rows
from acula_edge.data.workbook import read_xlsx
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

REQUIRED = ("path", "subject")
OWN = ("path", "subject", "recording", "dataset", "split", "stratum", "sha256", "sample_rate_hz", "duration_s")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_LONGEST_NUMBER = 18

Row = dict[str, Any]
Found = Iterator[tuple[str, Row]]


def read_rows(file: Path, warnings: list[str] | None = None) -> Found:
    """Rows with the place (file and row) that messages name.

    Args:
        warnings: what is left out of the file is added to them.
    """
    read = _FORMATS[file.suffix.casefold()]
    warnings = [] if warnings is None else warnings
    try:
        for number, (where, row) in enumerate(read(file, warnings), start=1):
            if number > MAX_ROWS:
                raise TextError(f"it has more than {MAX_ROWS} rows")
            yield where, row
    except (OSError, ValueError, csv.Error) as error:
        raise ManifestError(f"the manifest {file} cannot be read", given=str(error)) from error


def _read_jsonl(file: Path, warnings: list[str]) -> Found:
    spelled: dict[str, str] = {}
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
        if not spelled.keys() >= row.keys() or len(spelled) != len(row):
            spelled = dict(zip(row, _spell(list(row), where, warnings), strict=True))
        yield where, {spelled[key]: value for key, value in row.items() if spelled[key]}


def _read_text(file: Path, warnings: list[str]) -> Found:
    def fits(cells: list[str]) -> bool:
        return {fold_column(cell) for cell in cells} >= set(REQUIRED)

    delimiter, rows = split_rows(file, fits, "\t" if file.suffix.casefold() == ".tsv" else ",")
    named = name_cells(file, rows, lambda names: _spell(names, str(file), warnings))
    if next(named, None) is None:
        _spell([], str(file), warnings)
    # Where commas do not separate cells they separate decimals: so does every program that writes semicolons.
    decimal = "," if delimiter == ";" else "."
    for number, row in named:
        yield (
            f"{file}, row {number}",
            {key: value if key in OWN else _value_of_text(value, decimal) for key, value in row.items()},
        )


def _read_xlsx(file: Path, warnings: list[str]) -> Found:
    sheet = read_xlsx(file, warnings)
    named = name_cells(file, sheet, lambda names: _spell(names, str(file), warnings))
    if next(named, None) is None:
        _spell([], str(file), warnings)
    yield from ((f"{file}, row {number}", row) for number, row in named)


def _read_parquet(file: Path, warnings: list[str]) -> Found:
    with open_regular(file) as found:
        most = max(FREE_CHARACTERS, MAX_CHARACTERS_PER_BYTE * os.fstat(found.fileno()).st_size)
    lines = read_parquet(file.absolute(), MAX_PARQUET_MEMORY_BYTES, MAX_PARQUET_CPU_S, MAX_LINE_CHARACTERS)
    try:
        left_out: dict[str, str] = parse_json(next(lines))
        for name, kind in left_out.items():
            if fold_column(name) in OWN:
                raise ManifestError(f"{file}: the column {name!r} holds neither texts nor numbers", given=kind)
            _warn(warnings, f"{file}: the column {name[:80]!r} is left out: its type is {kind}")
        spelled: dict[str, str] = {}
        for number, line in enumerate(lines, start=1):
            most -= len(line)
            if most < 0:
                raise ParquetError("it unpacks to far more than any list of recordings does")
            row = parse_json(line, allow_nan=True)
            if not spelled:
                spelled = dict(zip(row, _spell(list(row), str(file), warnings), strict=True))
            yield f"{file}, row {number}", {spelled[key]: value for key, value in row.items() if spelled[key]}
    except ModuleNotFoundError as error:
        raise missing_package(error) or error from error
    except ParquetError as error:
        raise ManifestError(f"the manifest {file} cannot be read as Parquet", given=str(error)) from error


_FORMATS = {
    ".jsonl": _read_jsonl, ".csv": _read_text, ".tsv": _read_text, ".xlsx": _read_xlsx, ".parquet": _read_parquet,
}  # fmt: skip
SUFFIXES = tuple(_FORMATS)


def _spell(names: Sequence[str], where: str, warnings: list[str]) -> list[str]:
    """What the columns are called here: the manifest's own in their own spelling; "" for those that are left out.

    Raises:
        ManifestError: a column that is needed is not there, or one is there twice.
    """
    spelled = ["" if is_nameless(name) else _own(name, names) or name for name in names]
    for name in REQUIRED:
        if name not in spelled:
            raise ManifestError(
                f"{where}: there is no column {name!r}",
                allowed=f"{', '.join(REQUIRED)}, then any of {', '.join(sorted(set(OWN) - set(REQUIRED)))}, metadata",
                remedy=did_you_mean(name, names, "the first row holds the names of the columns"),
            )
    for place, name in enumerate(spelled):
        if name and name in spelled[:place]:
            raise ManifestError(f"{where}: there are two columns {name!r}", remedy="rename or remove one of them")
        if name and not column_name(name):
            _warn(warnings, f"{where}: the column {name[:80]!r} is left out: its name has neither a letter nor a digit")
            spelled[place] = ""
    return spelled


def _own(name: str, names: Collection[str]) -> str | None:
    """Which of the manifest's own columns a name stands for: ``Path`` is ``path`` where that is not there itself."""
    folded = fold_column(name)
    return folded if folded in OWN and (folded == name or folded not in names) else None


def _warn(warnings: list[str], text: str) -> None:
    if text not in warnings:
        warnings.append(text)


def _value_of_text(text: str, decimal: str) -> str | int | float | None:
    # More digits than this are no measurement but somebody's number.
    if len(text) <= _LONGEST_NUMBER:
        digits = text.strip().replace(decimal, ".") if decimal in text else text.strip()
        if _NUMBER.fullmatch(digits):
            return int(digits) if digits.lstrip("-").isdigit() else float(digits)
    return clean(text)
