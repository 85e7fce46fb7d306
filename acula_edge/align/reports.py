"""The text side of alignment: vectors of training and validation reports, and the target made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from acula_edge.align.text_space import Layer
from acula_edge.align.text_target import TextTarget, fit_text_target
from acula_edge.data.manifest import Recording
from acula_edge.data.reports import write_corpus, write_reports
from acula_edge.data.store import WaveStore
from acula_edge.errors import InputError, ManifestError
from acula_edge.files import sha256_json
from acula_edge.language import embed_recordings
from acula_edge.processes import is_main
from acula_edge.progress import notify
from acula_edge.recipe import AlignConfig, ReportsConfig
from acula_edge.run import Run
from acula_edge.training import resolve_device


@dataclass(frozen=True)
class ReportVectors:
    """What the language model makes of the reports of training and validation recordings; test ones have none.

    Attributes:
        rows: [N] positions in the store.
        recordings: the same N recordings.
        vectors: [N, W] float32, the mean over each recording's phrasings.
        training: [N] whether it is a training recording.
        source: [N] whose report each recording gets: its own, unless the recipe shuffles them as a control.
        config: how the target is made of them.
    """

    rows: np.ndarray
    recordings: Sequence[Recording]
    vectors: np.ndarray
    training: np.ndarray
    source: np.ndarray
    config: AlignConfig

    @property
    def datasets(self) -> list[str]:
        """Data set of each."""
        return [recording.dataset for recording in self.recordings]

    @property
    def of_training(self) -> tuple[np.ndarray, list[str]]:
        """Vectors of training reports, and their data sets."""
        names = [r.dataset for r, is_train in zip(self.recordings, self.training, strict=True) if is_train]
        return self.vectors[self.training], names

    @cached_property
    def target(self) -> TextTarget:
        """The fixed, whitened target, fitted on training reports."""
        return fit_text_target(*self.of_training, self.config.text_components, self.config.text_shrinkage)

    @property
    def whitening(self) -> Layer:
        """The same as a layer; the origin is left to the space's means."""
        directions = self.target.directions * self.target.scale
        return directions, np.zeros(directions.shape[1])

    @cached_property
    def spread(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation [W] over training reports, by which a trainable text head's input is scaled."""
        vectors = self.vectors[self.training]
        return vectors.mean(0), vectors.std(0) + 1e-6


def read_reports(run: Run, store: WaveStore) -> ReportVectors:
    """Write and embed the reports of training and validation recordings, through the run's cache.

    Raises:
        ManifestError: there are fewer than 8 training recordings.
        InputError: a data set has validation recordings only.
    """
    recipe = run.recipe
    rows = [index for index, r in enumerate(store.recordings) if r.split in ("train", "val")]
    recordings = [store.recordings[index] for index in rows]
    training = np.array([r.split == "train" for r in recordings])
    if training.sum() < 8:
        raise ManifestError(
            "there are too few training recordings to align on", given=int(training.sum()), allowed="at least 8"
        )
    trained = {r.dataset for r in recordings if r.split == "train"}
    unseen = {r.dataset for r in recordings} - trained
    if unseen:
        raise InputError(f"no training recordings of {', '.join(sorted(unseen))}; only validation ones")
    reports = [write_reports(recording, recipe.reports) for recording in recordings]
    if is_main():
        write_corpus(recordings, recipe.reports, run.text_dir / "reports.jsonl")
    vectors = embed_recordings(reports, recipe.language, run.text_dir, resolve_device(recipe.align.device))
    source = np.arange(len(rows))
    if recipe.reports.shuffle:
        source = _shuffled_within([r.dataset for r in recordings], training, recipe.reports.seed)
        notify("reports are shuffled among the recordings of each data set (negative control)")
    return ReportVectors(np.array(rows), recordings, vectors, training, source, recipe.align)


def stated_facts(recordings: Sequence[Recording], config: ReportsConfig) -> np.ndarray:
    """Number of the group of recordings of which the same is reported; [N] integers.

    Phrasings are drawn by a recording's key, so reports of the same facts differ in their words. Written under one key
    they differ only where the facts do.
    """
    written = [sha256_json([r.dataset, write_reports(replace(r, recording="any"), config)]) for r in recordings]
    return np.unique(written, return_inverse=True)[1]


def _shuffled_within(names: list[str], training: np.ndarray, seed: int) -> np.ndarray:
    """A permutation of the training rows within each data set; validation rows stay."""
    source = np.arange(len(names))
    generator = np.random.default_rng(seed)
    for name in sorted(set(names)):
        rows = np.array([i for i, (n, t) in enumerate(zip(names, training, strict=True)) if n == name and t])
        source[rows] = generator.permutation(rows)
    return source
