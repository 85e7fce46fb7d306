"""Verification of one bundle against its run: teacher in PyTorch, float student and INT8 as the files they are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from acula_edge.bundle.json_files import plain
from acula_edge.bundle.layout import MODEL_FILES, PROMPT_SCORES_FILE, VERIFY_SCORES_FILE
from acula_edge.bundle.schema import Bundle, Verify
from acula_edge.bundle.writer import BundleWriter
from acula_edge.data.prepare import at_rate
from acula_edge.data.store import WaveStore
from acula_edge.distillation.teaching import collect_lessons
from acula_edge.encoders import load_encoder
from acula_edge.engines.ort import OrtEngine
from acula_edge.files import sha256_file
from acula_edge.frontend.torch import make_frontend
from acula_edge.pipeline.zero_shot import verify_zero_shot
from acula_edge.probe.embedding_cache import cached_embeddings
from acula_edge.probe.embeddings import Waves, embed_store
from acula_edge.probe.heads import fit_probes
from acula_edge.probe.scores import TaskScores, write_scores
from acula_edge.probe.tasks import Task, resolve_tasks
from acula_edge.probe.verify import score_tasks, verify_scores
from acula_edge.progress import notify, track
from acula_edge.recipe import Recipe
from acula_edge.run import Run
from acula_edge.training import resolve_device


@dataclass(frozen=True)
class Evaluation:
    """What a bundle was found to be worth.

    Attributes:
        verify: the content of ``verify.json``.
        scores: of the test recordings, by task.
        prompted: the same by text prompts; None without any.
    """

    verify: Verify
    scores: Sequence[TaskScores]
    prompted: Sequence[TaskScores] | None

    def add_to(self, writer: BundleWriter) -> None:
        """Put it into a bundle."""
        writer.write(self.verify)
        write_scores(writer.folder / VERIFY_SCORES_FILE, self.scores)
        (writer.folder / PROMPT_SCORES_FILE).unlink(missing_ok=True)
        if self.prompted is not None:
            write_scores(writer.folder / PROMPT_SCORES_FILE, self.prompted)


def evaluate_bundle(
    run: Run,
    store: WaveStore,
    folder: Path,
    info: Bundle,
    tasks: Sequence[str] | None = None,
    zero_shot: str | Path | None = None,
) -> Evaluation:
    """Evaluate every model of a bundle on the run's test persons; nothing is written.

    Args:
        store: the run's recordings.
        folder, info: of the bundle.
        tasks: instead of the recipe's.
        zero_shot: prompts instead of the recipe's.
    """
    recipe, recordings = run.recipe, store.recordings
    chosen = select_tasks(tasks or [*recipe.verify.tasks, *recipe.verify.gate.require_tasks], store)
    embeddings = {"float_teacher": teacher_embeddings(run, store)}
    for precision, row in (("float", "float_student"), ("int8", "int8")):
        model = folder / MODEL_FILES[precision]
        if model.is_file():
            embeddings[row] = model_embeddings(run, model, store, info.input.sample_rate_hz)
    probes = {model: fit_probes(values, recordings, chosen, recipe.seed) for model, values in embeddings.items()}
    scored, missing = score_tasks(embeddings, probes, recordings, chosen)
    result = verify_scores(scored, missing, embeddings, recordings, recipe.verify, plain(info.parity))
    prompts = zero_shot or recipe.zero_shot.prompts
    result["zero_shot"], prompted = None, None
    if prompts is not None:
        only = None if tasks is None else [task.id for task in chosen]
        result["zero_shot"], prompted = verify_zero_shot(run, folder, store, embeddings, prompts, only)
    result["split"] = {"rule": recipe.data.split.rule, "leaks": run.manifest["stages"]["data"].get("leaks", [])}
    return Evaluation(msgspec.convert(result, Verify), scored, prompted)


def select_tasks(names: Sequence[str], store: WaveStore) -> list[Task]:
    """Tasks by id or wildcard; ``all`` takes those whose data set the run holds."""
    return list(resolve_tasks(names, store.recordings))


def teacher_embeddings(run: Run, store: WaveStore) -> np.ndarray:
    """The aligned encoder's embedding of every recording, [R, D]: the mean over its windows."""
    recipe = run.recipe
    sha256 = sha256_file(run.encoder_dir / "model.safetensors")
    splits = [recording.split for recording in store.recordings]
    device = resolve_device(recipe.align.device)
    teacher = load_encoder(run.encoder_dir)
    sums = np.zeros((len(store), teacher.embedding_dim))
    counts = np.zeros(len(store))
    # Distillation listened to the training and validation windows already, under the same key.
    for wanted in (("train", "val"), ("test",)):
        rows = [index for index, split in enumerate(splits) if split in wanted]
        if not rows:
            continue
        lessons = collect_lessons(teacher, sha256, store, rows, recipe.data, run.store_dir, device)
        np.add.at(sums, lessons.row, lessons.embedding)
        np.add.at(counts, lessons.row, 1)
    return (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)


def model_embeddings(
    run: Run, model: Path, store: WaveStore, sample_rate_hz: int, splits: Collection[str] | None = None
) -> np.ndarray:
    """The embedding of every recording by a bundle's ONNX model, [R, D], kept under the model's hash.

    Args:
        sample_rate_hz: that the model takes.
        splits: rows of recordings outside these are zero, and not listened to.
    """
    recipe = run.recipe
    store = at_rate(store, run, sample_rate_hz)
    used = [row for row in _used(store) if splits is None or store.recordings[row].split in splits]

    def embed(positions: list[int]) -> np.ndarray:
        engine = OrtEngine(model, threads=1)

        def listen(windows: np.ndarray) -> np.ndarray:
            return np.stack([engine.run({"waveform": window[None]})["embedding"][0] for window in windows])

        chosen = _Chosen(store, [used[position] for position in positions])
        return _embed_with_progress(listen, chosen, recipe, f"listening with {model.name}")

    hashes = [store.recordings[row].sha256 for row in used]
    return _spread(cached_embeddings(run.store_dir, sha256_file(model), recipe.data, hashes, embed), used, len(store))


class _Chosen:
    """Some waves of a store."""

    def __init__(self, store: WaveStore, rows: list[int]) -> None:
        self.sample_rate_hz = store.sample_rate_hz
        self._store, self._rows = store, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> np.ndarray:
        return self._store[self._rows[index]]


def _used(store: WaveStore) -> list[int]:
    """Rows that any split uses."""
    return [row for row, recording in enumerate(store.recordings) if recording.split != "unused"]


def _spread(embeddings: np.ndarray, rows: list[int], total: int) -> np.ndarray:
    """[R, D] with zeros where a recording is used nowhere, and so was not listened to."""
    result = np.zeros((total, embeddings.shape[1]), np.float32)
    result[rows] = embeddings
    return result


def encoder_embeddings(encoder: Any, store: WaveStore, recipe: Recipe) -> np.ndarray:
    """A PyTorch encoder's embedding of every recording, [R, D]."""
    frontend = make_frontend(encoder.frontend)

    @torch.inference_mode()
    def embed(windows: np.ndarray) -> np.ndarray:
        mel = frontend(torch.from_numpy(np.ascontiguousarray(windows)))
        return encoder.embed_mel(mel).float().numpy()  # type: ignore[no-any-return]

    used = _used(store)
    embeddings = _embed_with_progress(embed, _Chosen(store, used), recipe, "listening with the student")
    return _spread(embeddings, used, len(store))


def _embed_with_progress(
    embed: Callable[[np.ndarray], np.ndarray], store: Waves, recipe: Recipe, description: str
) -> np.ndarray:
    ticks = iter(track(range(len(store)), description))
    done = 0

    def advance(now: int, total: int) -> None:
        nonlocal done
        for _ in range(now - done):
            next(ticks, None)
        done = now

    result = embed_store(embed, store, recipe.data, progress=advance)
    next(ticks, None)
    return result


def teacher_callable(run: Run) -> Callable[[], None]:
    """One call of the float teacher in PyTorch, waveform to embedding, one thread; for the benchmark."""
    encoder = load_encoder(run.encoder_dir)
    frontend = make_frontend(encoder.frontend)
    samples = encoder.frontend.samples(run.recipe.data.window_s)
    wave = torch.from_numpy(np.random.default_rng(0).standard_normal((1, samples)).astype(np.float32) * 0.1)
    threads = run.recipe.benchmark.threads

    @torch.inference_mode()
    def call() -> None:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        encoder.embed_mel(frontend(wave))

    notify("the float teacher in PyTorch runs on %d thread(s) for comparison", threads)
    return call
