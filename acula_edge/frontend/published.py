"""Front ends of published encoders other than OPERA's, in the numbers of the feature extractors that they come with."""

from __future__ import annotations

from dataclasses import replace

from acula_edge.frontend.spec import FrontendSpec

AUDIOMAE = FrontendSpec(
    kind="kaldi-fbank", sample_rate_hz=16000, n_fft=400, hop_length=160, n_mels=128, fmin_hz=20.0, fmax_hz=8000.0,
    amin=2.0**-23,
)  # fmt: skip
"""Kaldi's filter bank without AudioSet's mean and deviation, as OPERA's baseline has it (SPEC section 1.7.5).

The original subtracts -4.27 and divides by 2 x 4.57: ``dataclasses.replace(AUDIOMAE, mean=-4.27, deviation=9.14)``.
"""

AST = replace(AUDIOMAE, mean=-4.2677393, deviation=2 * 4.5689974)
"""``ASTFeatureExtractor``, without its padding to 1024 frames."""

CLAP = FrontendSpec(
    kind="clap", sample_rate_hz=48000, n_fft=1024, hop_length=480, n_mels=64, fmin_hz=50.0, fmax_hz=14000.0
)
"""``ClapFeatureExtractor`` of laion/clap-htsat-unfused (``rand_trunc``), without its padding to 10 s."""

CLAP_FUSED = replace(CLAP, mel_scale="htk")
"""``ClapFeatureExtractor`` of laion/clap-htsat-fused (``fusion``), without its padding to 10 s."""

WHISPER = FrontendSpec(
    kind="whisper", sample_rate_hz=16000, n_fft=400, hop_length=160, n_mels=80, fmin_hz=0.0, fmax_hz=8000.0
)
"""``WhisperFeatureExtractor``, without its padding to 30 s; large-v3 has 128 bands."""

WAVEFORM = FrontendSpec(kind="waveform", sample_rate_hz=16000, n_fft=1, hop_length=1, n_mels=1, fmin_hz=0.0)
"""``Wav2Vec2FeatureExtractor`` (wav2vec 2.0, HuBERT, WavLM); ``standardize`` is its ``do_normalize``."""
