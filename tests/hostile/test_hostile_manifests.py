"""Lists, tables and spreadsheets of strangers: no path leaves the folder, none takes more than it may, no id acts."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow
import pyarrow.parquet as parquet
import pytest

from acula_edge.clinical_text.corpus_file import read_corpus
from acula_edge.corpora.mmlung import read_spirometry
from acula_edge.corpora.sprsound import read_annotation
from acula_edge.data import manifest_rows, parquet_rows, table
from acula_edge.data.lists import load_names
from acula_edge.data.manifest import Recording, read_manifest, write_manifest
from acula_edge.data.manifest_rows import read_rows
from acula_edge.data.prepare import check_recordings
from acula_edge.data.reader import ReadResult, readers
from acula_edge.data.release import list_audio, read_or_set_aside
from acula_edge.data.release_tables import read_table
from acula_edge.data.workbook import read_xls_column, read_xlsx
from acula_edge.errors import AculaEdgeError, ArtifactError, ManifestError, RecipeError
from acula_edge.limits import (
    MAX_CELL_CHARACTERS,
    MAX_COLUMNS,
    MAX_ID_CHARACTERS,
    MAX_LINE_CHARACTERS,
    MAX_WORKBOOK_BYTES,
)
from acula_edge.reporting.corpus import count_set_aside
from tests.hostile.sounds import encode

Rows = list[dict[str, Any]]


def write_rows(file: Path, rows: Rows) -> Path:
    if file.suffix == ".jsonl":
        file.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    elif file.suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(f'"{value}"' for value in row.values()) for row in rows)]
        file.write_text("\n".join(lines) + "\n")
    else:
        parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return file


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder with a recording in it, and one beside it."""
    for place in ("corpus/in/a.wav", "corpus/b.wav", "outside/secret.wav"):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode("WAV"))
    return tmp_path / "corpus"


def read(file: Path, **options: Any) -> ReadResult:
    return readers["manifest"].read(file, options)


_LEAVING = ["parent", "parent in the middle", "absolute", "link", "link to a folder"]


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [*((suffix, kind) for suffix in ("jsonl", "csv") for kind in _LEAVING), ("parquet", "absolute")],
)
def test_no_path_leaves_the_root_that_was_given(corpus: Path, suffix: str, kind: str) -> None:
    outside = corpus.parent / "outside"
    (corpus / "link.wav").symlink_to(outside / "secret.wav")
    (corpus / "linked").symlink_to(outside)
    path = {
        "parent": "../outside/secret.wav",
        "parent in the middle": "in/../../outside/secret.wav",
        "absolute": str(outside / "secret.wav"),
        "link": "link.wav",
        "link to a folder": "linked/secret.wav",
    }[kind]
    rows = [{"path": "b.wav", "subject": "1"}, {"path": path, "subject": "2"}]
    file = write_rows(corpus / f"manifest.{suffix}", rows)
    for root in (".", str(corpus), "../corpus/in/..") if suffix == "jsonl" else (".",):
        with pytest.raises(ManifestError, match="(row 2|row 3|line 2).*outside the folder") as caught:
            read(file, root=root)
        assert str(outside / "secret.wav") in str(caught.value)
    assert len(read(file).recordings) == 2, "without a root the manifest is trusted"


def test_paths_inside_the_root_are_taken_as_what_they_point_at(corpus: Path) -> None:
    (corpus / "alias.wav").symlink_to(corpus / "in" / "a.wav")
    rows = [{"path": "alias.wav", "subject": "1"}, {"path": str(corpus / "b.wav"), "subject": "2"}]
    found = read(write_rows(corpus / "manifest.jsonl", rows), root=".")
    assert [recording.path for recording in found.recordings] == [str(corpus / "in" / "a.wav"), str(corpus / "b.wav")]


def test_the_root_may_be_given_on_the_command_line(corpus: Path) -> None:
    from click.testing import CliRunner

    from acula_edge.cli.main import cli

    file = write_rows(corpus / "manifest.csv", [{"path": "../outside/secret.wav", "subject": "1"}])
    words = ["data", "prepare", "manifest", "--root", str(file), "--out", str(corpus.parent / "run")]
    result = CliRunner().invoke(cli, [*words, "--set", f"data.sources.manifest.options.root={corpus}"])
    assert result.exit_code == 2 and "outside the folder" in result.output and "row 2" in result.output


@pytest.mark.parametrize("root", ["gone", "b.wav", "", 3, ["."], "a\0b"])
def test_the_root_must_be_a_folder(corpus: Path, root: Any) -> None:
    file = write_rows(corpus / "manifest.csv", [{"path": "b.wav", "subject": "1"}])
    with pytest.raises((ManifestError, RecipeError), match="option root"):
        read(file, root=root)


_ACTING = ["a\x1b[2Jb", "a\nb", "a\0b", "a\u202eb", "x" * (MAX_ID_CHARACTERS + 1)]
_COLUMNS = ["subject", "recording", "dataset", "split", "stratum", "sha256"]


@pytest.mark.parametrize(
    ("suffix", "column", "text"),
    [*(("jsonl", column, text) for column in _COLUMNS for text in _ACTING), ("parquet", "subject", _ACTING[0])],
)
def test_ids_cannot_act(corpus: Path, suffix: str, column: str, text: str) -> None:
    file = write_rows(corpus / f"manifest.{suffix}", [{"path": "b.wav", "subject": "1", column: text}])
    with pytest.raises(ManifestError, match=f"{column!r} (holds a control character|is too long)") as caught:
        read(file)
    assert "manifest" in str(caught.value) and not {"\x1b", "\0", "\u202e"} & set(str(caught.value))


@pytest.mark.parametrize("path", ["a\0.wav", "x" * 5000, "in/" * 1300 + "a.wav", "\x1b[2J.wav", "y" * 300])
def test_paths_that_no_file_can_have(corpus: Path, path: str) -> None:
    rows = [{"path": "b.wav", "subject": "1"}, {"path": path, "subject": "2"}]
    try:
        found = read(write_rows(corpus / "manifest.jsonl", rows))
    except ManifestError as error:
        assert "line 2" in str(error) and "'path'" in str(error)
    else:
        assert len(found.recordings) == len(found.set_aside) == 1


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("jsonl", b'{"path": "b.wav", "subject": "1", "subject": "2"}', "line 1: not JSON"),
        ("jsonl", b'{"path": "b.wav", "subject": ' + b"9" * 5000 + b"}", "line 1: not JSON"),
        ("jsonl", b'{"path": "b.wav", "subject": "\\ud800"}', "line 1: not JSON"),
        ("jsonl", b"[" * 100_000, "line 1: not JSON"),
        ("jsonl", b'{"path": "b.wav", "subject": "1", "a": ' + b"[" * 70 + b"]" * 70 + b"}", "line 1: not JSON"),
        ("jsonl", b'{"path": "' + b"a" * MAX_LINE_CHARACTERS + b'"}', "line 1 is longer"),
        ("jsonl", b'{"path": "b.wav", "subject": "1", "n": "' + b"a" * (MAX_CELL_CHARACTERS + 1) + b'"}', "too long"),
        ("jsonl", b'{"path": "b.wav", "subject": "1", "dataset": "../x"}', "holds a slash"),
        ("jsonl", b'{"path": "b.wav", "subject": {"a": 1}}', "is no text"),
        ("jsonl", b"\0\0\0", "NUL"),
        ("csv", b"path,subject,path\nb.wav,1,b.wav\n", "two columns 'path'"),
        ("csv", b"path,subject\nb.wav,1\0\n", "NUL"),
        ("csv", b'path,subject\n"' + b"a" * 200_000 + b'",1\n', "field larger"),
        ("csv", b"path,subject\n" + b'"\n",' * (MAX_LINE_CHARACTERS // 4 + 9), "row is longer"),
        ("csv", b"path,subject" + b",x" * MAX_COLUMNS + b"\n", "more than"),
        ("csv", b"path,subject\n" + b"," * (MAX_LINE_CHARACTERS + 1), "longer"),
    ],
)
def test_what_is_no_list_is_refused_by_its_line(corpus: Path, name: str, data: bytes, words: str) -> None:
    file = corpus / f"manifest.{name}"
    file.write_bytes(data)
    with pytest.raises(ManifestError, match=words) as caught:
        read(file)
    assert file.name in str(caught.value) and len(str(caught.value)) < 9000


def test_numbers_that_are_too_long_stay_texts(corpus: Path) -> None:
    for text in ("9" * 400, "1e999", "-" + "1" * 20):
        (corpus / "manifest.csv").write_text(f"path,subject,age\nb.wav,1,{text}\n")
        (recording,) = read(corpus / "manifest.csv").recordings
        assert recording.metadata["age"] in (text, None)
        json.dumps(recording.metadata, allow_nan=False)


def test_a_formula_is_a_text(corpus: Path) -> None:
    (corpus / "manifest.csv").write_text('path,subject,note\nb.wav,1,"=HYPERLINK(""http://x"")"\n')
    assert read(corpus / "manifest.csv").recordings[0].metadata["note"] == '=HYPERLINK("http://x")'


def test_rows_are_counted(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_rows, "MAX_ROWS", 3)
    for name in ("manifest.jsonl", "manifest.csv"):
        file = write_rows(corpus / name, [{"path": f"{n}.wav", "subject": "1"} for n in range(4)])
        with pytest.raises(ManifestError, match="more than 3 rows"):
            list(read_rows(file))
    monkeypatch.setattr(table, "MAX_ROWS", 3)
    with pytest.raises(ManifestError, match="more than 3 rows"):
        read_table(corpus / "manifest.csv", ("path",))


def test_a_hundred_thousand_rows_are_read(tmp_path: Path) -> None:
    with open(tmp_path / "manifest.csv", "w") as file:
        file.write("path,subject,age\n")
        file.writelines(f"{n}.wav,{n % 999},{n % 90}\n" for n in range(100_000))
    assert sum(row["age"] for _, row in read_rows(tmp_path / "manifest.csv")) == sum(n % 90 for n in range(100_000))


@pytest.mark.parametrize("name", ["manifest.jsonl", "manifest.csv", "manifest.parquet"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_lists_are_regular_files(tmp_path: Path, name: str, kind: str) -> None:
    file = tmp_path / name
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to("/dev/zero")
    with pytest.raises(ManifestError):
        list(read_rows(file))
    with pytest.raises(ManifestError):
        read_table(file, ())


class TestParquet:
    """Its decoder is native code and believes what it reads, so it runs in a process of its own."""

    def repeated(self, file: Path, text: str, rows: int) -> Path:
        index = pyarrow.array(np.zeros(rows, np.int32))
        columns = {"path": "a.wav", "subject": "1", "note": text}
        arrays = {name: pyarrow.DictionaryArray.from_arrays(index, [value]) for name, value in columns.items()}
        parquet.write_table(
            pyarrow.table(arrays), file, compression="zstd", dictionary_pagesize_limit=1 << 28, write_statistics=False
        )
        return file

    def test_what_unpacks_to_gigabytes_is_refused(self, tmp_path: Path) -> None:
        file = self.repeated(tmp_path / "rows.parquet", "x" * 900_000, 100_000)  # 90 GB
        assert file.stat().st_size < 20_000
        with pytest.raises(ManifestError, match=r"rows\.parquet cannot be read as Parquet"):
            for _ in read_rows(file):
                pass

    def test_a_cell_that_takes_all_memory_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(manifest_rows, "MAX_PARQUET_MEMORY_BYTES", 320 << 20)
        file = self.repeated(tmp_path / "cell.parquet", "x" * 60_000_000, 2)
        with pytest.raises(ManifestError, match=r"cell\.parquet cannot be read as Parquet"):
            list(read_rows(file))

    def test_nothing_in_the_current_folder_is_imported(self, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("pyarrow.py", "json.py", "resource.py"):
            (corpus / name).write_text("open('RAN', 'w').close()")
        monkeypatch.chdir(corpus)
        file = write_rows(corpus / "manifest.parquet", [{"path": "b.wav", "subject": "1"}])
        assert len(read(file).recordings) == 1 and not (corpus / "RAN").exists()

    def test_columns_of_other_kinds_are_left_out_by_name(self, corpus: Path) -> None:
        row = {"path": "b.wav", "subject": "1", "age": 3, "seen": b"\x00", "visits": ["a"], "x.y": {"z": 1}}
        found = read(write_rows(corpus / "manifest.parquet", [row]))
        assert found.recordings[0].metadata == {"age": 3}
        for words in ("'seen' is left out: its type is binary", "'visits'.*list<", "'x.y'.*struct<z: int64>"):
            assert any(re.search(words, warning) for warning in found.warnings)
        for name in ("path", "Subject"):
            rows = [{"path": "b.wav", "subject": "1", **{name: ["b.wav"]}}]
            if name == "Subject":
                del rows[0]["subject"]
            with pytest.raises(ManifestError, match=f"'{name}' holds neither texts nor numbers") as caught:
                read(write_rows(corpus / "manifest.parquet", rows))
            assert "list<" in str(caught.value)

    @pytest.mark.parametrize("seed", range(12))
    def test_damage_is_named(self, tmp_path: Path, seed: int) -> None:
        file = write_rows(tmp_path / "a.parquet", [{"path": f"{n}.wav", "subject": "1", "x": n / 3} for n in range(50)])
        data, rng = bytearray(file.read_bytes()), np.random.default_rng(seed)
        for place in rng.integers(len(data), size=6):
            data[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(data)
        try:
            for _ in parquet_rows.rows_of(file, MAX_LINE_CHARACTERS):
                pass
        except parquet_rows.ParquetError as error:
            assert str(error)


def recording(**changes: Any) -> Recording:
    values = {"recording": "r", "path": "/a.wav", "subject": "d/s", "dataset": "d"}
    return Recording(**{**values, "sample_rate_hz": 4000, "duration_s": 1.0, **changes})


@pytest.mark.parametrize(
    "line",
    [
        "{}", "[]", "3", "null", '"text"', "[" * 9999, '{"recording": "a"}',
        json.dumps({**vars(recording()), "sample_rate_hz": "4000"}),
        json.dumps({**vars(recording()), "metadata": [1]}),
        json.dumps({**vars(recording()), "duration_s": None}),
        json.dumps({**vars(recording()), "path": 3}),
        json.dumps({**vars(recording()), "more": 3}),
        json.dumps(vars(recording())).replace("1.0", "NaN"),
    ],
)  # fmt: skip
def test_the_internal_manifest_is_checked_as_well(tmp_path: Path, line: str) -> None:
    write_manifest(tmp_path / "a.jsonl", [recording()])
    assert read_manifest(tmp_path / "a.jsonl") == [recording()]
    with open(tmp_path / "a.jsonl", "a") as file:
        file.write(line + "\n")
    with pytest.raises(ManifestError, match=r"a\.jsonl, line 2"):
        read_manifest(tmp_path / "a.jsonl")


@pytest.mark.parametrize("field", ["recording", "subject", "dataset", "stratum", "split"])
def test_ids_of_every_reader_are_checked(field: str) -> None:
    with pytest.raises(ManifestError, match="control character") as caught:
        check_recordings([recording(**{field: "a\x1b]0;b\x07"})])
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("name", ["../secret", "/etc/x", "..", "a/b", "a\\b", "a\x1b", ""])
def test_a_table_cannot_name_a_file_elsewhere(corpus: Path, name: str) -> None:
    result = ReadResult()
    assert read_or_set_aside(result, f"coswara/{name}", corpus / f"{name}.wav") is None
    assert [entry.reason for entry in result.set_aside] == ["its name is none of a file"]
    assert read_or_set_aside(result, "coswara/b", corpus / "b.wav") is not None


def test_folders_that_contain_themselves_end(tmp_path: Path) -> None:
    release = tmp_path / "BioCAS2022"
    for folder in ("train2022_wav", "train2022_json"):
        (release / folder).mkdir(parents=True)
        (release / folder / "again").symlink_to(release)
    (release / "train2022_wav" / "loop.wav").symlink_to("loop.wav")
    with pytest.raises(AculaEdgeError):
        readers["sprsound"].read(tmp_path, {})
    assert [path.name for path in list_audio(release / "train2022_wav")] == ["loop.wav"]


@pytest.mark.parametrize("text", ["", "[" * 9999, '{"record_annotation": "a", "record_annotation": "b"}', "[]", "{}"])
def test_annotations_are_checked(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ManifestError, match=r"a\.json"):
        read_annotation(tmp_path / "a.json")


@pytest.mark.parametrize(
    "line", ["[]", "3", "[" * 9999, '{"recording": 3, "report": "x", "facts": {}}', '{"recording": "a", "facts": 3}']
)
def test_reports_and_reasons_are_checked(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(ArtifactError, match=r"a\.jsonl, line 1"):
        read_corpus(tmp_path / "a.jsonl")
    if line.startswith("[["):
        with pytest.raises(ArtifactError, match=r"a\.jsonl, line 1"):
            count_set_aside(tmp_path / "a.jsonl")


class Call:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("RAN",)


def names_file(shape: str, kind: str, data: bytes) -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data


_SHELL = b"\x80\x04cnumpy.core.multiarray\n_reconstruct\n"
BAD_NAMES: dict[str, Callable[[], bytes]] = {
    "a call": lambda: names_file("(1,)", "|O", pickle.dumps(np.array([Call()], dtype=object), protocol=4)),
    "a call before the array": lambda: names_file("(1,)", "|O", pickle.dumps(Call())),
    "a memo of gigabytes": lambda: names_file("(1,)", "|O", b"\x80\x04Nr\xff\xff\xff\x7f."),
    "a memo of gigabytes, as text": lambda: names_file("(1,)", "|O", b"Np2147483647\n."),
    "bytes of terabytes": lambda: names_file("(1,)", "|O", b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"."),
    "a long text": lambda: names_file("(1,)", "|O", pickle.dumps(np.array(["x" * 9000], dtype=object))),
    "a terabyte promised": lambda: names_file(f"({1 << 38},)", "<U1", b"abcd"),
    "a negative shape": lambda: names_file("(-1,)", "<U1", b"abcd"),
    "a shape of texts": lambda: names_file("('a',)", "<U1", b"abcd"),
    "a nested header": lambda: names_file("-" * 9000 + "1", "<U1", b"abcd"),
    "a header of no Python": lambda: names_file("(1,", "<U1", b"abcd"),
    "a text of no characters": lambda: names_file("(1,)", "<U1", b"\xff\xff\xff\xff"),
    "numbers": lambda: names_file("(1,)", "<f8", bytes(8)),
    "nothing": lambda: b"",
    "a cut pickle": lambda: names_file("(1,)", "|O", _SHELL),
}


@pytest.mark.parametrize("kind", BAD_NAMES)
def test_lists_of_names_run_nothing_and_take_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.npy").write_bytes(BAD_NAMES[kind]())
    with pytest.raises(ManifestError, match=r"names\.npy"):
        load_names(tmp_path / "names.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["names.npy"], "something ran"


def test_lists_of_names_are_read_at_every_protocol(tmp_path: Path) -> None:
    names = np.array(["a.wav", "b.wav", "c" * 40], dtype=object)
    for protocol in range(3, pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "names.npy").write_bytes(names_file("(3,)", "|O", pickle.dumps(names, protocol=protocol)))
        assert load_names(tmp_path / "names.npy") == list(names)
    with open(tmp_path / "long.npy", "wb") as file:
        file.truncate(MAX_WORKBOOK_BYTES + 1)
    with pytest.raises(ManifestError, match="longer than"):
        load_names(tmp_path / "long.npy")


def workbook(change: Callable[[dict[str, bytes]], None]) -> bytes:
    """An index file with changed parts."""
    book = openpyxl.Workbook()
    row = {"Spirometry_file": "1_a.xls", "FVC": 3.0, "FEV1": 2.0, "FEV1/FVC": 0.67}
    book.active.append(list(row))
    book.active.append(list(row.values()))
    file = io.BytesIO()
    book.save(file)
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


def entities(parts: dict[str, bytes]) -> None:
    laughs = b'<!ENTITY a "' + b"x" * 1000 + b'">'
    parts["xl/workbook.xml"] = b"<?xml version='1.0'?><!DOCTYPE a [" + laughs + b"]>" + parts["xl/workbook.xml"]


def far_cell(parts: dict[str, bytes]) -> None:
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = parts[sheet].replace(
        b"</sheetData>", b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    )
    parts[sheet] = parts[sheet].replace(b'ref="A1:D2"', b'ref="A1:XFD1048576"')


def test_spreadsheets_that_explode_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "All_path.xlsx"
    bombs: dict[str, Callable[[dict[str, bytes]], None]] = {
        "unpacks to more": lambda parts: parts.update({"xl/bomb.xml": b" " * (65 << 20)}),
        "declares XML entities": entities,
    }
    for words, change in bombs.items():
        file.write_bytes(workbook(change))
        assert file.stat().st_size < 200_000
        with pytest.raises(ManifestError, match=words) as caught:
            read_xlsx(file)
        assert file.name in str(caught.value)
    file.write_bytes(workbook(far_cell))
    assert len(read_xlsx(file)) <= 10_000
    assert list(read_spirometry(tmp_path)) == ["1"]


@pytest.mark.parametrize("seed", range(24))
def test_damage_of_a_workbook_is_named(corpus: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)

    def damage(parts: dict[str, bytes]) -> None:
        name = sorted(parts)[int(rng.integers(len(parts)))] if seed % 2 else "xl/worksheets/sheet1.xml"
        data = bytearray(parts[name])
        for place in rng.integers(len(data), size=4):
            data[place] = int(rng.integers(32, 127))
        parts[name] = bytes(data)

    (corpus / "manifest.xlsx").write_bytes(workbook(damage))
    with pytest.raises(ManifestError, match=r"manifest\.xlsx"):
        read(corpus / "manifest.xlsx")


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"no workbook", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)])
def test_what_is_no_spreadsheet_is_named(tmp_path: Path, data: bytes) -> None:
    for name, call in (("a.xlsx", read_xlsx), ("a.xls", lambda path: read_xls_column(path, 1, 24))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ManifestError, match=name.replace(".", r"\.")):
            call(tmp_path / name)
        (tmp_path / name).unlink()
        os.mkfifo(tmp_path / name)
        with pytest.raises(ManifestError, match="cannot be read"):
            call(tmp_path / name)
        (tmp_path / name).unlink()
        with open(tmp_path / name, "wb") as file:
            file.truncate(MAX_WORKBOOK_BYTES + 1)
        with pytest.raises(ManifestError, match="too long"):
            call(tmp_path / name)
