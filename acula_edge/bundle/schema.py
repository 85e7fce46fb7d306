"""What the JSON files of a bundle say: one structure per file, which writers fill and readers get.

A field is null where a number does not exist, never 0. A field that may be absent (:data:`UNSET`) belongs to something
that was not done, or not asked for. The published JSON Schema is made from these (:func:`describe_schema`).
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from acula_edge.limits import (
    MAX_BUNDLE_FILES,
    MAX_EMBEDDING_DIM,
    MAX_SAMPLE_RATE_HZ,
    MAX_TASKS,
    MAX_WINDOW_OVERLAP,
    MAX_WINDOW_SAMPLES,
    MIN_SAMPLE_RATE_HZ,
)

_SHA256 = re.compile("[0-9a-f]{64}")
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


# ------------------------------------------------------------------------------------------------------- bundle.json


class Input(Struct):
    """The window that the models take, and how recordings are cut into such."""

    sample_rate_hz: SampleRate
    samples: Samples
    window_s: Seconds
    hop_s: Seconds
    trim_top_db: Annotated[float, Meta(ge=0, le=1000)] | None
    name: Text = "waveform"
    dtype: Text = "float32"
    range: Interval = (-1.0, 1.0)


class Mel(Struct):
    """What ``encoder.onnx`` takes: [1, frames, bands]."""

    name: Text
    frames: Samples
    bands: Samples


class ScoredTask(Struct):
    """A task and its columns of the models' scores, ``start`` to before ``stop``.

    ``threshold`` is where a binary task decides, chosen on training persons; ``unit`` is a regression's.
    """

    id: Text
    name: Text
    dataset: Text
    kind: Kind
    labels: Texts
    unit: Text | None
    threshold: Share | None
    start: Column
    stop: Column


class FrontEnd(Struct, tag_field="kind"):
    """A front end beside ``frontend.onnx`` (:mod:`acula_edge.quantize.extra_frontends`)."""

    file: str
    sample_rate_hz: SampleRate

    def __post_init__(self) -> None:
        _check_name(self.file, "file")


class NativeFrontEnd(FrontEnd, tag="native"):
    """Takes the window at another sample rate."""

    samples: Samples
    frontend: dict[str, Any] = {}


class PcmFrontEnd(FrontEnd, tag="int16"):
    """Takes 16-bit samples."""

    samples: Samples


class StreamFrontEnd(FrontEnd, tag="stream"):
    """Takes chunks of ``hops`` hops; ``level`` is the file of the half that looks at a whole window."""

    level: str
    hops: Samples
    hop_samples: Samples

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_name(self.level, "level")
        if self.hops * self.hop_samples > MAX_WINDOW_SAMPLES:
            raise ValueError(f"chunks of more than {MAX_WINDOW_SAMPLES} samples")


class DataSet(Struct):
    """What a bundle was made of; see :func:`acula_edge.bundle.datasets.describe_datasets`."""

    title: str | None
    licence: str | None
    access: str | None
    recordings: Count
    subjects: Count
    synthetic: bool
    version: Sha256


class Provenance(Struct):
    """Where and by what a bundle was made. ``commit`` ends in ``-dirty`` where files were changed."""

    python: str = ""
    platform: str = ""
    os: str = ""
    commit: str | None = None
    packages: dict[str, str | None] = {}
    recipe: str | UnsetType = UNSET
    recipe_sha256: str | UnsetType = UNSET
    overrides: list[str] | UnsetType = UNSET
    weights_sha256: str | UnsetType = UNSET
    encoder_sha256: str | UnsetType = UNSET
    datasets: dict[str, DataSet] | UnsetType = UNSET
    subjects: str | UnsetType = UNSET


class Prompts(Struct):
    """The zero-shot prompts that a bundle carries as vectors."""

    file: str
    prompts: str
    prompts_sha256: Sha256
    temperature: Positive
    tasks: Texts


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


class QuantizationSummary(Struct):
    """What ``bundle.json`` repeats of ``quantize.json``."""

    method: str
    calibration: CalibrationSet
    ops: dict[str, Count]
    int8_mac_share: float
    size_ratio: SizeRatios


class Program(Struct):
    """By which program."""

    name: str
    version: str


class Bundle(File, kw_only=True):
    """``bundle.json``: what a bundle is, and the SHA-256 of every file in it.

    ``files`` and ``sizes_bytes`` come from the writer, the last two from :mod:`acula_edge.bundle.sealed`.
    """

    SCHEMA = "acula-edge/bundle/1"

    schema: str = SCHEMA
    name: Text
    disclaimer: Text
    input: Input
    embedding_dim: Annotated[int, Meta(ge=1, le=MAX_EMBEDDING_DIM)]
    tasks: Annotated[list[ScoredTask], Meta(max_length=MAX_TASKS)]
    created_by: Program | None = None
    student: Text | None = None
    encoder: Text | None = None
    profile: Profile | None = None
    frontend: dict[str, Any] | None = None
    mel: Mel | None = None
    parameters: Count | None = None
    opset: Count | None = None
    quantization: QuantizationSummary | None = None
    recommended: Precision | None = None
    recommended_because: str | None = None
    parity: Parities = msgspec.field(default_factory=Parities)
    provenance: Provenance = msgspec.field(default_factory=Provenance)
    frontends: Annotated[list[NativeFrontEnd | PcmFrontEnd | StreamFrontEnd], Meta(max_length=MAX_TASKS)] = []
    quality: dict[str, Any] | None = None
    smoothing: dict[str, Any] | None = None
    zero_shot: Prompts | None = None
    sizes_bytes: dict[str, Count] = {}
    files: dict[str, str] = {}
    self_check: str | UnsetType = UNSET
    sha256: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.files) > MAX_BUNDLE_FILES:
            raise ValueError(f"files: {len(self.files)}, at most {MAX_BUNDLE_FILES}")
        for name, sha256 in self.files.items():
            if not is_plain_name(name) or not _SHA256.fullmatch(sha256):
                raise ValueError(f"files: {name}: {sha256}"[:80])
        if len({task.id for task in self.tasks}) < len(self.tasks):
            raise ValueError("two tasks have one id")
        natives = [entry for entry in self.frontends if isinstance(entry, NativeFrontEnd)]
        windows = [(window.sample_rate_hz, window.samples) for window in natives]
        for rate_hz, samples in ((self.input.sample_rate_hz, self.input.samples), *windows):
            hop = round(self.input.hop_s * rate_hz)
            if hop < 1 or math.ceil(samples / hop) > MAX_WINDOW_OVERLAP:
                raise ValueError(f"input.hop_s: {self.input.hop_s}; at most {MAX_WINDOW_OVERLAP} windows may overlap")


def _check_name(name: str, field: str) -> None:
    if not is_plain_name(name):
        raise ValueError(f"{field}: {name!r} is no name of a file in the folder"[:120])


# ----------------------------------------------------------------------------------------------------- quantize.json


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


# -------------------------------------------------------------------------------------------------------- audit.json


class Finding(Struct):
    """A place where a rule of :mod:`acula_edge.quantize.audit` is broken."""

    rule: str
    severity: Literal["error", "warning", "info"]
    node: str
    message: str
    source: str


class Footprint(Struct):
    """Bytes on a device without an operating system; RAM is null where a value's shape is not fixed.

    ``flash_bytes`` of all constants, as they are stored; ``ram_bytes``: most that live at once, inputs and outputs
    included; ``ram_int8_bytes``: of one-byte values alone; ``peak_node``: where ``ram_bytes`` is reached.
    """

    flash_bytes: Count
    ram_bytes: Count | None
    ram_int8_bytes: Count | None
    peak_node: str | None
    encoder: Footprint | None | UnsetType = UNSET


class Audit(File, kw_only=True):
    """``audit.json``: what a target may refuse, miscompute or run slowly."""

    SCHEMA = "acula-edge/audit/1"

    schema: str = SCHEMA
    model: str
    profile: Profile
    tensorrt: str | UnsetType = UNSET
    passed: bool
    findings: list[Finding]
    ops: dict[str, Count]
    nodes: Count
    opset: Count
    ir_version: Count
    quantize_linear: Count
    macs: Count
    int8_mac_share: float
    footprint: Footprint | None


# ------------------------------------------------------------------------------------------------------- verify.json


class ValueInterval(Struct):
    """A value and its 95 % interval."""

    value: float
    ci95: Interval | None


class Row(ValueInterval):
    """One model's value on one task.

    For AUROC also: ``per_subject``, of the means of each subject's scores (one whose recordings differ in label counts
    once with each); the operating point; ``ece``, expected calibration error at even odds, per recording. Of more than
    two classes there is ``per_class``, and no operating point. MAE is the mean over subjects.
    """

    per_subject: ValueInterval | UnsetType = UNSET
    per_class: dict[str, float | None] | UnsetType = UNSET
    sensitivity_at_95_specificity: float | None | UnsetType = UNSET
    threshold: float | None | UnsetType = UNSET
    sensitivity: float | None | UnsetType = UNSET
    specificity: float | None | UnsetType = UNSET
    ece: float | None | UnsetType = UNSET


class Comparison(Struct):
    """One model against another; :class:`acula_edge.probe.statistics.noninferiority.Comparison` says what each is."""

    delta: float
    ci95: Interval | None
    ci95_bootstrap: Interval | None
    bound: float | None
    p_noninferiority: float | None
    p_inferiority: float | None
    p_equivalence: float | None
    margin: float
    verdict: Verdict
    reason: str | None


class RetrainedProbe(Struct):
    """Heads fitted on INT8's own embeddings, beside those fitted on the float student's."""

    float_student: Row
    int8: Row
    int8_vs_student: Comparison


class PublishedFigure(Struct):
    """See :class:`acula_edge.probe.published_protocol.PublishedResult`."""

    task_id: str
    metric: Metric
    value: float | None
    std: float | None
    seeds: list[int]
    per_seed: list[float | None]
    per_subject: list[float | None]
    mape: float | None
    mape_std: float | None
    best_epochs: list[int]
    n: dict[str, int]


class PublishedProbe(Struct):
    """Each model's figure by the published protocol, its probe trained on its own embeddings, or why there is none.

    For comparison with published figures; no verdict rests on it.
    """

    reason: str | None
    float_teacher: PublishedFigure | None
    float_student: PublishedFigure | None
    int8: PublishedFigure | None


class Difference(Struct):
    """A difference without a verdict."""

    delta: float
    ci95: Interval | None


class Subgroup(Struct):
    """Values among the persons of one group; descriptive."""

    column: str
    group: str
    n_test: Count
    n_subjects: Count
    float_student: float | None = None
    int8: float | None = None
    int8_vs_student: Difference | None = None


class SmallSubgroups(Struct):
    """Groups of too few persons (``method.min_subgroup_subjects``): counted, and not named."""

    column: str
    groups: Count
    n_test: Count
    n_subjects: Count


class TaskEvaluation(Struct, kw_only=True):
    """One task.

    ``undetectable_failure_share``: a gross failure of INT8 on fewer than this share of people may, with a chance of
    more than 5 %, not occur among the test subjects at all; no statistic of this file can see it. ``flips`` are test
    recordings on which student and INT8 decide differently. ``ece_change`` is INT8's minus the float student's.
    """

    id: str
    name: str
    dataset: str
    set: Literal["real", "phantom"]
    sound: str
    metric: Metric
    better: Literal["higher", "lower"]
    kind: Kind
    labels: list[str]
    unit: str
    target: str
    protocol: str
    assumed: bool
    note: str
    licence: str
    access: str
    n_test: Count
    n_subjects: Count
    undetectable_failure_share: float
    n_positive: Count | UnsetType = UNSET
    n_negative: Count | UnsetType = UNSET
    n_positive_subjects: Count | UnsetType = UNSET
    n_negative_subjects: Count | UnsetType = UNSET
    n_per_class: dict[str, Count] | UnsetType = UNSET
    n_subjects_per_class: dict[str, Count] | UnsetType = UNSET
    baseline: float | None
    float_teacher: Row | None
    float_student: Row | None
    int8: Row | None
    int8_vs_student: Comparison | None
    int8_vs_teacher: Comparison | None
    student_vs_teacher: Comparison | None
    retrained_probe: RetrainedProbe | None | UnsetType = UNSET
    flips: Count | None
    flip_rate: float | None
    ece_change: float | None
    subgroups: list[Subgroup]
    subgroups_too_small: list[SmallSubgroups]
    subgroup_comparisons: Count
    published_probe: PublishedProbe | None | UnsetType = UNSET


class Method(Struct):
    """How values were compared: margins, level, resamples, tests in words."""

    unit: Literal["subject"]
    bootstrap: Count
    interval_level: float
    alpha_one_sided: float
    margin_auroc_student: float
    margin_auroc_teacher: float
    margin_mae_relative: float
    min_subjects_for_noninferiority: Count
    min_subgroup_subjects: Count
    auroc_test: str
    auroc_interval: str
    mae_test: str
    multiplicity: str
    seed: int


class MissingTask(Struct):
    """A task that was not evaluated, and why."""

    id: str
    reason: str


class Means(Struct):
    """Mean AUROC by model, over tasks that all have it."""

    float_teacher: float | None
    float_student: float | None
    int8: float | None


class MeansOfSet(Means):
    """Of the tasks on recordings of persons, or on generated sound."""

    tasks: Count


class MeansBySet(Struct):
    """Apart, as the second says nothing about patients."""

    real: MeansOfSet
    phantom: MeansOfSet


class MeanDelta(Struct):
    """Mean AUROC difference over ``tasks`` tasks.

    ``left_out``: tasks with a single subject in a class, of whose difference no variance can be estimated.
    """

    delta: float | None
    ci95: Interval | None
    tasks: Count
    left_out: list[str]


class AdjustedVerdict(Struct):
    """A verdict adjusted over tasks (Holm)."""

    p_adjusted: float | None
    verdict: Verdict


class MeanDeltas(Struct):
    """By pair of models."""

    int8_vs_student: MeanDelta
    int8_vs_teacher: MeanDelta
    student_vs_teacher: MeanDelta


class RelativeChanges(Struct):
    """Mean relative change of the MAE by pair of models."""

    int8_vs_student: float | None
    int8_vs_teacher: float | None
    student_vs_teacher: float | None


class AdjustedVerdicts(Struct):
    """By pair of models and task."""

    int8_vs_student: dict[str, AdjustedVerdict]
    int8_vs_teacher: dict[str, AdjustedVerdict]
    student_vs_teacher: dict[str, AdjustedVerdict]


class Summary(Struct):
    """Over all tasks."""

    tasks_evaluated: list[str]
    tasks_missing: list[MissingTask]
    means: Means
    means_by_set: MeansBySet
    mean_delta: MeanDeltas
    mean_relative_mae_change: RelativeChanges
    verdicts_holm: AdjustedVerdicts
    flips: Count | None
    flip_rate: Share | None


class Criterion(Struct):
    """One limit of the gate and what was found; ``passed`` is null where it does not apply."""

    limit: int | float | list[str] | None
    value: int | float | None
    passed: bool | None
    where: str | None


class Gate(Struct):
    """Whether INT8 may be shipped (:mod:`acula_edge.probe.gate`), and by which criteria that was decided."""

    passed: bool
    criteria: dict[str, Criterion]
    reasons: list[str]
    decided_by: list[str]


class Recall(ValueInterval):
    """``shuffled`` is what a report of another recording of the data set would give."""

    shuffled: float


class Recalls(Struct):
    """Among the first 1, 5 and 10 reports."""

    recall_at_1: Recall
    recall_at_5: Recall
    recall_at_10: Recall


class Chances(Struct):
    """What chance would give."""

    recall_at_1: Share
    recall_at_5: Share
    recall_at_10: Share


class RetrievalScope(Struct):
    """Retrieval within one data set, or (null) with the reports of all as candidates."""

    dataset: str | None
    n_recordings: Count
    n_subjects: Count
    n_reports: Count
    chance: Chances
    float_teacher: Recalls | UnsetType = UNSET
    float_student: Recalls | UnsetType = UNSET
    int8: Recalls | UnsetType = UNSET


class Retrieval(Struct):
    """Which report belongs to a recording? (:mod:`acula_edge.zero_shot.retrieval`)"""

    split: str
    candidates: str
    scopes: list[RetrievalScope]


class ZeroShot(Struct):
    """Classes told by text prompts; ``maps`` says how each model's embedding gets to the reports' space."""

    prompts: str
    prompts_sha256: Sha256
    in_bundle: bool
    temperature: Positive
    language_model: str
    maps: dict[str, str]
    explained: float | None
    tasks: list[TaskEvaluation]
    tasks_missing: list[MissingTask]
    retrieval: Retrieval


class Leak(Struct):
    """Persons or equal files on two sides of a task."""

    dataset: str
    task: str | None
    sides: list[str]
    persons: Count
    of_persons: Count
    equal_files: Count


class Split(Struct):
    """By which rule persons were divided, and what was found on two sides."""

    rule: str
    leaks: list[Leak]


class Verify(File, kw_only=True):
    """``verify.json``: is INT8 as good as float, on which tasks, with which intervals?"""

    SCHEMA = "acula-edge/verify/1"

    schema: str = SCHEMA
    method: Method
    tasks: list[TaskEvaluation]
    summary: Summary
    parity: Parities
    gate: Gate
    zero_shot: ZeroShot | None = None
    split: Split | None = None


# ---------------------------------------------------------------------------------------------------- benchmark.json


class Cpu(Struct):
    """A processor."""

    model: str | None
    logical_cores: Count | None = None
    flags: list[str] = []
    int8_dot_product: bool | None = None
    governor: str | None = None
    clock_mhz: float | None = None
    clock_max_mhz: float | None = None
    virtual: bool | None = None


class Environment(Struct):
    """The machine that measured (:mod:`acula_edge.benchmarking.environment`)."""

    cpu: Cpu
    system: str | None = None
    distribution: str | None = None
    machine: str | None = None
    python: str | None = None
    board: str | None = None
    clocks: dict[str, Any] | None = None
    memory_mb: float | None = None
    memory_available_mb: float | None = None
    gpu: list[dict[str, Any]] = []
    jetson: dict[str, Any] | None = None
    packages: dict[str, str | None] = {}
    onnxruntime_providers: list[str] | None = None
    load_average: list[float] | None = None
    usable_cores: Count | None = None
    thread_variables: dict[str, str] = {}


class BeforeAfterReading(Struct):
    """A sensor's reading before and after."""

    before: float | None
    after: float | None


class TaskAccuracy(ValueInterval):
    """The value of the same file on a task."""

    id: str
    metric: Metric
    n_subjects: Count


class PairAccuracy(Struct):
    """The values of both files on a task."""

    id: str
    metric: Metric
    n_subjects: Count
    reference: ValueInterval | None
    candidate: ValueInterval | None


class Accuracy(Struct):
    """Beside a latency: the accuracy of the same file, or why there is none."""

    tasks: list[TaskAccuracy]
    reason: str | None


class AccuracyOfPair(Struct):
    """Beside a speed-up: the accuracy of both."""

    tasks: list[PairAccuracy]
    reason: str | None


class Measurement(Struct, kw_only=True):
    """One artifact in one stage. ``not_measured`` says why a figure is null."""

    artifact: str
    provider: str | None
    precision: str | None
    threads: Count
    stage: Literal["frontend", "encoder", "end_to_end"]
    p50_ms: Positive
    p90_ms: Positive
    p95_ms: Positive
    p99_ms: Positive
    min_ms: Positive
    loop_p50_ms: list[float]
    n: Count
    loops: Count
    cold_start_ms: Positive | None
    import_ms: float | None | UnsetType = UNSET
    load_ms: float | None | UnsetType = UNSET
    first_run_ms: float | None | UnsetType = UNSET
    peak_rss_mb: Positive | None
    baseline_rss_mb: float | None | UnsetType = UNSET
    rtf: Positive | None
    energy_mj: Positive | None
    energy_gross_mj: float | None
    power_mw: float | None
    energy_scope: str | None
    clock_mhz: float | None
    processor_c: BeforeAfterReading
    model: str | None
    size_bytes: Count | None
    sha256: str | None
    not_measured: dict[str, str]
    accuracy: Accuracy
    samples_key: str


class PairMeasurement(Struct):
    """Two artifacts in turn (A B A B); ``speedup`` is reference time over candidate time."""

    reference: str
    candidate: str
    stage: Literal["frontend", "encoder", "end_to_end"]
    threads: Count
    speedup: Positive
    speedup_ci95: Interval
    verdict: Literal["faster", "slower", "no difference shown"]
    pairs: Count
    reference_p50_ms: Positive
    candidate_p50_ms: Positive
    accuracy: AccuracyOfPair
    samples_key: str


class Benchmark(File, kw_only=True):
    """``benchmark.json``: latency, memory and energy of every artifact on one machine (DESIGN section 6)."""

    SCHEMA = "acula-edge/benchmark/1"

    schema: str = SCHEMA
    created: str
    mode: Literal["smoke", "quick", "full"]
    plan: dict[str, int | float]
    bundle: str | None
    window_s: float | None
    input: str
    environment: Environment
    disturbance: dict[str, Any] | None
    stolen_core_s: float | None
    power: dict[str, Any]
    state: dict[str, Any]
    warnings: list[str]
    samples_file: str | None
    measurements: list[Measurement]
    comparisons: list[PairMeasurement]


# --------------------------------------------------------------------------------------------------- acceptance.json


class Change(Struct):
    """A criterion that is not what was fixed."""

    name: str
    fixed: Any
    later: Any
    at: Literal["export", "verify"]


class Result(Struct):
    """A criterion and what was found; ``met`` is null where it asks nothing, or was not measured."""

    name: str
    limit: Any
    value: Any
    met: bool | None
    where: str | None
    decides: bool


class Acceptance(File, kw_only=True):
    """``acceptance.json``: the criteria that were fixed before training, and beside each what was found.

    ``accepted`` is whether all that apply are met, null where nothing was measured.
    """

    SCHEMA = "acula-edge/acceptance/1"

    schema: str = SCHEMA
    fixed: str
    fixed_at: str
    criteria: dict[str, Any]
    criteria_sha256: Sha256
    changed: list[Change]
    model: str
    results: list[Result] = []
    accepted: bool | None = None


FILES: dict[str, type[File]] = {
    "bundle.json": Bundle,
    "quantize.json": Quantize,
    "audit.json": Audit,
    "verify.json": Verify,
    "benchmark.json": Benchmark,
    "acceptance.json": Acceptance,
}
"""The structure of every JSON file whose content others read."""


def describe_schema(kind: type[File]) -> dict[str, Any]:
    """The JSON Schema of a file."""
    schema: dict[str, Any] = msgspec.json.schema(kind)
    return schema
