"""The front end's specification: one object that the NumPy, torch and graph forms all follow."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from acula_edge.errors import InputError

SILENT_SPAN_DB = 1e-4
"""A clip whose decibels span less than this is silent: it is what float32 can no longer tell from one value."""


@dataclass(frozen=True)
class FrontendSpec:
    """Log-mel spectrogram, normalized per clip. Defaults are OPERA's (SPEC section 1.7.1).

    Mel power spectrogram (periodic Hann window, centered frames, zero padding, Slaney mel scale and Slaney
    norm) -> decibels relative to the clip's maximum, floored `top_db` below it -> min-max to [0, 1] over the clip.
    A silent clip (maximum equals minimum) gives zeros: its decibels, all 0, pass through either normalization.

    Attributes:
        sample_rate_hz: rate the waveform must have.
        n_fft: transform and window length in samples; even.
        hop_length: samples between frames.
        n_mels: bands M.
        fmin_hz, fmax_hz: edges of the filter bank.
        top_db: dynamic range kept.
        amin: floor of the power before the logarithm.
        normalization: ``"minmax"`` (OPERA) or ``"range"`` (decibels / top_db + 1: does not depend on the minimum).
    """

    sample_rate_hz: int = 16000
    n_fft: int = 1024
    hop_length: int = 512
    n_mels: int = 64
    fmin_hz: float = 50.0
    fmax_hz: float = 8000.0
    top_db: float = 80.0
    amin: float = 1e-10
    normalization: Literal["minmax", "range"] = "minmax"

    def __post_init__(self) -> None:
        if self.sample_rate_hz <= 0 or self.n_fft <= 0 or self.hop_length <= 0 or self.n_mels <= 0:
            raise InputError("a front end needs a positive rate, n_fft, hop_length and n_mels", given=self)
        if self.n_fft % 2:
            raise InputError("a front end's n_fft must be even", given=self.n_fft)
        if self.top_db <= 0 or self.amin <= 0:
            raise InputError("a front end needs a positive top_db and amin", given=f"{self.top_db}, {self.amin}")
        if not 0 <= self.fmin_hz < self.fmax_hz <= self.sample_rate_hz / 2:
            raise InputError(
                "a front end's band must lie between 0 and half the sample rate",
                given=f"fmin_hz={self.fmin_hz}, fmax_hz={self.fmax_hz}, sample_rate_hz={self.sample_rate_hz}",
            )
        if self.normalization not in ("minmax", "range"):
            raise InputError("unknown normalization", given=self.normalization, allowed=("minmax", "range"))

    def frames(self, samples: int) -> int:
        """Frames F that `samples` give: 1 + samples // hop_length (centered)."""
        return 1 + samples // self.hop_length

    def samples(self, seconds: float) -> int:
        """Samples in `seconds`."""
        return round(seconds * self.sample_rate_hz)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FrontendSpec:
        """Inverse of :meth:`to_dict`."""
        return cls(**values)


OPERA = FrontendSpec()
