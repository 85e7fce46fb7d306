"""The encoder, its alignment with the reports, and the student that learns from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from acula_edge.bounds import Bounded
from acula_edge.frontend.spec import FrontendSpec


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
class AlignConfig(Bounded):
    """Post-training of the encoder on (recording, report) pairs.

    Attributes:
        objectives: weight per registered alignment objective; empty for none.
        self_supervised: weight per registered self-supervised objective.
        text_target: ``"whitened"`` (fixed: centered within data set, principal components, shrunk whitening),
            ``"projected"`` (a trainable head on the text side, as published), or, as a control without any report,
            ``"labels"`` (the labels of ``verify.tasks``; goes with the objective ``cross-entropy``).
        text_components: components kept of every data set's reports in a whitened target.
        text_shrinkage: added to each singular value, relative to the largest, before whitening.
        text_average: a report's vector is the mean over the phrasings of its ``"recording"``, or of all recordings with
            the same ``"facts"``: what is left of phrasing then carries no variance.
        positives: which reports of a batch are a recording's own in contrastive objectives: those with the same
            ``"target"``, or those of recordings with the same ``"facts"``, however they are worded.
        projection_dim: width of the shared space when the text side is projected.
        temperature: of contrastive objectives.
        crop_s: training crop; shorter than the window makes training cheaper and crops more varied.
        crop: ``"random"``, or ``"first"`` for the recording's beginning, padded with zeros (as published).
        corpus_exponent: a data set of n recordings is drawn with weight n to this power. 1 draws all recordings equally
            often; with 0.5 a large corpus does not crowd a small one out of the batches.
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
        validate_every: epochs between two looks at the validation persons; the last epoch is always looked at.
        keep_best: restore the epoch from which a probe best reads the facts in validation persons.
        patience: stop after this many epochs without a better one, counted from where the learning rate has fallen to
            half of its peak; null for never.
        precision: ``"fp32"`` or ``"bf16"`` autocast.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        compile: compile the encoder's forward pass (torch.compile); worth it from some thousand steps on.
        deterministic: only algorithms that give the same bits every time; slower on a GPU.
        save_every_s: seconds between resumable states within an epoch; one is kept after every epoch anyway.
        tensorboard: write every step's figures to ``RUN/tensorboard`` as well.
    """

    at_least: ClassVar = {
        "text_components": 1, "text_shrinkage": 0, "projection_dim": 1, "epochs": 1, "max_steps": 1, "batch_size": 1,
        "micro_batch": 1, "accumulation": 1, "patience": 1, "validate_every": 1, "corpus_exponent": 0,
        "weight_decay": 0, "warmup_fraction": 0, "warmup_steps": 0, "ema_decay": 0, "save_every_s": 0,
    }  # fmt: skip
    above: ClassVar = {"temperature": 0, "crop_s": 0, "learning_rate": 0, "max_grad_norm": 0}
    below: ClassVar = {"warmup_fraction": 1, "ema_decay": 1}

    objectives: dict[str, float] = field(default_factory=lambda: {"regression": 1.0, "infonce": 1.0})
    self_supervised: dict[str, float] = field(default_factory=dict)
    text_target: Literal["whitened", "projected", "labels"] = "whitened"
    text_components: int = 16
    text_shrinkage: float = 0.02
    text_average: Literal["recording", "facts"] = "recording"
    positives: Literal["target", "facts"] = "target"
    projection_dim: int = 512
    temperature: float = 0.1
    crop_s: float | None = None
    crop: Literal["random", "first"] = "random"
    corpus_exponent: float = 0.5
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
    validate_every: int = 1
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
        relational_distance, relational_angle: weights of relational terms (Park et al. 2019), which compare distances
            and angles within a batch with the teacher's; 1 and 2 in the paper's proportion.
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
    relational_distance: float = 0.0
    relational_angle: float = 0.0
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
