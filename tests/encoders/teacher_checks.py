"""What every teacher must do, whatever it was published with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from acula_edge.encoders import AudioEncoder, load_encoder
from acula_edge.quantize.export import FloatExport, export_float


def sound(samples: int, sample_rate_hz: int = 16000) -> np.ndarray:
    """Thuds in noise, [T] float32."""
    time_s = np.arange(samples) / sample_rate_hz
    thuds = 0.5 * np.sin(2 * np.pi * 60 * time_s) * np.exp(-20 * (time_s % 0.5))
    return (thuds + 0.01 * np.random.default_rng(5).standard_normal(samples)).astype(np.float32)


def assert_every_parameter_receives_a_gradient(encoder: AudioEncoder, frames: int) -> None:
    """A parameter without one stops training on several GPUs."""
    encoder.train()
    mel = torch.randn(2, frames, encoder.frontend.n_mels)
    encoder.embed_mel(mel).sum().backward()
    trained = {name: parameter.grad for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert trained and [name for name, gradient in trained.items() if gradient is None] == []
    encoder.zero_grad()
    encoder.eval()


def assert_comes_back_from_its_folder(encoder: AudioEncoder, folder: Path, frames: int) -> AudioEncoder:
    """Saved and loaded, an encoder is the same; nothing else is needed."""
    encoder.eval().save_pretrained(folder)
    again = load_encoder(folder)
    assert type(again) is type(encoder) and again.frontend == encoder.frontend
    assert again.embedding_dim == encoder.embedding_dim
    mel = torch.randn(1, frames, encoder.frontend.n_mels)
    with torch.no_grad():
        torch.testing.assert_close(again.embed_mel(mel), encoder.embed_mel(mel), rtol=0, atol=0)
    return again


def assert_exports(encoder: AudioEncoder, seconds: float, folder: Path) -> FloatExport:
    """In ONNX Runtime a short window gives what it gives in PyTorch, and the encoder is left as it was."""
    samples = encoder.frontend.samples(seconds)
    before = encoder.eval().embed(sound(samples), encoder.frontend.sample_rate_hz)
    facts = export_float(encoder, [], samples, folder)
    assert facts.parity.cosine_min >= 0.9999
    assert facts.embedding_dim == encoder.embedding_dim
    torch.testing.assert_close(encoder.embed(sound(samples), encoder.frontend.sample_rate_hz), before, rtol=0, atol=0)
    return facts
