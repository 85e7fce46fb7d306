"""The front end's specification: one object that the NumPy, torch and graph forms all follow."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from acula_edge.errors import InputError

SILENT_SPAN_DB = 1e-4
"""A clip whose decibels span less than this is silent: it is what float32 can no longer tell from one value."""

Kind = Literal["log-mel", "kaldi-fbank", "clap", "whisper", "waveform"]


@dataclass(frozen=True)
class FrontendSpec:
    """How an encoder's input is computed from sound. Defaults are OPERA's log-mel spectrogram (SPEC section 1.7.1).

    Every kind but the last is a mel power spectrogram of Hann windows, and its logarithm:

    ``log-mel``
        Periodic window, centered frames, zeros beyond the ends -> decibels relative to the clip's maximum, floored
        `top_db` below it -> scaled to [0, 1]. A silent clip (maximum equals minimum) gives zeros: its decibels, all 0,
        pass through either normalization.
    ``kaldi-fbank``
        Frames that lie in the clip, each without its mean, pre-emphasized by 0.97 and zero-padded to a power of 2;
        Kaldi's mel scale -> natural logarithm, (x - mean) / deviation (AST, AudioMAE).
    ``clap``
        As ``log-mel``, but the ends are reflected -> absolute decibels.
    ``whisper``
        The front is reflected, zeros follow, as in a clip that was padded to 30 s; every frame that holds any of the
        clip -> base-10 logarithm, floored `top_db` below the clip's maximum, (x + 4) / 4.
    ``waveform``
        The samples themselves, as M = 1 band at T frames; zero mean and unit variance where `standardize` says so.

    Attributes:
        kind: one of the above.
        sample_rate_hz: rate the waveform must have.
        n_fft: window length in samples, and the transform's; even.
        hop_length: samples between frames.
        n_mels: bands M.
        fmin_hz, fmax_hz: edges of the filter bank.
        top_db: dynamic range kept (``log-mel`` and ``whisper``).
        amin: floor of the power before the logarithm.
        normalization: of ``log-mel``: ``"minmax"`` (OPERA) or ``"range"`` (decibels / top_db + 1: does not depend on
            the minimum).
        mel_scale: ``"slaney"`` (with Slaney's norm) or ``"htk"`` (triangles of height 1); ``kaldi-fbank`` has its own.
        mean, deviation: subtracted and divided by (``kaldi-fbank``).
        standardize: whether a ``waveform`` is brought to zero mean and unit variance, each clip by itself.
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
    kind: Kind = "log-mel"
    mel_scale: Literal["slaney", "htk"] = "slaney"
    mean: float = 0.0
    deviation: float = 1.0
    standardize: bool = True

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError("unknown kind of front end", given=self.kind, allowed=get_args(Kind))
        if self.sample_rate_hz <= 0 or self.n_fft <= 0 or self.hop_length <= 0 or self.n_mels <= 0:
            raise InputError("a front end needs a positive rate, n_fft, hop_length and n_mels", given=self)
        if self.kind == "waveform":
            if not self.n_fft == self.hop_length == self.n_mels == 1:
                raise InputError(
                    "a waveform front end has one band and a frame for every sample",
                    given=f"n_fft={self.n_fft}, hop_length={self.hop_length}, n_mels={self.n_mels}",
                    allowed="n_fft=1, hop_length=1, n_mels=1",
                )
            return
        if self.n_fft % 2:
            raise InputError("a front end's n_fft must be even", given=self.n_fft)
        if self.top_db <= 0 or self.amin <= 0:
            raise InputError("a front end needs a positive top_db and amin", given=f"{self.top_db}, {self.amin}")
        if self.deviation <= 0:
            raise InputError("a front end needs a positive deviation", given=self.deviation)
        if not 0 <= self.fmin_hz < self.fmax_hz <= self.highest_hz:
            raise InputError(
                "a front end's band must lie between 0 and half the sample rate",
                given=f"fmin_hz={self.fmin_hz}, fmax_hz={self.fmax_hz}, sample_rate_hz={self.sample_rate_hz}",
            )
        if self.normalization not in ("minmax", "range"):
            raise InputError("unknown normalization", given=self.normalization, allowed=("minmax", "range"))
        if self.mel_scale not in ("slaney", "htk"):
            raise InputError("unknown mel scale", given=self.mel_scale, allowed=("slaney", "htk"))

    def frames(self, samples: int) -> int:
        """Frames F that `samples` give; 0 where they do not fill one."""
        if self.kind == "kaldi-fbank":
            return max(0, 1 + (samples - self.n_fft) // self.hop_length)
        if self.kind == "whisper":
            return 1 + (samples + self.n_fft // 2 - 1) // self.hop_length
        if self.kind == "waveform":
            return samples
        return 1 + samples // self.hop_length

    def samples(self, seconds: float) -> int:
        """Samples in `seconds`."""
        return round(seconds * self.sample_rate_hz)

    @property
    def highest_hz(self) -> float:
        """Half the sample rate: what the filters may reach up to."""
        return self.sample_rate_hz / 2

    @property
    def keeps_level(self) -> bool:
        """Whether a louder clip looks different."""
        return self.kind in ("kaldi-fbank", "clap") or (self.kind == "waveform" and not self.standardize)

    @property
    def transform_length(self) -> int:
        """Length of the Fourier transform in samples: Kaldi's is the next power of 2 of the window's."""
        return 1 << (self.n_fft - 1).bit_length() if self.kind == "kaldi-fbank" else self.n_fft

    @property
    def min_samples(self) -> int:
        """Fewest samples that can be framed: one window, or more than what is reflected at an end."""
        if self.kind == "kaldi-fbank":
            return self.n_fft
        return self.n_fft // 2 + 1 if self.kind in ("clap", "whisper") else 1

    def check_samples(self, samples: int) -> None:
        """Refuse clips that are too short to be framed.

        Raises:
            InputError: fewer samples than :attr:`min_samples`.
        """
        if samples < self.min_samples:
            raise InputError(
                f"a clip has too few samples for the front end {self.kind}",
                given=samples,
                allowed=f"at least {self.min_samples}",
                remedy="repeat-pad it (acula_edge.audio.segment.repeat_pad)",
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FrontendSpec:
        """Inverse of :meth:`to_dict`; what a file does not name has its default."""
        return cls(**values)


OPERA = FrontendSpec()
