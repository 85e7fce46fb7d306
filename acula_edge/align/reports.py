"""The text side of alignment: vectors of training and validation reports, and the target made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from acula_edge.align.text_space import Layer
from acula_edge.align.text_target import TextTarget, fit_text_target
from acula_edge.clinical_text.corpus import ensure_corpus, find_corpus, load_corpus
from acula_edge.clinical_text.fact_selection import group_by_facts
from acula_edge.clinical_text.fact_vectors import FACTS, fact_columns, fact_vectors
from acula_edge.data.manifest import Recording
from acula_edge.data.store import WaveStore
from acula_edge.errors import InputError, ManifestError
from acula_edge.language import embed_recordings
from acula_edge.processes import is_main, main_first
from acula_edge.progress import notify
from acula_edge.recipe import AlignConfig
from acula_edge.run import Run
from acula_edge.training import resolve_device


@dataclass(frozen=True)
class ReportVectors:
    """What the language model makes of the reports of training and validation recordings; test ones have none.

    Attributes:
        rows: [N] positions in the store.
        recordings: the same N recordings.
        vectors: [N, W] float32, the mean over each recording's phrasings, or over those of all recordings of which the
            same is stated (``align.text_average``).
        training: [N] whether it is a training recording.
        source: [N] whose report each recording gets: its own, unless the recipe shuffles them as a control.
        config: how the target is made of them.
        facts: [N] number of the group of recordings of which the same is stated.
        findings: [N, C]; see :class:`acula_edge.align.pairs.Pairs`.
    """

    rows: np.ndarray
    recordings: Sequence[Recording]
    vectors: np.ndarray
    training: np.ndarray
    source: np.ndarray
    config: AlignConfig
    facts: np.ndarray
    findings: np.ndarray

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
        """The same as a layer; the origin is left to the space's means, and cosines do not see a data set's scale."""
        directions = self.target.directions
        return directions, np.zeros(directions.shape[1])

    @cached_property
    def spread(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation [W] over training reports, by which a trainable text head's input is scaled."""
        vectors = self.vectors[self.training]
        return vectors.mean(0), vectors.std(0) + 1e-6


def read_reports(run: Run, store: WaveStore) -> ReportVectors:
    """Read, or write, the reports of training and validation recordings and embed them, through the run's cache.

    They are those of ``reports.corpus``, else of ``RUN/reports.jsonl`` (``acula-edge data reports``) where its
    settings are the run's, else they are written now. Recordings without a report are left out.

    Raises:
        ManifestError: there are fewer than 8 training recordings.
        InputError: a data set has validation recordings only.
    """
    recipe = run.recipe
    rows = [index for index, r in enumerate(store.recordings) if r.split in ("train", "val")]
    corpus = load_corpus(_provide_corpus(run, [store.recordings[index] for index in rows]))
    without = [store.recordings[index].key for index in rows if store.recordings[index].key not in corpus]
    if without:
        notify("%d recordings have no report and are left out, the first: %s", len(without), without[0])
        rows = [index for index in rows if store.recordings[index].key in corpus]
    recordings = [store.recordings[index] for index in rows]
    training = np.array([r.split == "train" for r in recordings], dtype=bool)
    if training.sum() < 8:
        raise ManifestError(
            "there are too few training recordings to align on", given=int(training.sum()), allowed="at least 8"
        )
    trained = {r.dataset for r in recordings if r.split == "train"}
    unseen = {r.dataset for r in recordings} - trained
    if unseen:
        raise InputError(f"no training recordings of {', '.join(sorted(unseen))}; only validation ones")
    reports = [corpus[r.key][1] for r in recordings]
    facts = group_by_facts([r.dataset for r in recordings], [corpus[r.key][0] for r in recordings])
    if recipe.language.model == FACTS:
        vectors = fact_vectors([corpus[r.key][0] for r in recordings])
    else:
        vectors = embed_recordings(reports, recipe.language, run.text_dir, resolve_device(recipe.align.device))
    if recipe.align.text_average == "facts":
        counts = np.bincount(facts)
        sums = np.zeros((len(counts), vectors.shape[1]))
        np.add.at(sums, facts, vectors)
        vectors = (sums / counts[:, None])[facts].astype(np.float32)
    source = np.arange(len(rows))
    if recipe.reports.shuffle is not None:
        source = _shuffled(recordings, training, recipe.reports.shuffle, recipe.reports.seed)
        notify("reports are shuffled among the %s of each data set (negative control)", recipe.reports.shuffle)
    findings = fact_columns([corpus[r.key][0] for r in recordings])
    return ReportVectors(np.array(rows), recordings, vectors, training, source, recipe.align, facts, findings)


def _provide_corpus(run: Run, recordings: Sequence[Recording]) -> Path:
    """The file of the reports; written, by the main process, where there is none yet."""
    config = run.recipe.reports
    found = find_corpus(config, run.path / "reports.jsonl")
    if found is not None:
        return found
    path = run.text_dir / "reports.jsonl"
    with main_first():
        if is_main():
            ensure_corpus(recordings, config, path, run.recordings_path)
    return path


def _shuffled(recordings: Sequence[Recording], training: np.ndarray, among: str, seed: int) -> np.ndarray:
    """Whose report each row gets: those of training move within their data set, those of validation stay.

    Among ``"persons"`` everyone gets the reports of one other person, in turn where there are fewer of them.
    """
    source = np.arange(len(recordings))
    generator = np.random.default_rng(seed)
    for name in sorted({recording.dataset for recording in recordings}):
        rows = [i for i, r in enumerate(recordings) if r.dataset == name and training[i]]
        if among == "recordings":
            source[rows] = generator.permutation(rows)
            continue
        of: dict[str, list[int]] = {}
        for row in rows:
            of.setdefault(recordings[row].subject, []).append(row)
        # A cycle through persons in random order: nobody keeps their own.
        order = [list(of)[i] for i in generator.permutation(len(of))]
        for person, giver in zip(order, order[1:] + order[:1], strict=True):
            source[of[person]] = np.resize(of[giver], len(of[person]))
    return source
