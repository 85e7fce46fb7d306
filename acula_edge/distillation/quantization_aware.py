"""Quantization-aware fine-tuning: a student that already computes on integers learns to make good what rounding broke.

The network is any module from spectrogram to embedding that rounds as its INT8 file will
(:class:`acula_edge.quantize.trainable.TrainableGraph`), and its teacher is the float student: the loss is the noise
that rounding adds to that embedding, on the same degraded and masked spectrograms. The heads of a bundle were fitted on
it, and its gate compares with it. The student's own teacher pulls elsewhere wherever the student did not reach it,
which is far more than rounding moves; its loss can be added, with a weight.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from acula_edge.data.guard import alignment_view
from acula_edge.data.store import WaveStore
from acula_edge.distillation.task import DistillationTask, Windows
from acula_edge.distillation.train import gather_lessons
from acula_edge.encoders import AudioEncoder, load_encoder
from acula_edge.files import sha256_file
from acula_edge.run import Run
from acula_edge.training import Assignment, Optimization, fit
from acula_edge.training.step_log import step_log
from acula_edge.training.together import gather_batch

# Validation windows, or training windows where there are none, on which the two embeddings are compared.
COMPARED_WINDOWS = 512


class IntegerStudent(nn.Module):
    """What the distillation task needs of a student, around a network that is none."""

    def __init__(self, network: nn.Module, reference: AudioEncoder) -> None:
        super().__init__()
        self.network = network
        self.frontend, self.embedding_dim = reference.frontend, reference.embedding_dim

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        """Shape: mel [B, F, M] -> [B, D]."""
        embedding: torch.Tensor = self.network(mel)
        return embedding


class AwareTask(DistillationTask):
    """The student in integers, the same student in float, and the losses between them and with the teacher.

    Args:
        network: trained in place.
        reference: the float student that the network was made from, training-time branches merged; not changed.
        teacher_weight: of the recipe's distillation loss.
        others: further arguments of :class:`DistillationTask`, from `store` on.
    """

    best_figure = "val_sqnr_db"

    def __init__(self, network: nn.Module, reference: AudioEncoder, teacher_weight: float, *others: Any) -> None:
        super().__init__(IntegerStudent(network, reference), *others)  # type: ignore[arg-type]
        self.reference, self.teacher_weight = reference, teacher_weight
        self.reference.eval().requires_grad_(False)
        lessons = self.val_lessons if len(self.val_lessons) else self.train_lessons
        self.compared = lessons, np.arange(len(lessons))[:: -(-len(lessons) // COMPARED_WINDOWS)]

    def train(self, mode: bool = True) -> AwareTask:
        """The float student always stays in evaluation mode."""
        super().train(mode)
        self.reference.eval()
        return self

    def forward(self, assignment: Assignment, windows: Windows) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss of a batch of windows, over all processes, and its parts."""
        mel = self._spectrograms(windows, next(self.parameters()).device)
        embedding = gather_batch(self.student.embed_mel(mel))
        with torch.no_grad():
            target = gather_batch(self.reference.embed_mel(mel))
        noise = noise_share(target, embedding)
        figures = {"rounding": float(noise.detach())}
        if not self.teacher_weight:
            return noise, figures
        loss, parts = self.compare(embedding, assignment.items)
        return noise + self.teacher_weight * loss, {**figures, **parts}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """How far the embedding is from the float student's on clean windows: of validation persons, if there are."""
        lessons, items = self.compared
        device = next(self.parameters()).device
        pairs = []
        for start in range(0, len(items), 64):
            mel = self.frontend(self._windows(lessons, items[start : start + 64]).to(device))
            pairs.append((self.reference.embed_mel(mel), self.student.embed_mel(mel)))
        target, embedding = (torch.cat(rows) for rows in zip(*pairs, strict=True))
        cosine = nn.functional.cosine_similarity(embedding, target).mean()
        sqnr_db = -10 * torch.log10(noise_share(target, embedding).clamp_min(1e-20))
        return {"val_sqnr_db": float(sqnr_db), "val_cosine_to_float": float(cosine)}


def noise_share(reference: torch.Tensor, candidate: torch.Tensor) -> torch.Tensor:
    """Power of the difference over the power of the reference; -10 log10 of it is the SQNR in dB.

    Shape: [B, D], [B, D] -> [].
    """
    return (candidate - reference).square().sum() / reference.square().sum().clamp_min(1e-20)


def fine_tune(run: Run, store: WaveStore, student: str, network: nn.Module, folder: Path) -> dict[str, Any]:
    """Fine-tune a student in integers, in place, for as long as the recipe says; at the end it holds its best epoch.

    Args:
        store: the run's recordings; what the leak guard withholds is left out.
        network: from spectrogram to embedding, in the form of the INT8 file.
        folder: of the resumable state. Its name must tell networks apart; what it holds is continued, and deleted by
            :func:`acula_edge.training.forget` once the caller has kept the result.

    Returns:
        ``epochs``, ``steps``, ``learning_rate``, ``sqnr_db``: {``before``, ``after``} against the float student.
    """
    recipe = run.recipe
    settings = recipe.quantize
    store = alignment_view(store, recipe.data.guard)
    teacher = load_encoder(run.encoder_dir)
    sha256 = sha256_file(run.encoder_dir / "model.safetensors")
    train, val, reduction, pairs = gather_lessons(run, store, teacher, sha256)
    reference = load_encoder(run.student_dir(student)).deployable()
    weight = settings.aware_teacher
    task = AwareTask(network, reference, weight, store, train, val, reduction, pairs, recipe.distill, recipe.data)
    before = task.eval().validate()["val_sqnr_db"]
    optimization = Optimization(
        epochs=settings.aware_epochs,
        batch_size=recipe.distill.batch_size,
        learning_rate=settings.aware_learning_rate,
        weight_decay=0.0,
        device=recipe.distill.device,
        deterministic=recipe.distill.deterministic,
        save_every_s=recipe.distill.save_every_s,
        keep_best=True,
        seed=recipe.seed,
    )
    description = f"fine-tuning {student} in INT8"
    log: Callable[..., None] = lambda **figures: run.log("aware", student=student, **figures)  # noqa: E731
    with step_log(run, f"aware-{student}", recipe.distill.tensorboard) as log_step:
        facts = fit(task, optimization, folder, log=log, log_step=log_step, resume=True, description=description)
    network.cpu()
    after = task.cpu().eval().validate()["val_sqnr_db"]
    return {
        "epochs": facts["epochs"],
        "steps": facts["steps"],
        "learning_rate": settings.aware_learning_rate,
        "windows": len(train),
        "sqnr_db": {"before": before, "after": after},
    }
