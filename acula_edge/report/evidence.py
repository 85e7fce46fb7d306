"""What a run says about itself, read from its JSON files and from nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acula_edge.bundle.layout import BUNDLE_FILE, MODEL_INT8_FILE
from acula_edge.bundle.schema import Bundle as BundleFacts
from acula_edge.errors import ArtifactError
from acula_edge.files import read_json
from acula_edge.recipe import Recipe
from acula_edge.report.corpus import Corpus, count_recordings, count_set_aside
from acula_edge.run import Run

Json = dict[str, Any]

_REMEDY = "make the file again: acula-edge export, verify or benchmark"
_PARTS = ("verify", "benchmark", "audit", "quantize")


@dataclass(frozen=True)
class Bundle:
    """The JSON files of one bundle; None for those that are not there.

    Attributes:
        name: of its folder.
        facts: ``bundle.json``.
    """

    name: str
    facts: Json
    verify: Json | None = None
    benchmark: Json | None = None
    audit: Json | None = None
    quantize: Json | None = None

    @property
    def has_int8(self) -> bool:
        """Whether it holds an INT8 model."""
        return MODEL_INT8_FILE in self.files

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 by file name."""
        return dict(self.facts.get("files") or {})

    @property
    def sizes_bytes(self) -> dict[str, int]:
        """Bytes by file name."""
        return dict(self.facts.get("sizes_bytes") or {})

    def models(self) -> dict[str, float | None]:
        """Mean AUROC over tasks by model; empty before verification."""
        summary = (self.verify or {}).get("summary") or {}
        return dict(summary.get("means") or {})


@dataclass(frozen=True)
class Evidence:
    """Everything that a report may show.

    Attributes:
        metrics: logged rows, by stage ("align", "distill/base"), one per epoch, in order.
        bundles: the recipe's own student and profile first, then by name.
    """

    recipe: Recipe
    manifest: Json
    corpora: Sequence[Corpus]
    shared_subjects: int
    set_aside: dict[str, int] | None
    metrics: dict[str, list[Json]]
    bundles: Sequence[Bundle]

    @property
    def stages(self) -> dict[str, Json]:
        """What finished stages recorded."""
        return dict(self.manifest.get("stages") or {})

    def stage(self, name: str) -> Json:
        """What one stage recorded; empty if it has not finished."""
        return dict(self.stages.get(name) or {})


def read_evidence(run: Run) -> Evidence:
    """Read a run's files.

    Raises:
        ArtifactError: a file in it is damaged or of another version.
        ManifestError: the list of recordings is damaged.
    """
    recipe = run.recipe
    corpora, shared_subjects = count_recordings(run.recordings_path)
    return Evidence(
        recipe=recipe,
        manifest=run.manifest,
        corpora=corpora,
        shared_subjects=shared_subjects,
        set_aside=count_set_aside(run.set_aside_path),
        metrics=_curves(run.metrics()),
        bundles=_bundles(run, recipe),
    )


def is_number(value: Any) -> bool:
    """Whether something read from JSON is a number that can be drawn."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _bundles(run: Run, recipe: Recipe) -> list[Bundle]:
    own = run.bundle_dir(recipe.distill.student, recipe.quantize.profile).name
    bundles = [
        Bundle(
            name=folder.name,
            facts=read_numbers(folder / BUNDLE_FILE, BundleFacts.SCHEMA),
            **{part: _read(folder, part) for part in _PARTS},
        )
        for folder in run.bundles
    ]
    return sorted(bundles, key=lambda bundle: (bundle.name != own, bundle.name))


def _read(folder: Path, part: str) -> Json | None:
    file = folder / f"{part}.json"
    if not file.is_file():
        return None
    return read_numbers(file, f"acula-edge/{part}/1")


def read_numbers(file: Path, schema: str) -> Json:
    """A JSON file of `schema`; numbers that are not finite, which Python reads but JSON has not, are an error."""
    value: Json = read_json(file, schema=schema)
    if not _is_finite(value):
        raise ArtifactError(
            f"{file} holds a number that is not finite", allowed="null where a number does not exist", remedy=_REMEDY
        )
    return value


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _curves(rows: Sequence[Json]) -> dict[str, list[Json]]:
    """Rows by stage and student. An epoch that was run again after a resume counts once, the last time."""
    curves: dict[str, dict[float, Json]] = {}
    for row in rows:
        if isinstance(row, dict) and is_number(row.get("epoch")):
            name = "/".join(str(row[key]) for key in ("stage", "student") if row.get(key))
            curves.setdefault(name, {})[row["epoch"]] = row
    return {name: [epochs[epoch] for epoch in sorted(epochs)] for name, epochs in curves.items()}
