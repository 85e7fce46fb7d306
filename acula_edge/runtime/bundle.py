"""A bundle on a device: sound in, embedding and answers out, with NumPy and ONNX Runtime only."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.resample import resample
from acula_edge.audio.segment import recording_windows, repeat_pad
from acula_edge.engines.bundle_files import read_bundle
from acula_edge.engines.ort import OrtEngine
from acula_edge.engines.prompt_vectors import load_prompt_vectors
from acula_edge.errors import ArtifactError, InputError
from acula_edge.runtime.listeners import FrameStream, Listener, open_listeners
from acula_edge.runtime.pcm import check_rate, to_wave
from acula_edge.runtime.quality import assess_quality
from acula_edge.runtime.scores import RunningMean, RunningPool, TaskColumns, describe_scores, pool_windows
from acula_edge.runtime.stream import resample_chunks, stream_windows

MODEL_FILES = {"int8": "model.int8.onnx", "float": "model.onnx"}


@dataclass(frozen=True)
class StreamUpdate:
    """What one window of a stream says.

    Attributes:
        start_s, end_s: of the window, since the stream began.
        tasks: answers of this window alone, as :meth:`Bundle.score` gives them.
        recording: answers of all measurable windows so far together (of all windows, while none was measurable).
        quality: of this window.
        windows: windows so far.
        final: the stream ended between two hops, and this window is aligned to its end.
        compute_ms: time that this window took.
        real_time_factor: computing time so far over sound so far; below 1 keeps up with the microphone.
        zero_shot, recording_zero_shot: as `tasks` and `recording`, of the prompts that the bundle carries; None where
            it carries none.
    """

    start_s: float
    end_s: float
    tasks: dict[str, dict[str, Any]]
    recording: dict[str, dict[str, Any]]
    quality: dict[str, Any]
    windows: int
    final: bool
    compute_ms: float
    real_time_factor: float
    zero_shot: dict[str, dict[str, Any]] | None = None
    recording_zero_shot: dict[str, dict[str, Any]] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; without prompts the two entries about them are left out."""
        values = asdict(self)
        if self.zero_shot is None:
            del values["zero_shot"], values["recording_zero_shot"]
        return values


def load_bundle(path: str | Path, threads: int = 1, precision: str = "int8") -> Bundle:
    """Load a bundle after every file in it has been checked against its SHA-256.

    Args:
        path: the bundle's folder.
        threads: of ONNX Runtime.
        precision: ``"int8"`` or ``"float"``.

    Raises:
        ArtifactError: the bundle is incomplete or a file in it was altered (named), or it has no such model.
    """
    if precision not in MODEL_FILES:
        raise InputError("unknown precision", given=precision, allowed=MODEL_FILES)
    return Bundle(Path(path), read_bundle(path), threads, precision)


class Bundle:
    """A loaded bundle. Several threads may use one at once: nothing in it changes after loading.

    Attributes:
        path: its folder.
        info: the content of ``bundle.json``.
        precision: of the model that runs.
        sample_rate_hz, window_samples, hop_samples: what the model listens to at a time, and the step at which
            recordings and streams are cut.
        sample_rates_hz: rates at which recordings are taken as they are; others are resampled to `sample_rate_hz`.
        tasks: in the order of the score columns.
        embedding_dim: D.
        prompts: zero-shot prompts; None where the bundle carries none.
    """

    def __init__(self, path: Path, info: dict[str, Any], threads: int, precision: str) -> None:
        file = MODEL_FILES[precision]
        if not (path / file).is_file():
            raise ArtifactError(
                f"the bundle {path} has no {precision} model ({file})",
                allowed=[name for name, other in MODEL_FILES.items() if (path / other).is_file()],
                remedy="acula-edge export --int8" if precision == "int8" else "export the bundle again",
            )
        self.path = path
        self.info = info
        self.precision = precision
        source = info["input"]
        self.sample_rate_hz = int(source["sample_rate_hz"])
        self.window_samples = int(source["samples"])
        self.hop_samples = round(source["hop_s"] * self.sample_rate_hz)
        self.embedding_dim = int(info["embedding_dim"])
        self.tasks = tuple(TaskColumns.from_dict(task) for task in info["tasks"])
        self.prompts = load_prompt_vectors(path, self.embedding_dim)
        engine = OrtEngine(path / file, threads=threads)
        self._own = Listener([engine], self.sample_rate_hz, self.window_samples, source["hop_s"])
        self._natives, self._streaming, self._encoder = open_listeners(path, info, precision, threads)
        self.sample_rates_hz = (self.sample_rate_hz, *self._natives)

    @property
    def disclaimer(self) -> str:
        """What this bundle is not for."""
        return str(self.info["disclaimer"])

    def embed(self, pcm: Any, sample_rate_hz: int) -> NDArray[np.float32]:
        """Embedding of a recording: the mean over its windows.

        Args:
            pcm: mono int16, int32 or float samples.
            sample_rate_hz: of `pcm`; other rates than the bundle's `sample_rates_hz` are resampled.

        Shape: pcm [T] -> [D].

        Raises:
            AudioError: `pcm` is no sound (see :func:`acula_edge.runtime.pcm.to_wave`).
        """
        embeddings, _ = self._run(to_wave(pcm), check_rate(sample_rate_hz))
        mean: NDArray[np.float32] = embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean

    def score(self, pcm: Any, sample_rate_hz: int) -> dict[str, Any]:
        """Answers about a recording.

        Returns:
            ``tasks``: by id, see :func:`acula_edge.runtime.scores.describe_scores`; ``quality``, see
            :func:`acula_edge.runtime.quality.assess_quality`: where it says that the recording is not measurable,
            no task is decided; ``windows``: how many were cut; where the bundle carries prompts also ``zero_shot``,
            see :meth:`acula_edge.engines.prompt_vectors.PromptVectors.answer`.

        Raises:
            AudioError: as for :meth:`embed`.
        """
        wave = to_wave(pcm)
        quality = assess_quality(wave, check_rate(sample_rate_hz))
        embeddings, scores = self._run(wave, sample_rate_hz)
        tasks = describe_scores(pool_windows(scores, self.tasks), self.tasks, quality["measurable"])
        answers = {"tasks": tasks, "quality": quality, "windows": len(scores)}
        if self.prompts is not None:
            answers["zero_shot"] = self.prompts.answer(embeddings.mean(axis=0, dtype=np.float64), quality["measurable"])
        return answers

    def stream(self, chunks: Iterable[Any], sample_rate_hz: int) -> Iterator[StreamUpdate]:
        """Answers while sound arrives: one update per hop, as soon as its window is full.

        Args:
            chunks: PCM pieces of any length, in order; a generator that blocks on a microphone will do.
            sample_rate_hz: of the pieces.

        Shape: chunks of [T_i].

        Raises:
            AudioError: a piece is no sound, or the stream ends before a single sample came.
        """
        listener = self._natives.get(sample_rate_hz, self._own)
        rate_hz, window_samples = listener.sample_rate_hz, listener.window_samples
        waves = resample_chunks(chunks, sample_rate_hz, rate_hz)
        frames = self._frames(listener)
        pool, mean = RunningPool(self.tasks), RunningMean()
        spent_s = 0.0
        windows = stream_windows(waves, window_samples, listener.hop_samples)
        for count, window in enumerate(windows, start=1):
            started = time.perf_counter()
            quality = assess_quality(window.wave, rate_hz)
            wave = repeat_pad(window.wave, window_samples)
            if frames is not None and self._encoder is not None and frames.fits(window.start):
                outputs = self._encoder.run({"mel": frames.mel(wave, window.start)})
                embeddings, scores = outputs["embedding"], outputs["scores"]
            else:
                embeddings, scores = listener.run(wave[None])
            tasks = describe_scores(pool_windows(scores, self.tasks), self.tasks, quality["measurable"])
            recording = describe_scores(pool.add(scores, quality["measurable"]), self.tasks, pool.measurable)
            prompted = together = None
            if self.prompts is not None:
                prompted = self.prompts.answer(embeddings[0], quality["measurable"])
                together = self.prompts.answer(mean.add(embeddings[0], quality["measurable"]), mean.measurable)
            compute_s = time.perf_counter() - started
            spent_s += compute_s
            yield StreamUpdate(
                start_s=window.start / rate_hz,
                end_s=window.stop / rate_hz,
                tasks=tasks,
                recording=recording,
                quality=quality,
                windows=count,
                final=window.final,
                compute_ms=compute_s * 1e3,
                real_time_factor=spent_s * rate_hz / window.stop,
                zero_shot=prompted,
                recording_zero_shot=together,
            )

    def _frames(self, listener: Listener) -> FrameStream | None:
        """Shared frames, where the bundle has a streaming front end and sharing spares at least half of them."""
        if self._streaming is None or listener is not self._own or self.hop_samples >= self.window_samples:
            return None
        stream, level, entry = self._streaming
        step, rest = divmod(self.hop_samples, entry["hop_samples"])
        # Chunks for the new frames and one for the window's ends; a chunk has its own fixed cost.
        computed = (-(-step // entry["hops"]) + 1) * entry["hops"]
        spares = rest == 0 and 2 * computed * entry["hop_samples"] <= self.window_samples
        return FrameStream(stream, level, entry, self.window_samples) if spares else None

    def _run(self, wave: NDArray[np.float32], sample_rate_hz: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A recording, window by window. Shape: [T] -> ([N, D], [N, K])."""
        listener = self._natives.get(sample_rate_hz, self._own)
        source = self.info["input"]
        windows = recording_windows(
            resample(wave, sample_rate_hz, listener.sample_rate_hz),
            listener.sample_rate_hz,
            listener.window_samples / listener.sample_rate_hz,
            source["hop_s"],
            source["trim_top_db"],
        )
        return listener.run(windows)
