"""Front ends of other published encoders against the feature extractors that they come with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torchaudio.compliance import kaldi
from transformers import ClapFeatureExtractor, Wav2Vec2FeatureExtractor, WhisperFeatureExtractor

from acula_edge.errors import InputError
from acula_edge.frontend.published import AST, AUDIOMAE, CLAP, CLAP_FUSED, WAVEFORM, WHISPER
from acula_edge.frontend.reference import log_mel
from acula_edge.frontend.spec import OPERA, FrontendSpec
from acula_edge.frontend.torch import graph_frontend, make_frontend
from tests.frontend.conftest import Exported, export
from tests.frontend.test_frontend_graph import EVERYWHERE

TOLERANCE = 1e-4

Library = Callable[[np.ndarray, FrontendSpec], np.ndarray]


def kaldi_fbank(wave: np.ndarray, spec: FrontendSpec) -> np.ndarray:
    """torchaudio's in double precision; in single precision it is itself 2e-4 off beside a pure tone."""
    samples = torch.from_numpy(wave).double()[None]
    mel = kaldi.fbank(
        samples - samples.mean(),
        htk_compat=True,
        sample_frequency=spec.sample_rate_hz,
        use_energy=False,
        window_type="hanning",
        num_mel_bins=spec.n_mels,
        dither=0.0,
        frame_shift=10,
    )
    return ((mel - spec.mean) / spec.deviation).numpy()


def clap(wave: np.ndarray, spec: FrontendSpec) -> np.ndarray:
    extractor = ClapFeatureExtractor(frequency_min=50, frequency_max=14000)
    truncation = "fusion" if spec.mel_scale == "htk" else "rand_trunc"
    features = extractor(wave, sampling_rate=48000, truncation=truncation, max_length=len(wave))
    return features["input_features"][0][0]


def whisper(wave: np.ndarray, spec: FrontendSpec) -> np.ndarray:
    """The first frames of the padded spectrogram; all that follow are what silence has."""
    extractor = WhisperFeatureExtractor(feature_size=spec.n_mels)
    mel = extractor(wave, sampling_rate=16000, return_tensors="np").input_features[0].T
    frames = spec.frames(len(wave))
    silence = max(-1.5, mel.max() - 2)
    np.testing.assert_allclose(mel[frames:], silence, atol=1e-6)
    return mel[:frames]


def wav2vec(wave: np.ndarray, spec: FrontendSpec) -> np.ndarray:
    extractor = Wav2Vec2FeatureExtractor(do_normalize=spec.standardize)
    return extractor(wave, sampling_rate=16000, return_tensors="np").input_values[0][:, None]


CASES: dict[str, tuple[FrontendSpec, Library]] = {
    "ast": (AST, kaldi_fbank),
    "clap": (CLAP, clap),
    "whisper": (WHISPER, whisper),
    "waveform": (WAVEFORM, wav2vec),
}
VARIANTS: dict[str, tuple[FrontendSpec, Library]] = {
    "audiomae": (AUDIOMAE, kaldi_fbank),
    "clap-fused": (CLAP_FUSED, clap),
    "whisper-128": (dataclasses.replace(WHISPER, n_mels=128), whisper),
    "waveform-raw": (dataclasses.replace(WAVEFORM, standardize=False), wav2vec),
}
# What the dynamic range of the values is: 80 dB in decibels, and so on.
SPAN = {"kaldi-fbank": 8 * np.log(10), "clap": 80.0, "whisper": 2.0, "waveform": 1.0}


@dataclass(frozen=True)
class Case:
    """A front end in ONNX Runtime and the library's."""

    exported: Exported
    library: Library

    @property
    def spec(self) -> FrontendSpec:
        return self.exported.spec


@pytest.fixture(scope="module", params=list(CASES))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    spec, library = CASES[request.param]
    # No multiple of the hop.
    samples = spec.samples(1.61) + 7
    return Case(export(spec, samples, tmp_path_factory.mktemp("library") / "frontend.onnx"), library)


def sound(kind: str, spec: FrontendSpec, samples: int) -> np.ndarray:
    """A test sound in 16 bits, [T] float32."""
    t = np.arange(samples) / spec.sample_rate_hz
    noise = np.random.default_rng(7).standard_normal(samples)
    wave = {
        "noise": 0.1 * noise,
        "heart": 0.6 * np.sin(2 * np.pi * 50 * t) * np.exp(-30 * (t % 0.8)) + 0.01 * noise * (t % 0.8 < 0.3),
        "rumble": 0.9 * np.sin(2 * np.pi * 10 * t) + 1e-3 * noise,
        "digital silence between": 0.3 * noise * (t % 0.5 < 0.2),
        "offset": 0.25 + 0.01 * noise,
        "silence": 0 * t,
        "tone": 0.5 * np.sin(2 * np.pi * 440 * t),
    }[kind]
    return (np.round(np.clip(wave, -1, 1) * 32767) / 32768).astype(np.float32)


@pytest.mark.parametrize("kind", ["noise", "heart", "rumble", "digital silence between", "offset", "silence"])
def test_both_forms_give_the_numbers_of_the_library(kind: str, case: Case) -> None:
    """The training form to 1e-4 in the library's own unit, the graph to 1e-4 of 80 dB in that unit."""
    spec = case.spec
    wave = sound(kind, spec, case.exported.samples)
    expected = case.library(wave, spec)
    trained = make_frontend(spec)(torch.from_numpy(wave[None]))[0].numpy()
    graph = case.exported.run(wave)
    assert expected.shape == trained.shape == graph.shape == (spec.frames(len(wave)), spec.n_mels)
    assert trained.dtype == graph.dtype == np.float32
    np.testing.assert_allclose(trained, expected, atol=TOLERANCE)
    np.testing.assert_allclose(graph, expected, atol=TOLERANCE * max(1.0, SPAN[spec.kind] / spec.deviation))


@pytest.mark.parametrize("name", list(VARIANTS))
def test_variants_give_the_numbers_of_the_library(name: str) -> None:
    spec, library = VARIANTS[name]
    wave = sound("heart", spec, spec.samples(1.61) + 7)
    expected = library(wave, spec)
    batch = torch.from_numpy(wave[None])
    np.testing.assert_allclose(make_frontend(spec)(batch)[0].numpy(), expected, atol=TOLERANCE)
    graph = graph_frontend(spec, len(wave))(batch)[0].numpy()
    np.testing.assert_allclose(graph, expected, atol=TOLERANCE * max(1.0, SPAN[spec.kind]))


def test_beside_a_pure_tone_the_graph_is_as_good_as_single_precision(case: Case) -> None:
    wave = sound("tone", case.spec, case.exported.samples)
    expected = case.library(wave, case.spec)
    np.testing.assert_allclose(case.exported.run(wave), expected, atol=5e-4 * max(1.0, SPAN[case.spec.kind]))


def test_a_batch_is_handled_clip_by_clip(case: Case) -> None:
    spec = case.spec
    batch = np.stack([sound(kind, spec, case.exported.samples) for kind in ("heart", "silence", "noise")])
    frontend = make_frontend(spec)
    together = frontend(torch.from_numpy(batch))
    for mel, wave in zip(together, batch, strict=True):
        torch.testing.assert_close(mel, frontend(torch.from_numpy(wave[None]))[0], rtol=0, atol=1e-5)
    graph = graph_frontend(spec, case.exported.samples)
    torch.testing.assert_close(graph(torch.from_numpy(batch))[2], graph(torch.from_numpy(batch[2:]))[0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(frontend(torch.from_numpy(batch)), together)
    assert not frontend.state_dict() and not graph.state_dict()


def test_the_graph_needs_common_operators_only(case: Case) -> None:
    model = onnx.load(case.exported.model)
    onnx.checker.check_model(model, full_check=True)
    assert {node.op_type for node in model.graph.node} <= EVERYWHERE
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 18)]


@pytest.mark.parametrize("samples", [799, 800, 801, 959, 960, 961])
@pytest.mark.parametrize("name", ["ast", "clap", "whisper"])
def test_frames_are_as_many_as_the_specification_says(name: str, samples: int) -> None:
    spec, library = CASES[name]
    wave = sound("noise", spec, samples)
    batch = torch.from_numpy(wave[None])
    expected = library(wave, spec)
    for frontend in (make_frontend(spec), graph_frontend(spec, samples)):
        assert frontend(batch).shape == (1, spec.frames(samples), spec.n_mels)
        np.testing.assert_allclose(frontend(batch)[0].numpy(), expected, atol=1e-2)


@pytest.mark.parametrize("name", ["ast", "clap", "whisper"])
def test_a_clip_that_cannot_be_framed_is_refused(name: str) -> None:
    spec, _ = CASES[name]
    shortest = spec.min_samples
    make_frontend(spec)(torch.zeros(1, shortest))
    graph_frontend(spec, shortest)(torch.zeros(1, shortest))
    with pytest.raises(InputError, match="too few samples"):
        make_frontend(spec)(torch.zeros(1, shortest - 1))
    with pytest.raises(InputError, match="too few samples"):
        graph_frontend(spec, shortest - 1)


def test_the_originals_mean_and_deviation_can_be_had() -> None:
    original = dataclasses.replace(AUDIOMAE, mean=-4.27, deviation=2 * 4.57)
    wave = torch.from_numpy(sound("noise", original, 16000)[None])
    plain = make_frontend(AUDIOMAE)(wave)
    torch.testing.assert_close(make_frontend(original)(wave), (plain + 4.27) / 9.14)


def test_a_specification_that_was_saved_before_there_were_kinds_still_loads() -> None:
    new = ("kind", "mel_scale", "mean", "deviation", "standardize")
    older = {key: value for key, value in OPERA.to_dict().items() if key not in new}
    assert FrontendSpec.from_dict(older) == OPERA
    for spec, _ in {**CASES, **VARIANTS}.values():
        assert FrontendSpec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "gammatone"}, "unknown kind"),
        ({"kind": "waveform"}, "one band and a frame for every sample"),
        ({"kind": "kaldi-fbank", "deviation": 0.0}, "positive deviation"),
        ({"kind": "clap", "mel_scale": "bark"}, "unknown mel scale"),
    ],
)
def test_impossible_kinds_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        FrontendSpec(**values)


def test_the_reference_is_of_one_kind() -> None:
    with pytest.raises(InputError, match="one kind"):
        log_mel(np.zeros(16000, np.float32), WHISPER)
