"""Does alignment really help? Five folds over persons, against its controls, with intervals.

    python benchmarks/alignment_controls.py --data circor=DIR --data kauh=DIR --out runs/controls --jobs 2

Conditions: random initialization, self-supervision alone (COLA), alignment, the same with reports shuffled among the
recordings of each data set, and the published form (linear CKA, both heads trainable, plus COLA). With ``--students``
the aligned encoder of every fold is distilled, quantized and measured as well.

Each fold's encoder and probe never saw that fold's persons. Test scores are standardized within fold and pooled;
AUROC intervals are by bootstrap over persons. A (condition, fold) that is done is not done again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

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
}
TASKS = ("C1", "T10")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="auscultation")
    parser.add_argument("--data", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", dest="overrides")
    parser.add_argument("--out", default="runs/controls", type=Path)
    parser.add_argument("--conditions", default=",".join(CONDITIONS))
    parser.add_argument("--folds", default="0,1,2,3,4")
    parser.add_argument("--students", action="store_true")
    parser.add_argument("--jobs", default=1, type=int, help="runs at once, one thread each; 1 uses all threads")
    parser.add_argument("--one", nargs=2, metavar=("CONDITION", "FOLD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run_one(options, options.one[0], int(options.one[1]))
        return
    names = options.conditions.split(",")
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
    summarize(options.out, names)


def run_one(options: argparse.Namespace, condition: str, fold: int) -> None:
    """Train one condition on one fold and keep the test scores."""
    import torch

    from acula_edge import pipeline
    from acula_edge.data.prepare import prepare
    from acula_edge.pipeline import evaluation
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
    run = pipeline.train(options.recipe, data=data, overrides=overrides, out=folder / "run", resume=True)
    run = Run.open(run.path)
    store = prepare(run.recipe, run)
    embeddings = {"teacher": evaluation.teacher_embeddings(run, store)}
    if options.students and condition == "aligned":
        bundle = pipeline.export(run, int8=True, gate=False)
        embeddings["student"] = evaluation.model_embeddings(run, bundle / "model.onnx", store)
        embeddings["int8"] = evaluation.model_embeddings(run, bundle / "model.int8.onnx", store)
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
    scores_file.write_text(json.dumps(rows))


def summarize(out: Path, conditions: list[str]) -> None:
    """Print and keep the table of pooled out-of-fold figures."""
    table = []
    for condition in conditions:
        pooled: dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
        for file in sorted((out / condition).glob("fold*/scores.json")):
            fold_of: dict[tuple[str, str], float] = {}
            for row in json.loads(file.read_text()):
                scores = np.array(row["scores"])
                reference = fold_of.setdefault((row["task"], "student"), float(scores.std())) if row["model"] in (
                    "student", "int8") else float(scores.std())  # fmt: skip
                centered = (scores - scores.mean()) / max(reference, 1e-12)
                pooled.setdefault((row["task"], row["model"]), []).append(
                    (np.array(row["subjects"]), np.array(row["targets"]), centered)
                )
        for (task, model), parts in sorted(pooled.items()):
            subjects, targets, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
            low, high = bootstrap(subjects, targets, scores)
            entry = {
                "condition": condition, "model": model, "task": task, "folds": len(parts),
                "auroc": auroc(targets, scores), "ci95": [low, high],
                "fold_mean": float(np.mean([auroc(t, s) for _, t, s in parts])),
                "recordings": len(targets), "subjects": len(set(subjects)),
            }  # fmt: skip
            table.append(entry)
            print(
                f"{condition:16s} {model:8s} {task:4s} AUROC {entry['auroc']:.3f} [{low:.3f}, {high:.3f}]  "
                f"mean of folds {entry['fold_mean']:.3f}  {entry['subjects']} persons, {entry['folds']} folds"
            )
    (out / "controls.json").write_text(json.dumps({"schema": "acula-edge/controls/1", "rows": table}, indent=2))


def auroc(targets: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(targets, scores))


def bootstrap(
    subjects: np.ndarray, targets: np.ndarray, scores: np.ndarray, resamples: int = 2000
) -> tuple[float, float]:
    """95 % percentile interval over persons."""
    generator = np.random.default_rng(0)
    people = [np.flatnonzero(subjects == subject) for subject in np.unique(subjects)]
    values = []
    for _ in range(resamples):
        rows = np.concatenate([people[i] for i in generator.integers(0, len(people), len(people))])
        if 0 < targets[rows].sum() < len(rows):
            values.append(auroc(targets[rows], scores[rows]))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
