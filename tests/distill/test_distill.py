"""Distillation pieces: degradation, the reduction, and a student that really learns its teacher."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from acula_edge.data.manifest import Recording
from acula_edge.distillation.degradation import degrade, draw_degradation
from acula_edge.distillation.relational import angle_loss, distance_loss
from acula_edge.distillation.task import DistillationTask
from acula_edge.distillation.teaching import Lessons, collect_lessons, fit_reduction
from acula_edge.encoders import make_encoder, make_student, students
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.recipe import DataConfig, DistillConfig
from acula_edge.training import Optimization, fit

SPEC = FrontendSpec(sample_rate_hz=4000, n_fft=256, hop_length=128, n_mels=64, fmin_hz=25, fmax_hz=2000)
DATA = DataConfig(window_s=2.56, hop_s=2.56, trim_top_db=None)


class Tones:
    """A store of tones whose pitch is what matters."""

    key = "tones"
    sample_rate_hz = 4000

    def __init__(self, count: int) -> None:
        self.recordings = [
            Recording(f"r{i}", f"r{i}.wav", f"s{i}", "tones", 4000, 2.56, split="train") for i in range(count)
        ]

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: int) -> np.ndarray:
        generator = np.random.default_rng(index)
        t = np.arange(10240) / 4000
        wave = np.sin(2 * np.pi * (100 + 37 * (index % 16)) * t) * (1 + np.sin(2 * np.pi * (1 + index % 3) * t))
        return (0.2 * wave + 0.01 * generator.standard_normal(len(t))).astype(np.float32)


def draw(seed: int, count: int = 16, samples: int = 10240):
    return draw_degradation([np.random.default_rng([seed, clip]) for clip in range(count)], samples)


def test_degradation_changes_most_clips_keeps_shape_and_repeats_by_seed():
    wave = torch.stack([torch.from_numpy(Tones(16)[i]) for i in range(16)])
    first = degrade(wave, draw(0))
    again = degrade(wave, draw(0))
    assert torch.equal(first, again)
    assert first.shape == wave.shape and bool(torch.isfinite(first).all())
    changed = (first != wave).any(1)
    assert 8 <= int(changed.sum()) <= 16
    alone = draw_degradation([np.random.default_rng([0, 3])], wave.shape[1])
    torch.testing.assert_close(degrade(wave[3:4], alone), first[3:4])  # what a clip gets is its own
    assert bool(torch.isfinite(degrade(torch.zeros(2, 1024), draw(1, 2, 1024))).all())


def test_reduction_keeps_cosines_and_says_how_much_variance():
    generator = np.random.default_rng(0)
    embedding = (generator.standard_normal((200, 8)) @ generator.standard_normal((8, 50)) + 3).astype(np.float32)
    reduction = fit_reduction(embedding, 16)
    reduced = reduction.apply(embedding)
    assert reduced.shape == (200, 16)
    assert reduction.kept == pytest.approx(1, abs=1e-4)
    assert (reduced**2).sum(1).mean() == pytest.approx(1, rel=1e-2)
    # Every direction of the teacher is still there: the teacher can be read back linearly.
    readable = np.linalg.lstsq(np.c_[reduced, np.ones(200)], embedding, rcond=None)[0]
    np.testing.assert_allclose(np.c_[reduced, np.ones(200)] @ readable, embedding, atol=1e-2)
    spread = np.sort(reduced.std(0))[::-1][:8]
    own = np.sort(np.sqrt(np.linalg.eigvalsh(np.cov(embedding.T))[-8:]))[::-1]
    assert spread[0] / spread[7] < own[0] / own[7]


def test_lessons_are_collected_once(tmp_path):
    store = Tones(6)
    teacher = make_encoder("opera-ce", frontend=SPEC)
    first = collect_lessons(teacher, "a" * 64, store, [0, 2, 4], DATA, tmp_path, torch.device("cpu"))
    assert first.embedding.shape == (3, 1280)
    files = sorted(tmp_path.iterdir())
    again = collect_lessons(teacher, "a" * 64, store, [0, 2, 4], DATA, tmp_path, torch.device("cpu"))
    assert sorted(tmp_path.iterdir()) == files
    np.testing.assert_array_equal(first.embedding, again.embedding)
    assert first.only({2}).row.tolist() == [2]
    collect_lessons(teacher, "b" * 64, store, [0, 2, 4], DATA, tmp_path, torch.device("cpu"))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_student_learns_its_teacher(tmp_path):
    torch.manual_seed(0)
    store = Tones(32)
    pitch = np.arange(32) % 16
    embedding = np.eye(16, dtype=np.float32)[pitch] + 0.01
    lessons = Lessons(np.arange(32), np.zeros(32, int), embedding)
    student = make_student("tiny", frontend=SPEC, embedding_dim=16)
    task = DistillationTask(
        student, store, lessons, lessons, fit_reduction(embedding, 16), None,
        DistillConfig(degrade=False), DATA,
    )  # fmt: skip
    rows = []
    settings = Optimization(
        epochs=10, batch_size=16, learning_rate=3e-3, weight_decay=0.0, max_grad_norm=1.0, device="cpu"
    )
    fit(task, settings, tmp_path, log=lambda **row: rows.append(row))
    assert rows[-1]["cosine"] < rows[0]["cosine"] - 0.15
    assert rows[-1]["cka_teacher"] < rows[0]["cka_teacher"]


@pytest.mark.parametrize("name", students.names())
def test_every_student_is_relu_only_and_deploys_to_the_same_function(name):
    torch.manual_seed(0)
    student = make_student(name, frontend=SPEC, embedding_dim=32)
    kinds = {type(module).__name__ for module in student.modules()}
    assert not kinds & {"SiLU", "Hardswish", "GELU", "SqueezeExcite", "SEModule"}
    mel = torch.rand(4, 256, 64)
    student.train()
    with torch.no_grad():
        for _ in range(3):
            student.embed_mel(mel)  # running statistics of random weights would otherwise explode with depth
    student.eval()
    with torch.no_grad():
        expected, got = student.embed_mel(mel), student.deployable().embed_mel(mel)
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_a_student_takes_clips_whose_frames_fill_no_whole_patch():
    student = make_student("base", frontend=SPEC, embedding_dim=16).eval()
    assert student.patch == 2
    with torch.no_grad():
        assert student.embed_mel(torch.rand(2, 251, 64)).shape == (2, 16)


def test_a_student_at_another_rate_hears_the_teachers_windows():
    store = Tones(4)
    lessons = Lessons(np.arange(4), np.zeros(4, int), np.eye(4, dtype=np.float32))
    slow = FrontendSpec(sample_rate_hz=2000, n_fft=128, hop_length=64, n_mels=64, fmin_hz=25, fmax_hz=1000)
    student = make_student("tiny", frontend=slow, embedding_dim=4)
    task = DistillationTask(
        student, store, lessons, lessons, fit_reduction(lessons.embedding, 4), None, DistillConfig(), DATA
    )
    windows = task._windows(lessons, np.array([0, 2])).numpy()
    assert windows.shape == (2, 5120)
    heard = np.abs(np.fft.rfft(windows[1] * np.hanning(5120)))
    assert np.argmax(heard) * 2000 / 5120 == pytest.approx(100 + 37 * 2, abs=4)  # the pitch that the store has


def test_relational_terms_are_part_of_the_loss_where_a_recipe_weighs_them():
    torch.manual_seed(0)
    store = Tones(8)
    lessons = Lessons(
        np.arange(8), np.zeros(8, int), np.random.default_rng(0).standard_normal((8, 12)).astype(np.float32)
    )
    student = make_student("tiny", frontend=SPEC, embedding_dim=6)
    reduction = fit_reduction(lessons.embedding, 6)
    config = DistillConfig(relational_distance=2.0, relational_angle=3.0)
    task = DistillationTask(student, store, lessons, lessons, reduction, None, config, DATA)
    embedding, items = torch.randn(5, 6), np.array([1, 2, 4, 6, 7])
    target = torch.from_numpy(reduction.apply(lessons.embedding))[items]
    loss, parts = task.compare(embedding, items)
    assert parts["relational_distance"] == pytest.approx(2 * float(distance_loss(embedding, target)))
    assert parts["relational_angle"] == pytest.approx(3 * float(angle_loss(embedding, target)))
    assert float(loss) == pytest.approx(sum(parts.values()), rel=1e-5)
    plain = DistillationTask(student, store, lessons, lessons, reduction, None, DistillConfig(), DATA)
    assert not any(name.startswith("relational") for name in plain.compare(embedding, items)[1])
