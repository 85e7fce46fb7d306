"""Small recordings, each with a sound of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
import soundfile

from acula_edge.data.miniature import MiniatureConfig, write_miniature


class WriteSound(Protocol):
    """Writes a recording; equal seeds write equal files."""

    def __call__(self, path: Path, seed: int = 0, seconds: float = 0.3, rate: int = 4000) -> Path: ...


class MakeMiniature(Protocol):
    """A small miniature release, made once; tests that change it copy it first."""

    def __call__(self, name: str, subjects: int = 20, duration_s: float = 1.0) -> Path: ...


@pytest.fixture(scope="session")
def make_miniature(tmp_path_factory: pytest.TempPathFactory) -> MakeMiniature:
    root = tmp_path_factory.mktemp("miniatures")

    def make(name: str, subjects: int = 20, duration_s: float = 1.0) -> Path:
        folder = root / f"{name}-{subjects}-{duration_s:g}"
        if not folder.exists():
            write_miniature(name, folder, MiniatureConfig(subjects=subjects, duration_s=duration_s))
        return folder

    return make


@pytest.fixture(scope="session")
def write_sound() -> WriteSound:
    def write(path: Path, seed: int = 0, seconds: float = 0.3, rate: int = 4000) -> Path:
        noise = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * rate))
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise, rate, subtype="PCM_16")
        return path

    return write
