"""What turns windows into embeddings and scores: the whole model, or another front end before the encoder half."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.bundle.folder import listed
from acula_edge.bundle.layout import ENCODER_FILES
from acula_edge.bundle.schema import Bundle, NativeFrontEnd, PcmFrontEnd, StreamFrontEnd
from acula_edge.engines.ort import CPU, OrtEngine
from acula_edge.errors import ArtifactError
from acula_edge.runtime.providers import Engine

Array = NDArray[np.float32]


class ModelChain:
    """Models one behind the other, for windows at one sample rate.

    Attributes:
        sample_rate_hz, window_samples: of the windows.
    """

    def __init__(self, engines: Sequence[Engine], sample_rate_hz: int, window_samples: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.window_samples = window_samples
        self._engines = engines

    def run(self, windows: Iterable[Array]) -> tuple[Array, Array]:
        """Shape: N windows of [window_samples] -> [N, D], [N, K].

        Raises:
            ArtifactError: the model gives NaN or infinity.
        """
        outputs = [check_outputs(run_chain(self._engines, window[None])) for window in windows]
        return np.concatenate([row for row, _ in outputs]), np.concatenate([row for _, row in outputs])


def check_outputs(outputs: dict[str, NDArray[Any]]) -> tuple[Array, Array]:
    """Embedding [1, D] and scores [1, K] of a model's outputs.

    Sound that is accepted is finite and no louder than :data:`acula_edge.audio.samples.FLOAT_LIMIT`, so what is not
    finite here is the model's.

    Raises:
        ArtifactError: they hold NaN or infinity.
    """
    embedding, scores = outputs["embedding"], outputs["scores"]
    if not (np.isfinite(embedding).all() and np.isfinite(scores).all()):
        raise ArtifactError(
            "the model gives NaN or infinity",
            remedy="acula-edge selftest BUNDLE; where it fails too, the weights are damaged: export again",
        )
    return embedding, scores


def run_chain(engines: Sequence[Engine], value: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Run models, the only output of one being the only input of the next."""
    outputs = {"": value}
    for engine in engines:
        (value,) = outputs.values()
        outputs = engine.run({next(iter(engine.inputs)): value})
    return outputs


class FrameStream:
    """Spectrograms of the overlapping windows of one stream, every frame computed once.

    A window's own ends are padded with zeros, so its first and last frame are its own; all between are shared with
    the windows before. Keeps the frames of one window.

    Args:
        stream, level: of ``frontend.stream.onnx`` and ``level.onnx``.
        entry: what ``bundle.json`` says of them.
    """

    def __init__(self, stream: OrtEngine, level: OrtEngine, entry: StreamFrontEnd, window_samples: int) -> None:
        self._stream, self._level = stream, level
        self._hop, self._hops = entry.hop_samples, entry.hops
        self._blocks, self._rest = divmod(window_samples, self._hop)
        self._frames: dict[int, Array] = {}

    def fits(self, start: int) -> bool:
        """Whether a window that starts at sample `start` of the stream has frames in common with others."""
        return start % self._hop == 0

    def mel(self, wave: Array, start: int) -> Array:
        """Spectrogram of the window at sample `start`, a multiple of the hop.

        Shape: [window_samples] -> [1, F, M].
        """
        zeros = np.zeros((1, self._hop), np.float32)
        blocks = wave[: self._blocks * self._hop].reshape(self._blocks, self._hop)
        first = start // self._hop
        known = {index: frame for index, frame in self._frames.items() if index > first}
        new = max([first, *known]) + 1 - first
        for begin in range(new, self._blocks, self._hops):
            power = self._power(blocks[begin - 1][None], blocks[begin : begin + self._hops])
            for offset in range(min(self._hops, self._blocks - begin)):
                known[first + begin + offset] = power[offset]
        self._frames = known
        end = np.concatenate([wave[self._blocks * self._hop :], zeros[0, self._rest :]])
        ends = self._power(zeros, np.stack([blocks[0], blocks[-1], end]))
        between = [known[first + index] for index in range(1, self._blocks)]
        return self._level.run({"power": np.stack([ends[0], *between, ends[2]])[None]})["mel"]

    def _power(self, tail: Array, blocks: Array) -> Array:
        """Shape: [1, hop], [at most hops, hop] -> [hops, M]; frames of missing blocks mean nothing."""
        chunk = np.zeros((self._hops, self._hop), np.float32)
        chunk[: len(blocks)] = blocks
        power: Array = self._stream.run({"chunk": chunk.reshape(1, -1), "tail": tail})["power"][0]
        return power


@dataclass(frozen=True)
class FrontEnds:
    """What a bundle carries beside its whole model.

    Attributes:
        natives: models at other rates, by rate.
        stream: the streaming front end: ``frontend.stream.onnx``, ``level.onnx`` and what ``bundle.json`` says of them.
        encoder: the encoder half behind all of them.
    """

    natives: dict[int, ModelChain]
    stream: tuple[OrtEngine, OrtEngine, StreamFrontEnd] | None = None
    encoder: OrtEngine | None = None

    def share_frames(self, window_samples: int, hop_samples: int) -> FrameStream | None:
        """Shared frames, where there is a streaming front end and sharing spares at least half of the frames."""
        if self.stream is None or hop_samples >= window_samples:
            return None
        stream, level, entry = self.stream
        step, rest = divmod(hop_samples, entry.hop_samples)
        # Chunks for the new frames and one for the window's ends; a chunk has its own fixed cost.
        computed = (-(-step // entry.hops) + 1) * entry.hops
        spares = rest == 0 and 2 * computed * entry.hop_samples <= window_samples
        return FrameStream(stream, level, entry, window_samples) if spares else None


def open_frontends(path: Path, info: Bundle, precision: str, threads: int, provider: str = CPU) -> FrontEnds:
    """Open the front ends of a bundle; one made without any has none.

    Raises:
        ArtifactError: a file that ``bundle.json`` tells of is missing.
        MissingCapability: no such provider here.
    """
    entries = [entry for entry in info.frontends if not isinstance(entry, PcmFrontEnd)]
    if not entries:
        return FrontEnds({})
    half = listed(path, info, ENCODER_FILES[precision])
    encoder = OrtEngine(half, threads, provider)
    natives, stream = {}, None
    for entry in entries:
        front = OrtEngine(listed(path, info, entry.file), threads, provider)
        if isinstance(entry, NativeFrontEnd):
            natives[entry.sample_rate_hz] = ModelChain([front, encoder], entry.sample_rate_hz, entry.samples)
        else:
            stream = (front, OrtEngine(listed(path, info, entry.level), threads, provider), entry)
    return FrontEnds(natives, stream, encoder)
