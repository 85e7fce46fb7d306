"""A user's own corpus: a manifest (JSON lines, CSV, TSV, Excel or Parquet) with one row per recording.

Columns: ``path`` and ``subject`` are required; ``recording``, ``dataset``, ``split``, ``stratum`` and ``sha256`` are
read where given; every other column is metadata. Relative paths start at the manifest's folder.

Text is read as spreadsheets and pandas write it: separated by commas, semicolons (decimals then have commas), tabs or
bars, in UTF-8 or marked UTF-16; other encodings are refused. Columns without a name and empty rows mean nothing. Cells
stay what they are: ``NA`` and ``007`` are texts, and so is ``1,234``. A workbook's first sheet is read.

A manifest from a stranger can name any file that you may read; what is no audio is set aside, nothing is written or
sent. To take only what lies in one folder, say which: option ``root``, on the command line
``--set data.sources.NAME.options.root=DIR`` (NAME is ``manifest`` for ``acula-edge data prepare manifest``).
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

from acula_edge.data.identity import normalize_id
from acula_edge.data.listed_files import ListedFiles
from acula_edge.data.manifest import Recording
from acula_edge.data.manifest_rows import OWN, SUFFIXES, Row, read_rows
from acula_edge.data.reader import Options, Reader, ReadResult, SetAside, check_options, read_header, readers
from acula_edge.data.release_tables import clean, column_name
from acula_edge.errors import AudioError, ManifestError, RecipeError
from acula_edge.limits import MAX_CELL_CHARACTERS, MAX_ID_CHARACTERS, MAX_PATH_CHARACTERS
from acula_edge.plain_text import acting_character

_SPLITS = ("", "train", "val", "test")


class ManifestReader(Reader):
    """Reads a manifest file, or a folder that holds one: ``manifest.jsonl``, ``manifest.csv`` and so on."""

    def read(self, root: Path, options: Options) -> ReadResult:
        """See :class:`acula_edge.data.reader.Reader`.

        Args:
            options: ``dataset`` names rows that do not name their own. ``root`` is a folder, which may be relative to
                the manifest's: every path must lie in it after symbolic links have been followed.
        """
        check_options("manifest", options, ("dataset", "root"))
        file = find_manifest(root)
        within = _folder_of_all(file, options.get("root"))
        default = str(options.get("dataset") or (file.stem if file.stem != "manifest" else file.absolute().parent.name))
        result = ReadResult()
        row_of_id: dict[str, str] = {}
        row_of_path: dict[str, str] = {}
        first_of_subject: dict[str, tuple[str, str]] = {}
        shared: list[str] = []
        missing = 0
        files = ListedFiles()
        for where, row in read_rows(file, result.warnings):
            path, subject = _text(row, "path", where), _text(row, "subject", where)
            dataset = normalize_id(_text(row, "dataset", where, default))
            if clean(subject) is None:
                raise ManifestError(
                    f"{where}: the column 'subject' says that there is no id, and all such rows would be one person",
                    given=subject,
                    remedy="leave out recordings of unknown persons, or give each an id of its own",
                )
            known, first = first_of_subject.setdefault(normalize_id(subject), (dataset, where))
            if known != dataset:
                shared.append(f"{where} and {first}")
            audio = files.find(file.absolute().parent, path)
            if within is not None:
                audio = _inside(audio, within, where)
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
                reason = error.problem
                if not os.path.exists(audio):
                    missing += 1
                    near = files.near(audio)
                    reason += f"; nearly the same name: {', '.join(near)}" if near else ""
                result.set_aside.append(SetAside(key, str(audio), reason))
                continue
            result.recordings.append(
                Recording(
                    recording=name,
                    path=str(audio),
                    subject=person
                    if (person := normalize_id(subject)).startswith(f"{dataset}/")
                    else f"{dataset}/{subject}",
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
                given=counts + f"{result.set_aside[0].path}: {result.set_aside[0].reason}" if total else "no rows",
                allowed="paths relative to the manifest's folder, or absolute ones",
                remedy="mend the column path, or move the manifest to the folder where its paths start",
            )
        return result


def _folder_of_all(file: Path, root: Any) -> Path | None:
    """The folder that no path may leave; None where there is none."""
    if root is None:
        return None
    if not isinstance(root, str) or not root or "\0" in root:
        raise RecipeError("the manifest's option root must be a folder", given=repr(root))
    found = Path(os.path.realpath(file.absolute().parent / Path(root).expanduser()))
    if not found.is_dir():
        raise ManifestError(f"the manifest's option root is no folder: {found}", given=root)
    return found


def _inside(audio: Path, folder: Path, where: str) -> Path:
    """The path with its symbolic links followed, so that none can be changed afterwards.

    Raises:
        ManifestError: it lies outside the folder.
    """
    found = Path(os.path.realpath(audio))
    if not found.is_relative_to(folder):
        raise ManifestError(
            f"{where}: the path lies outside the folder that was given as root",
            given=f"{audio}" + (f", a link to {found}" if found != audio else ""),
            allowed=f"paths below {folder}",
            remedy="remove the row, or leave the option root out if you trust the manifest",
        )
    return found


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


def _text(row: Row, column: str, where: str, default: str | None = None) -> str:
    value = row.get(column)
    if isinstance(value, str):
        _check_text(value, column, where)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of numbers with gaps
    if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
        return str(value).strip()
    if default is None or not (value is None or value == "" or (isinstance(value, float) and math.isnan(value))):
        raise ManifestError(f"{where}: the column {column!r} is {'empty' if value in (None, '') else 'no text'}")
    return default


def _check_text(text: str, column: str, where: str) -> None:
    """An id or a path must be what it looks like on a terminal, in a log, in a file's name."""
    longest = MAX_PATH_CHARACTERS if column == "path" else MAX_ID_CHARACTERS
    if len(text) > longest:
        raise ManifestError(
            f"{where}: the column {column!r} is too long",
            given=f"{len(text)} characters",
            allowed=f"{longest} characters",
        )
    found = acting_character(text.strip())
    if column == "path":  # may hold any but the one that no system takes
        found = r"\x00" if "\0" in text else None
    if found is not None:
        raise ManifestError(f"{where}: the column {column!r} holds a control character", given=found)
    if column == "dataset" and "/" in text:
        raise ManifestError(f"{where}: the name of a data set holds a slash", given=text)


def _metadata(row: Row, where: str) -> dict[str, Any]:
    nested = row.get("metadata")
    if nested is not None and not isinstance(nested, dict):
        raise ManifestError(f"{where}: metadata is no mapping", given=type(nested).__name__)
    columns = {key: value for key, value in row.items() if key not in OWN and key != "metadata"}
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
        if len(value) > MAX_CELL_CHARACTERS:
            raise ManifestError(
                f"{where} is too long",
                given=f"{len(value)} characters",
                allowed=f"{MAX_CELL_CHARACTERS} characters",
            )
        return clean(value)
    if isinstance(value, (int, float)):
        return value
    raise ManifestError(f"{where} holds neither text nor a number", given=type(value).__name__)


def _refuse_twice(seen: dict[str, str], value: str, where: str, what: str) -> None:
    if value in seen:
        raise ManifestError(f"{where}: {what} is listed twice", given=f"first in {seen[value]}")
    seen[value] = where


readers.register("manifest", ManifestReader())
