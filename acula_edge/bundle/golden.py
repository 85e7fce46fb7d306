"""Golden waveforms: made from formulas, they travel with a bundle and prove on a device that it computes the same."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.segment import recording_windows
from acula_edge.bundle.layout import SELFTEST_FILE, SELFTEST_SCRIPT
from acula_edge.bundle.schema import Input
from acula_edge.bundle.selftest import PCM_SCALE, SELFTEST_SCHEMA
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import ArtifactError
from acula_edge.files import write_bytes

SCRIPT = Path(__file__).with_name("selftest-script.py")
"""Becomes ``selftest.py`` of every bundle."""

# Another CPU sums in another order (float), and a value near a rounding edge falls to the other side (INT8).
TOLERANCES = {
    "float": {"cosine_min": 0.9999, "score_max_abs": 0.001},
    "int8": {"cosine_min": 0.995, "score_max_abs": 0.02},
}


def golden_waves(sample_rate_hz: int, samples: int) -> dict[str, NDArray[np.float32]]:
    """Waveforms by name, each [samples] in [-1, 1] and exact in 16 bits. All come from formulas; none was recorded.

    Three that sound like something (``heart``: paired low thuds with a murmur between them; ``lung``: breath noise that
    swells and fades, with a wheeze; ``chirp``: a sweep over the whole band in noise) and the corners: ``silence``,
    ``square`` at full scale, ``clipped``, ``offset`` (a constant) and ``noise``.
    """
    time_s = np.arange(samples) / sample_rate_hz
    noise = np.random.default_rng(20240229).standard_normal(samples)
    heart = _heart(time_s) + 0.003 * noise
    sweep_hz = 0.02 * sample_rate_hz + 0.45 * sample_rate_hz * time_s / (2 * time_s[-1])
    chirp = 0.4 * np.sin(2 * np.pi * sweep_hz * time_s) + 0.02 * noise
    waves = {
        "heart": heart,
        "lung": _lung(time_s, noise),
        "chirp": chirp,
        "silence": np.zeros(samples),
        "square": np.where(np.sin(2 * np.pi * 100.0 * time_s) >= 0, 1.0, -1.0),
        "clipped": np.clip(heart * 40, -0.8, 0.8),
        "offset": np.full(samples, 0.25),
        "noise": 0.1 * noise,
    }
    return {name: np.asarray(to_pcm(wave) / PCM_SCALE, np.float32) for name, wave in waves.items()}


def golden_recordings(sample_rate_hz: int, samples: int, hop: int) -> dict[str, NDArray[np.float32]]:
    """Recordings that are no window long: ``short``, of half a second at most, and ``long``, of three windows.

    Breath over heart sounds, nowhere so quiet that anything would be trimmed.

    Args:
        samples, hop: of the windows.

    Shape: [T] each, in [-1, 1] and exact in 16 bits.
    """
    lengths = {"short": min(samples // 2, sample_rate_hz // 2), "long": samples + hop + hop // 2}
    recordings = {}
    for seed, (name, length) in enumerate(lengths.items()):
        time_s = np.arange(length) / sample_rate_hz
        noise = np.random.default_rng(20240301 + seed).standard_normal(length)
        recordings[name] = np.asarray(to_pcm(_heart(time_s) + _lung(time_s, noise)) / PCM_SCALE, np.float32)
    return recordings


def to_pcm(wave: NDArray[np.floating]) -> NDArray[np.int16]:
    """16-bit samples of a waveform in [-1, 1]."""
    return np.clip(np.round(wave * PCM_SCALE), -PCM_SCALE, PCM_SCALE - 1).astype(np.int16)


def write_selftest(folder: str | Path, source: Input, models: Mapping[str, str]) -> None:
    """Write ``selftest.npz``, the golden waveforms with what a bundle's models make of them, and ``selftest.py``.

    Args:
        source: ``input`` of ``bundle.json``.
        models: file by precision (``float``, ``int8``).

    Raises:
        ArtifactError: a model gives NaN or infinity on one of the waveforms.
    """
    folder = Path(folder)
    rate_hz, samples = source.sample_rate_hz, source.samples
    waves = golden_waves(rate_hz, samples)
    recordings = {}
    for name, recording in golden_recordings(rate_hz, samples, round(source.hop_s * rate_hz)).items():
        windows = recording_windows(recording, rate_hz, source.window_s, source.hop_s, source.trim_top_db)
        recordings[name] = {"samples": len(recording), "first": len(waves), "starts": _starts(recording, windows)}
        waves |= {f"{name} {number}": window for number, window in enumerate(windows, start=1)}
    header = {
        "schema": SELFTEST_SCHEMA,
        "names": list(waves),
        "sample_rate_hz": rate_hz,
        "models": dict(models),
        "recordings": recordings,
        "tolerances": {precision: TOLERANCES[precision] for precision in models},
    }
    arrays: dict[str, NDArray[np.generic]] = {
        "header": np.array(json.dumps(header)),
        "pcm": np.stack([to_pcm(wave) for wave in waves.values()]),
    }
    for precision, file in models.items():
        engine = OrtEngine(folder / file)
        outputs = [engine.run({"waveform": wave[None]}) for wave in waves.values()]
        for kind in ("embedding", "scores"):
            values = np.concatenate([output[kind] for output in outputs])
            bad = [name for name, row in zip(waves, values, strict=True) if not np.isfinite(row).all()]
            if bad:
                raise ArtifactError(
                    f"{file} gives NaN or infinite {kind}", given=f"on the golden waveforms {', '.join(bad)}"
                )
            arrays[f"{precision}_{kind}"] = values
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(folder / SELFTEST_FILE, buffer.getvalue())
    write_bytes(folder / SELFTEST_SCRIPT, SCRIPT.read_bytes())


def _starts(recording: NDArray[np.float32], windows: NDArray[np.float32]) -> list[int]:
    """Where in the recording each window begins, so that the recording need not be kept beside its windows."""
    starts = []
    for window in windows:
        piece = window[-min(len(window), len(recording)) :]
        places = range(len(recording) - len(piece) + 1)
        starts.append(next(at for at in places if np.array_equal(recording[at : at + len(piece)], piece)))
    return starts


def _heart(time_s: NDArray[np.floating]) -> NDArray[np.floating]:
    """72 beats a minute: a thud of 45 Hz, one of 60 Hz 0.32 s later, a soft 180 Hz tone in between."""
    phase_s = time_s % (60 / 72)

    def burst(center_s: float, width_s: float) -> NDArray[np.floating]:
        return np.asarray(np.exp(-(((phase_s - center_s) / width_s) ** 2)))

    first = 0.5 * burst(0.08, 0.03) * np.sin(2 * np.pi * 45 * phase_s)
    second = 0.35 * burst(0.40, 0.025) * np.sin(2 * np.pi * 60 * phase_s)
    murmur = 0.06 * burst(0.24, 0.08) * np.sin(2 * np.pi * 180 * phase_s)
    return np.asarray(first + second + murmur)


def _lung(time_s: NDArray[np.floating], noise: NDArray[np.floating]) -> NDArray[np.floating]:
    """15 breaths a minute: noise that falls off above 200 Hz, swelling and fading, and a wheeze of 320 Hz out."""
    frequency_hz = np.fft.rfftfreq(len(noise), time_s[1] - time_s[0])
    breath = np.fft.irfft(np.fft.rfft(noise) / (1 + (frequency_hz / 200) ** 2), len(noise))
    phase = 2 * np.pi * time_s / 4
    swelling = 0.6 - 0.4 * np.cos(phase)
    wheeze = 0.05 * np.maximum(-np.sin(phase), 0) * np.sin(2 * np.pi * 320 * time_s)
    return np.asarray(0.1 * swelling * breath / np.std(breath) + wheeze)
