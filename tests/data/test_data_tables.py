"""Tables and texts as people's programs write them: the same facts, or an error that says what is wrong."""

from __future__ import annotations

import csv
import datetime
import decimal
import gzip
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas
import pytest

from acula_edge.clinical_text.prompt import load_prompt
from acula_edge.data.miniature import miniatures
from acula_edge.data.reader import ReadResult, readers
from acula_edge.errors import InputError, ManifestError
from acula_edge.untrusted.json_file import read_json
from acula_edge.untrusted.yaml_text import read_yaml

Cells = list[list[Any]]
ROWS: Cells = [
    ["path", "subject", "age", "site"], ["a.wav", "p1", "40", "Spätsystolisch"], ["b.wav", "p2", "7", ""],
    ["c.wav", "p2", "7", "NA"],
]  # fmt: skip
FACTS = [
    ("p1", {"age": 40, "site": "Spätsystolisch"}), ("p2", {"age": 7, "site": None}), ("p2", {"age": 7, "site": "NA"}),
]  # fmt: skip
SAVE = "save it as UTF-8"


@pytest.fixture
def folder(tmp_path: Path, write_sound) -> Path:
    for seed, name in enumerate("abc"):
        write_sound(tmp_path / f"{name}.wav", seed)
    return tmp_path


def text(rows: Cells, delimiter: str = ",", end: str = "\n", quote: str = '"') -> str:
    out = io.StringIO()
    quoting = csv.QUOTE_MINIMAL if quote == '"' else csv.QUOTE_ALL
    csv.writer(out, delimiter=delimiter, lineterminator=end, quotechar=quote, quoting=quoting).writerows(rows)
    return out.getvalue()


def read(file: Path) -> ReadResult:
    return readers["manifest"].read(file, {})


def facts_of(result: ReadResult) -> list[tuple[str, dict[str, Any]]]:
    return [(recording.subject.rpartition("/")[2], recording.metadata) for recording in result.recordings]


def index_of(place: int) -> object:
    return "" if place == 0 else place - 1


WRITTEN: dict[str, bytes] = {
    "as it is": text(ROWS).encode(),
    "with a byte-order mark": text(ROWS).encode("utf-8-sig"),
    "with a mark in the middle": (text(ROWS[:2]) + "\ufeff" + text(ROWS[2:])).encode(),
    "by DataFrame.to_csv": text([[index_of(n), *row] for n, row in enumerate(ROWS)]).encode(),
    "by pandas twice": text([["Unnamed: 0" if n == 0 else n, *row] for n, row in enumerate(ROWS)]).encode(),
    "empty columns at the end": text([[*row, "", ""] for row in ROWS]).encode(),
    "an empty column within": text([[row[0], "", *row[1:]] for row in ROWS]).encode(),
    "empty rows at the end": (text(ROWS) + ",,,\n , ,,\n\n").encode(),
    "empty rows before and within": ("\n,,,\n" + text(ROWS[:2]) + "\n,,,\n" + text(ROWS[2:])).encode(),
    "separators at the end of rows": text([ROWS[0], *([*row, ""] for row in ROWS[1:])]).encode(),
    "semicolons": text(ROWS, ";").encode(),
    "tabs": text(ROWS, "\t").encode(),
    "bars": text(ROWS, "|").encode(),
    "Excel's note and semicolons": ("sep=;\r\n" + text(ROWS, ";", "\r\n")).encode("utf-8-sig"),
    "Excel's Unicode text": text(ROWS, "\t", "\r\n").encode("utf-16"),
    "ends of lines of old Macs": text(ROWS, end="\r").encode(),
    "single quotes": text(ROWS, quote="'").encode(),
    "blanks before quotes": "\n".join(", ".join(f'"{cell}"' for cell in row) for row in ROWS).encode(),
    "names in another case": text([["Path ", " SUBJECT", *ROWS[0][2:]], *ROWS[1:]]).encode(),
    "names with no-break spaces": text([["path\u00a0", "\u00a0subject", *ROWS[0][2:]], *ROWS[1:]]).encode(),
}


@pytest.mark.parametrize("data", WRITTEN.values(), ids=WRITTEN)
def test_a_manifest_says_the_same_however_it_is_written(folder: Path, data: bytes) -> None:
    (folder / "rows.csv").write_bytes(data)
    result = read(folder / "rows.csv")
    assert facts_of(result) == FACTS and result.warnings == []


def test_a_tsv_is_a_manifest(folder: Path) -> None:
    (folder / "manifest.tsv").write_text(text(ROWS, "\t"), encoding="utf-8")
    assert facts_of(read(folder)) == FACTS


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (text(ROWS).encode("cp1252"), f"line 2 is not UTF-8 .byte 0xe4.; .* {SAVE}"),
        (text(ROWS).encode("utf-16-le"), f"UTF-16 without a byte-order mark; {SAVE}"),
        (text(ROWS).encode("utf-16")[:-1], "breaks off"),
        (gzip.compress(text(ROWS).encode(), mtime=0), "compressed with gzip: unpack it"),
        (b"PK\x03\x04" + bytes(99), "Excel workbook: save the sheet as"),
        (b"PAR1" + bytes(99), r"is a Parquet file: let its name end in \.parquet"),
        (text(ROWS[1:]).encode(), "no column 'path'(?s:.*)the first row holds the names"),
        (b"path,subject,age\na.wav,p1\n", r"rows\.csv, row 2: has another number of cells"),
        (b"path,subject,age\na.wav,p1,4,stray\n", r"rows\.csv, row 2: has another number of cells"),
        (b'path,subject,"a\nb"\n\na.wav,p1,"x\ny"\nb.wav,p2\n', r"rows\.csv, row 4: has another number"),
        (b"path,subject,age,age\na.wav,p1,4,5\n", "two columns 'age'"),
        (b"Path,PATH,subject\na.wav,b.wav,p1\n", "two columns 'path'"),
    ],
)
def test_what_cannot_be_read_is_told(folder: Path, data: bytes, words: str) -> None:
    (folder / "rows.csv").write_bytes(data)
    with pytest.raises(ManifestError, match=words):
        read(folder / "rows.csv")


@pytest.mark.parametrize(
    ("cell", "delimiter", "value"),
    [("36,6", ";", 36.6), ("36.6", ",", 36.6), ("36,6", ",", "36,6"), ("1,234", ",", "1,234"),
     ("1.234,5", ";", "1.234,5"), ("007", ";", "007"), ("12", ";", 12)],
)  # fmt: skip
def test_decimals_follow_the_separator_and_thousands_stay_texts(
    folder: Path, cell: str, delimiter: str, value: object
) -> None:
    (folder / "rows.csv").write_text(text([["path", "subject", "x"], ["a.wav", "007", cell]], delimiter))
    assert facts_of(read(folder / "rows.csv")) == [("007", {"x": value})]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "xlsx"])
def test_a_column_without_letters_is_left_out_by_name(folder: Path, suffix: str) -> None:
    file = folder / f"rows.{suffix}"
    frame = pandas.DataFrame({"path": ["a.wav"], "subject": ["NA"], "%": [95], "age": [4]})
    {
        "csv": lambda: frame.to_csv(file),
        "jsonl": lambda: frame.to_json(file, orient="records", lines=True),
        "parquet": lambda: frame.iloc[[0]].to_parquet(file),
        "xlsx": lambda: frame.to_excel(file),
    }[suffix]()
    result = read(file)
    assert facts_of(result) == [("NA", {"age": 4})]
    (warning,) = result.warnings
    assert "the column '%' is left out" in warning and "95" not in warning


def test_a_sorted_frame_in_parquet_has_no_index_column(folder: Path) -> None:
    pandas.DataFrame(ROWS[1:], columns=ROWS[0]).iloc[[2, 0, 1]].to_parquet(folder / "rows.parquet")
    assert {name for _, metadata in facts_of(read(folder / "rows.parquet")) for name in metadata} == {"age", "site"}


def test_types_of_parquet_are_texts_and_numbers(folder: Path) -> None:
    frame = pandas.DataFrame({"path": ["a.wav", "b.wav"], "subject": ["1", "2"]}).assign(
        visit=pandas.Series([pandas.Timestamp("2024-05-01 10:00:00.123456789"), None]),
        zone=pandas.Timestamp("2024-05-01 10:00", tz="Europe/Berlin"),
        day=datetime.date(2024, 5, 1),
        time=datetime.time(3, 4),
        took=pandas.Series([pandas.Timedelta("90s"), None]),
        dose=decimal.Decimal("1.50"),
        kind=pandas.Categorical(["x", "y"]),
        half=np.float16(0.5),
    )
    frame.to_parquet(folder / "rows.parquet")
    (_, first), (_, second) = facts_of(read(folder / "rows.parquet"))
    assert first == {
        "visit": "2024-05-01T10:00:00.123456", "zone": "2024-05-01T10:00:00+02:00", "day": "2024-05-01",
        "time": "03:04:00", "took": 90.0, "dose": 1.5, "kind": "x", "half": 0.5,
    }  # fmt: skip
    assert second["visit"] is None and second["took"] is None and second["kind"] == "y"


class TestWorkbook:
    def write(self, file: Path, change: Callable[[openpyxl.Workbook, Any], None] = lambda book, sheet: None) -> Path:
        book = openpyxl.Workbook()
        for row in [["path", "subject", "age"], ["a.wav", "p1", 40], ["b.wav", 101, 7]]:
            book.active.append(row)
        change(book, book.active)
        book.save(file)
        return file

    def test_it_is_a_manifest(self, folder: Path) -> None:
        def change(book: openpyxl.Workbook, sheet: Any) -> None:
            sheet.insert_rows(3)
            sheet.append([None, "  ", None])
            for place, value in enumerate(
                ["seen", datetime.datetime(2024, 5, 1), None, datetime.datetime(2024, 5, 1, 9)]
            ):
                sheet.cell(place + 1, 5, value)
            sheet.cell(2, 4, None)
            sheet["F1"], sheet["F2"] = "bmi", "#DIV/0!"
            sheet["F2"].data_type = "e"

        result = read(self.write(folder / "manifest.xlsx", change))
        assert result.warnings == []
        assert facts_of(result) == [
            ("p1", {"age": 40, "seen": "2024-05-01", "bmi": None}),
            ("101", {"age": 7, "seen": "2024-05-01T09:00:00", "bmi": None}),
        ]

    def test_a_formula_without_its_value_is_told_by_its_cell(self, folder: Path) -> None:
        file = self.write(folder / "rows.xlsx", lambda book, sheet: sheet.__setitem__("B3", "=A2"))
        with pytest.raises(ManifestError, match="the cell B3 is a formula without its value(?s:.*)save it there"):
            read(file)

    def test_further_sheets_are_named(self, folder: Path) -> None:
        file = self.write(folder / "rows.xlsx", lambda book, sheet: book.create_sheet("other").append(["x"]))
        result = read(file)
        assert len(result.recordings) == 2 and "only the first of its sheets is read, 'Sheet'" in result.warnings[0]

    def test_an_empty_one_and_another_file_are_told(self, folder: Path) -> None:
        openpyxl.Workbook().save(folder / "rows.xlsx")
        with pytest.raises(ManifestError, match="no column 'path'"):
            read(folder / "rows.xlsx")
        (folder / "rows.xlsx").write_text(text(ROWS))
        with pytest.raises(ManifestError, match=r"rows\.xlsx cannot be read"):
            read(folder / "rows.xlsx")


TEXTS = {".csv", ".txt", ".json", ".textgrid"}
# Read by place and not by name: an index column would be taken for the first.
BY_PLACE = ("REFERENCE", "cough-")


def recode(encoding: str) -> Callable[[Path], None]:
    return lambda file: file.write_text(file.read_text(encoding="utf-8-sig"), encoding=encoding)  # type: ignore[return-value]


def end_lines(end: str) -> Callable[[Path], None]:
    return lambda file: file.write_bytes(end.join(file.read_text(encoding="utf-8-sig").splitlines()).encode())  # type: ignore[return-value]


def as_frame(file: Path) -> None:
    """Index column, empty column, empty rows, semicolons."""
    if file.suffix.casefold() != ".csv":
        return
    content = file.read_text(encoding="utf-8-sig")
    rows = list(csv.reader(io.StringIO(content), delimiter=";" if content.partition("\n")[0].count(";") else ","))
    indexed = not file.name.startswith(BY_PLACE)
    rows = [[*([index_of(n)] if indexed else []), *row, ""] for n, row in enumerate(rows)]
    file.write_text(text([*rows, [""] * len(rows[0]), []], ";"), encoding="utf-8")


CHANGES: dict[str, Callable[[Path], None]] = {
    "mark": recode("utf-8-sig"), "utf-16": recode("utf-16"), "crlf": end_lines("\r\n"), "cr": end_lines("\r"),
    "frame": as_frame,
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", miniatures)
def test_every_text_of_every_release_may_be_saved_again(make_miniature, tmp_path: Path, name: str, change: str) -> None:
    copy = shutil.copytree(make_miniature(name), tmp_path / name)
    before = readers[name].read(copy, {})
    published = readers[name].published(copy, before.recordings, {})
    for file in copy.rglob("*"):
        if file.suffix.casefold() in TEXTS and not file.name.startswith("."):
            CHANGES[change](file)
    after = readers[name].read(copy, {})
    assert after == before
    assert readers[name].published(copy, after.recordings, {}) == published


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_other_texts_from_outside_take_a_mark_as_well(tmp_path: Path, folder: Path, encoding: str) -> None:
    for name, content, call, value in (
        ("a.json", '{"x": "ä"}', read_json, {"x": "ä"}),
        ("a.yaml", "x: ä", read_yaml, {"x": "ä"}),
        ("prompt.txt", "Sei kürzer.", lambda path: load_prompt(str(path)), "Sei kürzer."),
    ):
        (tmp_path / encoding).mkdir(exist_ok=True)
        file = tmp_path / encoding / name
        file.write_text(content, encoding=encoding)
        assert call(file) == value
    lines = [json.dumps(dict(zip(ROWS[0], row, strict=True)), ensure_ascii=False) for row in ROWS[1:]]
    (folder / "rows.jsonl").write_text("\r\n".join(lines), encoding=encoding)
    assert [subject for subject, _ in facts_of(read(folder / "rows.jsonl"))] == ["p1", "p2", "p2"]


def test_a_prompt_in_another_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_bytes("Sei kürzer.".encode("cp1252"))
    with pytest.raises(InputError, match=SAVE):
        load_prompt(str(tmp_path / "prompt.txt"))
