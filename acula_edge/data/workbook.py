"""Spreadsheets from outside: cells of the first sheet, within limits."""

from __future__ import annotations

import datetime
import io
import zipfile
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

from acula_edge.data.table import Cells, is_empty
from acula_edge.errors import ManifestError
from acula_edge.limits import MAX_COLUMNS, MAX_ROWS, MAX_WORKBOOK_BYTES, MAX_WORKBOOK_UNPACKED_BYTES
from acula_edge.untrusted.texts import open_regular

_DECLARES = ("<!DOCTYPE", "<!ENTITY")


def read_xls_column(path: Path, column: int, last_row: int) -> list[Any]:
    """Cells of one column of an .xls file, rows 0 to `last_row`; None for those that are not there.

    Raises:
        ManifestError: it cannot be read, or is longer than :data:`acula_edge.limits.MAX_WORKBOOK_BYTES`.
    """
    import xlrd

    data = _read(path)
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


def read_xlsx(path: Path, warnings: list[str] | None = None) -> list[tuple[int, Cells]]:
    """Number, from 1, and cells of each row of an .xlsx file's first sheet that is not empty.

    Dates and times become ISO texts; a cell that holds an error (``#N/A``) counts as empty.

    Args:
        warnings: that there are further sheets is added to them.

    Raises:
        ManifestError: it cannot be read, is longer than :data:`acula_edge.limits.MAX_WORKBOOK_BYTES`, unpacks to more
            than :data:`acula_edge.limits.MAX_WORKBOOK_UNPACKED_BYTES`, declares XML entities, or holds a formula
            whose value it does not hold.
        ModuleNotFoundError: openpyxl is not installed.
    """
    import openpyxl  # noqa: F401  (before what else may go wrong)

    data = _read(path)
    try:
        return _first_sheet(path, data, warnings)
    except Exception as error:  # so does openpyxl
        raise ManifestError(
            f"the workbook {path} cannot be read",
            given=str(error) if isinstance(error, _Trap) else type(error).__name__,
        ) from error


def _first_sheet(path: Path, data: bytes, warnings: list[str] | None) -> list[tuple[int, Cells]]:
    import openpyxl

    with catch_warnings():
        simplefilter("ignore")  # its remarks on styles and validations that it does not know
        # Once for the values and, where there are some, once for the formulas that they came from.
        views = (True, False) if _check_archive(data) else (True,)
        books = [openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=view) for view in views]
        sheets = [book.worksheets[0] for book in books]
        for sheet in sheets:
            sheet.reset_dimensions()  # which a file may overstate
        found: list[tuple[int, Cells]] = []
        for number, (values, *formulas) in enumerate(zip(*(s.iter_rows() for s in sheets), strict=True), start=1):
            width = len(found[0][1]) if found else MAX_COLUMNS
            if number > MAX_ROWS + 1:
                # A lone cell far below and right of everything loses nothing.
                if any(cell.value is not None for cell in values[:width]):
                    raise _Trap(f"it has more than {MAX_ROWS} rows")
                continue
            if len(values) > MAX_COLUMNS:
                raise _Trap(f"row {number} has more than {MAX_COLUMNS} columns")
            cells = [_value(*views) for views in zip(values, *formulas, strict=True)]
            if not all(map(is_empty, cells)):
                # Empty cells at the end of a row are often not stored.
                found.append((number, cells + [None] * (width - len(cells)) if found else cells))
        if warnings is not None and len(books[0].worksheets) > 1:
            warnings.append(f"{path}: only the first of its sheets is read, {sheets[0].title!r}")
        for book in books:
            book.close()
    return found


class _Trap(ValueError):
    pass


def _value(cell: Any, formula: Any = None) -> Any:
    if formula is not None and formula.data_type == "f" and cell.value is None and cell.data_type == "n":
        raise _Trap(
            f"the cell {formula.coordinate} is a formula without its value: open the file in a spreadsheet program and "
            "save it there"
        )
    if cell.data_type == "e":
        return None
    if isinstance(cell.value, datetime.datetime) and cell.value.time() == datetime.time():
        return cell.value.date().isoformat()  # a workbook has no dates without a time
    if isinstance(cell.value, (datetime.datetime, datetime.date, datetime.time)):
        return cell.value.isoformat()
    return cell.value.total_seconds() if isinstance(cell.value, datetime.timedelta) else cell.value


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            data = file.read(MAX_WORKBOOK_BYTES + 1)
    except OSError as error:
        raise ManifestError(f"the workbook {path} cannot be read", given=error.strerror or error) from error
    if len(data) > MAX_WORKBOOK_BYTES:
        raise ManifestError(f"the workbook {path} is too long", allowed=f"{MAX_WORKBOOK_BYTES} bytes")
    return data


def _check_archive(data: bytes) -> bool:
    """Whether any sheet may hold formulas; raises _Trap where the parts unpack to too much, or declare entities."""
    formulas = False
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        left = MAX_WORKBOOK_UNPACKED_BYTES
        for part in archive.infolist():
            left -= part.file_size  # no more than this is ever unpacked of it
            if left < 0:
                raise _Trap(f"it unpacks to more than {MAX_WORKBOOK_UNPACKED_BYTES} bytes")
            text = archive.read(part)
            if any(_holds(text, word) for word in _DECLARES):
                raise _Trap(f"{part.filename} declares XML entities")
            formulas |= part.filename.startswith("xl/worksheets/") and _holds(text, "<f")
    return formulas


def _holds(text: bytes, word: str) -> bool:
    return any(word.encode(encoding) in text for encoding in ("ascii", "utf-16-le", "utf-16-be"))
