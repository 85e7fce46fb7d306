"""Manifests in Parquet, as the child process reads them, but in this one, where coverage and crashes are seen."""

from __future__ import annotations

import datetime
import functools
import io
from random import Random
from typing import Any
from unittest import mock

import pyarrow
import pyarrow.parquet

from acula_edge.corpora.own_recordings import ManifestReader
from acula_edge.data import manifest_rows
from acula_edge.data.parquet_rows import rows_of
from tests.fuzz.harness import Harness, MutateBytes, refusing
from tests.fuzz.harnesses.manifest import COLUMNS, tiny_sound
from tests.fuzz.sandbox import Sandbox

_READER = ManifestReader()


def one_input(data: bytes, sandbox: Sandbox) -> None:
    """The file's bytes. Memory and time of the child are its own limits' affair (tests/data)."""
    sandbox.keep("a.wav", tiny_sound())
    sandbox.keep("b.wav", tiny_sound())
    path = sandbox.write("manifest.parquet", data)
    with mock.patch.object(manifest_rows, "read_parquet", _read_here), refusing():
        for recording in _READER.read(path, {"root": "."}).recordings:
            assert recording.sample_rate_hz > 0 and recording.subject and recording.dataset


@functools.cache
def seeds() -> list[bytes]:
    """Texts, numbers, gaps; compressed and with a dictionary as well."""
    columns = {"path": ["a.wav", "b.wav"], "subject": ["p1", "p2"], "age": [61, None]}
    nested = {"path": ["a.wav"], "subject": [1], "metadata": [{"sex": "f", "bmi": 20.5}]}
    return [_parquet(columns), _parquet(nested), _parquet(columns, compression="SNAPPY", use_dictionary=True)]


def mutate(data: bytes, random: Random, blind: MutateBytes, max_bytes: int) -> bytes:
    """Other columns as often as other bytes."""
    if random.random() < 0.4:
        made = _parquet(_columns(random))
        return made if len(made) <= max_bytes else data
    return blind(data, max_bytes)


def _read_here(path: Any, max_bytes: int, max_cpu_s: int, max_line: int) -> Any:
    return rows_of(path, max_line)


def _columns(random: Random) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"path": ["a.wav", "b.wav"], "subject": ["p1", "p2"]}
    kinds: list[list[Any]] = [
        [1, 2], [0.5, float("nan")], [True, None], [b"a.wav", b"\xff"], [["a"], []], [{"a": 1}, None], [None, None],
        [2**63 - 1, -1], ["a.wav", "a.wav"], ["x" * 300, ""], [datetime.date(2020, 1, 1), None], ["\x00", "é"],
    ]  # fmt: skip
    for _ in range(random.randint(1, 3)):
        columns[random.choice([*COLUMNS, "age", "Age", " ", "metadata"])] = random.choice(kinds)
    if random.random() < 0.2:
        del columns[random.choice(list(columns))]
    return columns


def _parquet(columns: dict[str, list[Any]], compression: str = "NONE", use_dictionary: bool = False) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(
        pyarrow.table(columns), file, compression=compression, write_statistics=False, use_dictionary=use_dictionary
    )
    return file.getvalue()


HARNESS = Harness("manifests: Parquet", one_input, seeds, mutate, max_bytes=4096)
