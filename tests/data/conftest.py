"""Small recordings, each with a sound of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
import soundfile


class WriteSound(Protocol):
    """Writes a recording; equal seeds write equal files."""

    def __call__(self, path: Path, seed: int = 0, seconds: float = 0.3, rate: int = 4000) -> Path: ...


@pytest.fixture(scope="session")
def write_sound() -> WriteSound:
    def write(path: Path, seed: int = 0, seconds: float = 0.3, rate: int = 4000) -> Path:
        noise = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * rate))
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise, rate, subtype="PCM_16")
        return path

    return write
