"""One way of teaching one student, from a run's aligned encoder to AUROC of its float and INT8 files; kept on disk.

Shared by ``student_frontier.py`` (which network?) and ``distillation_ablation.py`` (which loss?). A trial is a run
folder of its own that borrows the cache, the reports and the encoder of the run it starts from, so that it goes through
the product's own distillation, export and quantization. ``result.json`` closes a trial; an interrupted one is resumed.
``scores.json`` names persons and stays where it is: what is published is made of aggregates only.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from trial_scores import Corpus, open_phantom, read_back, read_bundle_on, score_rows

from acula_edge.align.train import align
from acula_edge.bundle.schema import Provenance
from acula_edge.data.prepare import prepare
from acula_edge.data.store import WaveStore
from acula_edge.distillation.train import distill
from acula_edge.encoders import load_encoder, make_student, teachers
from acula_edge.encoders.students import Student, StudentKind, students
from acula_edge.frontend.torch import make_frontend
from acula_edge.pipeline.bundling import Description, write_bundle
from acula_edge.pipeline.evaluation import encoder_embeddings, teacher_embeddings
from acula_edge.progress import show_progress
from acula_edge.recipe import Recipe, dump_recipe
from acula_edge.run import Run
from acula_edge.training import refresh_statistics

TASKS = ("C1", "T10")
BORROWED = ("cache", "text")


@dataclass(frozen=True)
class Trial:
    """What is tried.

    Attributes:
        name: of its folder.
        title: one line for tables and figures.
        kind: the student's network.
        distill: overrides of the recipe's ``distill`` section.
        frontend: overrides of the teacher's front end, for the student's own.
        teacher: name of an earlier trial whose student teaches, instead of the run's encoder.
        untrained: the network as it is initialized.
        aligned: registered encoder that is aligned with the reports itself, by the run's recipe and from random
            initialization, and taught by nobody; ``"student"`` for the trial's own network.
        align: overrides of the recipe's ``align`` section for it.
        epochs_factor: how many times as many epochs of distillation as the others.
    """

    name: str
    title: str
    kind: StudentKind
    distill: dict[str, Any] = field(default_factory=dict)
    frontend: dict[str, Any] = field(default_factory=dict)
    teacher: str | None = None
    untrained: bool = False
    aligned: str | None = None
    align: dict[str, Any] = field(default_factory=dict)
    epochs_factor: int = 1

    @property
    def student(self) -> str:
        """Name that its network is registered by, in this process only."""
        return f"trial-{self.name}"


def register(trials: Sequence[Trial]) -> None:
    """Make the networks known by name, so that saved ones can be read back."""
    for trial in trials:
        if trial.student not in students:
            students.register(trial.student, trial.kind)
            teachers.register(trial.student, Student)


def run_trial(trial: Trial, source: Run, out: Path, epochs: int) -> dict[str, Any]:
    """Distill, export, quantize and read one trial, or return what an earlier call kept."""
    folder = out / trial.name
    kept = folder / "result.json"
    if kept.is_file():
        return json.loads(kept.read_text())  # type: ignore[no-any-return]
    print(f"== {trial.name}: {trial.title}", flush=True)
    begun = time.monotonic()
    run = borrow(source, folder / "run", _recipe(trial, source.recipe, epochs), _teacher(trial, source, out))
    store = prepare(run.recipe, run)
    facts: dict[str, Any] = {}
    if trial.aligned is not None:
        if not (run.encoder_dir / "model.safetensors").is_file():
            align(run, resume=True)
        network = load_encoder(run.encoder_dir)
        facts = run.manifest["stages"]["align"]
    elif trial.untrained:
        network = _initialized(trial, run, store)
    else:
        if not (run.student_dir(trial.student) / "model.safetensors").is_file():
            distill(run, trial.student, resume=True)
        network = load_encoder(run.student_dir(trial.student))
        facts = run.manifest["stages"][f"distill-{trial.student}"]
    result = close_trial(trial, network, run, store, facts)
    print(f"{trial.name} took {time.monotonic() - begun:.0f} s", flush=True)
    return result


def close_trial(trial: Trial, network: Any, run: Run, store: WaveStore, facts: dict[str, Any]) -> dict[str, Any]:
    """Export and quantize a trained network, read it, and keep the result."""
    folder = run.path.parent
    recipe = run.recipe
    bundle = write_bundle(
        folder / "bundle", network.deployable(), [], Description(None, recipe.encoder.name, Provenance()),
        data=recipe.data, quantize=recipe.quantize, store=store,
    )  # fmt: skip
    (folder / "scores.json").write_text(json.dumps(read_bundle_on(bundle, Corpus("", store, TASKS), recipe)))
    described = json.loads((bundle / "bundle.json").read_text())
    quantized = json.loads((bundle / "quantize.json").read_text())
    result = {
        "name": trial.name,
        "title": trial.title,
        "parameters": described["parameters"],
        "macs": quantized["macs"],
        "int8_mac_share": quantized["int8_mac_share"],
        "encoder_int8_bytes": quantized["sizes_bytes"]["encoder.int8.onnx"],
        "model_int8_bytes": quantized["sizes_bytes"]["model.int8.onnx"],
        "int8_cosine": quantized["parity"]["cosine_mean"],
        "training": {key: facts.get(key) for key in ("epochs", "steps", "seconds", "val_cosine")},
    }
    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result), flush=True)
    return result


def borrow(source: Run, path: Path, recipe: Recipe, teacher: Path | None) -> Run:
    """A run of its own with the other's waveforms and reports, and an encoder to learn from, if any."""
    path.mkdir(parents=True, exist_ok=True)
    lent = {name: source.path / name for name in BORROWED} | ({"encoder": teacher} if teacher else {})
    for name, target in lent.items():
        place = path / name
        if not place.is_symlink() and not place.exists():
            os.symlink(target.resolve(), place)
    if not (path / "manifest.json").is_file():
        shutil.copy(source.manifest_path, path / "manifest.json")
    run = Run(path)
    run.recipe_path.write_text(dump_recipe(recipe))
    return run


def _teacher(trial: Trial, source: Run, out: Path) -> Path | None:
    """Folder of the encoder that teaches."""
    if trial.aligned is not None:
        return None
    return (
        source.encoder_dir if trial.teacher is None else out / trial.teacher / "run/student" / f"trial-{trial.teacher}"
    )


def _recipe(trial: Trial, recipe: Recipe, epochs: int) -> Recipe:
    frontend = None
    if trial.frontend:
        assert recipe.frontend is not None
        frontend = dataclasses.replace(recipe.frontend, **trial.frontend)
    settings = {"epochs": epochs * trial.epochs_factor, **trial.distill, "student": trial.student, "frontend": frontend}
    encoder = recipe.encoder
    if trial.aligned is not None:
        own = trial.aligned == "student"
        options = {"embedding_dim": recipe.distill.embedding_dim} if own else {}
        encoder = dataclasses.replace(encoder, name=trial.student if own else trial.aligned, options=options)
    return dataclasses.replace(
        recipe,
        encoder=encoder,
        align=dataclasses.replace(recipe.align, **trial.align),
        distill=dataclasses.replace(recipe.distill, **settings),
        quantize=dataclasses.replace(recipe.quantize, calibration_windows=100),
        zero_shot=dataclasses.replace(recipe.zero_shot, prompts=None),
    )


def _initialized(trial: Trial, run: Run, store: WaveStore) -> Any:
    """The student's network at random initialization, its normalization fitted to training windows."""
    recipe = run.recipe
    spec = recipe.distill.frontend or recipe.frontend
    assert spec is not None
    torch.manual_seed(recipe.seed)
    network = make_student(trial.student, frontend=spec, embedding_dim=recipe.distill.embedding_dim)
    frontend = make_frontend(spec)
    samples = spec.samples(recipe.data.window_s)
    training = [row for row, recording in enumerate(store.recordings) if recording.split == "train"]
    chosen = np.random.default_rng(0).permutation(training)[:512]
    waves = [np.resize(store[int(row)], samples) for row in chosen]
    refresh_statistics(
        network, (frontend(torch.from_numpy(np.stack(waves[at : at + 64]))) for at in range(0, len(waves), 64))
    )
    return network


def add_options(parser: argparse.ArgumentParser) -> None:
    """What both scripts take."""
    parser.add_argument("--run", type=Path, required=True, help="a run on real recordings with an aligned encoder")
    parser.add_argument("--out", type=Path, required=True, help="folder of the trials; both scripts may share it")
    parser.add_argument("--epochs", type=int, default=8, help="of distillation, the same for all")
    parser.add_argument("--trials", help="names, in the order in which to run them; all by default")
    parser.add_argument(
        "--phantom", type=int, default=120, metavar="N", help="persons of the phantom corpus; 0 for none"
    )
    parser.add_argument("--summarize", action="store_true", help="only read the trials that are done")


def run_all(trials: Sequence[Trial], options: argparse.Namespace) -> list[str]:
    """Run the trials that were asked for; returns the names of all that are done."""
    show_progress(lambda items, description, total: iter(items), lambda message: print(message, flush=True))
    register(trials)
    source = Run.open(options.run)
    by_name = {trial.name: trial for trial in trials}
    wanted = list(by_name) if options.trials is None else options.trials.split(",")
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise SystemExit(f"no trial {', '.join(unknown)}; there are {', '.join(by_name)}")
    if not options.summarize:
        read_teacher(source, options.out)
        for name in wanted:
            run_trial(by_name[name], source, options.out, options.epochs)
    done = [name for name in by_name if (options.out / name / "result.json").is_file()]
    read_all_back(source, options.out, done)
    if options.phantom:
        read_phantom(source, options.out, done, options.phantom)
    return done


def read_teacher(source: Run, out: Path) -> None:
    """Scores of the run's own encoder, as of a trial."""
    folder = out / "teacher"
    if (folder / "scores.json").is_file():
        return
    recipe = source.recipe
    run = borrow(source, folder / "run", recipe, source.encoder_dir)
    corpus = Corpus("", prepare(recipe, run), TASKS)
    embeddings = {"float": encoder_embeddings(load_encoder(run.encoder_dir), corpus.store, recipe)}
    (folder / "scores.json").write_text(json.dumps(score_rows(embeddings, corpus, recipe.seed)))


def read_all_back(source: Run, out: Path, names: Sequence[str]) -> None:
    """How much of the teacher is left in each student, kept as ``readout.json``."""
    missing = [name for name in names if not (out / name / "readout.json").is_file()]
    if not missing:
        return
    run = Run.open(out / "teacher" / "run")
    corpus = Corpus("", prepare(source.recipe, run), TASKS)
    teacher = teacher_embeddings(run, corpus.store)
    for name in missing:
        found = read_back(out / name / "bundle", corpus, teacher, source.recipe)
        (out / name / "readout.json").write_text(json.dumps(found))


def read_phantom(source: Run, out: Path, names: Sequence[str], subjects: int) -> None:
    """Scores on phantom recordings, which no trial has learned from: what the embedding carries over."""
    file = f"phantom-{subjects}.json"
    missing = [name for name in ("teacher", *names) if not (out / name / file).is_file()]
    if not missing:
        return
    recipe = source.recipe
    assert recipe.frontend is not None
    corpus = open_phantom(out / f"phantom-{subjects}", recipe.frontend, subjects)
    for name in missing:
        if name == "teacher":
            teacher = load_encoder(source.encoder_dir)
            rows = score_rows({"float": encoder_embeddings(teacher, corpus.store, recipe)}, corpus, recipe.seed)
        else:
            rows = read_bundle_on(out / name / "bundle", corpus, recipe)
        (out / name / file).write_text(json.dumps(rows))
