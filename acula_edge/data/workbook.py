"""Spreadsheets from outside: a few cells of the first sheet, within limits."""

from __future__ import annotations

import io
import zipfile
from itertools import islice
from pathlib import Path
from typing import Any

from acula_edge.errors import ManifestError
from acula_edge.limits import MAX_WORKBOOK_BYTES, MAX_WORKBOOK_UNPACKED_BYTES
from acula_edge.untrusted.texts import open_regular

_MAX_ROWS, _MAX_COLUMNS = 10_000, 256
_DECLARES = ("<!DOCTYPE", "<!ENTITY")


def read_xls_column(path: Path, column: int, last_row: int) -> list[Any]:
    """Cells of one column of an .xls file, rows 0 to `last_row`; None for those that are not there.

    Raises:
        ManifestError: it cannot be read, or is longer than :data:`acula_edge.limits.MAX_WORKBOOK_BYTES`.
    """
    import xlrd

    data = _read(path, "sheet")
    try:
        # Ragged: a lone cell in the last row does not make a million empty ones. Its remarks would land among ours.
        book = xlrd.open_workbook(file_contents=data, on_demand=True, ragged_rows=True, logfile=io.StringIO())
        sheet = book.sheet_by_index(0)
        return [
            sheet.cell_value(row, column) if row < sheet.nrows and column < sheet.row_len(row) else None
            for row in range(last_row + 1)
        ]
    except Exception as error:  # xlrd trusts what it reads: any index, key, attribute or memory error there is
        raise ManifestError(f"the sheet {path} cannot be read", given=type(error).__name__) from error


def read_xlsx(path: Path) -> list[tuple[Any, ...]]:
    """Rows of the first sheet of an .xlsx file, as far as a list of persons goes.

    Raises:
        ManifestError: it cannot be read, is longer than :data:`acula_edge.limits.MAX_WORKBOOK_BYTES`, unpacks to more
            than :data:`acula_edge.limits.MAX_WORKBOOK_UNPACKED_BYTES`, or declares XML entities.
    """
    import openpyxl

    data = _read(path, "index file")
    try:
        _check_archive(data)
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        rows = book.worksheets[0].iter_rows(max_row=_MAX_ROWS, max_col=_MAX_COLUMNS, values_only=True)
        found = list(islice(rows, _MAX_ROWS))
        book.close()
    except Exception as error:  # so does openpyxl
        raise ManifestError(
            f"the index file {path} cannot be read",
            given=str(error) if isinstance(error, _Trap) else type(error).__name__,
        ) from error
    return found


class _Trap(ValueError):
    pass


def _read(path: Path, what: str) -> bytes:
    try:
        with open_regular(path) as file:
            data = file.read(MAX_WORKBOOK_BYTES + 1)
    except OSError as error:
        raise ManifestError(f"the {what} {path} cannot be read", given=error.strerror or error) from error
    if len(data) > MAX_WORKBOOK_BYTES:
        raise ManifestError(f"the {what} {path} is too long", allowed=f"{MAX_WORKBOOK_BYTES} bytes")
    return data


def _check_archive(data: bytes) -> None:
    """Raises _Trap where the parts unpack to too much, all together, or declare entities that would."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        left = MAX_WORKBOOK_UNPACKED_BYTES
        for part in archive.infolist():
            left -= part.file_size  # no more than this is ever unpacked of it
            if left < 0:
                raise _Trap(f"it unpacks to more than {MAX_WORKBOOK_UNPACKED_BYTES} bytes")
            text = archive.read(part)
            for word in _DECLARES:
                if any(word.encode(encoding) in text for encoding in ("ascii", "utf-16-le", "utf-16-be")):
                    raise _Trap(f"{part.filename} declares XML entities")
