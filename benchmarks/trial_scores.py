"""Scores of a trial: by its float file, its INT8 file, and the float file through worse sensors."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from acula_edge.align.objectives import debiased_cka
from acula_edge.data.prepare import prepare
from acula_edge.data.store import WaveStore
from acula_edge.distillation.degradation import degrade, draw_degradation
from acula_edge.distillation.teaching import fit_reduction
from acula_edge.engines.ort import OrtEngine
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.pipeline.evaluation import select_tasks
from acula_edge.probe.embeddings import embed_store
from acula_edge.probe.heads import fit_heads
from acula_edge.recipe import Recipe, load_recipe
from acula_edge.run import Run


@dataclass(frozen=True)
class Corpus:
    """Recordings that trials are read on.

    Attributes:
        prefix: of the tasks' names in results; "" for the run's own recordings.
        store: with splits.
        tasks: ids.
    """

    prefix: str
    store: WaveStore
    tasks: tuple[str, ...]


def read_bundle_on(bundle: Path, corpus: Corpus, recipe: Recipe) -> list[dict[str, Any]]:
    """Scores of validation and test recordings by the float file, the INT8 file, and the float file through sensors."""
    listeners = {"float": (bundle / "model.onnx", False), "int8": (bundle / "model.int8.onnx", False)}
    if not corpus.prefix:
        listeners["degraded"] = (bundle / "model.onnx", True)
    splits = [recording.split for recording in corpus.store.recordings]
    everything = [row for row, split in enumerate(splits) if split in ("train", "val", "test")]
    unseen = [row for row in everything if splits[row] != "train"]
    embeddings = {}
    for name, (file, worse) in listeners.items():
        rows = everything if name == "float" else unseen  # the probe is the float file's
        waves: Any = _Degraded(corpus.store) if worse else corpus.store
        embedded = embed_store(_listener(file), _Rows(waves, rows), recipe.data)
        embeddings[name] = np.zeros((len(splits), embedded.shape[1]), np.float32)
        embeddings[name][rows] = embedded
    return score_rows(embeddings, corpus, recipe.seed)


def read_back(bundle: Path, corpus: Corpus, teacher: np.ndarray, recipe: Recipe) -> dict[str, float]:
    """What of the teacher is left in a student's embedding, on validation recordings.

    The cosine that training logs favors whoever was trained on the cosine, CKA whoever was trained on CKA. The share of
    nearest neighbors in common (Huh et al. 2024, section 3, mutual k-NN) is nobody's loss.

    Args:
        teacher: [R, D] of every recording; rows of test recordings are not read.

    Returns:
        ``val_cka`` (debiased) and ``val_neighbors`` (of the 10 nearest by cosine).
    """
    splits = np.array([recording.split for recording in corpus.store.recordings])
    train, val = np.flatnonzero(splits == "train"), np.flatnonzero(splits == "val")
    student = embed_store(_listener(bundle / "model.onnx"), _Rows(corpus.store, val.tolist()), recipe.data)
    target = fit_reduction(teacher[train], recipe.distill.embedding_dim).apply(teacher[val])
    near, nearest = _nearest(student), _nearest(target)
    common = [len(set(one) & set(other)) / len(one) for one, other in zip(near, nearest, strict=True)]
    cka = debiased_cka(torch.from_numpy(student), torch.from_numpy(target))
    return {"val_cka": float(cka), "val_neighbors": float(np.mean(common))}


def _nearest(embedding: np.ndarray, count: int = 10) -> np.ndarray:
    """Rows of the nearest others, [N, count]."""
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    return np.argsort(-cosine, axis=1)[:, :count]


def score_rows(embeddings: dict[str, np.ndarray], corpus: Corpus, seed: int) -> list[dict[str, Any]]:
    """Logits of the float model's probe on every model's embeddings: engines and microphones are swapped, no probe."""
    recordings = corpus.store.recordings
    tasks = [task for task in select_tasks(corpus.tasks, corpus.store) if task.kind == "binary"]
    heads = {head.task_id: head for head in fit_heads(embeddings["float"], recordings, tasks, seed)}
    rows = []
    for task in tasks:
        if task.id not in heads:
            continue
        head = heads[task.id]
        for split in ("val", "test"):
            positions, targets = task.values(recordings, split)
            for model, values in embeddings.items():
                logits = values[positions] @ head.weight[:, 0] + head.bias[0]
                rows.append(
                    {
                        "task": f"{corpus.prefix}{task.id}",
                        "split": split,
                        "model": model,
                        "subjects": [recordings[int(i)].subject for i in positions],
                        "targets": [float(value) for value in targets],
                        "scores": [float(value) for value in logits],
                    }
                )
    return rows


def read_scores(folder: Path) -> dict[tuple[str, str, str], dict[str, Any]]:
    """(task, split, model) -> subjects, targets and scores of a trial that is done, also phantom ones."""
    found = {}
    for file in (folder / "scores.json", *sorted(folder.glob("phantom-*.json"))):
        for row in json.loads(file.read_text()):
            arrays = {key: np.array(row[key]) for key in ("subjects", "targets", "scores")}
            found[row["task"], row["split"], row["model"]] = arrays
    return found


def open_phantom(path: Path, frontend: FrontendSpec, subjects: int) -> Corpus:
    """The phantom corpus at a front end's rate, made once."""
    recipe = load_recipe("phantom", overrides=[f"data.sources.phantom.options.subjects={subjects}"])
    recipe = dataclasses.replace(recipe, frontend=frontend)
    run = Run.create(path, recipe)
    return Corpus("phantom ", prepare(recipe, run), ("all",))


class _Degraded:
    """Every recording through a worse sensor, the same one each time."""

    def __init__(self, store: WaveStore) -> None:
        self.recordings, self.sample_rate_hz = store.recordings, store.sample_rate_hz
        self._store = store

    def __len__(self) -> int:
        return len(self._store)

    def __getitem__(self, index: int) -> np.ndarray:
        wave = torch.from_numpy(np.ascontiguousarray(self._store[index]))[None]
        drawn = draw_degradation([np.random.default_rng([7, index])], wave.shape[1])
        drawn = dataclasses.replace(drawn, untouched=torch.zeros_like(drawn.untouched))
        return degrade(wave, drawn)[0].numpy()


class _Rows:
    """Some recordings of a store."""

    def __init__(self, store: Any, rows: list[int]) -> None:
        self._store, self._rows, self.sample_rate_hz = store, rows, store.sample_rate_hz

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> np.ndarray:
        wave: np.ndarray = self._store[self._rows[index]]
        return wave


def _listener(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    engine = OrtEngine(file, threads=1)
    return lambda windows: np.stack([engine.run({"waveform": window[None]})["embedding"][0] for window in windows])
