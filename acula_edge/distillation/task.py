"""The distillation task: cosine to the teacher, CKA to the teacher and to the reports, relational terms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from acula_edge.align.augmentation import MaskDraws, draw_masks, mask_spectrogram
from acula_edge.align.objectives import debiased_cka
from acula_edge.align.pairs import Pairs, Waves
from acula_edge.audio.resample import resample
from acula_edge.distillation.degradation import Degradation, degrade, draw_degradation
from acula_edge.distillation.relational import angle_loss, distance_loss
from acula_edge.distillation.teaching import Lessons, Reduction, windows_of
from acula_edge.encoders.students import Student
from acula_edge.frontend.torch import make_frontend
from acula_edge.recipe import DataConfig, DistillConfig
from acula_edge.training import Assignment
from acula_edge.training.together import gather_batch

if TYPE_CHECKING:
    from acula_edge.data.store import WaveStore


@dataclass(frozen=True)
class Windows:
    """This process's share of a batch, as read: wave [b, T], and what is random; None where nothing is degraded."""

    wave: torch.Tensor
    degradation: Degradation | None
    masks: MaskDraws | None


class DistillationTask(nn.Module):
    """Student and the losses of a recipe.

    Args:
        student: trained in place.
        store: waveforms at the teacher's rate; the student gets them at its own.
        train, val: windows with the teacher's embeddings.
        reduction: from the teacher's space to the student's.
        pairs: report targets of training recordings, for CKA to the reports; None leaves the term out.
    """

    best_figure = "val_cosine"

    def __init__(
        self,
        student: Student,
        store: WaveStore,
        train: Lessons,
        val: Lessons,
        reduction: Reduction,
        pairs: Pairs | None,
        config: DistillConfig,
        data: DataConfig,
    ) -> None:
        super().__init__()
        self.student = student
        self.frontend = make_frontend(student.frontend)
        self.waves = Waves(store)
        self.config, self.data = config, data
        self.train_lessons, self.val_lessons = train, val
        self.items = len(train)
        self.target = reduction.apply(train.embedding)
        self.val_target = reduction.apply(val.embedding) if len(val) else np.zeros((0, student.embedding_dim))
        self.text = None
        if pairs is not None and config.cka_text:
            of_row = {int(row): index for index, row in enumerate(pairs.rows)}
            self.text = pairs.text[[of_row[int(row)] for row in train.row]]

    def load(self, assignment: Assignment) -> Windows:
        """Read this process's windows and draw what is random about them."""
        wave = self._windows(self.train_lessons, assignment.own)
        if not self.config.degrade:
            return Windows(wave, None, None)
        degradation = draw_degradation(assignment.generators, wave.shape[1])
        return Windows(wave, degradation, draw_masks(assignment.generators, times=1))

    def forward(self, assignment: Assignment, windows: Windows) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss of a batch of windows, over all processes, and its parts."""
        device = next(self.parameters()).device
        embedding = gather_batch(self.student.embed_mel(self._spectrograms(windows, device)).float())
        return self.compare(embedding, assignment.items)

    def compare(self, embedding: torch.Tensor, items: np.ndarray) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss of the student's embeddings of a batch, and its parts.

        Shape: embedding [B, D], items [B].
        """
        device = embedding.device
        target = torch.from_numpy(self.target[items]).to(device)
        losses = {"cosine": self.config.cosine * (1 - functional.cosine_similarity(embedding, target)).mean()}
        if self.config.cka_teacher and len(embedding) > 3:
            losses["cka_teacher"] = self.config.cka_teacher * (1 - debiased_cka(embedding, target))
        if self.text is not None and len(embedding) > 3:
            text = torch.from_numpy(self.text[items]).to(device)
            losses["cka_text"] = self.config.cka_text * (1 - debiased_cka(embedding, text))
        if self.config.relational_distance:
            losses["relational_distance"] = self.config.relational_distance * distance_loss(embedding, target)
        if self.config.relational_angle:
            losses["relational_angle"] = self.config.relational_angle * angle_loss(embedding, target)
        return torch.stack(list(losses.values())).sum(), {name: float(loss.detach()) for name, loss in losses.items()}

    @torch.no_grad()
    def _spectrograms(self, windows: Windows, device: torch.device) -> torch.Tensor:
        wave = windows.wave.to(device, non_blocking=True)
        if windows.degradation is not None:
            wave = degrade(wave, windows.degradation.to(device))
        mel = self.frontend(wave)
        if windows.masks is not None:
            scale = self.student.frontend.kind == "log-mel"
            mel = mask_spectrogram(mel, windows.masks.to(device), bands=4, frames=12, scale=scale)
        return mel

    def begin(self) -> None:
        """The student starts from nothing that is worth keeping."""

    def _windows(self, lessons: Lessons, items: np.ndarray) -> torch.Tensor:
        """The windows that the teacher heard, at the student's rate: [n, T]."""
        own = self.student.frontend
        rate = self.waves.store.sample_rate_hz
        windows = [
            windows_of(self.waves.store, int(lessons.row[item]), self.data, rate)[int(lessons.number[item])]
            for item in items
        ]
        if rate != own.sample_rate_hz:
            samples = own.samples(self.data.window_s)
            windows = [np.resize(resample(window, rate, own.sample_rate_hz), samples) for window in windows]
        return torch.from_numpy(np.stack(windows))

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean cosine to the teacher on clean windows of validation persons."""
        lessons = self.val_lessons
        if not len(lessons):
            return {}
        device = next(self.parameters()).device
        cosines = []
        for start in range(0, len(lessons), 64):
            items = np.arange(start, min(start + 64, len(lessons)))
            embedding = self.student.embed_mel(self.frontend(self._windows(lessons, items).to(device))).float()
            target = torch.from_numpy(self.val_target[items]).to(device)
            cosines.append(functional.cosine_similarity(embedding, target).cpu().numpy())
        return {"val_cosine": float(np.concatenate(cosines).mean())}

    def clean_batches(self, size: int = 64) -> Iterator[torch.Tensor]:
        """Spectrograms of training windows, undegraded, in mixed order; at most 1,024 of them."""
        device = next(self.parameters()).device
        items = np.random.default_rng(0).permutation(self.items)[:1024]
        for start in range(0, len(items) - min(size, len(items)) + 1, size):
            yield self.frontend(self._windows(self.train_lessons, items[start : start + size]).to(device))

    def describe(self, items: np.ndarray) -> list[str]:
        """Ids of the recordings of a batch."""
        recordings = self.waves.store.recordings
        return [recordings[int(self.train_lessons.row[item])].key for item in items]
