"""A small network with everything that students have: a stem, depthwise and dense convolutions, a residual, pooling."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from acula_edge.bundle.layout import FRONTEND_FILE
from acula_edge.data.manifest import Recording
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.quantize.calibration import make_mels
from acula_edge.quantize.export import FloatExport, export_float
from acula_edge.quantize.heads import TaskHead

RATE_HZ = 4000
SAMPLES = 8192
SPEC = FrontendSpec(sample_rate_hz=RATE_HZ, n_fft=256, hop_length=128, n_mels=32, fmin_hz=25, fmax_hz=2000)
EMBEDDING_DIM = 24


class TinyEncoder(nn.Module):
    """mel [B, F, M] -> [B, 24]; its channels differ by orders of magnitude, as merged training branches make them."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.frontend = SPEC
        self.norm = nn.BatchNorm2d(1)
        self.stem = nn.Conv2d(1, 8, 3, 2, 1)
        self.shrink = nn.Conv2d(8, 8, 3, 2, 1, groups=8)
        self.widen = nn.Conv2d(8, 32, 1)
        self.deep = nn.Conv2d(32, 32, 3, 1, 1, groups=32)
        self.mix = nn.Conv2d(32, 32, 3, 1, 1)
        self.projection = nn.Linear(32, EMBEDDING_DIM)
        with torch.no_grad():
            for layer in (self.stem, self.shrink, self.widen, self.deep, self.mix, self.projection):
                fan_in = layer.weight[0].numel()
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * (2 / fan_in) ** 0.5)
                layer.bias.copy_(torch.randn(layer.bias.shape, generator=generator) * 0.1)
            spread = torch.exp(torch.randn(32, generator=generator) * 1.5)
            self.widen.weight.mul_(spread[:, None, None, None])
            self.widen.bias.mul_(spread)
            self.deep.weight.div_(spread[:, None, None, None])
            self.norm.running_mean.fill_(0.4)
            self.norm.running_var.fill_(0.05)
        self.eval()

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        low = torch.relu(self.shrink(torch.relu(self.stem(self.norm(mel[:, None])))))
        wide = torch.relu(self.deep(torch.relu(self.widen(low))))
        mixed = torch.relu(wide + torch.relu(self.mix(wide)))
        return self.projection(mixed.mean((2, 3)))


def make_heads() -> list[TaskHead]:
    """A binary, a three-class and a regression head."""
    generator = np.random.default_rng(5)

    def weight(columns: int) -> np.ndarray:
        return generator.normal(size=(EMBEDDING_DIM, columns)) * 0.3

    return [
        TaskHead("M1", "murmur", "binary", ["absent", "present"], "", weight(1), np.array([0.1]), 0.4, "phantom"),
        TaskHead("M2", "valve", "multiclass", ["a", "b", "c"], "", weight(3), np.zeros(3)),
        TaskHead("M3", "rate", "regression", [], "1/min", weight(1), np.array([15.0])),
    ]


def make_windows(count: int, seed: int) -> np.ndarray:
    """Thuds, tones and noise of varying strength, [count, SAMPLES]."""
    generator = np.random.default_rng(seed)
    time_s = np.arange(SAMPLES) / RATE_HZ
    rows = []
    for _ in range(count):
        beat = np.sin(2 * np.pi * generator.uniform(0.8, 3) * time_s + generator.uniform(0, 6)) > generator.uniform(
            0, 0.9
        )
        tone = np.sin(2 * np.pi * generator.uniform(40, 1500) * time_s)
        wave = generator.uniform(0.05, 0.8) * beat * tone + generator.uniform(0.001, 0.05) * generator.normal(
            size=SAMPLES
        )
        rows.append(wave)
    return np.clip(np.stack(rows), -1, 1).astype(np.float32)


class MemoryStore:
    """Waves in memory; refuses to hand out any that is not of the training split."""

    def __init__(self, recordings: Sequence[Recording], waves: Sequence[np.ndarray]) -> None:
        self.recordings = list(recordings)
        self.sample_rate_hz = RATE_HZ
        self._waves = list(waves)

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: int) -> np.ndarray:
        assert self.recordings[index].split == "train", "a recording outside the training split was touched"
        return self._waves[index]


def make_store(subjects: int = 24, per_subject: int = 2, datasets: Sequence[str] = ("heart", "lung")) -> MemoryStore:
    """Recordings of several subjects and data sets; a third of the subjects is in the test split."""
    recordings, waves = [], []
    sounds = make_windows(len(datasets) * subjects * per_subject, 11)
    for dataset in datasets:
        for subject in range(subjects):
            for turn in range(per_subject):
                split = "test" if subject % 3 == 0 else "train"
                name = f"{dataset}-{subject}"
                recordings.append(Recording(f"{name}-{turn}", "", name, dataset, RATE_HZ, 2.0, split=split))
                waves.append(sounds[len(waves)] * 10 ** -(subject / 20))
    return MemoryStore(recordings, waves)


@pytest.fixture(scope="session")
def heads() -> list[TaskHead]:
    return make_heads()


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, heads: list[TaskHead]) -> tuple[Path, FloatExport]:
    """The small network as float ONNX files; tests copy the folder before they write to it."""
    folder = tmp_path_factory.mktemp("float")
    return folder, export_float(TinyEncoder(), heads, SAMPLES, folder)


@pytest.fixture(scope="session")
def mels(exported: tuple[Path, FloatExport]) -> list[np.ndarray]:
    """Calibration spectrograms."""
    return make_mels(exported[0] / FRONTEND_FILE, make_windows(32, 1))


@pytest.fixture(scope="session")
def other_mels(exported: tuple[Path, FloatExport]) -> list[np.ndarray]:
    """Spectrograms that no calibration saw."""
    return make_mels(exported[0] / FRONTEND_FILE, make_windows(32, 2))
