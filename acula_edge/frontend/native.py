"""The same spectrogram from sound at its own rate: a front end for 2, 4 or 8 kHz beside one for 16 kHz.

A stethoscope records at 2 to 8 kHz. Resampling to 16 kHz adds samples but no sound, and the transforms of what was
added cost most of the front end. With the window and the hop scaled to the rate, bins and frames lie at the same
frequencies and times, so the mel filters are the same numbers, and the power differs by a constant: a periodic Hann
window of n samples gives n^2 times the power of one of 1 sample. Near half the rate the resampler attenuates; its
response is measured once and goes into the filters.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.resample import resample
from acula_edge.errors import InputError
from acula_edge.frontend.spec import FrontendSpec


@dataclass(frozen=True)
class NativeFrontendSpec(FrontendSpec):
    """A front end at a recording's own rate, whose filters are those of a front end at a higher one.

    Attributes:
        filter_rate_hz: that higher rate; filters may reach up to half of it.
    """

    filter_rate_hz: int = 0

    @property
    def highest_hz(self) -> float:
        """What the filters may reach up to."""
        return self.filter_rate_hz / 2


def native_spec(spec: FrontendSpec, sample_rate_hz: int) -> FrontendSpec:
    """The front end that gives at `sample_rate_hz` what `spec` gives after resampling to its own rate.

    `n_fft` and `hop_length` are scaled to the rate; the filters stay those of `spec`, and bands above half of
    `sample_rate_hz` are empty. `amin` is scaled with the power, so the floor of the power is the same loudness.

    How near it comes to resampling by soxr ("HQ") and then `spec`, in values of [0, 1] that span 80 dB, on heart and
    lung sounds and noise: bands that end below 0.88 of half the rate agree to 1e-4. In the bands between there and
    half the rate, where the resampler attenuates, heart and lung sounds agree to 0.02 at 4 and 8 kHz; at 2 kHz, where
    one band holds the whole transition, to 0.25 in it; white noise, loud up to half the rate, to 0.3. Bands above are
    empty, and lie on the floor in both. A clip's first and last frame agree to 0.04, because the resampler rings beyond
    the ends. With ``minmax`` a clip whose floor is not reached is scaled by its lowest value, wherever that lies.

    >>> from acula_edge.frontend.spec import OPERA
    >>> slow = native_spec(OPERA, 4000)
    >>> slow.n_fft, slow.hop_length, slow.frames(32000) == OPERA.frames(128000)  # eight seconds
    (256, 128, True)

    Raises:
        InputError: only ``log-mel`` front ends have native forms; a rate above the front end's, or at which the window
            and the hop are no whole numbers of samples.
    """
    if spec.kind != "log-mel":
        raise InputError("only log-mel front ends can be had at other rates", given=spec.kind, allowed="log-mel")
    if sample_rate_hz == spec.sample_rate_hz:
        return spec
    rate = spec.sample_rate_hz
    # Checked before dividing: a window or hop of half a sample would put frames and bins elsewhere.
    scaled = [spec.n_fft * sample_rate_hz, spec.hop_length * sample_rate_hz]
    if not 0 < sample_rate_hz < rate or any(value % rate for value in scaled) or scaled[0] // rate % 2:
        raise InputError(
            "the front end cannot be had at this rate",
            given=sample_rate_hz,
            allowed=f"below {rate} Hz, with a whole hop and an even window of n_fft / {rate} s",
        )
    ratio = sample_rate_hz / rate
    values = {field.name: getattr(spec, field.name) for field in fields(FrontendSpec)}
    values.update(
        sample_rate_hz=sample_rate_hz,
        n_fft=scaled[0] // rate,
        hop_length=scaled[1] // rate,
        # A window of n samples sums n of them, so its power grows with n^2: the same loudness has ratio^2 of the power.
        amin=spec.amin * ratio**2,
    )
    return NativeFrontendSpec(**values, filter_rate_hz=rate)


def resampler_response(spec: NativeFrontendSpec) -> NDArray[np.float64]:
    """What resampling to the filters' rate multiplies the power of every bin by. Shape: [n_fft // 2 + 1]."""
    # Sixteen points to a bin, read at every sixteenth, with the impulse midway: the filter rings to both sides.
    length = 16 * spec.n_fft
    ratio = spec.filter_rate_hz / spec.sample_rate_hz
    impulse = np.zeros(length, np.float32)
    impulse[length // 2] = 1
    # An impulse holds all frequencies alike, so its transform after resampling is the resampler's response. There are
    # `ratio` times as many samples for the same sound, which the division undoes; squared, because filters weigh power.
    response = np.abs(np.fft.rfft(resample(impulse, spec.sample_rate_hz, spec.filter_rate_hz), round(length * ratio)))
    return np.asarray((response[: length // 2 + 1 : 16] / ratio) ** 2)
