"""A stream from its first piece to its last: windows, their quality and scores, and what they say together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.segment import repeat_pad
from acula_edge.bundle.prompt_vectors import PromptVectors
from acula_edge.errors import InputError
from acula_edge.runtime.answers import RunningMean, RunningPool, TaskColumns, describe_scores, pool_windows
from acula_edge.runtime.decisions import Decisions
from acula_edge.runtime.packets import Arrivals
from acula_edge.runtime.quality_gate import QualityGate
from acula_edge.runtime.windows import StreamWindow, resample_chunks, stream_windows
from acula_edge.smoothing import SmoothingSettings

Array = NDArray[np.float32]
ScoreWindow = Callable[[Array, int], tuple[Array, Array]]
"""A whole window and the sample at which it starts -> its embedding [1, D] and scores [1, K]."""


@dataclass(frozen=True)
class StreamUpdate:
    """What one window of a stream says.

    Attributes:
        start_s, end_s: of the window, since the stream began.
        tasks: answers of this window alone, as :meth:`Bundle.score` gives them.
        state: smoothed decisions, see :meth:`acula_edge.runtime.decisions.Decisions.add`.
        recording: answers of all measurable windows so far together (of all windows, while none was measurable).
        quality: of this window.
        windows: windows so far.
        final: the stream ended between two hops, and this window is aligned to its end.
        lost_s: how much of the window was never received, and is zeros.
        packets: counts so far (:class:`acula_edge.runtime.packets.PacketCounts`); None for a stream of arrays.
        latency_ms: from the arrival of the piece with the window's last sample to this answer. A resampler holds back
            a few milliseconds of sound beside it.
        compute_ms: time that this window took.
        real_time_factor: computing time so far (resampling included, waiting excluded) over sound so far; below 1
            keeps up with the microphone.
        zero_shot, recording_zero_shot: as `tasks` and `recording`, of the prompts that the bundle carries; None where
            it carries none.
    """

    start_s: float
    end_s: float
    tasks: dict[str, dict[str, Any]]
    state: dict[str, dict[str, Any]]
    recording: dict[str, dict[str, Any]]
    quality: dict[str, Any]
    windows: int
    final: bool
    lost_s: float
    packets: dict[str, int] | None
    latency_ms: float
    compute_ms: float
    real_time_factor: float
    zero_shot: dict[str, dict[str, Any]] | None = None
    recording_zero_shot: dict[str, dict[str, Any]] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; what does not exist in this stream (packets, prompts) is left out."""
        optional = ("packets", "zero_shot", "recording_zero_shot")
        return {name: value for name, value in asdict(self).items() if value is not None or name not in optional}


class Stream(Iterator[StreamUpdate]):
    """The updates of one stream, in order, as they come."""

    def __init__(self, updates: Generator[StreamUpdate, None, None]) -> None:
        self._updates = updates
        self._turn = threading.Lock()

    def __next__(self) -> StreamUpdate:
        if not self._turn.acquire(blocking=False):
            raise InputError(
                "another thread waits for this stream's next update",
                remedy="give each stream to one thread; streams of one bundle may run side by side",
            )
        try:
            return next(self._updates)
        finally:
            self._turn.release()

    def close(self) -> None:
        """End it before its time."""
        self._updates.close()

    def __reduce__(self) -> NoReturn:
        raise InputError(
            "a stream cannot be pickled or copied midway",
            remedy="send its updates, or send the sound and start a stream where it arrives",
        )


@dataclass(frozen=True)
class StreamPlan:
    """What a stream is scored with.

    Attributes:
        sample_rate_hz: that windows are cut at.
        window_samples, hop_samples: at that rate.
        score: of one window.
        gate, tasks, smoothing, prompts: of the bundle.
    """

    sample_rate_hz: int
    window_samples: int
    hop_samples: int
    score: ScoreWindow
    gate: QualityGate
    tasks: Sequence[TaskColumns]
    smoothing: SmoothingSettings
    prompts: PromptVectors | None


def follow(arrivals: Arrivals, sample_rate_hz: int, plan: StreamPlan) -> Generator[StreamUpdate, None, None]:
    """One update per window, as soon as it is full.

    Args:
        arrivals: the stream.
        sample_rate_hz: of its pieces.

    Raises:
        AudioError: a piece is no sound, or the stream ends before a single sample came.
    """
    began = time.perf_counter()
    away_s = 0.0
    waves = resample_chunks(arrivals, sample_rate_hz, plan.sample_rate_hz)
    windows = stream_windows(waves, plan.window_samples, plan.hop_samples)
    pool, mean, decisions = RunningPool(plan.tasks), RunningMean(), Decisions(plan.tasks, plan.smoothing)
    for count, window in enumerate(windows, start=1):
        started = time.perf_counter()
        start_s, end_s = window.start / plan.sample_rate_hz, window.stop / plan.sample_rate_hz
        lost_s = arrivals.lost_s(start_s, end_s)
        quality = plan.gate.assess(_received(window, arrivals, plan.sample_rate_hz), plan.sample_rate_hz,
                                   lost=lost_s / (end_s - start_s))  # fmt: skip
        measurable = quality["measurable"]
        embeddings, scores = plan.score(repeat_pad(window.wave, plan.window_samples), window.start)
        pooled = pool.add(scores, measurable)
        prompted = together = None
        if plan.prompts is not None:
            prompted = plan.prompts.answer(embeddings[0], measurable)
            together = plan.prompts.answer(mean.add(embeddings[0], measurable), mean.measurable)
        tasks = describe_scores(pool_windows(scores, plan.tasks), plan.tasks, measurable)
        state = decisions.add(scores, end_s, measurable)
        recording = describe_scores(pooled, plan.tasks, pool.measurable)
        answered = time.perf_counter()
        yield StreamUpdate(
            start_s=start_s,
            end_s=end_s,
            tasks=tasks,
            state=state,
            recording=recording,
            quality=quality,
            windows=count,
            final=window.final,
            lost_s=lost_s,
            packets=None if arrivals.counts is None else arrivals.counts.to_dict(),
            latency_ms=(answered - arrivals.arrived_s) * 1e3,
            compute_ms=(answered - started) * 1e3,
            real_time_factor=max(answered - began - arrivals.waited_s - away_s, 0.0) / end_s,
            zero_shot=prompted,
            recording_zero_shot=together,
        )
        away_s += time.perf_counter() - answered


def _received(window: StreamWindow, arrivals: Arrivals, rate_hz: int) -> Array:
    """The window without what was filled in; all of it where nothing was received, for the figures' sake."""
    start_s, end_s = window.start / rate_hz, window.stop / rate_hz
    kept = np.ones(window.wave.size, dtype=bool)
    for a, b in arrivals.holes(start_s, end_s):
        kept[round((a - start_s) * rate_hz) : round((b - start_s) * rate_hz)] = False
    return window.wave if kept.all() or not kept.any() else window.wave[kept]
