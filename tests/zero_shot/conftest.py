"""A tiny world in which the right answer is known: reports have three directions, sounds hear them with noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from acula_edge.align.reports import ReportVectors
from acula_edge.align.text_space import TextSpace, make_text_space
from acula_edge.data.manifest import Recording
from acula_edge.recipe import AlignConfig
from acula_edge.zero_shot.projection import Anchors, anchor

PERSONS = 120
TEXT_WIDTH, AUDIO_WIDTH = 24, 40


@dataclass(frozen=True)
class World:
    """Two data sets with an offset of their own on both sides, so that only what is centered can be compared.

    Attributes:
        recordings: two per person; three persons of five are ``train``, one ``val``, one ``test``.
        findings: [R, 3] of -1 or 1; the first is the murmur.
        text: [R, W] report vectors. sound: [R, D] embeddings.
        words: [3, W], the direction in which each finding is said.
        head: [D, 3], which undoes how sound holds the findings.
    """

    recordings: list[Recording]
    findings: np.ndarray
    text: np.ndarray
    sound: np.ndarray
    words: np.ndarray
    offsets: dict[str, np.ndarray]
    head: np.ndarray

    def reports(self, source: np.ndarray | None = None) -> ReportVectors:
        """What alignment reads: training and validation recordings."""
        rows = np.array([number for number, r in enumerate(self.recordings) if r.split != "test"])
        recordings = [self.recordings[row] for row in rows]
        training = np.array([r.split == "train" for r in recordings])
        order = np.arange(len(rows)) if source is None else source
        facts = np.unique(self.findings[rows], axis=0, return_inverse=True)[1].ravel()
        config = AlignConfig(text_components=3)
        findings = self.findings[rows].astype(np.float32)
        return ReportVectors(rows, recordings, self.text[rows], training, order, config, facts, findings)

    def space(self) -> TextSpace:
        """The space of a whitened alignment whose head is perfect."""
        reports = self.reports()
        rows = reports.rows[reports.training]
        target = reports.target.apply(self.text[rows], [self.recordings[row].dataset for row in rows])
        heard = self.sound[rows] @ self.head
        turn, *_ = np.linalg.lstsq(np.c_[heard, np.ones(len(heard))], target, rcond=None)
        audio = [(self.head @ turn[:-1], turn[-1])]
        return make_text_space("whitened", [reports.whitening], audio, *reports.of_training)

    def anchors(self) -> Anchors:
        return anchor(self.sound, self.space(), self.reports())

    def say(self, murmur: float, dataset: str = "circor") -> np.ndarray:
        """Vector [W] of a sentence about the murmur."""
        return self.offsets[dataset] + murmur * self.words[0]


@pytest.fixture(scope="session")
def world() -> World:
    draw = np.random.default_rng(5)
    words = np.linalg.qr(draw.normal(size=(TEXT_WIDTH, 3)))[0].T
    mix = np.linalg.qr(draw.normal(size=(AUDIO_WIDTH, 3)))[0]
    offsets = {"circor": draw.normal(size=TEXT_WIDTH) * 3, "kauh": draw.normal(size=TEXT_WIDTH) * 3}
    shifts = {"circor": draw.normal(size=AUDIO_WIDTH) * 2, "kauh": draw.normal(size=AUDIO_WIDTH) * 2}
    recordings, findings, text, sound = [], [], [], []
    for person in range(PERSONS):
        dataset = "kauh" if person % 4 == 0 else "circor"
        split = {3: "val", 4: "test"}.get(person // 2 % 5, "train")
        found = np.where(draw.random(3) < 0.4, 1.0, -1.0)
        metadata = {"murmur": "Present" if found[0] > 0 else "Absent"} if dataset == "circor" else {
            "diagnosis": "asthma" if found[0] > 0 else "Normal"
        }  # fmt: skip
        for number in range(2):
            recordings.append(
                Recording(f"{person}-{number}", f"{person}-{number}.wav", f"{dataset}-{person}", dataset, 4000, 9.0,
                          split=split, metadata=metadata)
            )  # fmt: skip
            findings.append(found)
            text.append(offsets[dataset] + found @ words + 0.02 * draw.normal(size=TEXT_WIDTH))
            sound.append(shifts[dataset] + found @ mix.T + 0.15 * draw.normal(size=AUDIO_WIDTH))
    arrays = (np.array(values, dtype=np.float64) for values in (findings, text, sound))
    return World(recordings, *arrays, words, offsets, mix)
