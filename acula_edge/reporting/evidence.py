"""What a run says about itself, read from its JSON files and from nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acula_edge.bundle.json_files import Kind, parse_facts
from acula_edge.bundle.layout import (
    AUDIT_FILE,
    BENCHMARK_FILE,
    BUNDLE_FILE,
    MODEL_INT8_FILE,
    QUANTIZE_FILE,
    VERIFY_FILE,
)
from acula_edge.bundle.schema import (
    AdjustedVerdict,
    Audit,
    Benchmark,
    MeanDelta,
    Measurement,
    PairMeasurement,
    Quantize,
    Row,
    TaskEvaluation,
    Verify,
)
from acula_edge.bundle.schema import Bundle as BundleFacts
from acula_edge.errors import ArtifactError
from acula_edge.files import read_json
from acula_edge.recipe import Recipe
from acula_edge.reporting.corpus import Corpus, count_recordings, count_set_aside
from acula_edge.run import Run

Json = dict[str, Any]

_REMEDY = "make the file again: acula-edge export, verify or benchmark"


@dataclass(frozen=True)
class Bundle:
    """What the JSON files of one bundle say; None for those that are not there.

    Attributes:
        name: of its folder.
        facts: ``bundle.json``.
    """

    name: str
    facts: BundleFacts
    verify: Verify | None = None
    benchmark: Benchmark | None = None
    audit: Audit | None = None
    quantize: Quantize | None = None

    @property
    def has_int8(self) -> bool:
        """Whether it holds an INT8 model."""
        return MODEL_INT8_FILE in self.facts.files

    @property
    def tasks(self) -> Sequence[TaskEvaluation]:
        """What was evaluated; empty before verification."""
        return () if self.verify is None else self.verify.tasks

    @property
    def mean_delta(self) -> MeanDelta | None:
        """Mean AUROC of INT8 minus that of the float student."""
        return None if self.verify is None else self.verify.summary.mean_delta.int8_vs_student

    @property
    def adjusted(self) -> Mapping[str, AdjustedVerdict]:
        """Verdicts on INT8 against its float student by task, adjusted over tasks."""
        return {} if self.verify is None else self.verify.summary.verdicts_holm.int8_vs_student

    @property
    def measurements(self) -> Sequence[Measurement]:
        """Rows of ``benchmark.json``."""
        return () if self.benchmark is None else self.benchmark.measurements

    @property
    def comparisons(self) -> Sequence[PairMeasurement]:
        """Pairs that ran in turn."""
        return () if self.benchmark is None else self.benchmark.comparisons

    def mean_auroc(self, model: str) -> float | None:
        """Over tasks; None before verification."""
        mean: float | None = None if self.verify is None else getattr(self.verify.summary.means, model)
        return mean


def row_of(task: TaskEvaluation, model: str) -> Row | None:
    """What ``verify.json`` says of a model on a task."""
    row: Row | None = getattr(task, model)
    return row


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
            facts=_read(folder / BUNDLE_FILE, BundleFacts),
            verify=_read_if_there(folder / VERIFY_FILE, Verify),
            benchmark=_read_if_there(folder / BENCHMARK_FILE, Benchmark),
            audit=_read_if_there(folder / AUDIT_FILE, Audit),
            quantize=_read_if_there(folder / QUANTIZE_FILE, Quantize),
        )
        for folder in run.bundles
    ]
    return sorted(bundles, key=lambda bundle: (bundle.name != own, bundle.name))


def _read(file: Path, kind: type[Kind]) -> Kind:
    return parse_facts(read_numbers(file, kind.SCHEMA), kind, file)


def _read_if_there(file: Path, kind: type[Kind]) -> Kind | None:
    return _read(file, kind) if file.is_file() else None


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
