"""Does alignment really help? Five folds over persons, against its controls, with intervals.

    python benchmarks/alignment_controls.py --data circor=DIR --data kauh=DIR --out runs/controls --jobs 2

Conditions: random initialization, self-supervision alone (COLA), alignment, the same with reports shuffled among the
recordings of each data set, the published form (linear CKA, both heads trainable, plus COLA), the same with the
released covariance loss, and single objectives on the recipe's fixed text target. ``deployed`` distills and quantizes
the aligned encoder of every fold and measures the student, in float and in INT8. Without ``--conditions`` all run.

Each fold's encoder and probe never saw that fold's persons. Test scores are standardized within fold and pooled;
AUROC intervals are by bootstrap over persons. A (condition, fold) that is done is not done again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acula_edge.bundle.folder import read_bundle

CONDITIONS = {
    "random": ["align.objectives={}"],
    # Two views per clip: half the epochs see as many crops.
    "self-supervised": ["align.objectives={}", "align.self_supervised={cola: 1.0}", "align.epochs=24"],
    "aligned": [],
    "shuffled": ["reports.shuffle=true"],
    "published-cka": [
        "align.objectives={cka: 1.0}",
        "align.self_supervised={cola: 1.0}",
        "align.text_target=projected",
        "align.epochs=24",
    ],
    # Objectives, one by one: as published with both heads trained, then on the recipe's own fixed text target.
    "released": [
        "align.objectives={released-covariance: 1.0}",
        "align.self_supervised={cola: 1.0}",
        "align.text_target=projected",
        "align.epochs=24",
    ],
    "cka": ["align.objectives={cka: 1.0}"],
    "cka-debiased": ["align.objectives={cka-debiased: 1.0}"],
    "cka-debiased-within": ["align.objectives={cka-debiased-within: 1.0}"],
    "infonce": ["align.objectives={infonce: 1.0}"],
    "siglip": ["align.objectives={siglip: 1.0}"],
    "regression": ["align.objectives={regression: 1.0}"],
    # The student of the aligned encoder, so it trains nothing where ``aligned`` is done.
    "deployed": [],
}
TASKS = ("C1", "T10")
# What is compared on the same persons, the second from the first.
DIFFERENCES = (
    *(
        (("aligned", "teacher"), (control, "teacher"))
        for control in CONDITIONS
        if control not in ("aligned", "deployed")
    ),
    *(
        ((name, "teacher"), ("shuffled", "teacher"))
        for name in ("released", "cka", "cka-debiased", "cka-debiased-within", "infonce", "siglip", "regression")
    ),
    (("deployed", "student"), ("aligned", "teacher")),
    (("deployed", "int8"), ("deployed", "student")),
    (("deployed", "int8"), ("aligned", "teacher")),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="auscultation")
    parser.add_argument("--data", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", dest="overrides")
    parser.add_argument("--out", default="runs/controls", type=Path)
    parser.add_argument("--conditions", default=",".join(CONDITIONS))
    parser.add_argument("--folds", default="0,1,2,3,4")
    parser.add_argument("--jobs", default=1, type=int, help="runs at once, one thread each; 1 uses all threads")
    parser.add_argument("--one", nargs=2, metavar=("CONDITION", "FOLD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run_one(options, options.one[0], int(options.one[1]))
        return
    names = options.conditions.split(",")
    unknown = [name for name in names if name not in CONDITIONS]
    if unknown:
        parser.error(f"no condition {', '.join(unknown)}; there are {', '.join(CONDITIONS)}")
    jobs = [(name, fold) for fold in options.folds.split(",") for name in names]
    command = [sys.executable, __file__, *sys.argv[1:], "--one"]

    def start(job: tuple[str, str]) -> None:
        folder = options.out / job[0]
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / f"fold{job[1]}.log", "a", encoding="utf-8") as log:
            done = subprocess.run([*command, *job], stdout=log, stderr=log, check=False)
        print(f"{job[0]} fold {job[1]}: {'done' if done.returncode == 0 else f'failed, see {log.name}'}", flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(start, jobs))
    summarize(options.out, names, {f"fold{fold}" for fold in options.folds.split(",")})


def run_one(options: argparse.Namespace, condition: str, fold: int) -> None:
    """Train one condition on one fold and keep the test scores."""
    import torch

    from acula_edge import pipeline
    from acula_edge.data.prepare import prepare
    from acula_edge.pipeline import evaluation
    from acula_edge.pipeline.bundling import build_bundle
    from acula_edge.probe.heads import fit_heads
    from acula_edge.progress import show_progress
    from acula_edge.run import Run

    show_progress(lambda items, description, total: iter(items), lambda message: print(message, flush=True))
    if options.jobs > 1:
        torch.set_num_threads(1)
    folder = options.out / condition / f"fold{fold}"
    scores_file = folder / "scores.json"
    if scores_file.is_file():
        return
    overrides = [*options.overrides, *CONDITIONS[condition], f"data.split.fold={fold}"]
    data = dict(item.split("=", 1) for item in options.data)
    place = options.out / ("aligned" if condition == "deployed" else condition) / f"fold{fold}" / "run"
    if condition == "deployed" and (place / "encoder" / "model.safetensors").is_file():
        run = Run.open(place)  # an encoder of an earlier version is exported as today's would be
    else:
        run = Run.open(pipeline.train(options.recipe, data=data, overrides=overrides, out=place, resume=True).path)
    store = prepare(run.recipe, run)
    if condition == "deployed":
        student = run.recipe.distill.student
        if not (run.student_dir(student) / "model.safetensors").is_file():
            pipeline.distill(run, student, resume=True)
        bundle = build_bundle(run, student, run.recipe.quantize.profile, int8=True)
        rate_hz = read_bundle(bundle).input.sample_rate_hz
        embeddings = {
            "student": evaluation.model_embeddings(run, bundle / "model.onnx", store, rate_hz),
            "int8": evaluation.model_embeddings(run, bundle / "model.int8.onnx", store, rate_hz),
        }
    else:
        embeddings = {"teacher": evaluation.teacher_embeddings(run, store)}
    tasks = evaluation.select_tasks(TASKS, store)
    fitted = {name: fit_heads(values, store.recordings, tasks, 0) for name, values in embeddings.items()}
    if "int8" in fitted:
        fitted["int8"] = fitted["student"]  # engine swap: one probe, two engines
    rows = []
    for task in tasks:
        positions, targets = task.values(store.recordings, "test")
        for name, values in embeddings.items():
            head = next(head for head in fitted[name] if head.task_id == task.id)
            logits = values[positions] @ head.weight[:, 0] + head.bias[0]
            rows.append(
                {
                    "task": task.id,
                    "model": name,
                    "subjects": [store.recordings[int(i)].subject for i in positions],
                    "targets": [float(value) for value in targets],
                    "scores": [float(value) for value in logits],
                }
            )
    folder.mkdir(parents=True, exist_ok=True)
    scores_file.write_text(json.dumps(rows))


def summarize(out: Path, conditions: list[str], folds: set[str]) -> None:
    """Print and keep the pooled out-of-fold figures, and the differences between conditions on the same persons."""
    pooled = {
        (condition, model, task): {fold: part for fold, part in parts.items() if fold in folds}
        for condition in conditions
        for (model, task), parts in sorted(read_folds(out / condition).items())
        if parts.keys() & folds
    }
    rows, differences = [], []
    for (condition, model, task), parts in pooled.items():
        subjects, targets, scores = stack(parts)
        low, high = bootstrap(subjects, targets, scores)
        row = {
            "condition": condition, "model": model, "task": task, "folds": len(parts),
            "auroc": auroc(targets, scores[0]), "ci95": [low, high],
            "per_subject": auroc(*subject_means(subjects, targets, scores[0])),
            "fold_mean": float(np.mean([auroc(part.targets, part.scores) for part in parts.values()])),
            "recordings": len(targets), "subjects": len(set(subjects)),
        }  # fmt: skip
        rows.append(row)
        print(
            f"{condition:16s} {model:8s} {task:4s} AUROC {row['auroc']:.3f} [{low:.3f}, {high:.3f}]  per person "
            f"{row['per_subject']:.3f}  mean of folds {row['fold_mean']:.3f}  {row['subjects']} persons, "
            f"{row['folds']} folds"
        )
    for (first, first_model), (second, second_model) in DIFFERENCES:
        for task in TASKS:
            pair = pooled.get((first, first_model, task), {}), pooled.get((second, second_model, task), {})
            common = sorted(pair[0].keys() & pair[1].keys())
            if not common:
                continue
            subjects, targets, scores = stack(*({fold: parts[fold] for fold in common} for parts in pair))
            low, high = bootstrap(subjects, targets, scores)
            delta = auroc(targets, scores[0]) - auroc(targets, scores[1])
            entry = {
                "task": task, "first": [first, first_model], "second": [second, second_model], "folds": len(common),
                "delta": delta, "ci95": [low, high], "subjects": len(set(subjects)),
            }  # fmt: skip
            differences.append(entry)
            print(
                f"{task:4s} {first} {first_model} - {second} {second_model}: {delta:+.4f} [{low:+.4f}, {high:+.4f}]  "
                f"{entry['subjects']} persons, {len(common)} folds"
            )
    result = {"schema": "acula-edge/controls/1", "rows": rows, "differences": differences}
    (out / "controls.json").write_text(json.dumps(result, indent=2) + "\n")


@dataclass(frozen=True)
class Part:
    """Test scores of one fold, standardized so that folds can be pooled."""

    subjects: np.ndarray
    targets: np.ndarray
    scores: np.ndarray


def read_folds(folder: Path) -> dict[tuple[str, str], dict[str, Part]]:
    """(model, task) -> fold -> scores. INT8 scores are scaled as the float student's, whose probe they are read by."""
    found: dict[tuple[str, str], dict[str, Part]] = {}
    for file in sorted(folder.glob("fold*/scores.json")):
        entries = json.loads(file.read_text())
        spread = {(row["model"], row["task"]): float(np.std(row["scores"])) for row in entries}
        for row in entries:
            own = (row["model"], row["task"])
            scale = spread.get(("student", row["task"]), spread[own]) if row["model"] == "int8" else spread[own]
            scores = (np.array(row["scores"]) - np.mean(row["scores"])) / max(scale, 1e-12)
            part = Part(np.array(row["subjects"]), np.array(row["targets"]), scores)
            found.setdefault(own, {})[file.parent.name] = part
    return found


def stack(*models: dict[str, Part]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Subjects [N], targets [N] and scores [models, N] over the folds, which all models must have."""
    folds = sorted(models[0])
    subjects = np.concatenate([models[0][fold].subjects for fold in folds])
    targets = np.concatenate([models[0][fold].targets for fold in folds])
    for model in models[1:]:
        assert (np.concatenate([model[fold].subjects for fold in folds]) == subjects).all()
    return subjects, targets, np.stack([np.concatenate([model[fold].scores for fold in folds]) for model in models])


def auroc(targets: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve, from midranks: a tenth of scikit-learn's time, and a bootstrap asks for thousands."""
    from scipy.stats import rankdata

    positive = targets > 0
    ranks = rankdata(scores)
    count = int(positive.sum())
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(targets) - count)))


def subject_means(subjects: np.ndarray, targets: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean score of each person; one whose recordings differ in label counts once with each."""
    keys, unit = np.unique([f"{s}/{t:g}" for s, t in zip(subjects, targets, strict=True)], return_inverse=True)
    means = np.bincount(unit, weights=scores) / np.bincount(unit)
    return np.array([float(key.rpartition("/")[2]) for key in keys]), means


def bootstrap(
    subjects: np.ndarray, targets: np.ndarray, scores: np.ndarray, resamples: int = 2000
) -> tuple[float, float]:
    """95 % percentile interval over persons: of the AUROC of one row of scores, or of the difference of two."""
    generator = np.random.default_rng(0)
    people = [np.flatnonzero(subjects == subject) for subject in np.unique(subjects)]
    values = []
    for _ in range(resamples):
        drawn = np.concatenate([people[i] for i in generator.integers(0, len(people), len(people))])
        if 0 < targets[drawn].sum() < len(drawn):
            areas = [auroc(targets[drawn], row[drawn]) for row in scores]
            values.append(areas[0] if len(areas) == 1 else areas[0] - areas[1])
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
