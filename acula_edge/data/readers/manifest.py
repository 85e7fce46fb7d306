"""A user's own corpus: a manifest (JSON lines, CSV or Parquet) with one row per recording.

Columns: ``path`` and ``subject`` are required; ``recording``, ``dataset``, ``split``, ``stratum`` and ``sha256`` are
read where given; every other column is metadata. Relative paths start at the manifest's folder.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from acula_edge.data.manifest import Recording
from acula_edge.data.reader import Reader, ReadResult, SetAside, check_options, clean, column_name, read_header, readers
from acula_edge.errors import AudioError, ManifestError, did_you_mean
from acula_edge.extras import missing_package

SUFFIXES = (".jsonl", ".csv", ".parquet")
REQUIRED = ("path", "subject")
_SPLITS = ("", "train", "val", "test")
_OWN = ("path", "subject", "recording", "dataset", "split", "stratum", "sha256", "sample_rate_hz", "duration_s")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")

Row = dict[str, Any]


class ManifestReader(Reader):
    """Reads a manifest file, or a folder that holds ``manifest.jsonl``, ``manifest.csv`` or ``manifest.parquet``."""

    def read(self, root: Path, options: Mapping[str, Any]) -> ReadResult:
        """See :class:`acula_edge.data.reader.Reader`; option ``dataset`` names rows that do not name their own."""
        check_options("manifest", options, ("dataset",))
        file = find_manifest(root)
        default = str(options.get("dataset") or (file.stem if file.stem != "manifest" else file.absolute().parent.name))
        result = ReadResult()
        row_of_id: dict[str, str] = {}
        row_of_path: dict[str, str] = {}
        first_of_subject: dict[str, tuple[str, str]] = {}
        shared: list[str] = []
        missing = 0
        for where, row in read_rows(file):
            path, subject = _text(row, "path", where), _text(row, "subject", where)
            dataset = _text(row, "dataset", where, default)
            known, first = first_of_subject.setdefault(subject, (dataset, where))
            if known != dataset:
                shared.append(f"{where} and {first}")
            audio = Path(os.path.normpath(file.absolute().parent / path))
            name = _text(row, "recording", where, re.sub(r"[^\w.-]+", "_", os.path.splitext(Path(path))[0]).strip("_"))
            key = f"{dataset}/{name}"
            _refuse_twice(row_of_id, key, where, f"the recording id {key}")
            _refuse_twice(row_of_path, os.path.realpath(audio), where, f"the audio file {audio}")
            split = _text(row, "split", where, "")
            if split not in _SPLITS:
                raise ManifestError(f"{where}: unknown split", given=split, allowed=_SPLITS[1:])
            try:
                sample_rate_hz, duration_s = read_header(audio)
            except AudioError as error:
                missing += not audio.exists()
                result.set_aside.append(SetAside(key, str(audio), error.problem))
                continue
            result.recordings.append(
                Recording(
                    recording=name,
                    path=str(audio),
                    subject=subject if subject.startswith(f"{dataset}/") else f"{dataset}/{subject}",
                    dataset=dataset,
                    sample_rate_hz=sample_rate_hz,
                    duration_s=duration_s,
                    sha256=_text(row, "sha256", where, "").lower(),
                    split=split,
                    stratum=_text(row, "stratum", where, ""),
                    metadata=_metadata(row, where),
                )
            )
        if shared:
            result.warnings.append(
                f"{len(shared)} rows have a subject id that another data set has too (the first: {shared[0]}); they "
                "count as different persons. If they are the same, list them under one data set: their splits may leak"
            )
        if not result.recordings:
            total = len(result.set_aside)
            counts = f"{total} rows, {missing} of whose files do not exist; the first: "
            raise ManifestError(
                f"{file} names no audio file that can be read",
                given=counts + result.set_aside[0].path if total else "no rows",
                allowed="paths relative to the manifest's folder, or absolute ones",
                remedy="mend the column path, or move the manifest to the folder where its paths start",
            )
        return result


def find_manifest(root: Path) -> Path:
    """The manifest file that `root` is or holds.

    Raises:
        ManifestError: there is none, or more than one.
    """
    if root.is_file():
        if root.suffix.casefold() not in SUFFIXES:
            raise ManifestError(f"{root} is not a manifest", given=root.suffix, allowed=SUFFIXES)
        return root
    found = [root / f"manifest{suffix}" for suffix in SUFFIXES if (root / f"manifest{suffix}").is_file()]
    if len(found) != 1:
        raise ManifestError(
            f"{root} holds {'several manifests' if found else 'no manifest'}",
            given=[path.name for path in found] or None,
            allowed=[f"one of manifest{suffix}" for suffix in SUFFIXES],
            remedy="give the manifest's own path",
        )
    return found[0]


def read_rows(file: Path) -> Iterator[tuple[str, Row]]:
    """Rows with the place (file and row) that messages name."""
    read = {".jsonl": _read_jsonl, ".csv": _read_csv, ".parquet": _read_parquet}[file.suffix.casefold()]
    try:
        yield from read(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"the manifest {file} cannot be read", given=str(error)) from error


def _read_jsonl(file: Path) -> Iterator[tuple[str, Row]]:
    with open(file, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{file}, line {number}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ManifestError(f"{where}: not JSON", given=str(error)) from error
            if not isinstance(row, dict):
                raise ManifestError(f"{where}: not a JSON object", given=type(row).__name__)
            _require_columns(row, where)
            yield where, row


def _read_csv(file: Path) -> Iterator[tuple[str, Row]]:
    with open(file, encoding="utf-8-sig", newline="") as lines:
        table = csv.DictReader(lines)
        _require_columns(dict.fromkeys(table.fieldnames or ()), str(file))
        for row in table:
            where = f"{file}, line {table.line_num}"
            if None in row or None in row.values():
                raise ManifestError(f"{where}: has another number of cells than the header")
            yield where, {key: value if key in _OWN else _value_of_text(value) for key, value in row.items()}


def _read_parquet(file: Path) -> Iterator[tuple[str, Row]]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ModuleNotFoundError as error:
        raise missing_package(error) or error from error
    number = 0
    try:
        table = parquet.ParquetFile(file)
        _require_columns(dict.fromkeys(table.schema_arrow.names), str(file))
        for batch in table.iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                number += 1
                yield f"{file}, row {number}", row
    except pyarrow.ArrowException as error:
        raise ManifestError(f"the manifest {file} cannot be read as Parquet", given=str(error)) from error


def _require_columns(row: Mapping[str, Any], where: str) -> None:
    for column in REQUIRED:
        if column not in row:
            raise ManifestError(
                f"{where}: there is no column {column!r}",
                allowed=f"{', '.join(REQUIRED)}, then any of {', '.join(sorted(set(_OWN) - set(REQUIRED)))}, metadata",
                remedy=did_you_mean(column, row),
            )


def _text(row: Row, column: str, where: str, default: str | None = None) -> str:
    value = row.get(column)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of numbers with gaps
    if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
        return str(value).strip()
    if default is None or not (value is None or value == "" or (isinstance(value, float) and math.isnan(value))):
        raise ManifestError(f"{where}: the column {column!r} is {'empty' if value in (None, '') else 'no text'}")
    return default


def _metadata(row: Row, where: str) -> dict[str, Any]:
    nested = row.get("metadata")
    if nested is not None and not isinstance(nested, dict):
        raise ManifestError(f"{where}: metadata is no mapping", given=type(nested).__name__)
    columns = {key: value for key, value in row.items() if key not in _OWN and key != "metadata"}
    metadata: dict[str, Any] = {}
    for column, value in {**columns, **(nested or {})}.items():
        name = column_name(str(column))
        if not name or name in metadata:
            raise ManifestError(f"{where}: the column {column!r} has no usable or no unique name")
        metadata[name] = _value(value, f"{where}: the column {column!r}")
    return metadata


def _value(value: Any, where: str) -> str | int | float | None:
    if isinstance(value, bool):
        return int(value)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, (int, float)):
        return value
    raise ManifestError(f"{where} holds neither text nor a number", given=type(value).__name__)


def _value_of_text(text: str) -> str | int | float | None:
    if _NUMBER.fullmatch(text.strip()):
        number = float(text)
        return int(text) if text.strip().lstrip("-").isdigit() else number
    return clean(text)


def _refuse_twice(seen: dict[str, str], value: str, where: str, what: str) -> None:
    if value in seen:
        raise ManifestError(f"{where}: {what} is listed twice", given=f"first in {seen[value]}")
    seen[value] = where


readers.register("manifest", ManifestReader())
