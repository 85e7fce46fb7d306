"""The manifest: one row per recording, as JSON lines. Every reader makes it, every later stage reads only it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from acula_edge.errors import ManifestError
from acula_edge.files import write_jsonl

Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Recording:
    """One recording.

    Attributes:
        recording: id, unique within its data set.
        path: audio file; absolute once a reader made it.
        subject: id of the person; splits never divide it. Readers prefix it with the data set's name.
        dataset: name of the data set.
        sample_rate_hz: rate of the file.
        duration_s: length of the file.
        sha256: of the file's bytes; "" until computed.
        split: ``train``, ``val``, ``test`` or "" before splitting.
        stratum: value that splits keep balanced (the main label), "" for none.
        metadata: cleaned columns, lower_snake_case keys, values text, number or None; the only source of reports
            and labels. Never logged.
    """

    recording: str
    path: str
    subject: str
    dataset: str
    sample_rate_hz: int
    duration_s: float
    sha256: str = ""
    split: str = ""
    stratum: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Id that is unique over data sets."""
        return f"{self.dataset}/{self.recording}"

    def with_split(self, split: str) -> Recording:
        """The same recording in a split."""
        return replace(self, split=split)


def write_manifest(path: str | Path, recordings: Iterable[Recording]) -> None:
    """Write recordings as JSON lines, atomically."""
    write_jsonl(path, (asdict(recording) for recording in recordings))


def read_manifest(path: str | Path) -> list[Recording]:
    """Read a manifest written by :func:`write_manifest`.

    Raises:
        ManifestError: a line is not a recording; names the line.
    """
    recordings = []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"the manifest {path} cannot be read", given=error) from error
    for number, line in enumerate(lines, start=1):
        try:
            recordings.append(Recording(**json.loads(line)))
        except (TypeError, ValueError) as error:
            raise ManifestError(f"{path}, line {number}: not a recording", given=str(error)) from error
    return recordings
