"""``benchmark.json``: how fast, on which machine."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, UnsetType

from acula_edge.bundle.schema.base import Count, File, Interval, Metric, Positive, Struct, ValueInterval


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
