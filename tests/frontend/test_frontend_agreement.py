"""The three forms of the front end give the same spectrogram, whatever the sound and its sample rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from acula_edge.audio.decode import read_audio
from acula_edge.audio.resample import resample
from acula_edge.audio.segment import cut_windows, recording_windows
from acula_edge.frontend.reference import log_mel
from acula_edge.frontend.torch import make_frontend

TOLERANCE = 1e-4
RATES_HZ = (2000, 4000, 8000, 16000, 44100)


def sound(kind: str, rate: int, seconds: float = 9.0) -> np.ndarray:
    """A test sound, [T] float32."""
    rng = np.random.default_rng(7)
    t = np.arange(round(seconds * rate)) / rate
    noise = rng.standard_normal(len(t))
    wave = {
        "silence": 0 * t,
        "noise": 0.1 * noise,
        "tone": 0.5 * np.sin(2 * np.pi * 440 * t),
        "clipping": np.clip(3 * np.sin(2 * np.pi * 120 * t) + noise, -1, 1),
        "heart": 0.6 * np.sin(2 * np.pi * 50 * t) * np.exp(-30 * (t % 0.8)) + 0.01 * noise * (t % 0.8 < 0.3),
        "digital silence between": 0.3 * noise * (t % 2 < 0.5),
        "one bit": np.round(0.6 * noise) / 32768,
        "rumble": 0.9 * np.sin(2 * np.pi * 10 * t) + 1e-3 * noise,
        "offset": 0.5 + 1e-3 * noise,
        "impulse": np.where(np.arange(len(t)) == len(t) // 2, 1.0, 0.0),
    }[kind]
    return wave.astype(np.float32)


KINDS = ("noise", "tone", "clipping", "heart", "digital silence between", "one bit", "rumble", "offset", "impulse")


def check(exported: Any, windows: np.ndarray) -> None:
    """All forms of the front end on windows [N, T]."""
    expected = np.stack([log_mel(window, exported.spec) for window in windows])
    graph = np.stack([exported.run(window) for window in windows])
    trained = make_frontend(exported.spec)(torch.from_numpy(windows)).numpy()
    assert expected.shape == graph.shape == trained.shape
    assert trained.dtype == graph.dtype == np.float32
    np.testing.assert_allclose(graph, expected, atol=TOLERANCE)
    np.testing.assert_allclose(trained, expected, atol=TOLERANCE)
    assert graph.min() >= 0 and graph.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_forms_agree_on(kind: str, exported: Any) -> None:
    """A whole window, and a clip of 0.2 s repeated to fill one, from every sample rate."""
    windows = [
        cut_windows(resample(sound(kind, rate, seconds), rate, exported.spec.sample_rate_hz), exported.samples, 10**9)[
            0
        ]
        for rate in RATES_HZ
        for seconds in (9.0, 0.2)
    ]
    check(exported, np.stack(windows))


def test_forms_agree_on_silence(exported: Any) -> None:
    silence = np.zeros(exported.samples, dtype=np.float32)
    for wave in (silence, silence + np.float32(1e-9)):
        assert not log_mel(wave, exported.spec).any()
        assert not exported.run(wave).any()
        assert not make_frontend(exported.spec)(torch.from_numpy(wave[None])).numpy().any()


def test_forms_differ_little_on_their_worst_sound(exported: Any) -> None:
    """A pure tone with nothing beside it leaves the lowest band 75 dB below: single precision's weakest spot."""
    t = np.arange(exported.samples) / exported.spec.sample_rate_hz
    for frequency_hz in (187, 336, 1900):
        wave = (0.5 * np.sin(2 * np.pi * frequency_hz * t)).astype(np.float32)
        np.testing.assert_allclose(exported.run(wave), log_mel(wave, exported.spec), atol=1e-3)


@pytest.mark.real_data
@pytest.mark.parametrize(
    "recording",
    [
        "circor-digiscope/audio/9979_AV.flac",
        "circor-digiscope/audio/9979_MV.flac",
        "kauh-lung-10s/audio/BP1.flac",
        "kauh-lung-10s/audio/BP70.flac",
        "kauh-lung-10s/audio/EP1.flac",
    ],
)
def test_forms_agree_on_real_recordings(recording: str, exported: Any, shared_dir: Path) -> None:
    audio = read_audio(shared_dir / "data" / recording)
    rate = exported.spec.sample_rate_hz
    wave = resample(audio.wave, audio.sample_rate_hz, rate)
    seconds = exported.samples / rate
    check(exported, recording_windows(wave, rate, seconds, seconds / 2, 60.0))


def test_a_batch_is_normalized_clip_by_clip(exported: Any) -> None:
    rate = exported.spec.sample_rate_hz
    batch = np.stack([sound(kind, rate)[: exported.samples] for kind in ("noise", "silence", "heart")])
    batch[0] *= 1e-3
    together = make_frontend(exported.spec)(torch.from_numpy(batch)).numpy()
    for mel, wave in zip(together, batch, strict=True):
        np.testing.assert_allclose(mel, log_mel(wave, exported.spec), atol=TOLERANCE)


def test_the_training_form_ignores_autocast_and_keeps_no_state(exported: Any) -> None:
    frontend = make_frontend(exported.spec)
    wave = torch.from_numpy(sound("heart", exported.spec.sample_rate_hz)[None])
    expected = frontend(wave)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(frontend(wave), expected)
    assert torch.equal(frontend.to(torch.float64)(wave.double()), expected)
    assert not frontend.state_dict() and not list(frontend.parameters())
