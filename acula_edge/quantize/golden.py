"""Golden waveforms: made from formulas, they travel with a bundle and prove on a device that it computes the same."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.segment import repeat_pad
from acula_edge.engines.bundle_files import PCM_SCALE, SELFTEST_FILE, SELFTEST_SCHEMA
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import ArtifactError
from acula_edge.files import write_bytes

# Another CPU sums in another order (float), and a value near a rounding edge falls to the other side (INT8).
TOLERANCES = {
    "float": {"cosine_min": 0.9999, "score_max_abs": 0.001},
    "int8": {"cosine_min": 0.995, "score_max_abs": 0.02},
}


def golden_waves(sample_rate_hz: int, samples: int) -> dict[str, NDArray[np.float32]]:
    """Waveforms by name, each [samples] in [-1, 1] and exact in 16 bits.

    Two that sound like something (``heart``: paired low thuds with a murmur between them; ``chirp``: a sweep over the
    whole band in noise) and the corners: ``silence``, ``square`` at full scale, ``clipped``, ``offset`` (a constant),
    and ``short``: a fifth of a second, repeated until the window is full, as short recordings are.
    """
    time_s = np.arange(samples) / sample_rate_hz
    noise = np.random.default_rng(20240229).standard_normal(samples)
    heart = _heart(time_s) + 0.003 * noise
    sweep_hz = 0.02 * sample_rate_hz + 0.45 * sample_rate_hz * time_s / (2 * time_s[-1])
    chirp = 0.4 * np.sin(2 * np.pi * sweep_hz * time_s) + 0.02 * noise
    piece = heart[: min(samples, sample_rate_hz // 5)]
    waves = {
        "heart": heart,
        "chirp": chirp,
        "silence": np.zeros(samples),
        "square": np.where(np.sin(2 * np.pi * 100.0 * time_s) >= 0, 1.0, -1.0),
        "clipped": np.clip(heart * 40, -0.8, 0.8),
        "offset": np.full(samples, 0.25),
        "short": repeat_pad(piece.astype(np.float32), samples),
    }
    return {name: np.asarray(to_pcm(wave) / PCM_SCALE, np.float32) for name, wave in waves.items()}


def to_pcm(wave: NDArray[np.floating]) -> NDArray[np.int16]:
    """16-bit samples of a waveform in [-1, 1]."""
    return np.clip(np.round(wave * PCM_SCALE), -PCM_SCALE, PCM_SCALE - 1).astype(np.int16)


def write_selftest(folder: str | Path, sample_rate_hz: int, samples: int, models: Mapping[str, str]) -> None:
    """Run a bundle's models over the golden waveforms and keep what came out in ``selftest.npz``.

    Args:
        models: file by precision (``float``, ``int8``).

    Raises:
        ArtifactError: a model gives NaN or infinity on one of the waveforms.
    """
    folder = Path(folder)
    waves = golden_waves(sample_rate_hz, samples)
    header = {
        "schema": SELFTEST_SCHEMA,
        "names": list(waves),
        "sample_rate_hz": sample_rate_hz,
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


def _heart(time_s: NDArray[np.floating]) -> NDArray[np.floating]:
    """72 beats a minute: a thud of 45 Hz, one of 60 Hz 0.32 s later, a soft 180 Hz tone in between."""
    phase_s = time_s % (60 / 72)

    def burst(center_s: float, width_s: float) -> NDArray[np.floating]:
        return np.asarray(np.exp(-(((phase_s - center_s) / width_s) ** 2)))

    first = 0.5 * burst(0.08, 0.03) * np.sin(2 * np.pi * 45 * phase_s)
    second = 0.35 * burst(0.40, 0.025) * np.sin(2 * np.pi * 60 * phase_s)
    murmur = 0.06 * burst(0.24, 0.08) * np.sin(2 * np.pi * 180 * phase_s)
    return np.asarray(first + second + murmur)
