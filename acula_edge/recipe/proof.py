"""Quantization, and what an artifact must show before it leaves the house."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from acula_edge.bounds import Bounded


@dataclass(frozen=True)
class QuantizeConfig(Bounded):
    """Static INT8 quantization.

    Attributes:
        profile: what the artifact is for; decides the form of the QDQ graph.
        calibration: name of a definition in ``calibration/``.
        calibration_windows: windows taken, from training subjects only.
        method: how ranges are found: ``minmax``, ``percentile``, ``entropy`` or ``mse``.
        keep_float: name patterns of nodes that stay in float.
        mixed_precision: ``auto`` leaves layers in float where INT8 misses `min_cosine` on windows of training persons
            who took no part in calibration; ``off`` leaves all as they are placed.
        min_cosine: target for the mean cosine between INT8 and float embeddings; null takes the gate's.
        bias_correction: take back the shift of every layer's mean, if that helps.
        sensitivity: record what every layer costs.
        speed_guard: compare INT8 with float on this machine, plan again where INT8 is slower, and recommend float
            where it stays slower.
        aware: quantization-aware fine-tuning of the student: ``"auto"`` when post-training INT8 misses the limits of
            accuracy under ``verify.gate`` on validation persons (test persons are not asked), ``"never"``,
            ``"always"``.
        aware_epochs, aware_learning_rate: of the fine-tuning; the rest is as under ``distill``.
        aware_teacher: weight of the distillation loss beside the noise against the float student, which has weight 1.
            It moves the embedding away from what the heads were fitted on, by far more than rounding does.
        input_rates_hz: further sample rates that bundles take without resampling, each with a front end of its own.
        int16_input: also write a front end that takes 16-bit samples (CPU profiles).
        stream_hops: hops that a streaming front end takes at a time (at least 3); 0 writes none. It pays where windows
            overlap and their step is a multiple of the front end's hop.
    """

    at_least: ClassVar = {"calibration_windows": 1, "aware_epochs": 1, "aware_teacher": 0}
    above: ClassVar = {"aware_learning_rate": 0}

    profile: Literal["cpu_x86", "cpu_arm", "tensorrt"] = "cpu_x86"
    calibration: str = "default"
    calibration_windows: int = 200
    method: Literal["minmax", "percentile", "entropy", "mse"] = "minmax"
    keep_float: list[str] = field(default_factory=list)
    mixed_precision: Literal["auto", "off"] = "auto"
    min_cosine: float | None = None
    bias_correction: bool = True
    sensitivity: bool = True
    speed_guard: bool = True
    aware: Literal["auto", "never", "always"] = "auto"
    aware_epochs: int = 4
    aware_learning_rate: float = 1e-4
    aware_teacher: float = 0.0
    input_rates_hz: list[int] = field(default_factory=list)
    int16_input: bool = False
    stream_hops: int = 0


@dataclass(frozen=True)
class GateConfig:
    """What an INT8 artifact must show before `export` succeeds. Written into the run before anything is measured.

    Attributes:
        max_mean_drop: largest mean AUROC loss of INT8 against its float student.
        max_task_drop: largest loss on any task.
        min_cosine: smallest mean cosine between INT8 and float student embeddings.
        refuse_inferior: refuse when any task's verdict is ``inferior``.
        refuse_inconclusive: refuse also when any verdict is ``inconclusive``.
        min_tasks: fewest tasks that must be evaluated.
        require_tasks: tasks that must be evaluated; one whose data are absent refuses.
    """

    max_mean_drop: float = 0.01
    max_task_drop: float = 0.03
    min_cosine: float = 0.97
    refuse_inferior: bool = True
    refuse_inconclusive: bool = False
    min_tasks: int = 1
    require_tasks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class VerifyConfig(Bounded):
    """Evaluation of artifacts on tasks (DESIGN section 5).

    Attributes:
        tasks: task ids, ``["all"]`` for every task of the run's data sets, or ``["published"]`` for the 18 of the
            paper, of which those without data are listed as not evaluated.
        published_probe: also evaluate the probe of the published protocol, where a task has one.
        margin_auroc_student, margin_auroc_teacher: non-inferiority margins of INT8 against each.
        margin_mae_relative: equivalence margin for regression, as a share of the float MAE.
        bootstrap: resamples over subjects.
        alpha: one-sided level.
        min_subgroup_subjects: fewest test subjects, of each class for AUROC, with which a subgroup is reported.
    """

    at_least: ClassVar = {"bootstrap": 1, "min_subgroup_subjects": 2}
    above: ClassVar = {"margin_auroc_student": 0, "margin_auroc_teacher": 0, "margin_mae_relative": 0, "alpha": 0}
    below: ClassVar = {"alpha": 0.5}

    tasks: list[str] = field(default_factory=lambda: ["all"])
    published_probe: bool = True
    margin_auroc_student: float = 0.01
    margin_auroc_teacher: float = 0.02
    margin_mae_relative: float = 0.02
    bootstrap: int = 2000
    alpha: float = 0.05
    min_subgroup_subjects: int = 10
    seed: int = 0
    gate: GateConfig = field(default_factory=GateConfig)


@dataclass(frozen=True)
class ZeroShotConfig(Bounded):
    """Text prompts that recordings are scored against without a probe.

    Attributes:
        prompts: a file (see ``recipes/prompts/``), a shipped one's name, or null for none. Bundles carry them as
            vectors.
        temperature: divides cosines: of recordings and prompts before the softmax over classes, and of prompts and
            training reports (:func:`acula_edge.zero_shot.projection.place`).
    """

    above: ClassVar = {"temperature": 0}

    prompts: str | None = None
    temperature: float = 0.1


@dataclass(frozen=True)
class BenchmarkConfig(Bounded):
    """How long latency is measured: ``quick`` is 5 loops of 2 s, ``full`` 5 loops of 10 s, ``smoke`` 2 of 0.2 s.

    Attributes:
        max_p95_ms: the latency target, waveform to scores, of the model that the bundle recommends; null sets none. It
            is no part of the gate, because the machine that exports is not the device: ``acceptance.json`` judges
            it wherever ``acula-edge benchmark`` ran last.
    """

    at_least: ClassVar = {"threads": 1}
    above: ClassVar = {"max_p95_ms": 0}

    mode: Literal["smoke", "quick", "full"] = "quick"
    threads: int = 1
    max_p95_ms: float | None = None
