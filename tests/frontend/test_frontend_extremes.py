"""Sounds at the edges of what sound is give the same finite spectrogram in every form (docs/numerics.md)."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from acula_edge.frontend import published
from acula_edge.frontend.native import native_spec
from acula_edge.frontend.reference import log_mel
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.frontend.torch import graph_frontend, make_frontend
from tests.frontend.conftest import AUSCULTATION
from tests.numerics.sounds import SILENT, accepted

TOLERANCE = 1e-4
"""Of a value in [0, 1]: torch and graph against NumPy in double precision."""

OTHERS = {
    "kaldi-fbank": (published.AST, 1e-2),
    "clap": (published.CLAP, 0.1),
    "whisper": (published.WHISPER, 1e-3),
    "waveform": (published.WAVEFORM, 1e-4),
    "waveform as it is": (dataclasses.replace(published.WAVEFORM, standardize=False), 0.0),
    "2 kHz": (native_spec(AUSCULTATION, 2000), TOLERANCE),
}
"""Specification, and how far the graph form may be from the other: log units, decibels, or as above."""

CLAP_FLOOR_DB = -85
"""Below lies what single precision rounds to beside a full-scale tone: 130 dB under the tone's own power."""


def test_numpy_torch_and_graph_agree(exported: Any) -> None:
    spec = exported.spec
    trained = make_frontend(spec)
    for name, sound in accepted(exported.samples, spec.sample_rate_hz).items():
        expected = log_mel(sound, spec)
        graph, batch = exported.run(sound), trained(torch.from_numpy(sound[None])).numpy()[0]
        for found in (expected, graph, batch):
            assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1, name
        np.testing.assert_allclose(graph, expected, atol=TOLERANCE, err_msg=name)
        np.testing.assert_allclose(batch, expected, atol=TOLERANCE, err_msg=name)
        if name in SILENT:
            assert not (graph.any() or batch.any() or expected.any()), name


@pytest.mark.parametrize("kind", OTHERS)
def test_torch_and_graph_agree(kind: str) -> None:
    spec, tolerance = OTHERS[kind]
    samples = spec.samples(0.5)
    sounds = accepted(samples, spec.sample_rate_hz)
    batch = torch.from_numpy(np.stack(list(sounds.values())))
    expected = make_frontend(spec)(batch).numpy()
    graph = graph_frontend(spec, samples)
    lowest = CLAP_FLOOR_DB if kind == "clap" else -np.inf
    for name, row, found in zip(sounds, batch, expected, strict=True):
        values = graph(row[None]).numpy()[0]
        assert np.isfinite(found).all() and np.isfinite(values).all(), name
        values, found = np.maximum(values, lowest), np.maximum(found, lowest)
        np.testing.assert_allclose(values, found, atol=tolerance, rtol=0, err_msg=name)


def test_a_batch_with_silence_in_it_trains_with_finite_slopes() -> None:
    """Whatever stands beside it: no clip's normalization divides by its own silence."""
    spec: FrontendSpec = AUSCULTATION
    sounds = accepted(spec.samples(1.0), spec.sample_rate_hz)
    wave = torch.from_numpy(np.stack(list(sounds.values()))).requires_grad_()
    make_frontend(spec)(wave).square().sum().backward()
    assert wave.grad is not None and torch.isfinite(wave.grad).all()
