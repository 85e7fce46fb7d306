"""What does alignment teach, and is it language? Five folds over persons and three training seeds, against controls.

    python benchmarks/alignment_controls.py --all \\
        --data circor=DIR --data kauh=DIR --data pascal=DIR --data cinc2016=DIR

``--all`` trains every arm of ``ARMS``, those that are compared (``COMPARED``) on five folds with three seeds, the
others with one; two at once, on one thread each. One takes four to five minutes of a core, all 160 of them six hours
and more.
Stop it at any time and call it again: test scores of every finished training are kept in
``benchmarks/results/alignment/``, and only what is not there, or was made by another recipe, is trained. Encoders stay
under ``--out``. PASCAL and CinC 2016 may be left out.

    python benchmarks/alignment_controls.py --arms label,aligned --folds 0,1 --seeds 0 --data ...     # a part
    python benchmarks/alignment_controls.py --summarize                                               # the table alone

Each fold's encoder and probe never saw that fold's persons. Test scores are standardized within fold and pooled over
folds. Intervals are by bootstrap over persons and, where an arm has several, over training seeds. C1b are the persons
of PASCAL's set B, heard in another campaign and scored by the probe of C1; C3 are four databases of CinC 2016, each
scored by a probe of the other three. Nobody of either is trained on; every fold's encoder hears all of them, so that
their AUROC is a mean over folds.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).resolve().parent / "results" / "alignment"
VERSION = 1
"""To be raised when what a training computes changes while its recipe stays: older scores are then made again."""

# No zero-shot: these have no language model that prompts could be read by.
_WITHOUT_LANGUAGE = ["language.model=facts", "zero_shot.prompts=null"]
ARMS: dict[str, list[str]] = {
    "aligned": [],
    "label": ["align.text_target=labels", "align.objectives={cross-entropy: 1.0}", *_WITHOUT_LANGUAGE],
    "facts": _WITHOUT_LANGUAGE,
    "shuffled": ["reports.shuffle=persons"],
    "random": ["align.objectives={}"],
    # Two views per clip: half the epochs see as many crops.
    "self-supervised": ["align.objectives={}", "align.self_supervised={cola: 1.0}", "align.epochs=24"],
    # The student of the aligned encoder, so it trains no encoder where ``aligned`` is at hand.
    "deployed": [],
    "unnormalized": ["encoder.options={}"],
    "by-facts": ["align.text_average=facts", "align.positives=facts"],
    "random-language": ["language.random_weights=true"],
    "student-alone": ["encoder.name=base", "encoder.options={embedding_dim: 256}"],
    "shuffled-recordings": ["reports.shuffle=recordings"],
    "published-cka": [
        "align.objectives={cka: 1.0}",
        "align.self_supervised={cola: 1.0}",
        "align.text_target=projected",
        "align.epochs=24",
    ],
    "released": [
        "align.objectives={released-covariance: 1.0}",
        "align.self_supervised={cola: 1.0}",
        "align.text_target=projected",
        "align.epochs=24",
    ],
    # Objectives, one by one, on the recipe's own fixed text target.
    "cka": ["align.objectives={cka: 1.0}"],
    "cka-debiased": ["align.objectives={cka-debiased: 1.0}"],
    "cka-debiased-within": ["align.objectives={cka-debiased-within: 1.0}"],
    "infonce": ["align.objectives={infonce: 1.0}"],
    "siglip": ["align.objectives={siglip: 1.0}"],
    "regression": ["align.objectives={regression: 1.0}"],
}
COMPARED = ("aligned", "label", "facts", "shuffled", "random", "self-supervised")
DIVIDED = ("C1", "T10")
"""Tasks of which every fold tests persons of its own; of the others every fold's encoder hears all."""
TASKS = (*DIVIDED, "C1b")
DATABASES = "abcd"
# What is compared on the same persons, the second from the first.
DIFFERENCES = (
    *((("aligned", "teacher"), (arm, "teacher")) for arm in ARMS if arm not in ("aligned", "deployed")),
    *((("label", "teacher"), (arm, "teacher")) for arm in ("shuffled", "random")),
    *((("facts", "teacher"), (arm, "teacher")) for arm in ("label", "shuffled")),
    (("deployed", "student"), ("aligned", "teacher")),
    (("deployed", "int8"), ("deployed", "student")),
    (("deployed", "int8"), ("label", "teacher")),
    (("deployed", "int8"), ("shuffled", "teacher")),
)


@dataclass(frozen=True)
class Job:
    """One training."""

    arm: str
    seed: int
    fold: int

    @property
    def key(self) -> str:
        """What its scores are kept under."""
        return f"seed{self.seed}-fold{self.fold}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every arm, fold and seed, two at once")
    parser.add_argument("--recipe", default="auscultation")
    parser.add_argument("--data", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", dest="overrides")
    parser.add_argument("--out", default="runs/controls", type=Path, help="where runs lie")
    parser.add_argument("--results", default=RESULTS, type=Path, help="where scores are kept")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--folds", default="0,1,2,3,4")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--jobs", default=1, type=int, help="trainings at once, one thread each; 1 uses all threads")
    parser.add_argument("--summarize", action="store_true", help="train nothing")
    parser.add_argument("--one", nargs=3, metavar=("ARM", "SEED", "FOLD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        train_one(options, Job(options.one[0], int(options.one[1]), int(options.one[2])))
        return
    if options.all:
        options.jobs = 2
    jobs = list(list_all() if options.all else list_some(parser, options))
    if not options.summarize:
        work(options, jobs)
    summarize(options.results)


def list_all() -> Iterable[Job]:
    """Everything: the arms that are compared and the model that ships first, then other arms, then more seeds."""
    first = [*COMPARED, "unnormalized", "deployed"]
    yield from (Job(arm, 0, fold) for fold in range(5) for arm in first)
    yield from (Job(arm, 0, fold) for arm in ARMS if arm not in first for fold in range(5))
    yield from (Job(arm, seed, fold) for seed in (1, 2) for fold in range(5) for arm in COMPARED)


def list_some(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Iterable[Job]:
    """What was asked for."""
    names = options.arms.split(",")
    unknown = [name for name in names if name not in ARMS]
    if unknown:
        parser.error(f"no arm {', '.join(unknown)}; there are {', '.join(ARMS)}")
    for seed in options.seeds.split(","):
        yield from (Job(name, int(seed), int(fold)) for fold in options.folds.split(",") for name in names)


def work(options: argparse.Namespace, jobs: Sequence[Job]) -> None:
    """Train what has no scores yet, and keep the scores of each training when it is done."""
    keeping = threading.Lock()
    todo = [
        job
        for job in jobs
        if read_scores(options.results, job.arm).get(job.key, {}).get("recipe") != mark(options, job)
    ]
    print(f"{len(jobs) - len(todo)} of {len(jobs)} trainings are done", flush=True)
    command = [sys.executable, __file__, *sys.argv[1:], "--one"]

    def start(job: Job) -> None:
        folder = options.out / job.arm
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / f"{job.key}.log", "a", encoding="utf-8") as log:
            environment = {**os.environ, "OMP_NUM_THREADS": "1"} if options.jobs > 1 else None
            done = subprocess.run(
                [*command, job.arm, str(job.seed), str(job.fold)], stdout=log, stderr=log, check=False, env=environment
            )
        if done.returncode == 0:
            with keeping:
                scores = json.loads((folder / f"{job.key}.scores.json").read_text())
                keep_scores(options.results, job, scores, mark(options, job))
        print(f"{job.arm} {job.key}: {'done' if done.returncode == 0 else f'failed, see {log.name}'}", flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(start, todo))


def overrides_of(options: argparse.Namespace, job: Job) -> list[str]:
    return [*options.overrides, *ARMS[job.arm], f"data.split.fold={job.fold}", f"seed={job.seed}"]


def mark(options: argparse.Namespace, job: Job) -> str:
    """Hash of what decides a training's scores: the recipe without places and without what comes after."""
    from acula_edge.files import sha256_json
    from acula_edge.recipe import load_recipe

    values = load_recipe(options.recipe, overrides=overrides_of(options, job)).to_dict()
    kept = ["seed", "data", "frontend", "encoder", "language", "reports", "align"]
    if job.arm == "deployed":
        kept += ["distill", "quantize"]
    for source in values["data"]["sources"].values():
        source["root"] = None
    return str(sha256_json({"version": VERSION, **{name: values[name] for name in kept}}))[:12]


def train_one(options: argparse.Namespace, job: Job) -> None:
    """Train one arm on one fold and leave the test scores in its folder."""
    import torch

    from acula_edge import pipeline
    from acula_edge.align.monitors import effective_rank, norm_quantiles
    from acula_edge.bundle.folder import read_bundle
    from acula_edge.data.prepare import prepare
    from acula_edge.encoders import load_encoder
    from acula_edge.pipeline import evaluation
    from acula_edge.pipeline.bundling import build_bundle
    from acula_edge.pipeline.opening import complete
    from acula_edge.probe.heads import fit_heads
    from acula_edge.progress import show_progress
    from acula_edge.recipe import load_recipe
    from acula_edge.run import Run

    show_progress(lambda items, description, total: iter(items), lambda message: print(message, flush=True))
    if options.jobs > 1:
        torch.set_num_threads(1)
    data = dict(item.split("=", 1) for item in options.data)
    others = {name: data.pop(name) for name in ("pascal", "cinc2016") if name in data}
    trained = Job("aligned" if job.arm == "deployed" else job.arm, job.seed, job.fold)
    # An encoder of another recipe stays where it is.
    place = options.out / trained.arm / f"{job.key}-{mark(options, trained)}"
    recipe = complete(load_recipe(options.recipe, data=data, overrides=overrides_of(options, trained)))
    if not (place / "recipe.yaml").is_file():
        Run.create(place, recipe)
    lend(options.out / "shared", place)
    run = Run.open(pipeline.train(recipe, out=place, resume=True).path)
    store = prepare(run.recipe, run)
    models: dict[str, np.ndarray]
    if job.arm == "deployed":
        student = str(run.recipe.distill.student)
        if not (run.student_dir(student) / "model.safetensors").is_file():
            pipeline.distill(run, student, resume=True)
        bundle = build_bundle(run, student, run.recipe.quantize.profile, int8=True)
        rate_hz = read_bundle(bundle).input.sample_rate_hz
        models = {
            "student": evaluation.model_embeddings(run, bundle / "model.onnx", store, rate_hz),
            "int8": evaluation.model_embeddings(run, bundle / "model.int8.onnx", store, rate_hz),
        }
    else:
        models = {"teacher": evaluation.teacher_embeddings(run, store)}
    tasks = evaluation.select_tasks(DIVIDED, store)
    heads = {name: fit_heads(values, store.recordings, tasks, 0) for name, values in models.items()}
    if "int8" in heads:
        heads["int8"] = heads["student"]  # engine swap: one probe, two engines
    rows = []
    for name, values in models.items():
        for task, head in zip(tasks, heads[name], strict=True):
            positions, targets = task.values(store.recordings, "test")
            persons = [store.recordings[i].subject for i in positions]
            rows.append(row(task.id, name, persons, targets, values[positions] @ head.weight[:, 0] + head.bias[0]))
    figures: dict[str, Any] = {}
    if "teacher" in models:
        tested = [i for i, r in enumerate(store.recordings) if r.split == "test"]
        figures = {
            "effective_rank": effective_rank(models["teacher"][tested]),
            **norm_quantiles(models["teacher"][tested]),
        }
        encoder = load_encoder(run.encoder_dir)
        murmur = next(head for head in heads["teacher"] if head.task_id == "C1")
        for name, folder in others.items():
            rows += hear_others(name, folder, encoder, run, murmur, options.out / "shared" / "others")
    text = json.dumps({"rows": rows, "figures": {name: round(value, 3) for name, value in figures.items()}})
    (options.out / job.arm / f"{job.key}.scores.json").write_text(text)
    borrow(place, options.out / "shared")


def hear_others(name: str, folder: str, encoder: Any, run: Any, murmur: Any, cache: Path) -> list[dict[str, Any]]:
    """Scores of recordings that no training sees: PASCAL's by the probe of C1, CinC's by probes of other databases."""
    from dataclasses import replace

    from acula_edge.data.reader import readers
    from acula_edge.data.store import WaveStore
    from acula_edge.pipeline.evaluation import encoder_embeddings
    from acula_edge.probe.converged import fit_logistic

    recordings = [replace(r, split="test") for r in readers[name].read(Path(folder), {}).recordings]
    labels = {"pascal": {"murmur": 1, "normal": 0}, "cinc2016": {"abnormal": 1, "normal": 0}}[name]
    recordings = [r for r in recordings if r.metadata["class"] in labels]
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as turn:  # two trainings that end together decode once
        fcntl.flock(turn, fcntl.LOCK_EX)
        store = WaveStore.build(recordings, encoder.frontend.sample_rate_hz, cache)
    values = encoder_embeddings(encoder, store, run.recipe).astype(np.float64)
    targets = np.array([labels[str(r.metadata["class"])] for r in store.recordings])
    persons = np.array([r.subject for r in store.recordings])
    if name == "pascal":
        return [row("C1b", "teacher", persons, targets, values @ murmur.weight[:, 0] + murmur.bias[0])]
    rows = []
    databases = np.array([r.recording[0] for r in store.recordings])
    for database in sorted(set(databases)):
        inside = databases == database
        mean, deviation = values[~inside].mean(0), values[~inside].std(0)
        scaled = (values - mean) / np.maximum(deviation, 0.05 * np.sqrt(np.mean(deviation**2)))
        weight, bias, _ = fit_logistic(scaled[~inside], targets[~inside], persons[~inside], 0)
        rows.append(
            row(f"C3{database}", "teacher", persons[inside], targets[inside], (scaled[inside] @ weight + bias)[:, 0])
        )
    return rows


def row(task: str, model: str, persons: Sequence[str], targets: Sequence[float], scores: np.ndarray) -> dict[str, Any]:
    """What is kept of one task: persons as numbers in order of their ids, labels, and scores."""
    numbers = np.unique(np.array(persons), return_inverse=True)[1]
    return {
        "task": task, "model": model, "persons": numbers.tolist(), "targets": [int(t) for t in targets],
        "scores": [round(float(score), 4) for score in scores],
    }  # fmt: skip


_LENT = ("cache/waves-*", "cache/fingerprints-*", "text/embeddings-*.safetensors")


def lend(shared: Path, place: Path) -> None:
    """Give a run what earlier ones decoded and embedded; what does not fit it has another name and is not looked at."""
    for pattern in _LENT:
        for file in shared.glob(pattern):
            target = place / file.relative_to(shared)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                os.link(file, target)


def borrow(place: Path, shared: Path) -> None:
    """Keep what other runs can use, and drop the rest of a run's caches."""
    for pattern in _LENT:
        for file in place.glob(pattern):
            target = shared / file.relative_to(place)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                os.link(file, target)
    for name in ("cache", "text"):
        shutil.rmtree(place / name, ignore_errors=True)


def read_scores(results: Path, arm: str) -> dict[str, Any]:
    """Kept trainings of an arm: key -> {recipe, figures, scores {model/task: [scores]}}."""
    path = results / f"{arm}.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def keep_scores(results: Path, job: Job, done: dict[str, Any], recipe: str) -> None:
    """Keep the scores of a training. Who was tested and with which label is kept once for all arms."""
    from acula_edge.files import atomic_path

    results.mkdir(parents=True, exist_ok=True)
    cohort_file = results / "cohort.json"
    cohort = json.loads(cohort_file.read_text()) if cohort_file.is_file() else {}
    scores = {}
    for entry in done["rows"]:
        name = f"{entry['task']}-fold{job.fold}" if entry["task"] in DIVIDED else entry["task"]
        tested = {"persons": entry["persons"], "targets": entry["targets"]}
        if cohort.setdefault(name, tested) != tested:
            raise SystemExit(f"{job.arm} {job.key}: others were tested than before in {name}; use another --results")
        scores[f"{entry['model']}/{entry['task']}"] = entry["scores"]
    kept = read_scores(results, job.arm) | {job.key: {"recipe": recipe, "figures": done["figures"], "scores": scores}}
    for path, values in ((cohort_file, cohort), (results / f"{job.arm}.json", dict(sorted(kept.items())))):
        with atomic_path(path) as temporary:
            lines = [f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in values.items()]
            Path(temporary).write_text("{\n" + ",\n".join(lines) + "\n}\n")


@dataclass(frozen=True)
class Pool:
    """Test scores of one arm, model and task, as many times as it was trained.

    Attributes:
        persons, targets: [N].
        scores: (training seed, fold) -> [N], standardized within fold. Where every fold tests persons of its own they
            are pooled, and the fold is None.
        folds: which take part.
    """

    persons: np.ndarray
    targets: np.ndarray
    scores: dict[tuple[int, int | None], np.ndarray]
    folds: tuple[int, ...]

    @property
    def seeds(self) -> int:
        return len({seed for seed, _ in self.scores})


def pool(
    arm: dict[str, Any], cohort: dict[str, Any], model: str, task: str, only: Sequence[int] | None = None
) -> Pool | None:
    """Scores of one arm, over the folds of `only`; None where there are none.

    A seed takes part when it has all folds that the first seed has.
    """
    parts: dict[int, dict[int, np.ndarray]] = {}
    for key, entry in arm.items():
        seed, fold = (int(re.sub(r"\D", "", part)) for part in key.split("-"))
        found = entry["scores"].get(f"{model}/{task}")
        if found is None or (only is not None and fold not in only):
            continue
        values = np.array(found)
        # INT8 is read by the float student's probe, so its scores are scaled as the student's.
        scale = np.std(entry["scores"][f"student/{task}"] if model == "int8" else values)
        parts.setdefault(seed, {})[fold] = (values - values.mean()) / max(float(scale), 1e-12)
    if not parts:
        return None
    folds = tuple(sorted(parts[min(parts)]))
    seeds = [seed for seed in sorted(parts) if set(folds) <= set(parts[seed])]
    if task not in DIVIDED:
        tested = cohort[task]
        scores: dict[tuple[int, int | None], np.ndarray] = {(s, fold): parts[s][fold] for s in seeds for fold in folds}
        return Pool(np.array(tested["persons"]).astype(str), np.array(tested["targets"]), scores, folds)
    names = [f"{task}-fold{fold}" for fold in folds]
    persons = [np.array([f"{name}/{person}" for person in cohort[name]["persons"]]) for name in names]
    return Pool(
        np.concatenate(persons),
        np.concatenate([cohort[name]["targets"] for name in names]),
        {(seed, None): np.concatenate([parts[seed][fold] for fold in folds]) for seed in seeds},
        folds,
    )


def summarize(results: Path) -> None:
    """Print and keep the pooled out-of-fold figures, and the differences between arms on the same persons."""
    cohort_file = results / "cohort.json"
    if not cohort_file.is_file():
        raise SystemExit(f"there are no scores in {results}")
    cohort = json.loads(cohort_file.read_text())
    arms = {arm: read_scores(results, arm) for arm in ARMS}
    rows, differences = [], []
    tasks = [*TASKS, *(f"C3{database}" for database in DATABASES)]
    for arm, kept in arms.items():
        for model in ("teacher", "student", "int8"):
            for task in tasks:
                found = pool(kept, cohort, model, task)
                if found is None:
                    continue
                entry = {"condition": arm, "model": model, "task": task, **describe(found)}
                rows.append(entry)
                low, high = entry["ci95"]
                least, most = entry["per_subject_ci95"]
                print(
                    f"{arm:19s} {model:8s} {task:4s} AUROC {entry['auroc']:.3f} [{low:.3f}, {high:.3f}]  per person "
                    f"{entry['per_subject']:.3f} [{least:.3f}, {most:.3f}]  "
                    f"{entry['subjects']} persons, {entry['folds']} folds, {entry['seeds']} seeds"
                )
    for (first, first_model), (second, second_model) in DIFFERENCES:
        for task in tasks:
            entry = compare(arms, cohort, (first, first_model), (second, second_model), task)
            if entry is None:
                continue
            differences.append(entry)
            low, high = entry["ci95"]
            print(
                f"{task:4s} {first} {first_model} - {second} {second_model}: {entry['delta']:+.3f} "
                f"[{low:+.3f}, {high:+.3f}]  per person {entry['per_subject_delta']:+.3f}  "
                f"{entry['subjects']} persons, {entry['folds']} folds, {' and '.join(map(str, entry['seeds']))} seeds"
            )
    result = {"schema": "acula-edge/controls/2", "rows": rows, "differences": differences}
    (results / "summary.json").write_text(json.dumps(result, indent=2) + "\n")


def describe(found: Pool) -> dict[str, Any]:
    """AUROC, the mean over seeds, by recording and by person, with intervals."""
    values, people = bootstrap([found])
    return {
        "folds": len(found.folds), "seeds": found.seeds,
        "auroc": float(np.mean([auroc(found.targets, scores) for scores in found.scores.values()])),
        "ci95": percentiles(values),
        "per_subject": float(np.mean([auroc(*by_person(found, scores)) for scores in found.scores.values()])),
        "per_subject_ci95": percentiles(people),
        "by_seed": [round(auroc(found.targets, scores), 4) for scores in found.scores.values()],
        "recordings": len(found.targets), "subjects": len(set(found.persons)),
    }  # fmt: skip


def compare(
    arms: dict[str, Any], cohort: dict[str, Any], first: tuple[str, str], second: tuple[str, str], task: str
) -> dict[str, Any] | None:
    """The difference of two arms on the folds that both have; None where there are none."""
    pools = [pool(arms[arm], cohort, model, task) for arm, model in (first, second)]
    if pools[0] is None or pools[1] is None:
        return None
    common = sorted(set(pools[0].folds) & set(pools[1].folds))
    found = [pool(arms[arm], cohort, model, task, common) for arm, model in (first, second)] if common else []
    if len(found) < 2 or found[0] is None or found[1] is None:
        return None
    both = [part for part in found if part is not None]
    values, people = bootstrap(both)
    means = [np.mean([auroc(part.targets, scores) for scores in part.scores.values()]) for part in both]
    person_means = [np.mean([auroc(*by_person(part, scores)) for scores in part.scores.values()]) for part in both]
    return {
        "task": task, "first": list(first), "second": list(second), "folds": len(common),
        "seeds": [part.seeds for part in both],
        "delta": float(means[0] - means[1]), "ci95": percentiles(values),
        "per_subject_delta": float(person_means[0] - person_means[1]), "per_subject_ci95": percentiles(people),
        "subjects": len(set(both[0].persons)),
    }  # fmt: skip


def percentiles(values: np.ndarray) -> list[float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return [float(low), float(high)]


def auroc(targets: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve, from midranks: a tenth of scikit-learn's time, and a bootstrap asks for thousands."""
    from scipy.stats import rankdata

    positive = targets > 0
    ranks = rankdata(scores)
    count = int(positive.sum())
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(targets) - count)))


def by_person(found: Pool, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and mean scores of persons; one whose recordings differ in label counts once with each."""
    _, targets, means = person_means(found, scores)
    return targets, means


def person_means(found: Pool, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Person, label and mean score of every (person, label)."""
    units = np.array([f"{person}|{target:g}" for person, target in zip(found.persons, found.targets, strict=True)])
    keys, unit = np.unique(units, return_inverse=True)
    means = np.bincount(unit, weights=scores) / np.bincount(unit)
    return np.array([k.partition("|")[0] for k in keys]), np.array([float(k.rpartition("|")[2]) for k in keys]), means


def bootstrap(pools: Sequence[Pool], resamples: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Resampled AUROC of one pool, or differences of two, by recording and by person.

    Persons are drawn with replacement, the same for both, and so are the trainings of each that has several.
    """
    generator = np.random.default_rng(0)
    names = np.unique(pools[0].persons)
    rows = [np.flatnonzero(pools[0].persons == name) for name in names]
    seen = [{key: person_means(found, scores) for key, scores in found.scores.items()} for found in pools]
    any_seed = next(iter(seen[0].values()))
    units = [np.flatnonzero(any_seed[0] == name) for name in names]
    areas: list[list[float]] = [[], []]
    for _ in range(resamples):
        people = generator.integers(0, len(names), len(names))
        drawn = [
            [list(found.scores)[i] for i in generator.integers(0, len(found.scores), len(found.scores))]
            for found in pools
        ]
        taken = np.concatenate([rows[i] for i in people])
        unit = np.concatenate([units[i] for i in people])
        targets = pools[0].targets[taken]
        if not 0 < (targets > 0).sum() < len(targets):
            continue
        means = [
            np.mean([auroc(targets, found.scores[seed][taken]) for seed in seeds])
            for found, seeds in zip(pools, drawn, strict=True)
        ]
        person = [
            np.mean([auroc(any_seed[1][unit], known[seed][2][unit]) for seed in seeds])
            for known, seeds in zip(seen, drawn, strict=True)
        ]
        for kept, values in zip(areas, (means, person), strict=True):
            kept.append(float(values[0] if len(values) == 1 else values[0] - values[1]))
    return np.array(areas[0]), np.array(areas[1])


if __name__ == "__main__":
    main()
