"""A user's own corpus from a manifest in three formats, and the internal manifest."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from acula_edge.data.manifest import Recording, read_manifest, write_manifest
from acula_edge.data.reader import ReadResult, readers
from acula_edge.errors import ManifestError, RecipeError
from acula_edge.files import sha256_file

FORMATS = ("jsonl", "csv", "parquet")
Rows = list[dict[str, Any]]


def write_rows(file: Path, rows: Rows) -> Path:
    if file.suffix == ".jsonl":
        file.write_text("\n\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    elif file.suffix == ".csv":
        with open(file, "w", encoding="utf-8-sig", newline="") as lines:
            table = csv.DictWriter(lines, list(dict.fromkeys(column for row in rows for column in row)))
            table.writeheader()
            table.writerows(rows)
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return file


@pytest.fixture
def folder(tmp_path, write_sound) -> Path:
    """Three recordings of two persons; no manifest yet."""
    for seed, name in enumerate(("a.wav", "in/b.flac", "in/c.wav")):
        write_sound(tmp_path / "clinic" / name, seed, rate=8000)
    return tmp_path / "clinic"


def rows_of(folder: Path) -> Rows:
    return [
        {"path": "a.wav", "subject": "1", "Age (years)": 40, "finding": "Wheeze", "note": None},
        {"path": "in/b.flac", "subject": "1", "Age (years)": 40, "finding": "nan", "note": None},
        {"path": str(folder / "in" / "c.wav"), "subject": "2", "Age (years)": 1.5, "finding": " none ", "note": "x"},
    ]


def read(root: Path, **options: Any) -> ReadResult:
    return readers["manifest"].read(root, options)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("by", ["folder", "file"])
def test_formats_say_the_same(folder: Path, suffix: str, by: str) -> None:
    file = write_rows(folder / f"manifest.{suffix}", rows_of(folder))
    result = read(folder if by == "folder" else file)
    assert not result.set_aside
    assert [(r.key, r.subject) for r in result.recordings[:2]] == [
        ("clinic/a", "clinic/1"),
        ("clinic/in_b", "clinic/1"),
    ]
    assert [r.path for r in result.recordings] == [str(folder / name) for name in ("a.wav", "in/b.flac", "in/c.wav")]
    assert {(r.sample_rate_hz, round(r.duration_s, 6)) for r in result.recordings} == {(8000, 0.3)}
    assert [r.metadata for r in result.recordings] == [
        {"age_years": 40, "finding": "Wheeze", "note": None},
        {"age_years": 40, "finding": None, "note": None},
        {"age_years": 1.5, "finding": None, "note": "x"},
    ]


@pytest.mark.parametrize("suffix", FORMATS)
def test_own_columns_are_no_metadata(folder: Path, suffix: str) -> None:
    rows: Rows = [
        {"path": "a.wav", "subject": 7, "recording": "r1", "dataset": "icu", "split": "train", "stratum": "ill",
         "sha256": sha256_file(folder / "a.wav"), "finding": "x"},
        {"path": "in/b.flac", "subject": 8, "recording": "2", "dataset": "icu", "split": "test", "stratum": "well",
         "sha256": "", "finding": "y"},
    ]  # fmt: skip
    first, second = read(write_rows(folder / f"mine.{suffix}", rows)).recordings
    assert (first.key, first.subject, first.split, first.stratum) == ("icu/r1", "icu/7", "train", "ill")
    assert (second.key, second.subject, second.split, second.stratum) == ("icu/2", "icu/8", "test", "well")
    assert first.sha256 == sha256_file(folder / "a.wav") and second.sha256 == ""
    assert first.metadata == {"finding": "x"}


def test_the_data_set_is_named_by_row_option_file_or_folder(folder: Path) -> None:
    rows: Rows = [{"path": "a.wav", "subject": "1"}]
    assert read(write_rows(folder / "manifest.csv", rows)).recordings[0].dataset == "clinic"
    named = write_rows(folder / "ward.csv", rows)
    assert read(named).recordings[0].dataset == "ward"
    assert read(named, dataset="icu").recordings[0].key == "icu/a"
    assert read(write_rows(folder / "x.csv", [{**rows[0], "dataset": "er"}]), dataset="icu").recordings[0].key == "er/a"
    with pytest.raises(RecipeError, match="did you mean 'dataset'"):
        read(named, datasets="icu")


def test_a_subject_that_has_the_data_set_s_name_keeps_it(folder: Path) -> None:
    file = write_rows(folder / "ward.csv", [{"path": "a.wav", "subject": "ward/1"}])
    assert read(file).recordings[0].subject == "ward/1"


@pytest.mark.parametrize(
    ("text", "value"),
    [("007", "007"), ("12", 12), ("-3.50", -3.5), ("1e3", 1000.0), ("III/VI", "III/VI"), ("1e999", None),
     ("N/A", None), (" yes ", "yes")],
)  # fmt: skip
def test_cells_of_text_are_numbers_where_they_look_like_it(folder: Path, text: str, value: object) -> None:
    file = write_rows(folder / "manifest.csv", [{"path": "a.wav", "subject": "1", "cell": text}])
    found = read(file).recordings[0].metadata["cell"]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_nested_metadata(folder: Path, suffix: str) -> None:
    row = {"path": "a.wav", "subject": "1", "metadata": {"Murmur Grade": "II/VI", "loud": True, "dB": float("nan")}}
    metadata = read(write_rows(folder / f"manifest.{suffix}", [row])).recordings[0].metadata
    assert metadata == {"murmur_grade": "II/VI", "loud": 1, "db": None}


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("column", ["path", "subject"])
def test_missing_columns_are_an_error(folder: Path, suffix: str, column: str) -> None:
    rows = [{key: value for key, value in row.items() if key != column} for row in rows_of(folder)]
    rows = [{**row, f"{column}s": "here"} for row in rows]
    with pytest.raises(ManifestError, match=f"no column '{column}'") as caught:
        read(write_rows(folder / f"manifest.{suffix}", rows))
    assert f"did you mean '{column}s'" in str(caught.value)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"subject": ""}, "'subject' is empty"),
        ({"path": ""}, "'path' is empty"),
        ({"split": "training"}, "unknown split"),
        ({"recording": "a"}, "the recording id clinic/a is listed twice"),
        ({"path": "in/../a.wav", "recording": "other"}, "is listed twice"),
        ({"Finding": "x", "finding": "y"}, "no unique name"),
    ],
)
def test_rows_that_contradict_are_named(folder: Path, suffix: str, changed: dict[str, str], words: str) -> None:
    first = {"path": "a.wav", "subject": "Ann", "recording": "a", "split": "train", **dict.fromkeys(changed, "train")}
    first.update(path="a.wav", recording="a", subject="Ann")
    rows: Rows = [first, {**first, "path": "in/b.flac", "recording": "b", "subject": "Bob", **changed}]
    if "Finding" not in changed and "split" not in changed:
        rows = [{key: row[key] for key in ("path", "subject", "recording")} for row in rows]
    with pytest.raises(ManifestError, match=words) as caught:
        read(write_rows(folder / f"manifest.{suffix}", rows))
    assert f"manifest.{suffix}, " in str(caught.value)
    assert "Ann" not in str(caught.value) and "Bob" not in str(caught.value)


@pytest.mark.parametrize("suffix", FORMATS)
def test_files_that_cannot_be_read_are_set_aside(folder: Path, suffix: str) -> None:
    (folder / "text.wav").write_text("this is no audio")
    (folder / "empty.wav").touch()
    rows = rows_of(folder) + [{"path": name, "subject": "3"} for name in ("text.wav", "empty.wav", "gone.wav")]
    result = read(write_rows(folder / f"manifest.{suffix}", rows))
    assert len(result.recordings) == 3
    assert [entry.recording for entry in result.set_aside] == ["clinic/text", "clinic/empty", "clinic/gone"]
    assert all(Path(entry.path).name in entry.reason for entry in result.set_aside)
    assert "there is no recording" in result.set_aside[2].reason


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("path", ["gone/a.wav", ".", "in", "/"])
def test_nothing_readable_is_an_error(folder: Path, suffix: str, path: str) -> None:
    file = write_rows(folder / f"manifest.{suffix}", [{"path": path, "subject": "1", "age": 81}])
    with pytest.raises(ManifestError, match="names no audio file that can be read") as caught:
        read(file)
    said = str(caught.value).replace(str(folder), "")
    assert "1 rows" in said and "81" not in said


def test_no_rows_are_an_error(folder: Path) -> None:
    for name, text in (("manifest.jsonl", "\n"), ("manifest.csv", "path,subject\n")):
        (folder / name).write_text(text)
        with pytest.raises(ManifestError, match="no rows"):
            read(folder / name)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("manifest.jsonl", b'{"path": "a.wav", "subject": "1"}\n{"path": ', "line 2: not JSON"),
        ("manifest.jsonl", b"[1, 2]\n", "not a JSON object"),
        ("manifest.jsonl", b'{"path": "a.wav", "subject": "1", "cells": [1]}\n', "neither text nor a number"),
        ("manifest.jsonl", b'{"path": "a.wav", "subject": "1", "metadata": 3}\n', "metadata is no mapping"),
        ("manifest.jsonl", b'{"path": "a.wav", "subject": ["1"]}\n', "'subject' is no text"),
        ("manifest.jsonl", b'{"path": "\xff"}\n', "cannot be read"),
        ("manifest.csv", b"path,subject\na.wav,1,2\n", "row 2: has another number of cells"),
        ("manifest.csv", b"path,subject,age\na.wav,1\n", "row 2: has another number of cells"),
        ("manifest.csv", b"", "no column 'path'"),
        ("manifest.csv", b"path,subject\n\xff,1\n", "cannot be read"),
        ("manifest.parquet", b"path,subject\na.wav,1\n", "cannot be read as Parquet"),
        ("manifest.parquet", b"", "cannot be read as Parquet"),
    ],
)
def test_a_damaged_manifest_is_named(folder: Path, name: str, data: bytes, words: str) -> None:
    (folder / name).write_bytes(data)
    with pytest.raises(ManifestError, match=words) as caught:
        read(folder)
    assert name in str(caught.value)


def test_there_must_be_one_manifest(folder: Path) -> None:
    with pytest.raises(ManifestError, match="holds no manifest"):
        read(folder)
    with pytest.raises(ManifestError, match="holds no manifest"):
        read(folder / "nowhere")
    with pytest.raises(ManifestError, match="is not a manifest"):
        read(folder / "a.wav")
    for suffix in ("csv", "jsonl"):
        write_rows(folder / f"manifest.{suffix}", rows_of(folder))
    with pytest.raises(ManifestError, match="several manifests"):
        read(folder)


def test_hashes_are_compared_in_lower_case(folder: Path) -> None:
    digest = sha256_file(folder / "a.wav")
    file = write_rows(folder / "manifest.csv", [{"path": "a.wav", "subject": "1", "sha256": digest.upper()}])
    assert read(file).recordings[0].sha256 == digest


RECORDING = Recording("r/1", "/x/ä.wav", "d/s", "d", 4000, 1.25, "ab", "val", "ill", {"age": 3, "note": None, "w": "µ"})


def test_the_internal_manifest_comes_back_as_it_was(tmp_path: Path) -> None:
    other = Recording("2", "b.wav", "d/t", "d", 16000, 0.1 + 0.2)
    write_manifest(tmp_path / "new" / "m.jsonl", iter([RECORDING, other]))
    assert read_manifest(tmp_path / "new" / "m.jsonl") == [RECORDING, other]
    assert RECORDING.key == "d/r/1" and RECORDING.with_split("test").split == "test" and RECORDING.split == "val"
    write_manifest(tmp_path / "none.jsonl", [])
    assert read_manifest(tmp_path / "none.jsonl") == []


def test_the_internal_manifest_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    write_manifest(path, [RECORDING])
    with pytest.raises(ValueError, match="JSON compliant"):
        write_manifest(path, [RECORDING, Recording("2", "b", "d/t", "d", 4000, 1.0, metadata={"age": float("nan")})])
    assert read_manifest(path) == [RECORDING] and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("line", ["{", "[]", "3", '{"recording": "a"}', '{"colour": 1}', ""])
def test_a_damaged_internal_manifest_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "m.jsonl"
    write_manifest(path, [RECORDING])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ManifestError, match="line 2: not a recording"):
        read_manifest(path)


def test_an_internal_manifest_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xff")
    for name in ("gone", "bytes", "."):
        with pytest.raises(ManifestError, match="cannot be read"):
            read_manifest(tmp_path / name)


def test_a_subject_id_in_two_data_sets_is_named_with_its_rows(folder: Path) -> None:
    rows = rows_of(folder)
    rows[0]["dataset"] = "clinic"
    rows[1]["dataset"] = rows[2]["dataset"] = "ward"
    found = read(write_rows(folder / "manifest.csv", rows))
    (warning,) = found.warnings
    assert "manifest.csv, row 3 and" in warning and "manifest.csv, row 2" in warning and warning.startswith("1 rows")
    assert {recording.subject for recording in found.recordings} == {"clinic/1", "ward/1", "ward/2"}
    rows[0]["dataset"] = "ward"
    assert read(write_rows(folder / "manifest.csv", rows)).warnings == []
