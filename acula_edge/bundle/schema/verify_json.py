"""``verify.json``: is INT8 as good as float?"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from acula_edge.bundle.schema.base import (
    Count,
    File,
    Interval,
    Kind,
    Metric,
    Parities,
    Positive,
    Sha256,
    Share,
    Struct,
    ValueInterval,
    Verdict,
)


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
