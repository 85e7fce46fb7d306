"""Recipes: dataclasses with sensible defaults, YAML overlays, and ``--set a.b=c`` on top.

A recipe is validated once, here; a key that does not exist or a value of the wrong type is an error that names
the key, the file and the likely spelling. A run keeps the resolved recipe, so it says by itself how it was made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml

from acula_edge.bounds import Bounded
from acula_edge.errors import RecipeError
from acula_edge.files import sha256_json
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.shipped import find_recipe
from acula_edge.typed_values import build_typed


@dataclass(frozen=True)
class Source:
    """One corpus: which reader understands it and where it lies.

    Attributes:
        reader: name of a registered reader.
        root: its folder; given by ``--data NAME=DIR`` where the recipe leaves it open.
        options: keyword arguments of the reader (the phantom generator's size, for instance).
    """

    reader: str = ""
    root: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SplitConfig:
    """Subject-disjoint split: persons are dealt to `folds`; fold number `fold` is the test set.

    Attributes:
        folds: number of folds over persons.
        fold: the one held out for testing.
        val_fraction: share of the remaining persons kept for validation.
        seed: of the dealing; equal seeds give equal splits.
    """

    folds: int = 5
    fold: int = 0
    val_fraction: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.folds < 2 or not 0 <= self.fold < self.folds:
            raise RecipeError(
                "data.split.fold must be one of the folds", given=self.fold, allowed=f"0..{self.folds - 1}"
            )
        if not 0 <= self.val_fraction < 0.5:
            raise RecipeError("data.split.val_fraction out of range", given=self.val_fraction, allowed="0 to below 0.5")


@dataclass(frozen=True)
class DataConfig(Bounded):
    """Corpora, their split, and the window that every stage sees.

    Attributes:
        window_s: length of the window that a model embeds.
        hop_s: hop between windows of a recording at evaluation.
        trim_top_db: leading and trailing parts this far below the loudest are cut; null keeps everything.
    """

    above: ClassVar = {"window_s": 0, "hop_s": 0, "trim_top_db": 0}

    sources: dict[str, Source] = field(default_factory=dict)
    split: SplitConfig = field(default_factory=SplitConfig)
    window_s: float = 8.16
    hop_s: float = 4.08
    trim_top_db: float | None = 60.0


@dataclass(frozen=True)
class EncoderConfig:
    """The teacher encoder.

    Attributes:
        name: a registered encoder.
        checkpoint: weights to start from; null starts at random initialization.
        options: overrides of that encoder's own configuration.
    """

    name: str = "opera-ce"
    checkpoint: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LanguageConfig(Bounded):
    """The frozen language model that reads the reports.

    Attributes:
        model: Hugging Face id, a folder, or ``"minilm"`` for the embedded one. Of a multimodal model (MedGemma) only
            the language model is loaded. Weights must be safetensors; remote code is never run.
        revision: commit or tag of a Hugging Face id.
        layer: which hidden state: 0 is the token embeddings, n the n-th layer, -1 the last, after the final norm.
        pooling: ``"mean"`` over a report's own tokens, its ``"last"`` token, or its first, ``"cls"`` (encoders only).
        normalize: scale each vector to length 1; null does so for ``"last"`` and ``"cls"``.
        max_length: tokens kept.
        lowercase: whether reports are lower-cased first.
        precision: the model runs in; ``"auto"`` is bfloat16 on CUDA and float32 on the CPU.
        batch_size: reports at a time; halved by itself where the GPU's memory does not suffice.
        storage: numbers of the cache; ``"float16"`` halves it (100,000 reports of MedGemma-4B: 0.5 GB instead of 1).
    """

    at_least: ClassVar = {"max_length": 1, "batch_size": 1}

    model: str = "minilm"
    revision: str | None = None
    layer: int = -1
    pooling: Literal["mean", "last", "cls"] = "mean"
    normalize: bool | None = None
    max_length: int = 128
    lowercase: bool = False
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch_size: int = 64
    storage: Literal["float32", "float16"] = "float32"

    @property
    def normalizes(self) -> bool:
        """Whether vectors are scaled to length 1."""
        return self.pooling != "mean" if self.normalize is None else self.normalize


@dataclass(frozen=True)
class ReportsConfig(Bounded):
    """Clinical reports written from metadata.

    Attributes:
        writer: name of the writer.
        variants: phrasings per recording; their embeddings are averaged, which leaves facts and drops phrasing.
        demographics: whether age band and sex may enter a report.
        shuffle: give every recording another recording's report of the same data set (a negative control).
        seed: equal seeds give equal reports.
    """

    at_least: ClassVar = {"variants": 1}

    writer: str = "template"
    variants: int = 8
    demographics: bool = False
    shuffle: bool = False
    seed: int = 0


@dataclass(frozen=True)
class AlignConfig(Bounded):
    """Post-training of the encoder on (recording, report) pairs.

    Attributes:
        objectives: weight per registered alignment objective; empty for none.
        self_supervised: weight per registered self-supervised objective.
        text_target: ``"whitened"`` (fixed: centered within data set, principal components, shrunk whitening) or
            ``"projected"`` (a trainable head on the text side, as published).
        text_components: components kept of a whitened target.
        text_shrinkage: added to each singular value, relative to the largest, before whitening.
        projection_dim: width of the shared space when the text side is projected.
        temperature: of contrastive objectives.
        crop_s: training crop; shorter than the window makes training cheaper and crops more varied.
        crop: ``"random"``, or ``"first"`` for the recording's beginning, padded with zeros (as published).
        epochs, batch_size, learning_rate, weight_decay, max_grad_norm: optimization (AdamW). The batch is what the
            objectives see at once, over all processes.
        micro_batch: crops that go through the encoder at once in each process; fewer need less memory, and a second
            forward pass. Batch normalization, where the encoder has it, then sees these only. Null for all.
        accumulation: batches per optimizer step; each has a loss of its own.
        schedule: ``"cosine"`` or ``"linear"`` decay to 0 after a linear warm-up.
        warmup_fraction: share of all steps; warmup_steps, where given, counts them instead.
        max_steps: stop after this many optimizer steps; null for all epochs.
        augment: waveform gain and spectrogram masking during training.
        ema_decay: decay of the weight average that is evaluated and saved; 0 switches averaging off.
        keep_best: restore the epoch with the best validation retrieval at the end.
        patience: stop after this many epochs without better validation retrieval; null for never.
        precision: ``"fp32"`` or ``"bf16"`` autocast.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        compile: compile the encoder's forward pass (torch.compile); worth it from some thousand steps on.
        deterministic: only algorithms that give the same bits every time; slower on a GPU.
        save_every_s: seconds between resumable states within an epoch; one is kept after every epoch anyway.
        tensorboard: write every step's figures to ``RUN/tensorboard`` as well.
    """

    at_least: ClassVar = {
        "text_components": 1, "text_shrinkage": 0, "projection_dim": 1, "epochs": 1, "max_steps": 1, "batch_size": 1,
        "micro_batch": 1, "accumulation": 1, "patience": 1, "weight_decay": 0, "warmup_fraction": 0,
        "warmup_steps": 0, "ema_decay": 0, "save_every_s": 0,
    }  # fmt: skip
    above: ClassVar = {"temperature": 0, "crop_s": 0, "learning_rate": 0, "max_grad_norm": 0}
    below: ClassVar = {"warmup_fraction": 1, "ema_decay": 1}

    objectives: dict[str, float] = field(default_factory=lambda: {"regression": 1.0, "infonce": 1.0})
    self_supervised: dict[str, float] = field(default_factory=dict)
    text_target: Literal["whitened", "projected"] = "whitened"
    text_components: int = 16
    text_shrinkage: float = 0.02
    projection_dim: int = 512
    temperature: float = 0.1
    crop_s: float | None = None
    crop: Literal["random", "first"] = "random"
    epochs: int = 16
    max_steps: int | None = None
    batch_size: int = 64
    micro_batch: int | None = None
    accumulation: int = 1
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    schedule: Literal["cosine", "linear"] = "cosine"
    warmup_fraction: float = 0.15
    warmup_steps: int | None = None
    max_grad_norm: float = 1.0
    augment: bool = True
    ema_decay: float = 0.0
    keep_best: bool = False
    patience: int | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compile: bool = False
    deterministic: bool = False
    save_every_s: float = 600.0
    tensorboard: bool = False


@dataclass(frozen=True)
class DistillConfig(Bounded):
    """Teaching a student to reproduce the aligned encoder's embedding.

    Attributes:
        student: a registered student, or null to export the encoder itself.
        frontend: the student's own front end; null takes the encoder's.
        embedding_dim: width of the student's embedding; teacher embeddings are reduced to it by principal components.
        cosine, cka_teacher, cka_text: weights of the loss terms.
        degrade: sensor degradation (gain, coloring, noise, clipping) of the student's input only.

    What drives the loop is as in :class:`AlignConfig`.
    """

    at_least: ClassVar = {
        "embedding_dim": 1, "epochs": 1, "max_steps": 1, "batch_size": 1, "weight_decay": 0, "save_every_s": 0,
    }  # fmt: skip
    above: ClassVar = {"learning_rate": 0}

    student: str | None = "base"
    frontend: FrontendSpec | None = None
    embedding_dim: int = 256
    cosine: float = 1.0
    cka_teacher: float = 1.0
    cka_text: float = 0.1
    degrade: bool = True
    epochs: int = 16
    max_steps: int | None = None
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    precision: Literal["fp32", "bf16"] = "fp32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    deterministic: bool = False
    save_every_s: float = 600.0
    tensorboard: bool = False


@dataclass(frozen=True)
class QuantizeConfig(Bounded):
    """Static INT8 quantization.

    Attributes:
        profile: what the artifact is for; decides the form of the QDQ graph.
        calibration: name of a definition in ``calibration/``.
        calibration_windows: windows taken, from training subjects only.
        method: how ranges are found.
        keep_float: name patterns of nodes that stay in float.
    """

    at_least: ClassVar = {"calibration_windows": 1}

    profile: Literal["cpu_x86", "cpu_arm", "tensorrt"] = "cpu_x86"
    calibration: str = "default"
    calibration_windows: int = 200
    method: Literal["minmax", "percentile", "entropy"] = "minmax"
    keep_float: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class GateConfig:
    """What an INT8 artifact must show before `export` succeeds. Written into the run before anything is measured.

    Attributes:
        max_mean_drop: largest mean AUROC loss of INT8 against its float student.
        max_task_drop: largest loss on any task.
        min_cosine: smallest mean cosine between INT8 and float student embeddings.
        refuse_inferior: refuse when any task's verdict is ``inferior``.
        refuse_inconclusive: refuse also when any verdict is ``inconclusive``.
    """

    max_mean_drop: float = 0.01
    max_task_drop: float = 0.03
    min_cosine: float = 0.97
    refuse_inferior: bool = True
    refuse_inconclusive: bool = False


@dataclass(frozen=True)
class VerifyConfig(Bounded):
    """Evaluation of artifacts on tasks (DESIGN section 5).

    Attributes:
        tasks: task ids, or ``["all"]`` for every task that the data can answer.
        margin_auroc_student, margin_auroc_teacher: non-inferiority margins of INT8 against each.
        margin_mae_relative: equivalence margin for regression, as a share of the float MAE.
        bootstrap: resamples over subjects.
        alpha: one-sided level.
    """

    at_least: ClassVar = {"bootstrap": 1}
    above: ClassVar = {"margin_auroc_student": 0, "margin_auroc_teacher": 0, "margin_mae_relative": 0, "alpha": 0}
    below: ClassVar = {"alpha": 0.5}

    tasks: list[str] = field(default_factory=lambda: ["all"])
    margin_auroc_student: float = 0.01
    margin_auroc_teacher: float = 0.02
    margin_mae_relative: float = 0.02
    bootstrap: int = 2000
    alpha: float = 0.05
    seed: int = 0
    gate: GateConfig = field(default_factory=GateConfig)


@dataclass(frozen=True)
class BenchmarkConfig(Bounded):
    """How long latency is measured: ``quick`` is 5 loops of 2 s, ``full`` 5 loops of 10 s, ``smoke`` 2 of 0.2 s."""

    at_least: ClassVar = {"threads": 1}

    mode: Literal["smoke", "quick", "full"] = "quick"
    threads: int = 1


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a run does.

    Attributes:
        frontend: what the encoder listens through; null takes the one that its public weights were trained with.
    """

    name: str = "unnamed"
    description: str = ""
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    frontend: FrontendSpec | None = None
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    language: LanguageConfig = field(default_factory=LanguageConfig)
    reports: ReportsConfig = field(default_factory=ReportsConfig)
    align: AlignConfig = field(default_factory=AlignConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    quantize: QuantizeConfig = field(default_factory=QuantizeConfig)
    verify: VerifyConfig = field(default_factory=VerifyConfig)
    benchmark: BenchmarkConfig = field(default_factory=BenchmarkConfig)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for YAML and JSON."""
        return dataclasses.asdict(self)

    def fingerprint(self) -> str:
        """SHA-256 of the resolved recipe."""
        return sha256_json(self.to_dict())


def load_recipe(
    name: str | Path | None = None,
    *,
    data: Mapping[str, str | Path] | None = None,
    overrides: Sequence[str] = (),
) -> Recipe:
    """Load a recipe file, put data folders and ``a.b=c`` overrides on top, and validate.

    Args:
        name: see :func:`acula_edge.shipped.find_recipe`.
        data: folder per source name, as ``--data NAME=DIR`` gives it; a name that the recipe does not list is added
            when a reader of that name exists.
        overrides: texts of the form ``section.key=value``; values are YAML.
    """
    path = find_recipe(name)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"the recipe {path} cannot be read as YAML", given=error) from error
    if not isinstance(values, dict):
        raise RecipeError(f"the recipe {path} is not a mapping", given=type(values).__name__)
    for text in overrides:
        _override(values, text)
    for source, root in (data or {}).items():
        sources = values.setdefault("data", {}).setdefault("sources", {})
        entry = sources.setdefault(source, {"reader": source})
        entry["root"] = str(root)
    return recipe_from_dict(values, where=str(path))


def recipe_from_dict(values: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """Validate plain values into a :class:`Recipe`."""
    recipe = build_typed(Recipe, values, where)
    assert isinstance(recipe, Recipe)
    return recipe


def frontend_of(recipe: Recipe) -> FrontendSpec:
    """The front end of a run's recipe, where it always is filled in.

    Raises:
        RecipeError: this recipe is of no run yet.
    """
    if recipe.frontend is None:
        raise RecipeError("the recipe leaves the front end to the encoder", remedy="give it a section frontend")
    return recipe.frontend


def dump_recipe(recipe: Recipe) -> str:
    """YAML text of a resolved recipe."""
    return yaml.safe_dump(recipe.to_dict(), sort_keys=False, allow_unicode=True)


def _override(values: dict[str, Any], text: str) -> None:
    key, separator, raw = text.partition("=")
    if not separator or not key:
        raise RecipeError("--set needs a key and a value", given=text, allowed="section.key=value")
    node: Any = values
    *parents, last = key.split(".")
    for parent in parents:
        node = node.setdefault(parent, {})
        if not isinstance(node, dict):
            raise RecipeError(f"--set {key}: {parent} is not a section", given=text)
    try:
        node[last] = yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {key}: the value is not YAML", given=raw) from error
