"""Silence and constants in a training batch: finite losses, finite slopes; probes of constant features; no NaN kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from acula_edge.align.augmentation import draw_masks, first_crop, mask_spectrogram, random_crop
from acula_edge.align.objectives import Batch, objectives
from acula_edge.align.self_supervised import self_supervised
from acula_edge.data.manifest import Recording
from acula_edge.distillation.degradation import degrade, draw_degradation
from acula_edge.distillation.relational import angle_loss, distance_loss
from acula_edge.distillation.teaching import fit_reduction
from acula_edge.encoders.base import make_encoder
from acula_edge.errors import InputError
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.frontend.torch import make_frontend
from acula_edge.probe.converged import fit_logistic, fit_ridge
from acula_edge.probe.embeddings import embed_store
from acula_edge.probe.heads import fit_heads
from acula_edge.recipe import DataConfig
from acula_edge.training.normalization import refresh_statistics
from tests.numerics.sounds import accepted, brief

SPEC = FrontendSpec(sample_rate_hz=4000, n_fft=256, hop_length=128, n_mels=64, fmin_hz=25, fmax_hz=2000)
CLIPS, WIDTH = 8, 6
BATCH = Batch(torch.tensor([0] * 5 + [1] * 3), torch.tensor([0, 0, 1, 2, 2, 0, 1, 2]), 0.07)
LOSSES = {
    **{name: objectives[name] for name in objectives.names()},
    "distance": lambda audio, text, batch: distance_loss(audio, text),
    "angle": lambda audio, text, batch: angle_loss(audio, text),
    "cosine": lambda audio, text, batch: (1 - functional.cosine_similarity(audio, text)).mean(),
}


def rows(kind: str) -> torch.Tensor:
    """Embeddings [CLIPS, WIDTH] of a batch in which something does not move."""
    drawn = torch.randn(CLIPS, WIDTH, generator=torch.Generator().manual_seed(0))
    if kind == "one zero row":
        drawn[0] = 0
    if kind == "two equal rows":
        drawn[1] = drawn[0]
    if kind == "all equal but one":
        drawn[1:] = drawn[1]
    fixed = {"zero": 0 * drawn, "constant": 0 * drawn + 0.3, "tiny": drawn * 1e-30, "denormal": drawn * 1e-40}
    return fixed.get(kind, drawn)


KINDS = (
    "usual", "zero", "constant", "one zero row", "two equal rows", "all equal but one", "tiny", "denormal",
)  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_batches_that_do_not_move_are_finite(name: str) -> None:
    for audio in KINDS:
        for text in KINDS:
            vectors = rows(audio).requires_grad_()
            loss = LOSSES[name](vectors, rows(text), BATCH)
            loss.backward()
            assert vectors.grad is not None
            assert torch.isfinite(loss) and torch.isfinite(vectors.grad).all(), (audio, text)


@pytest.fixture(scope="module")
def mel() -> torch.Tensor:
    """Spectrograms of crops of every accepted sound, [N, F, M], as training makes them."""
    generator = np.random.default_rng(0)
    sounds = accepted(9000, 4000) | brief(4000)
    crops = [random_crop(sound, 8000, generator) for sound in sounds.values()]
    crops += [first_crop(sound, 8000) for sound in sounds.values()]
    wave = torch.from_numpy(np.stack(crops).astype(np.float32))
    generators = [np.random.default_rng(number) for number in range(len(wave))]
    degraded = degrade(wave, draw_degradation(generators, wave.shape[1]))
    assert torch.isfinite(degraded).all()
    made = make_frontend(SPEC)(torch.cat([wave, degraded]))
    return mask_spectrogram(made, draw_masks(generators + generators))


def test_an_encoder_learns_from_a_batch_of_silence(mel: torch.Tensor) -> None:
    options = {"variant": "mobilenetv4_conv_small_035"}
    encoder = make_encoder("mobilenet", frontend=SPEC, options=options)
    encoder.train()
    silence = mel[:4] * 0
    for batch in (mel[:16], torch.cat([mel[:4], silence]), silence):
        encoder.zero_grad()
        embedding = encoder.embed_mel(batch)
        head = self_supervised["cola"](encoder)
        others = ~torch.eye(len(batch), dtype=torch.bool)
        loss = head.batch_loss([embedding, embedding + 0.01], others) + functional.normalize(embedding, dim=-1).sum()
        loss.backward()
        slopes = [parameter.grad for parameter in encoder.parameters() if parameter.grad is not None]
        assert torch.isfinite(loss) and slopes and all(torch.isfinite(slope).all() for slope in slopes)
    refresh_statistics(encoder, [mel[:16], torch.cat([mel[:4], silence]), silence])
    assert torch.isfinite(encoder.embed_mel(mel[:16])).all()


@pytest.mark.parametrize("kind", KINDS)
def test_probes_of_features_that_do_not_move_are_finite(kind: str) -> None:
    features = np.repeat(rows(kind).numpy().astype(np.float64), 6, axis=0)
    subjects = np.array([f"s{number // 2}" for number in range(len(features))])
    target = (np.arange(len(features)) // 2) % 2
    weight, bias, _ = fit_logistic(features, target, subjects, 0)
    coefficients, intercept = fit_ridge(features, target.astype(np.float64), subjects)
    for values in (weight, bias, coefficients, intercept):
        assert np.isfinite(values).all()
    reduced = fit_reduction(features, 4).apply(features)
    assert np.isfinite(reduced).all()


class OneWave:
    """A store of one recording."""

    sample_rate_hz = 4000

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int, /) -> np.ndarray:
        return np.zeros(9000, np.float32)


def test_embeddings_that_are_not_finite_are_refused() -> None:
    data = DataConfig(window_s=2.0, hop_s=2.0)
    with pytest.raises(InputError, match="not finite"):
        embed_store(lambda windows: np.full((len(windows), 3), np.nan, np.float32), OneWave(), data)
    recording = Recording("r", "r.wav", "s", "d", 4000, 2.0)
    with pytest.raises(InputError, match="finite"):
        fit_heads(np.full((1, 3), np.inf), [recording], [])
