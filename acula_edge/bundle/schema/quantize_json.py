"""``quantize.json``: how the INT8 model came about."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, UnsetType

from acula_edge.bundle.schema.base import (
    CalibrationSet,
    Count,
    File,
    Interval,
    Parity,
    Precision,
    Profile,
    SizeRatios,
    Struct,
)


class Loss(Struct):
    """What quantization did to embeddings and scores (:mod:`acula_edge.quantize.judging`)."""

    sqnr_db: float | None
    cosine_mean: float
    probe_loss: float | None


class Equalization(Struct):
    """Cross-layer equalization: ``sqnr_db`` by the balance that was tried, ``plain_sqnr_db`` without any."""

    pairs: Count
    balance: float | None
    sqnr_db: dict[str, float | None]
    plain_sqnr_db: float | None = None


class Smoothing(Struct):
    """SmoothQuant: ``sqnr_db`` by the exponent that was tried, ``plain_sqnr_db`` without any."""

    layers: dict[str, Count]
    exponent: float | str | None
    sqnr_db: dict[str, float | None]
    plain_sqnr_db: float | None = None


class BeforeAfter(Struct):
    """dB before and after; null where nothing differs."""

    before: float | None
    after: float | None


class FitAndJudge(Struct):
    """Windows."""

    fit: Count
    judge: Count


class BiasCorrection(Struct):
    """Whether corrected biases were kept, or why none were tried."""

    kept: bool
    reason: str | UnsetType = UNSET
    sqnr_db: BeforeAfter | UnsetType = UNSET
    n_windows: FitAndJudge | UnsetType = UNSET
    judged_by: str | UnsetType = UNSET


class PrecisionStep(Loss):
    """A plan that was tried: which layers were in float, and the loss then."""

    left_float: list[str]


class MixedPrecision(Struct):
    """Layers left in float for a cosine of at least ``min_cosine``, where integers alone did not reach it."""

    min_cosine: float
    cosine_mean: float
    needed: bool
    met: bool | UnsetType = UNSET
    left_float: list[str] | UnsetType = UNSET
    trail: list[PrecisionStep] | UnsetType = UNSET


class LayerSensitivity(Struct):
    """The loss with this layer alone on integers, and with all but it."""

    node: str
    operator: str
    macs: Count
    alone: Loss
    spared: Loss | None


class Sensitivity(Struct):
    """Every weighted layer's, or why it was not measured."""

    reason: str | UnsetType = UNSET
    n_windows: Count | UnsetType = UNSET
    probe_loss: str | UnsetType = UNSET
    whole: Loss | UnsetType = UNSET
    layers: list[LayerSensitivity] | UnsetType = UNSET


class FloatNode(Struct):
    """A node that stays in float, and why."""

    node: str
    reason: str


class Nodes(Struct):
    """How many are on integers; which weighted ones are not."""

    quantized: Count
    float: list[FloatNode]


class SpeedTrial(Struct, kw_only=True):
    """One plan of the speed guard against float on this machine."""

    left_float: list[str]
    verdict: str
    speedup: float
    speedup_ci95: Interval
    pairs: Count | UnsetType = UNSET
    reference_p50_ms: float | UnsetType = UNSET
    candidate_p50_ms: float | UnsetType = UNSET
    mode: str | UnsetType = UNSET
    threads: Count | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    cpu: str | None | UnsetType = UNSET
    integer_layers: Count
    fell_back: list[str]
    islands: list[str]
    conversions: Count
    again: dict[str, Any] | UnsetType = UNSET


class Speed(Struct):
    """What the speed guard found (:mod:`acula_edge.quantize.speed`); ``before`` fine-tuning where that was done."""

    measured: bool
    recommended: Precision
    reason: str
    trail: list[SpeedTrial]
    before: Speed | UnsetType = UNSET


class Judgement(Struct):
    """What the gate says of an INT8 model before any test person is asked (:mod:`acula_edge.pipeline.fine_tuning`).

    ``asked`` is whom: validation persons, or calibration windows where there are none.
    """

    asked: str
    n_subjects: Count
    passed: bool
    reasons: list[str]
    parity: Parity | None


class FineTuningRun(Struct):
    """A fine-tuning in integers."""

    epochs: Count
    steps: Count
    learning_rate: float
    windows: Count
    sqnr_db: BeforeAfter


class FineTuning(Struct):
    """Whether INT8 was fine-tuned (``quantize.aware``), and why."""

    asked: str
    post_training: Judgement
    outcome: Literal["not needed", "not possible", "kept post-training", "fine-tuned"]
    reason: str | UnsetType = UNSET
    training: FineTuningRun | UnsetType = UNSET
    fine_tuned: Judgement | UnsetType = UNSET
    measured_before: list[str] | UnsetType = UNSET


class Quantize(File, kw_only=True):
    """``quantize.json``: how the INT8 model came about."""

    SCHEMA = "acula-edge/quantize/1"

    schema: str = SCHEMA
    profile: Profile
    method: str
    activation_type: str
    weight_type: str
    calibration: CalibrationSet
    equalization: Equalization
    smoothing: Smoothing
    bias_correction: BiasCorrection
    mixed_precision: MixedPrecision | UnsetType = UNSET
    sensitivity: Sensitivity | UnsetType = UNSET
    nodes: Nodes
    ops: dict[str, Count]
    macs: Count
    int8_mac_share: float
    parity: Parity
    sizes_bytes: dict[str, Count]
    size_ratio: SizeRatios
    speed: Speed | UnsetType = UNSET
    aware: FineTuning | UnsetType = UNSET
