"""Front ends at other rates, for 16-bit samples and for streams: in the bundle, on the device, in the self-test."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from acula_edge.audio.quality_limits import QualityLimits
from acula_edge.bundle.folder import read_bundle
from acula_edge.bundle.golden import golden_waves, to_pcm
from acula_edge.bundle.json_files import plain
from acula_edge.bundle.writer import seal
from acula_edge.errors import InputError
from acula_edge.frontend.native import native_spec
from acula_edge.frontend.reference import log_mel
from acula_edge.pipeline.bundling import write_bundle
from acula_edge.recipe import QuantizeConfig, RuntimeConfig
from acula_edge.runtime import load_bundle, selftest
from acula_edge.smoothing import SmoothingSettings
from tests.numerics.sounds import SILENT, accepted, brief
from tests.quantize.conftest import RATE_HZ, SAMPLES, SPEC
from tests.quantize.test_quantize_bundle import DATA, ORIGIN, Envelope, head

HOP_S = 8 * SPEC.hop_length / RATE_HZ
SETTINGS = QuantizeConfig(input_rates_hz=[2000], int16_input=True, stream_hops=5)


def write(folder: Path, settings: QuantizeConfig, runtime: RuntimeConfig | None = None) -> Path:
    data = dataclasses.replace(DATA, hop_s=HOP_S)
    return write_bundle(folder, Envelope().eval(), [head()], ORIGIN, data=data, quantize=settings, runtime=runtime)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("extra") / "bundle", SETTINGS)


def test_the_bundle_lists_them(bundle: Path) -> None:
    entries = {entry["kind"]: entry for entry in plain(read_bundle(bundle))["frontends"]}
    assert set(entries) == {"native", "int16", "stream"}
    assert entries["native"]["file"] == "frontend-2000.onnx" and entries["native"]["samples"] == SAMPLES // 2
    assert entries["native"]["frontend"] == native_spec(SPEC, 2000).to_dict()
    assert (entries["stream"]["hops"], entries["stream"]["hop_samples"]) == (5, 128)
    seal(bundle)


def test_the_self_test_covers_them(bundle: Path) -> None:
    result = selftest(bundle)
    names = {check["name"] for check in result["checks"]}
    assert names >= {"frontend-2000.onnx", "frontend-int16.onnx", "frontend.stream.onnx"}
    assert result["passed"], result["checks"]


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 2000, 8000])
def test_edges_of_sound_score_alike_through_every_front_end(bundle: Path, rate_hz: int) -> None:
    """The bundle's own front end, a native and the streaming one, and behind a resampler; silence scores as silence."""
    loaded = load_bundle(bundle, precision="float")
    silence = loaded.score(np.zeros(SAMPLES, np.float32), RATE_HZ)["tasks"]["M1"]["score"]
    samples = SAMPLES * rate_hz // RATE_HZ
    for name, sound in (accepted(samples, rate_hz) | brief(rate_hz)).items():
        score = loaded.score(sound, rate_hz)["tasks"]["M1"]["score"]
        *_, last = loaded.stream(np.array_split(sound, 7), rate_hz)
        assert np.isfinite(score), name
        assert last.recording["M1"]["score"] == pytest.approx(score, abs=1e-5), name
        if name in SILENT:
            assert score == pytest.approx(silence, abs=1e-6), name


def test_a_recording_at_a_native_rate_is_not_resampled(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_bundle(bundle, precision="float")
    assert loaded.sample_rates_hz == (RATE_HZ, 2000)
    wave = golden_waves(2000, SAMPLES)["heart"]
    mel = log_mel(wave[: SAMPLES // 2], native_spec(SPEC, 2000))
    heard: list[np.ndarray] = []
    run = loaded._frontends.encoder.run  # type: ignore[union-attr]
    monkeypatch.setattr(loaded._frontends.encoder, "run", lambda feeds: heard.append(feeds["mel"]) or run(feeds))
    answers = loaded.score(to_pcm(wave), 2000)
    assert answers["windows"] == len(heard)
    np.testing.assert_allclose(heard[0][0], mel, atol=1e-4)
    updates = list(loaded.stream(np.array_split(to_pcm(wave), 7), 2000))
    assert updates[-1].end_s == pytest.approx(len(wave) / 2000)
    score = updates[0].tasks["M1"]
    assert score == load_bundle(bundle, precision="float").score(to_pcm(wave[: SAMPLES // 2]), 2000)["tasks"]["M1"]


def test_a_stream_computes_every_frame_once(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = load_bundle(write(tmp_path / "plain", QuantizeConfig()), precision="float")
    loaded = load_bundle(bundle, precision="float")
    engine = loaded._frontends.stream[0]  # type: ignore[index]
    calls, run = [0], engine.run

    def count(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        calls[0] += 1
        return run(feeds)

    monkeypatch.setattr(engine, "run", count)
    pcm = to_pcm(golden_waves(RATE_HZ, 2 * SAMPLES + 300)["heart"])
    # The encoder of this test reads spectrograms, and so does the plain bundle's model.
    found = list(loaded.stream(np.array_split(pcm, 11), RATE_HZ))
    expected = list(plain.stream([pcm], RATE_HZ))
    assert [update.start_s for update in found] == [update.start_s for update in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.tasks["M1"]["score"] == pytest.approx(theirs.tasks["M1"]["score"], abs=1e-5)
    blocks, whole = SAMPLES // 128, len(found) - 1
    first, later = -(-(blocks - 1) // 5) + 1, -(-8 // 5) + 1
    assert calls[0] == first + (whole - 1) * later, "the last window is not a multiple of the hop"


def test_limits_and_smoothing_of_the_recipe_rule_the_device(bundle: Path, tmp_path: Path) -> None:
    settings = RuntimeConfig(QualityLimits(min_duration_s=60.0), SmoothingSettings(time_constant_s=2.5))
    loaded = load_bundle(write(tmp_path / "strict", QuantizeConfig(), settings))
    pcm = to_pcm(golden_waves(RATE_HZ, 2 * SAMPLES)["heart"])
    assert loaded.smoothing == settings.smoothing
    assert loaded.score(pcm, RATE_HZ)["quality"]["reasons"][0].endswith("at least 60 s")
    assert load_bundle(bundle).smoothing == SmoothingSettings()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"int16_input": True, "profile": "tensorrt"}, "no 16-bit inputs"),
        ({"input_rates_hz": [1700]}, "cannot be had at this rate"),
        ({"input_rates_hz": [4000]}, "front end's own"),
        ({"stream_hops": 2}, "at least three hops"),
    ],
)
def test_what_cannot_be_exported_is_said(settings: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        write(tmp_path / "bundle", QuantizeConfig(**settings))
    assert not (tmp_path / "bundle").exists()
