"""Types and structures that several files of a bundle share."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from acula_edge.limits import MAX_EMBEDDING_DIM, MAX_SAMPLE_RATE_HZ, MAX_TASKS, MAX_WINDOW_SAMPLES, MIN_SAMPLE_RATE_HZ

_MAX_NAME_BYTES = 255

Text = Annotated[str, Meta(max_length=4096)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Interval = tuple[float, float]
SampleRate = Annotated[int, Meta(ge=MIN_SAMPLE_RATE_HZ, le=MAX_SAMPLE_RATE_HZ)]
Samples = Annotated[int, Meta(ge=1, le=MAX_WINDOW_SAMPLES)]
Seconds = Annotated[float, Meta(ge=1e-6, le=float(MAX_WINDOW_SAMPLES))]
Column = Annotated[int, Meta(ge=0, le=MAX_EMBEDDING_DIM)]
Texts = Annotated[list[Text], Meta(max_length=MAX_TASKS)]
Profile = Literal["cpu_x86", "cpu_arm", "tensorrt"]
Precision = Literal["int8", "float"]
Verdict = Literal["identical", "non-inferior", "inconclusive", "inferior"]
Metric = Literal["auroc", "mae"]
Kind = Literal["binary", "multiclass", "regression"]


def is_plain_name(name: object) -> bool:
    """Whether a text names a file in a folder itself: no folder, no way out of it, not hidden, nothing unprintable."""
    return (
        isinstance(name, str)
        and 0 < len(name.encode(errors="replace")) <= _MAX_NAME_BYTES
        and not name.startswith(".")
        and name.isprintable()
        and not set(name) & set('/\\:*?"<>|')
    )


class Struct(msgspec.Struct):
    """An object of a JSON file."""


class File(Struct):
    """A JSON file with its schema's name, ``acula-edge/NAME/VERSION``."""

    SCHEMA: ClassVar[str]

    schema: str

    def __post_init__(self) -> None:
        if self.schema != self.SCHEMA:
            raise ValueError(f"the schema {self.schema}, not {self.SCHEMA}")


class Parity(Struct):
    """How close two forms of one model are, see :func:`acula_edge.quantize.parity.compare_rows`."""

    n: Count
    cosine_mean: float
    cosine_min: float
    cosine_p1: float
    cosine_centered_mean: float | None
    sqnr_db: float | None
    max_abs_error: float
    windows: str | UnsetType = UNSET


class Parities(Struct):
    """Comparisons of embeddings: of one graph with another, or of test recordings (``int8_vs_student``)."""

    int8_vs_student: Parity | UnsetType = UNSET
    onnx_vs_torch: Parity | UnsetType = UNSET
    int8_vs_onnx: Parity | UnsetType = UNSET


class CalibrationSet(Struct):
    """Windows that ranges were measured on, or that judged; subjects appear as hashes only."""

    n_windows: Count
    definition: str | None = None
    n_subjects: Count | UnsetType = UNSET
    datasets: dict[str, Count] | UnsetType = UNSET
    sample_rates_hz: dict[str, Count] | UnsetType = UNSET
    degraded: dict[str, Any] | UnsetType = UNSET
    subjects_sha256: list[str] | UnsetType = UNSET
    judges: CalibrationSet | None | UnsetType = UNSET


class SizeRatios(Struct):
    """Bytes of the float file over bytes of the INT8 file."""

    encoder: float
    model: float | UnsetType = UNSET


class ValueInterval(Struct):
    """A value and its 95 % interval."""

    value: float
    ci95: Interval | None
