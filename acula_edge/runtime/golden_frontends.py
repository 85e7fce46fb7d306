"""The self-test of the front ends that a bundle carries beside its own, by their spectrograms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acula_edge.bundle.layout import FRONTEND_FILE, FRONTEND_SELFTEST_FILE
from acula_edge.bundle.schema import Bundle, FrontEnd, NativeFrontEnd, PcmFrontEnd, StreamFrontEnd
from acula_edge.bundle.selftest import PCM_SCALE
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import AculaEdgeError
from acula_edge.runtime.models import FrameStream
from acula_edge.untrusted.npz import read_npz

TOLERANCE = 1e-3
"""Of a value in [0, 1]: what float32 in another order may change where only a pure tone is heard."""

Array = NDArray[np.float32]


def check_frontends(path: Path, info: Bundle, waves: Array, threads: int) -> Iterator[tuple[str, bool, str]]:
    """Name, verdict and detail of every front end that ``bundle.json`` tells of.

    Native ones are held to the spectrograms that travel with the bundle, the others to its own front end's here.

    Shape: waves [N, T], golden, at the bundle's rate.
    """
    for entry in info.frontends:
        name = entry.file
        try:
            difference, count = _difference(path, entry, waves, threads)
        except (AculaEdgeError, OSError, KeyError, ValueError) as error:
            yield name, False, str(error)
            continue
        # A NaN fails.
        yield name, bool(difference <= TOLERANCE), f"{count} spectrograms, within {difference:.1e}"


def _difference(path: Path, entry: FrontEnd, waves: Array, threads: int) -> tuple[float, int]:
    engine = OrtEngine(path / entry.file, threads=threads)
    if isinstance(entry, NativeFrontEnd):
        arrays = read_npz(path / FRONTEND_SELFTEST_FILE, "golden spectrograms")
        pcm, expected = arrays.numbers(f"{entry.file}/pcm", 2), arrays.numbers(f"{entry.file}/mel", 3)
        found = [engine.run({"waveform": wave[None].astype(np.float32) / PCM_SCALE})["mel"][0] for wave in pcm]
    else:
        own = OrtEngine(path / FRONTEND_FILE, threads=threads)
        expected = np.stack([own.run({"waveform": wave[None]})["mel"][0] for wave in waves])
        if isinstance(entry, PcmFrontEnd):
            found = [engine.run({"pcm": np.round(wave[None] * PCM_SCALE).astype(np.int16)})["mel"][0] for wave in waves]
        else:
            assert isinstance(entry, StreamFrontEnd)
            level = OrtEngine(path / entry.level, threads=threads)
            found = [FrameStream(engine, level, entry, wave.size).mel(wave, 0)[0] for wave in waves]
    return float(np.abs(np.stack(found) - expected).max()), len(expected)
