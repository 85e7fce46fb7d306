"""Arrays of an ``.npz`` file: what the file says of them is held against the file before anything is allocated."""

from __future__ import annotations

import math
import os
import sys
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from acula_edge.errors import ArtifactError
from acula_edge.limits import (
    FREE_ARRAY_BYTES,
    MAX_ARCHIVE_ENTRIES,
    MAX_ARRAY_BYTES,
    MAX_ARRAY_EXPANSION,
    MAX_RANK,
)
from acula_edge.untrusted.regular_files import open_artifact
from acula_edge.untrusted.texts import parse_json

_SUFFIX = ".npy"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Arrays(dict[str, NDArray[Any]]):
    """Arrays by name, with the file that they are from; the errors of every access name it."""

    def __init__(self, path: Path, what: str, arrays: dict[str, NDArray[Any]]) -> None:
        super().__init__(arrays)
        self.path = path
        self.what = what

    def __missing__(self, name: str) -> NDArray[Any]:
        raise self.error(f"it has no array {name}")

    def numbers(self, name: str, ndim: int) -> NDArray[Any]:
        """An array of finite numbers with so many dimensions.

        Raises:
            ArtifactError: there is none, or it is of another kind.
        """
        array = self[name]
        if array.ndim != ndim or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
            raise self.error(f"{name} is no array of finite numbers with {ndim} dimensions")
        return array

    def header(self, schema: str, name: str = "header") -> dict[str, Any]:
        """The JSON object in an array of one text, whose ``schema`` must be this.

        Raises:
            ArtifactError: there is none.
        """
        text = self[name]
        if text.ndim != 0 or text.dtype.kind != "U":
            raise self.error(f"{name} is no text")
        try:
            value = parse_json(str(text))
        except ValueError as error:
            raise self.error(f"{name} is no JSON: {error}") from error
        if not isinstance(value, dict) or value.get("schema") != schema:
            found = value.get("schema") if isinstance(value, dict) else None
            raise ArtifactError(
                f"{self.path} has another schema", given=found, allowed=schema, remedy="make the file again"
            )
        return value

    def error(self, given: object) -> ArtifactError:
        """What is raised for a file that is not what it should be."""
        return ArtifactError(f"{self.path} cannot be read as {self.what}", given=given)


def read_npz(path: str | os.PathLike[str], what: str = "arrays", max_bytes: int = MAX_ARRAY_BYTES) -> Arrays:
    """Every array of an ``.npz`` file, in memory. Pickles in it are never read.

    Args:
        what: the file should hold, for the error.
        max_bytes: that the arrays may take in all.

    Raises:
        ArtifactError: no such file, not one of these, or arrays beyond the limits.
    """
    path = Path(path)
    with open_artifact(path, what, max_bytes) as file:
        try:
            return Arrays(path, what, _read(file, max_bytes))
        except ArtifactError:
            raise
        except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds for damaged files
            given = str(error).partition("\n")[0][:200] or type(error).__name__
            raise ArtifactError(f"{path} cannot be read as {what}", given=given) from error


def _read(file: BinaryIO, max_bytes: int) -> dict[str, NDArray[Any]]:
    size = os.fstat(file.fileno()).st_size
    allowed = min(max_bytes, max(FREE_ARRAY_BYTES, MAX_ARRAY_EXPANSION * size))
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_ARCHIVE_ENTRIES:
            raise ValueError(f"{len(entries)} arrays, at most {MAX_ARCHIVE_ENTRIES}")
        total = sum(entry.file_size for entry in entries)
        if total > allowed:
            raise ValueError(f"its arrays would unpack to {total} bytes, at most {allowed}")
        names = [entry.filename.removesuffix(_SUFFIX) for entry in entries]
        if len(set(names)) < len(names):
            raise ValueError("two arrays have the same name")
        arrays = {}
        for name, entry in zip(names, entries, strict=True):
            with archive.open(entry) as stream:
                _check_header(stream, entry.file_size)
            with archive.open(entry) as stream:
                arrays[name] = np.lib.format.read_array(stream, allow_pickle=False)
            if arrays[name].dtype.kind == "U":
                _check_characters(arrays[name])
        return arrays


def _check_header(stream: Any, size: int) -> None:
    """Before memory is taken: plain numbers or texts, as many as the entry has bytes for."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of NumPy's format")
    shape, _, dtype = _HEADERS[version](stream)
    if dtype.hasobject or dtype.kind not in "biufU" or dtype.itemsize == 0:
        raise ValueError(f"an array of {dtype}; objects would be pickles, which are never read")
    if len(shape) > MAX_RANK or any(isinstance(n, bool) or n < 0 for n in shape):
        raise ValueError(f"an array of the shape {shape}")
    length = math.prod(shape) * dtype.itemsize
    if length != size - stream.tell():
        raise ValueError(f"an array that says it has {length} bytes, and has {size - stream.tell()}")


def _check_characters(array: NDArray[Any]) -> None:
    codes = np.frombuffer(array.tobytes(), np.dtype("u4").newbyteorder(array.dtype.byteorder))
    if codes.max(initial=0) > sys.maxunicode:
        raise ValueError("a text of characters that there are none of")
