"""Clinical reports from metadata, behind one interface; test recordings are never written about (SPEC fact 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from acula_edge.data.manifest import Recording
from acula_edge.errors import InputError
from acula_edge.files import write_jsonl
from acula_edge.recipe import ReportsConfig
from acula_edge.registry import Registry

Writer = Callable[[Recording, ReportsConfig], list[str]]
writers: Registry[Writer] = Registry("report writer", package="acula_edge.data.writers")


def write_reports(recording: Recording, config: ReportsConfig) -> list[str]:
    """Reports of one recording, ``config.variants`` phrasings of the same facts.

    Raises:
        InputError: the recording belongs to a test split, or the configuration asks for no phrasing.
    """
    if recording.split == "test":
        raise InputError(
            f"{recording.key} is a test recording; a report of it would leak its label into alignment",
            allowed="recordings of the train and val splits",
        )
    if config.variants < 1:
        raise InputError("reports.variants must be at least 1", given=config.variants)
    return writers[config.writer](recording, config)


def write_corpus(recordings: Iterable[Recording], config: ReportsConfig, path: str | Path) -> int:
    """Write one JSON line {recording, variant, report} per report, atomically; test recordings are left out.

    Returns:
        Number of reports.
    """
    count = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal count
        for recording in recordings:
            if recording.split == "test":
                continue
            for variant, report in enumerate(write_reports(recording, config)):
                count += 1
                yield {"recording": recording.key, "variant": variant, "report": report}

    write_jsonl(path, rows())
    return count
