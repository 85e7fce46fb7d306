"""Fine-tuning in integers: closer to the float student, nothing else moves, and a killed one goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from acula_edge.distillation.quantization_aware import AwareTask, noise_share
from acula_edge.distillation.teaching import Lessons, fit_reduction
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.recipe import DataConfig, DistillConfig
from acula_edge.training import Optimization, fit
from acula_edge.training.batches import assign
from tests.distill.test_distill import Tones

SPEC = FrontendSpec(sample_rate_hz=4000, n_fft=256, hop_length=128, n_mels=16, fmin_hz=25, fmax_hz=2000)
DATA = DataConfig(window_s=2.56, hop_s=2.56, trim_top_db=None)
DIM = 8


class Float(nn.Module):
    """A float student small enough for a test."""

    frontend, embedding_dim = SPEC, DIM

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.first = nn.Parameter(torch.randn(16, 24, generator=generator))
        self.second = nn.Parameter(torch.randn(24, DIM, generator=generator))
        self.dropout = nn.Dropout(0.5)

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        return self.dropout(torch.relu(mel.mean(1) @ self.first)) @ self.second


class Coarse(nn.Module):
    """The same, with weights rounded to thirds and a straight-through gradient."""

    def __init__(self, student: Float) -> None:
        super().__init__()
        self.first, self.second = (nn.Parameter(part.detach().clone()) for part in (student.first, student.second))

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        first, second = (
            torch.fake_quantize_per_tensor_affine(part, 1 / 3, 0, -127, 127) for part in (self.first, self.second)
        )
        return torch.relu(mel.mean(1) @ first) @ second


def make_task(validation: int = 8, teacher_weight: float = 0.0) -> AwareTask:
    embedding = np.eye(16, DIM, dtype=np.float32)[np.arange(32) % 16] + 0.01
    train = Lessons(np.arange(32), np.zeros(32, int), embedding)
    val = Lessons(np.arange(validation), np.zeros(validation, int), embedding[:validation])
    student = Float()
    reduction = fit_reduction(embedding, DIM)
    config = DistillConfig(embedding_dim=DIM)
    return AwareTask(Coarse(student), student, teacher_weight, Tones(32), train, val, reduction, None, config, DATA)  # type: ignore[arg-type]


def train(task: AwareTask, folder: Path, stop_after: int | None = None) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = []

    def log(**row: float) -> None:
        rows.append(row)

    def log_step(step: int, figures: dict[str, float]) -> None:
        if step == stop_after:
            raise KeyboardInterrupt

    settings = Optimization(epochs=6, batch_size=16, learning_rate=1e-2, weight_decay=0.0, device="cpu", keep_best=True)
    fit(task, settings, folder, log=log, log_step=log_step, resume=True)
    return rows


def test_the_embedding_comes_closer_to_the_float_students(tmp_path: Path) -> None:
    task = make_task()
    float_weights = task.reference.first.detach().clone()
    before = task.eval().validate()
    rows = train(task, tmp_path)
    after = task.validate()
    assert after["val_sqnr_db"] > before["val_sqnr_db"] + 1
    assert after["val_sqnr_db"] == pytest.approx(max(row["val_sqnr_db"] for row in rows), abs=1e-4)
    assert "rounding" in rows[0] and "cosine" not in rows[0]
    assert torch.equal(task.reference.first, float_weights)
    assert not any(parameter.requires_grad for parameter in task.reference.parameters())


def test_the_teacher_takes_part_where_it_has_a_weight() -> None:
    alone, both = make_task(), make_task(teacher_weight=0.5)
    assignment = assign(np.arange(16), (0, 0, 0), 0, 1)
    windows = alone.load(assignment)
    with torch.no_grad():
        noise, figures = alone(assignment, windows)
        loss, parts = both(assignment, windows)
    assert set(figures) == {"rounding"} and figures["rounding"] == pytest.approx(float(noise))
    expected = float(noise) + 0.5 * (parts["cosine"] + parts["cka_teacher"])
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_a_killed_fine_tuning_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, killed, resumed = make_task(), make_task(), make_task()
    train(whole, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(killed, tmp_path / "killed", stop_after=7)
    train(resumed, tmp_path / "killed")
    for name, value in whole.student.state_dict().items():
        assert torch.equal(resumed.student.state_dict()[name], value), name


def test_the_float_student_stays_in_evaluation_mode_while_the_other_trains() -> None:
    task = make_task()
    task.train()
    assert task.student.training and not task.reference.training  # its dropout would be noise in the target


def test_without_validation_persons_training_windows_are_compared() -> None:
    assert np.isfinite(make_task(validation=0).eval().validate()["val_sqnr_db"])


def test_the_share_of_noise_is_the_sqnr() -> None:
    reference = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert float(noise_share(reference, reference + torch.tensor([0.3, 0.4]))) == pytest.approx(0.5 / 25)
    assert isinstance(noise_share(torch.zeros(1, 2), torch.zeros(1, 2)), torch.Tensor)
    assert float(noise_share(torch.zeros(1, 2), torch.zeros(1, 2))) == 0
