"""``bundle.json``: what a bundle is."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from acula_edge.bundle.schema.base import (
    CalibrationSet,
    Column,
    Count,
    File,
    Interval,
    Kind,
    Parities,
    Positive,
    Precision,
    Profile,
    SampleRate,
    Samples,
    Seconds,
    Sha256,
    Share,
    SizeRatios,
    Struct,
    Text,
    Texts,
    is_plain_name,
)
from acula_edge.limits import MAX_BUNDLE_FILES, MAX_EMBEDDING_DIM, MAX_TASKS, MAX_WINDOW_OVERLAP, MAX_WINDOW_SAMPLES

_SHA256 = re.compile("[0-9a-f]{64}")


class Input(Struct):
    """The window that the models take, and how recordings are cut into such."""

    sample_rate_hz: SampleRate
    samples: Samples
    window_s: Seconds
    hop_s: Seconds
    trim_top_db: Annotated[float, Meta(ge=0, le=1000)] | None
    name: Text = "waveform"
    dtype: Text = "float32"
    range: Interval = (-1.0, 1.0)


class Mel(Struct):
    """What ``encoder.onnx`` takes: [1, frames, bands]."""

    name: Text
    frames: Samples
    bands: Samples


class ScoredTask(Struct):
    """A task and its columns of the models' scores, ``start`` to before ``stop``.

    ``threshold`` is where a binary task decides, chosen on training persons; ``unit`` is a regression's.
    """

    id: Text
    name: Text
    dataset: Text
    kind: Kind
    labels: Texts
    unit: Text | None
    threshold: Share | None
    start: Column
    stop: Column


class FrontEnd(Struct, tag_field="kind"):
    """A front end beside ``frontend.onnx`` (:mod:`acula_edge.quantize.extra_frontends`)."""

    file: str
    sample_rate_hz: SampleRate

    def __post_init__(self) -> None:
        _check_name(self.file, "file")


class NativeFrontEnd(FrontEnd, tag="native"):
    """Takes the window at another sample rate."""

    samples: Samples
    frontend: dict[str, Any] = {}


class PcmFrontEnd(FrontEnd, tag="int16"):
    """Takes 16-bit samples."""

    samples: Samples


class StreamFrontEnd(FrontEnd, tag="stream"):
    """Takes chunks of ``hops`` hops; ``level`` is the file of the half that looks at a whole window."""

    level: str
    hops: Samples
    hop_samples: Samples

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_name(self.level, "level")
        if self.hops * self.hop_samples > MAX_WINDOW_SAMPLES:
            raise ValueError(f"chunks of more than {MAX_WINDOW_SAMPLES} samples")


class DataSet(Struct):
    """What a bundle was made of; see :func:`acula_edge.bundle.datasets.describe_datasets`."""

    title: str | None
    licence: str | None
    access: str | None
    recordings: Count
    subjects: Count
    synthetic: bool
    version: Sha256


class Provenance(Struct):
    """Where and by what a bundle was made. ``commit`` ends in ``-dirty`` where files were changed."""

    python: str = ""
    platform: str = ""
    os: str = ""
    commit: str | None = None
    packages: dict[str, str | None] = {}
    recipe: str | UnsetType = UNSET
    recipe_sha256: str | UnsetType = UNSET
    overrides: list[str] | UnsetType = UNSET
    weights_sha256: str | UnsetType = UNSET
    encoder_sha256: str | UnsetType = UNSET
    datasets: dict[str, DataSet] | UnsetType = UNSET
    subjects: str | UnsetType = UNSET


class Prompts(Struct):
    """The zero-shot prompts that a bundle carries as vectors."""

    file: str
    prompts: str
    prompts_sha256: Sha256
    temperature: Positive
    tasks: Texts


class QuantizationSummary(Struct):
    """What ``bundle.json`` repeats of ``quantize.json``."""

    method: str
    calibration: CalibrationSet
    ops: dict[str, Count]
    int8_mac_share: float
    size_ratio: SizeRatios


class Program(Struct):
    """By which program."""

    name: str
    version: str


class Bundle(File, kw_only=True):
    """``bundle.json``: what a bundle is, and the SHA-256 of every file in it.

    ``files`` and ``sizes_bytes`` come from the writer, the last two from :mod:`acula_edge.bundle.sealed`.
    """

    SCHEMA = "acula-edge/bundle/1"

    schema: str = SCHEMA
    name: Text
    disclaimer: Text
    input: Input
    embedding_dim: Annotated[int, Meta(ge=1, le=MAX_EMBEDDING_DIM)]
    tasks: Annotated[list[ScoredTask], Meta(max_length=MAX_TASKS)]
    created_by: Program | None = None
    student: Text | None = None
    encoder: Text | None = None
    profile: Profile | None = None
    frontend: dict[str, Any] | None = None
    mel: Mel | None = None
    parameters: Count | None = None
    opset: Count | None = None
    quantization: QuantizationSummary | None = None
    recommended: Precision | None = None
    recommended_because: str | None = None
    parity: Parities = msgspec.field(default_factory=Parities)
    provenance: Provenance = msgspec.field(default_factory=Provenance)
    frontends: Annotated[list[NativeFrontEnd | PcmFrontEnd | StreamFrontEnd], Meta(max_length=MAX_TASKS)] = []
    quality: dict[str, Any] | None = None
    smoothing: dict[str, Any] | None = None
    zero_shot: Prompts | None = None
    sizes_bytes: dict[str, Count] = {}
    files: dict[str, str] = {}
    self_check: str | UnsetType = UNSET
    sha256: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.files) > MAX_BUNDLE_FILES:
            raise ValueError(f"files: {len(self.files)}, at most {MAX_BUNDLE_FILES}")
        for name, sha256 in self.files.items():
            if not is_plain_name(name) or not _SHA256.fullmatch(sha256):
                raise ValueError(f"files: {name}: {sha256}"[:80])
        if len({task.id for task in self.tasks}) < len(self.tasks):
            raise ValueError("two tasks have one id")
        natives = [entry for entry in self.frontends if isinstance(entry, NativeFrontEnd)]
        windows = [(window.sample_rate_hz, window.samples) for window in natives]
        for rate_hz, samples in ((self.input.sample_rate_hz, self.input.samples), *windows):
            hop = round(self.input.hop_s * rate_hz)
            if hop < 1 or math.ceil(samples / hop) > MAX_WINDOW_OVERLAP:
                raise ValueError(f"input.hop_s: {self.input.hop_s}; at most {MAX_WINDOW_OVERLAP} windows may overlap")


def _check_name(name: str, field: str) -> None:
    if not is_plain_name(name):
        raise ValueError(f"{field}: {name!r} is no name of a file in the folder"[:120])
