"""A bundle on a device: sound in, embedding and answers out, with NumPy and ONNX Runtime only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.offset import without_offset
from acula_edge.audio.quality import Pieces
from acula_edge.audio.resample import resample
from acula_edge.audio.samples import as_number, check_hop, check_rate, to_wave
from acula_edge.audio.segment import recording_windows
from acula_edge.bundle.folder import bundle_folder, listed, read_bundle
from acula_edge.bundle.layout import MODEL_FILES, PROMPTS_FILE
from acula_edge.bundle.prompt_vectors import load_prompt_vectors
from acula_edge.bundle.schema import Bundle as BundleFacts
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import ArtifactError, InputError
from acula_edge.runtime.answers import TaskColumns, describe_scores, pool_windows
from acula_edge.runtime.decisions import read_smoothing
from acula_edge.runtime.models import FrontEnds, ModelChain, check_outputs, open_frontends
from acula_edge.runtime.packets import Arrivals
from acula_edge.runtime.providers import Engine, find_engine, ort_provider
from acula_edge.runtime.quality_gate import QualityGate
from acula_edge.runtime.streaming import ScoreWindow, Stream, StreamPlan, follow
from acula_edge.runtime.windows import windows_of_pieces


def load_bundle(
    path: str | Path,
    threads: int = 1,
    precision: str | None = None,
    provider: str = "auto",
    public_key: str | Path | None = None,
) -> Bundle:
    """Load a bundle after every file in it has been checked against its SHA-256.

    Args:
        path: the bundle's folder.
        threads: of ONNX Runtime.
        precision: ``"int8"`` or ``"float"``; None for the one that the bundle recommends: INT8, unless it was made
            without INT8 or INT8 was slower where it was exported.
        provider: what must run it: ``"cpu"`` or ``"cuda"`` through ONNX Runtime, ``"tensorrt"`` for the engine that
            ``acula-edge build-engine`` wrote into the bundle on this device, or ONNX Runtime's own name of a provider.
            ``"auto"`` takes such an engine where there is one that belongs here, else the CPU; which it was, the
            bundle's ``provider`` and ``provider_because`` say.
        public_key: see :func:`acula_edge.bundle.folder.read_bundle`.

    Raises:
        ArtifactError: the bundle is incomplete or a file in it was altered (named), it has no such model, or no engine
            that belongs here.
        MissingCapability: this machine lacks the provider; the message names what is there.
    """
    if precision not in (None, *MODEL_FILES):
        raise InputError("unknown precision", given=precision, allowed=MODEL_FILES)
    count = as_number(threads)
    if count is None or count < 1 or count != int(count):
        raise InputError("this is no number of threads", given=repr(threads), allowed="1, 2, ...")
    folder = bundle_folder(path)
    info = read_bundle(folder, public_key=public_key)
    if precision is None:
        made = [name for name, file in MODEL_FILES.items() if file in info.files]
        precision = info.recommended if info.recommended in made else next(iter(made), "int8")
    return Bundle(folder, info, int(count), precision, provider, public_key)


class Bundle:
    """A loaded bundle. Several threads may use one at once: nothing in it changes after loading.

    In another process (pickled: spawned pools, joblib, Ray, DataLoader) it is loaded again from its folder, with the
    same options and the same checks; a copy in the same process is the bundle itself.

    Attributes:
        path: its folder.
        info: the content of ``bundle.json``.
        precision: of the model that runs.
        provider: what it runs on, as the session itself reports it (``CPUExecutionProvider``), or ``TensorRT``.
        provider_because: why it is that one.
        threads: of ONNX Runtime.
        sample_rate_hz, window_samples, hop_samples: what the model takes at a time, and the step at which
            recordings and streams are cut.
        sample_rates_hz: rates at which recordings are taken as they are; others are resampled to `sample_rate_hz`.
        tasks: in the order of the score columns.
        embedding_dim: D.
        quality: where a recording stops being measurable.
        smoothing: how the scores of a stream become a decision.
        prompts: zero-shot prompts; None where the bundle carries none.
    """

    def __init__(
        self,
        path: Path,
        info: BundleFacts,
        threads: int,
        precision: str,
        provider: str = "auto",
        public_key: str | Path | None = None,
    ) -> None:
        # The current folder may be another by then, and is another elsewhere.
        key = None if public_key is None else Path(public_key).absolute()
        self._loaded_by = (path.absolute(), threads, precision, provider, key)
        file = MODEL_FILES[precision]
        # What merely lies in the folder was not checked.
        if file not in info.files:
            raise ArtifactError(
                f"the bundle {path} has no {precision} model ({file})",
                allowed=[name for name, other in MODEL_FILES.items() if other in info.files],
                remedy="acula-edge export --int8" if precision == "int8" else "export the bundle again",
            )
        self.path = path
        self.info = info
        self.precision = precision
        self.threads = threads
        self.sample_rate_hz = info.input.sample_rate_hz
        self.window_samples = info.input.samples
        self.hop_samples = round(info.input.hop_s * self.sample_rate_hz)
        self.embedding_dim = info.embedding_dim
        self.tasks = tuple(TaskColumns.of(task) for task in info.tasks)
        self.quality = QualityGate.from_dict(info.quality)
        self.smoothing = read_smoothing(info.smoothing)
        has_prompts = PROMPTS_FILE in info.files
        self.prompts = load_prompt_vectors(path, self.embedding_dim) if has_prompts else None
        engine: Engine | None = None
        self.provider_because = "it was asked for"
        if provider in ("auto", "tensorrt"):
            engine, self.provider_because = find_engine(path, info, precision, required=provider == "tensorrt")
        if engine is None:
            ort = ort_provider(provider)
            engine = OrtEngine(listed(path, info, file), threads, ort)
            self._check_model(engine)
            self._frontends = open_frontends(path, info, precision, threads, ort)
        else:
            # An engine is of the whole model: other rates are resampled to its own.
            self._frontends = FrontEnds({})
        self.provider = engine.provider
        self._own = ModelChain([engine], self.sample_rate_hz, self.window_samples)
        self.sample_rates_hz = (self.sample_rate_hz, *self._frontends.natives)

    def __reduce__(self) -> tuple[Any, ...]:
        return _load_again, (*self._loaded_by, self.info.sha256)

    def __copy__(self) -> Bundle:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Bundle:
        return self

    def _check_model(self, engine: OrtEngine) -> None:
        """Refuse a model that takes or gives something else than ``bundle.json`` says."""
        columns = max((task.stop for task in self.tasks), default=0)
        outputs = {name: spec.shape for name, spec in engine.outputs.items()}
        inputs = [spec.shape for spec in engine.inputs.values()]
        scores = outputs.get("scores", ())
        fits = (
            inputs == [(1, self.window_samples)]
            and outputs.get("embedding") == (1, self.embedding_dim)
            and len(scores) == 2
            and isinstance(scores[1], int)
            and scores[1] >= columns
        )
        if not fits:
            raise ArtifactError(
                f"{engine.path} is another model than the bundle says",
                given=f"takes {inputs}, gives {outputs}",
                allowed=f"takes [(1, {self.window_samples})], gives embedding (1, {self.embedding_dim}) and "
                f"scores of at least {columns} columns",
            )

    @property
    def disclaimer(self) -> str:
        """What this bundle is not for."""
        return self.info.disclaimer

    def embed(self, pcm: Any, sample_rate_hz: int) -> NDArray[np.float32]:
        """Embedding of a recording: the mean over its windows.

        Args:
            pcm: mono int16, int32 or float samples, bytes of 16-bit samples, or a list
                (:func:`acula_edge.audio.samples.as_array`).
            sample_rate_hz: of `pcm`; other rates than the bundle's `sample_rates_hz` are resampled.

        Shape: pcm [T] -> [D].

        Raises:
            AudioError: `pcm` is no sound (see :func:`acula_edge.audio.samples.to_wave`).
            ArtifactError: the model gives NaN or infinity.
        """
        sample_rate_hz = check_rate(sample_rate_hz)
        embeddings, _ = self._run(to_wave(pcm), sample_rate_hz)
        mean: NDArray[np.float32] = embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean

    def score(self, pcm: Any, sample_rate_hz: int) -> dict[str, Any]:
        """Answers about a recording.

        Returns:
            ``tasks``: by id, see :func:`acula_edge.runtime.answers.describe_scores`; ``quality``, see
            :meth:`acula_edge.runtime.quality_gate.QualityGate.assess`: where it says that the recording is not
            measurable, no task is decided; ``windows``: how many were cut; where the bundle carries prompts also
            ``zero_shot``, see :meth:`acula_edge.bundle.prompt_vectors.PromptVectors.answer`.

        Raises:
            AudioError, ArtifactError: as for :meth:`embed`.
        """
        wave, sample_rate_hz = to_wave(pcm), check_rate(sample_rate_hz)
        quality = self.quality.assess(wave, sample_rate_hz)
        return self._answers(*self._run(wave, sample_rate_hz), quality)

    def score_pieces(self, pieces: Pieces, sample_rate_hz: int) -> dict[str, Any]:
        """:meth:`score` of a recording of hours that does not lie in memory; the same answers.

        It keeps a window, a piece, and for the figures of quality half a byte a sample.

        Args:
            pieces: gives the recording from its beginning, in pieces of any length, each time that it is called
                (:meth:`acula_edge.audio.decode.AudioFile.blocks`).
            sample_rate_hz: of the pieces.

        Raises:
            AudioError, ArtifactError: as for :meth:`embed`.
        """
        sample_rate_hz = check_rate(sample_rate_hz)

        def waves() -> Iterator[NDArray[np.float32]]:
            return (to_wave(piece) for piece in pieces() if np.size(piece))

        model = self._frontends.natives.get(sample_rate_hz, self._own)
        source = self.info.input
        quality = self.quality.assess_pieces(waves, sample_rate_hz)
        hop_samples = round(source.hop_s * model.sample_rate_hz)
        windows = windows_of_pieces(
            waves, sample_rate_hz, model.sample_rate_hz, model.window_samples, hop_samples, source.trim_top_db
        )
        return self._answers(*model.run(windows), quality)

    def _answers(
        self, embeddings: NDArray[np.float32], scores: NDArray[np.float32], quality: dict[str, Any]
    ) -> dict[str, Any]:
        tasks = describe_scores(pool_windows(scores, self.tasks), self.tasks, quality["measurable"])
        answers = {"tasks": tasks, "quality": quality, "windows": len(scores)}
        if self.prompts is not None:
            answers["zero_shot"] = self.prompts.answer(embeddings.mean(axis=0, dtype=np.float64), quality["measurable"])
        return answers

    def stream(self, chunks: Iterable[Any], sample_rate_hz: int, hop_s: float | None = None) -> Stream:
        """Answers while sound arrives: one update per hop, as soon as its window is full.

        Args:
            chunks: PCM pieces of any length, in order, or :class:`acula_edge.runtime.Packet` objects, some of which
                may be missing, late or repeated; a generator that blocks on a microphone will do. Pieces that are bytes
                may be cut in the middle of a sample.
            sample_rate_hz: of the pieces.
            hop_s: step between windows; None for the bundle's.

        Returns:
            An iterator, for one thread at a time. What `chunks` raises comes through, and ends the stream.

        Shape: chunks of [T_i].

        Raises:
            AudioError: a piece is no sound, or the stream ends before a single sample came.
            ArtifactError: the model gives NaN or infinity.
            InputError: a hop of less than one sample, or none.
        """
        sample_rate_hz = check_rate(sample_rate_hz)
        model = self._frontends.natives.get(sample_rate_hz, self._own)
        hop_samples = check_hop(self.info.input.hop_s if hop_s is None else hop_s, model.sample_rate_hz)
        plan = StreamPlan(
            sample_rate_hz=model.sample_rate_hz,
            window_samples=model.window_samples,
            hop_samples=hop_samples,
            score=self._scorer(model, hop_samples),
            gate=self.quality,
            tasks=self.tasks,
            smoothing=self.smoothing,
            prompts=self.prompts,
        )
        restart_gap_s = model.window_samples / model.sample_rate_hz
        return Stream(follow(Arrivals(chunks, sample_rate_hz, restart_gap_s), sample_rate_hz, plan))

    def _scorer(self, model: ModelChain, hop_samples: int) -> ScoreWindow:
        """How this stream scores a window; with shared frames where they pay."""
        frames, encoder = None, self._frontends.encoder
        if model is self._own:
            frames = self._frontends.share_frames(model.window_samples, hop_samples)

        def score(wave: NDArray[np.float32], start: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            centered = without_offset(wave)
            # Frames are shared between windows, whose offsets differ.
            if frames is None or encoder is None or not frames.fits(start) or centered is not wave:
                return model.run(centered[None])
            return check_outputs(encoder.run({"mel": frames.mel(wave, start)}))

        return score

    def _run(self, wave: NDArray[np.float32], sample_rate_hz: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A recording, window by window. Shape: [T] -> ([N, D], [N, K])."""
        model = self._frontends.natives.get(sample_rate_hz, self._own)
        source = self.info.input
        windows = recording_windows(
            resample(wave, sample_rate_hz, model.sample_rate_hz),
            model.sample_rate_hz,
            model.window_samples / model.sample_rate_hz,
            source.hop_s,
            source.trim_top_db,
        )
        return model.run(windows)


def _load_again(
    path: Path, threads: int, precision: str, provider: str, public_key: Path | None, info_sha256: str
) -> Bundle:
    """The bundle that was pickled, in the process where it is unpickled."""
    if not path.is_dir():
        raise ArtifactError(
            f"there is no bundle {path} here",
            given="a pickled Bundle is the path of its folder, and is loaded again from there",
            remedy="copy the bundle to that path, or call load_bundle in each process",
        )
    bundle = load_bundle(path, threads, precision, provider, public_key)
    if bundle.info.sha256 != info_sha256:
        raise ArtifactError(
            f"the bundle {path} has changed since it was loaded in the process that pickled it",
            remedy="load it again there, or call load_bundle in each process",
        )
    return bundle
