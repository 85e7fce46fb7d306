"""Windows that were chosen for calibration, read one at a time: their number costs time but no memory."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol, overload

import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from acula_edge.audio.resample import resample
from acula_edge.audio.segment import recording_windows
from acula_edge.bundle.schema import CalibrationSet
from acula_edge.data.manifest import Recording
from acula_edge.engines.ort import OrtEngine
from acula_edge.files import sha256_text
from acula_edge.recipe import DataConfig

Array = NDArray[np.float32]


class Waves(Protocol):
    """What this stage needs of a :class:`acula_edge.data.store.WaveStore`."""

    recordings: list[Recording]
    sample_rate_hz: int

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Array: ...


class Change(NamedTuple):
    """A degradation of one window; equal changes of equal windows give equal samples."""

    kind: str
    amount: float
    seed: int


@dataclass(frozen=True)
class Pick:
    """One window of one recording.

    Attributes:
        index: of the recording in the store.
        window: which of the recording's windows.
        loudness_db: root mean square, full scale being 0 dB; minus infinity for silence.
        change: what is done to it; None leaves it as recorded.
    """

    index: int
    window: int
    loudness_db: float
    change: Change | None = None


class Arrays(Sequence[Array]):
    """Arrays that are made when they are asked for, and forgotten after."""

    @abstractmethod
    def _make(self, index: int) -> Array: ...

    @overload
    def __getitem__(self, index: int) -> Array: ...

    @overload
    def __getitem__(self, index: slice) -> list[Array]: ...

    def __getitem__(self, index: int | slice) -> Array | list[Array]:
        positions = range(len(self))[index]
        return self._make(positions) if isinstance(positions, int) else [self._make(at) for at in positions]


class CalibrationWindows(Arrays):
    """Windows of training subjects, at the encoder's rate. Shape: [T] each.

    Attributes:
        recordings: the recording that each came from.
        definition: name of the definition.
        degraded: windows per kind of degradation.
    """

    def __init__(
        self,
        store: Waves,
        picks: Sequence[Pick],
        data: DataConfig,
        sample_rate_hz: int,
        definition: str,
        degraded: dict[str, int],
    ) -> None:
        self._store, self._picks, self._data, self._rate_hz = store, list(picks), data, sample_rate_hz
        self.recordings = [store.recordings[pick.index] for pick in picks]
        self.definition = definition
        self.degraded = degraded

    def __len__(self) -> int:
        return len(self._picks)

    def _make(self, index: int) -> Array:
        pick = self._picks[index]
        window = windows_of(self._store, pick.index, self._data, self._rate_hz)[pick.window]
        return np.asarray(window if pick.change is None else _apply(pick.change, window), np.float32)

    @cached_property
    def windows(self) -> Array:
        """All of them in memory. Shape: [N, T]."""
        return np.stack(list(self))

    def describe(self, judges: CalibrationSet | None | UnsetType = UNSET) -> CalibrationSet:
        """For ``quantize.json``; subjects appear as hashes only."""
        subjects = sorted({sha256_text(recording.subject)[:16] for recording in self.recordings})
        rates = Counter(str(item.sample_rate_hz) for item in self.recordings)
        return CalibrationSet(
            n_windows=len(self),
            definition=self.definition,
            n_subjects=len(subjects),
            datasets=dict(sorted(Counter(item.dataset for item in self.recordings).items())),
            sample_rates_hz=dict(sorted(rates.items())),
            degraded=self.degraded,
            subjects_sha256=subjects,
            judges=judges,
        )


class Spectrograms(Arrays):
    """Spectrograms of windows, as the exported front end computes them, each time that they are asked for.

    Shape: windows of [T] -> [1, F, M] each.
    """

    def __init__(self, frontend: str | Path, windows: Sequence[Array]) -> None:
        self._engine = OrtEngine(frontend)
        self._windows = windows

    def __len__(self) -> int:
        return len(self._windows)

    def _make(self, index: int) -> Array:
        mel: Array = self._engine.run({"waveform": self._windows[index][None]})["mel"]
        return mel


def windows_of(store: Waves, index: int, data: DataConfig, sample_rate_hz: int) -> list[Array]:
    """All windows of one recording, at a rate. Shape: [T] each."""
    wave = resample(np.asarray(store[index], np.float32), store.sample_rate_hz, sample_rate_hz)
    return list(recording_windows(wave, sample_rate_hz, data.window_s, data.hop_s, data.trim_top_db))


def _apply(change: Change, wave: Array) -> Array:
    if change.kind == "gain":
        return np.asarray(np.clip(wave * 10 ** (change.amount / 20), -1.0, 1.0), np.float32)
    if change.kind == "clip":
        ceiling = change.amount * np.abs(wave).max()
        return np.asarray(np.clip(wave, -ceiling, ceiling), np.float32)
    level = np.sqrt(np.mean(np.square(wave))) * 10 ** (-change.amount / 20)
    noise = np.random.default_rng(change.seed).standard_normal(len(wave))
    return np.asarray(wave + level * noise, np.float32)
