"""How often does the non-inferiority test pass a model that loses exactly the margin? It should be alpha, 5 %.

    python benchmarks/statistics_calibration.py --studies 400

Every simulated study has subjects with 1-4 recordings, a quarter of them positive, a float model with AUROC 0.85 (or
0.97) and an INT8 model whose true AUROC is lower by the margin (0.01), in one of three ways:

* noise: every score is perturbed a little, by subject and by recording, as rounding does;
* mixed: half of the loss comes from noise, half from a few subjects on whom the INT8 model fails altogether;
* failures: all of it comes from such subjects. With 0.03 of the subjects affected, many studies hold none or one.

Columns: the test as used (its variance is that of a loss of the margin, by exponential tilting, with one unseen
subject per class); the clustered DeLong test with the observed variance; and DeLong with recordings counted as persons,
as ROC libraries do. `power` is how often the test as used passes a model without loss and with noise of 1 % of the
scores' spread; `drop of 0.03` how often it passes a model that loses three times the margin. With four classes the
mean over "this class or another" loses the margin, by noise that scores of a recording partly share. For MAE the errors
of INT8 are on average 2 % larger.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from acula_edge.probe.statistics.delong import Areas, clustered_auroc
from acula_edge.probe.statistics.macro import macro_auroc
from acula_edge.probe.statistics.noninferiority import MIN_SUBJECTS, auroc_p_values, compare_mae

Array = NDArray[np.float64]

MARGIN, ALPHA, PREVALENCE = 0.01, 0.05, 0.25
BY_SUBJECT = 0.6  # share of a score's variance, and of the noise's, that a subject's recordings have in common
CLASSES = 4
WAYS = ("noise", "mixed", "failures")
DIFFERENCE = np.array([1.0, -1.0])


def draw(rng: np.random.Generator, subject: NDArray[np.int_], variance: float) -> Array:
    """Normal deviates [R] that a subject's recordings partly share."""
    shared = rng.normal(size=subject.max() + 1)[subject] * np.sqrt(BY_SUBJECT)
    own = rng.normal(size=len(subject)) * np.sqrt(1 - BY_SUBJECT)
    result: Array = np.sqrt(variance) * (shared + own)
    return result


def study(
    rng: np.random.Generator, subjects: int, area: float, loss: float, way: str
) -> tuple[Array, Array, NDArray[np.int_]]:
    """Labels [R], scores [R, 2] (INT8, float) and subjects [R], the true AUROC of INT8 lower by `loss`.

    Scores are binormal, so noise of variance v lowers the area from Phi(d / sqrt 2) to Phi(d / sqrt(2 + 2 v)). A
    failed subject's scores are those of a random other person, so a share q of failures moves the area by
    q (1/2 - area).
    """
    positive = np.arange(subjects) < round(PREVALENCE * subjects)
    subject = np.repeat(np.arange(subjects), rng.integers(1, 5, subjects))
    distance = np.sqrt(2) * stats.norm.ppf(area)
    reference = distance * positive[subject] + draw(rng, subject, 1.0)
    by_noise = {"noise": loss, "mixed": loss / 2, "failures": 0.0}[way]
    variance = float((stats.norm.ppf(area) / stats.norm.ppf(area - by_noise)) ** 2 - 1) if by_noise else 1e-4
    model = reference + draw(rng, subject, variance)
    failed = rng.random(subjects) < (loss - by_noise) / (area - by_noise - 0.5)
    other = distance * (rng.random(subjects) < PREVALENCE)[subject] + draw(rng, subject, 1 + variance)
    model = np.where(failed[subject], other, model)
    return positive[subject].astype(float), np.column_stack([model, reference]), subject


def passes(rng: np.random.Generator, subjects: int, area: float, loss: float, way: str) -> tuple[bool, bool, bool]:
    """Whether a study calls INT8 non-inferior: as used, with the observed variance, with recordings as persons."""
    labels, scores, subject = study(rng, subjects, area, loss, way)
    areas = clustered_auroc(labels, scores, subject.astype(str))
    naive = clustered_auroc(labels, scores, np.arange(len(labels)).astype(str)).contrast(DIFFERENCE)
    limit = stats.norm.ppf(1 - ALPHA)
    observed, unclustered = (
        bool(contrast.estimate + MARGIN > limit * np.sqrt(contrast.variance))
        for contrast in (areas.contrast(DIFFERENCE), naive)
    )
    return passes_as_used(areas), observed, unclustered


def passes_as_used(areas: Areas) -> bool:
    """Whether the first model is called non-inferior to the second."""
    enough = min(areas.n_positive_subjects, areas.n_negative_subjects) >= MIN_SUBJECTS
    return enough and auroc_p_values(areas.contrast(DIFFERENCE), MARGIN)[0] < ALPHA


def passes_macro(rng: np.random.Generator, subjects: int, area: float, loss: float) -> bool:
    """Whether a study with four equally common classes calls INT8 non-inferior in the mean AUROC over classes.

    Every class's scores are those of :func:`study` with noise; half of the noise's variance is common to the classes.
    """
    subject = np.repeat(np.arange(subjects), rng.integers(1, 5, subjects))
    label = subject % CLASSES
    distance = np.sqrt(2) * stats.norm.ppf(area)
    variance = float((stats.norm.ppf(area) / stats.norm.ppf(area - loss)) ** 2 - 1) if loss else 1e-4
    common = draw(rng, subject, variance / 2)
    scores = np.empty((len(subject), CLASSES, 2))
    for number in range(CLASSES):
        scores[:, number, 1] = distance * (label == number) + draw(rng, subject, 1.0)
        scores[:, number, 0] = scores[:, number, 1] + common + draw(rng, subject, variance / 2)
    return passes_as_used(macro_auroc(label.astype(float), scores, subject.astype(str)))


def passes_mae(rng: np.random.Generator, subjects: int, loss: float) -> bool:
    """Whether a study calls INT8 non-inferior in mean absolute error, with errors larger by the share `loss`."""
    reference = rng.gamma(2.0, 1.0, subjects)
    model = reference * (1 + loss) + rng.normal(0, 0.1, subjects)
    return compare_mae(model, reference, 0.02, ALPHA, None).verdict == "non-inferior"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=400, help="simulated studies per row")
    parser.add_argument("--subjects", type=int, nargs="+", default=[60, 150, 500])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    error = np.sqrt(ALPHA * (1 - ALPHA) / arguments.studies)
    print(f"{arguments.studies} studies per row; a true {ALPHA:.3f} is seen within +-{1.96 * error:.3f}\n")
    print(
        "| float AUROC | loss by | subjects | as used | observed variance | recordings as persons | power "
        "| drop of 0.03 |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for area in (0.85, 0.97):
        for way in WAYS:
            for subjects in arguments.subjects:
                level = np.mean([passes(rng, subjects, area, MARGIN, way) for _ in range(arguments.studies)], axis=0)
                power = np.mean(
                    [passes(rng, subjects, area, 0.0, "failures")[0] for _ in range(arguments.studies // 4)]
                )
                missed = np.mean([passes(rng, subjects, area, 0.03, way)[0] for _ in range(arguments.studies // 4)])
                cells = " | ".join(f"{value:.3f}" for value in (*level, power, missed))
                print(f"| {area} | {way} | {subjects} | {cells} |", flush=True)
    print("\n| four classes, float AUROC | subjects | as used | power | drop of 0.03 |\n|---|---|---|---|---|")
    for area in (0.85, 0.97):
        for subjects in arguments.subjects:
            cells = " | ".join(
                f"{np.mean([passes_macro(rng, subjects, area, loss) for _ in range(count)]):.3f}"
                for loss, count in (
                    (MARGIN, arguments.studies),
                    (0.0, arguments.studies // 4),
                    (0.03, arguments.studies // 4),
                )
            )
            print(f"| {area} | {subjects} | {cells} |", flush=True)
    print("\n| MAE | subjects | as used | power |\n|---|---|---|---|")
    for subjects in arguments.subjects:
        level = np.mean([passes_mae(rng, subjects, 0.02) for _ in range(arguments.studies)])
        power = np.mean([passes_mae(rng, subjects, 0.0) for _ in range(arguments.studies)])
        print(f"| +2 % | {subjects} | {level:.3f} | {power:.3f} |", flush=True)


if __name__ == "__main__":
    main()
