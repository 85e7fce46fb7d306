"""Which recordings, how they are split, and what a report says: everything before training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from acula_edge.bounds import Bounded
from acula_edge.errors import RecipeError
from acula_edge.plain_text import is_plain_name


@dataclass(frozen=True)
class Source:
    """One corpus: which reader understands it and where it lies.

    Attributes:
        reader: name of a registered reader.
        root: its folder; given by ``--data NAME=DIR`` where the recipe leaves it open.
        options: keyword arguments of the reader (the phantom generator's size, for instance).
        required: whether a run is refused where the corpus is not there; otherwise its tasks are not evaluated.
        tested: whether persons of it are held out for testing; without it, of a corpus that only serves alignment, all
            but those of validation are trained on. Null where the reader knows whether any task is on it.
    """

    reader: str = ""
    root: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    required: bool = True
    tested: bool | None = None


@dataclass(frozen=True)
class SplitConfig:
    """Who is trained on and who is held out.

    Attributes:
        folds: number of folds over persons.
        fold: the one held out for testing.
        val_fraction: share of the remaining persons kept for validation.
        seed: of the dealing; equal seeds give equal splits.
        rule: ``clean``: by person; the published test set where the source divides persons, mended where it leaks,
            and folds of persons elsewhere. ``published``: the published partition as it is, leaks and all, for
            comparison with published figures. ``folds``: folds of persons everywhere.
    """

    folds: int = 5
    fold: int = 0
    val_fraction: float = 0.1
    seed: int = 0
    rule: Literal["clean", "published", "folds"] = "clean"

    def __post_init__(self) -> None:
        if self.folds < 2 or not 0 <= self.fold < self.folds:
            raise RecipeError(
                "data.split.fold must be one of the folds", given=self.fold, allowed=f"0..{self.folds - 1}"
            )
        if not 0 <= self.val_fraction < 0.5:
            raise RecipeError("data.split.val_fraction out of range", given=self.val_fraction, allowed="0 to below 0.5")


@dataclass(frozen=True)
class GuardConfig(Bounded):
    """What keeps the persons who are evaluated out of the alignment corpus (:mod:`acula_edge.data.guard`).

    Attributes:
        include_evaluation_subjects: align on everything, test recordings included. Figures of such a run are not of
            unseen persons; every report of it says so. For a model that is shipped and no longer tested.
        near_duplicates: whether the same sound under another id is looked for by fingerprint as well; equal files are
            always looked for.
        max_bit_error: share of differing bits up to which two fingerprints are of one sound; chance gives 0.5.
    """

    above: ClassVar = {"max_bit_error": 0}
    below: ClassVar = {"max_bit_error": 0.5}

    include_evaluation_subjects: bool = False
    near_duplicates: bool = True
    max_bit_error: float = 0.25


@dataclass(frozen=True)
class DataConfig(Bounded):
    """Corpora, their split, and the window that every stage sees.

    Attributes:
        root: folder in which a source without a folder of its own is looked for, under its name.
        similar_ids: what becomes of ids that differ by case, zeros in front, ``.0`` and the like
            (:mod:`acula_edge.data.identity`): ``join`` takes them for one person, ``distinct`` for different ones, both
            with a warning; ``refuse`` is an error. Unicode forms of an id are always one person.
        window_s: length of the window that a model embeds.
        hop_s: hop between windows of a recording at evaluation.
        trim_top_db: leading and trailing parts this far below the loudest are cut; null keeps everything.
    """

    above: ClassVar = {"window_s": 0, "hop_s": 0, "trim_top_db": 0}

    sources: dict[str, Source] = field(default_factory=dict)
    root: str | None = None
    similar_ids: Literal["join", "distinct", "refuse"] = "join"
    split: SplitConfig = field(default_factory=SplitConfig)
    guard: GuardConfig = field(default_factory=GuardConfig)
    window_s: float = 8.16
    hop_s: float = 4.08
    trim_top_db: float | None = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.sources:
            # A corpus that is generated lies in a folder of this name.
            if not is_plain_name(name):
                raise RecipeError(
                    "data.sources names a source by a path", given=repr(name), allowed="a name without / and .."
                )


@dataclass(frozen=True)
class LanguageConfig(Bounded):
    """The frozen language model that reads the reports.

    Attributes:
        model: Hugging Face id, a folder, or ``"minilm"`` for the embedded one. Of a multimodal model (MedGemma) only
            the language model is loaded. Weights must be safetensors; remote code is never run. ``"facts"`` is a
            control without a language model: one number for each fact that is stated.
        random_weights: a control: the same architecture and tokenizer, the weights drawn anew.
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
    random_weights: bool = False
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
