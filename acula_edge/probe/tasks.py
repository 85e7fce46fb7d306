"""Tasks: what is asked of an embedding, on which data set, and how the answer is judged.

A task is data. Modules of :mod:`acula_edge.corpora` register those on their data set:

    Task(id="X1", dataset="my-corpus", target=labels("finding", {"yes": 1, "no": 0}), ...).register()

Definitions and counts of the published tasks: SPEC sections 2.3 and 2.4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from acula_edge.data.manifest import Recording
from acula_edge.data.reader import Corpus, readers
from acula_edge.errors import InputError
from acula_edge.registry import Registry

Target = Callable[[Recording], float | None]

CONVERGED = (
    "linear probe on the mean embedding of a recording's windows; standardized logistic or ridge regression, "
    "strength chosen by subject-grouped cross-validation on the training subjects; held-out subjects"
)
CONVERGED_LEAVING_ONE_OUT = (
    "linear probe on the mean embedding of a recording's windows; standardized ridge regression on all other subjects, "
    "strength chosen by subject-grouped cross-validation among them; every subject is held out once"
)


@dataclass(frozen=True)
class PublishedProbe:
    """Settings of the probe that published figures rest on (SPEC sections 2.1 and 2.2).

    Attributes:
        batch_size: recordings per step of Adam.
        epochs: of training.
        validate_every: epochs between two looks at the validation set; the first best look is kept.
        patience: epochs without improvement of the validation error after which training stops; None for never.
        val_fraction: regression only: share of the other subjects' units that are validation.
        val_unit: regression only: what is drawn for validation.
    """

    batch_size: int
    epochs: int = 64
    validate_every: int = 1
    patience: int | None = None
    val_fraction: float = 0.0
    val_unit: Literal["subject", "recording"] = "subject"


@dataclass(frozen=True)
class PublishedSplitFacts:
    """How the published partition is made and how large it is; a user's copy is compared with it.

    Attributes:
        rule: one sentence.
        train, val, test: recordings per class, in the order of the classes; empty where no class is counted.
        leaks: what is known to be wrong with it, one phrase, or "".
    """

    rule: str
    train: tuple[int, ...] = ()
    val: tuple[int, ...] = ()
    test: tuple[int, ...] = ()
    leaks: str = ""


@dataclass(frozen=True)
class Task:
    """One question with one number as the answer.

    Attributes:
        id, name: short id and what a reader of a report sees.
        dataset: the corpus that can answer it (``Recording.dataset``).
        sound: what is heard ("heart", "lung", "cough").
        target: recording -> 0 or 1, a number, or None where the recording does not take part.
        target_text: the same rule in words.
        metric: ``auroc`` (higher is better; of more than two classes the mean over "this class or another") or
            ``mae`` (lower is better).
        kind: ``binary``, ``multiclass`` or ``regression``.
        labels: names of the classes 0, 1, ...; empty for regression.
        unit: unit of a regression target.
        evaluation: ``held-out`` tests on the test split; ``leave-one-subject-out`` on every subject of the test split
            with a probe of all the others of it.
        probe_of: the task whose head answers this one, so that it says how that head fares on recordings of another
            kind; nothing of this data set is learned from. None for a head of its own.
        window: what published figures listened to: seconds to which a recording is padded at least, or window.
        published_probe, published_split: the protocol that published figures rest on; None for a task of our own.
        published: one of the 18 of the published method (SPEC sections 2.3 and 2.4); a task of our own is not.
        margin: non-inferiority margin of its own (AUROC, or share of the float MAE); None takes the recipe's.
        assumed: the sources do not settle this definition (SPEC section 2.4).
        note: what a reader must know when comparing with published numbers.
    """

    id: str
    name: str
    dataset: str
    sound: str
    target: Target = field(compare=False)
    target_text: str
    metric: Literal["auroc", "mae"] = "auroc"
    kind: Literal["binary", "multiclass", "regression"] = "binary"
    labels: tuple[str, ...] = ()
    unit: str = ""
    evaluation: Literal["held-out", "leave-one-subject-out"] = "held-out"
    probe_of: str | None = None
    window: str = ""
    published_probe: PublishedProbe | None = None
    published_split: PublishedSplitFacts | None = None
    published: bool = False
    margin: float | None = None
    assumed: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        if (self.kind == "regression") != (self.metric == "mae"):
            raise InputError(f"task {self.id}: classes go with auroc, regression with mae", given=self.metric)
        allowed = {"binary": len(self.labels) == 2, "multiclass": len(self.labels) > 2, "regression": not self.labels}
        if not allowed[self.kind]:
            raise InputError(f"task {self.id}: a task names its classes; regression has none", given=self.labels)

    def register(self) -> None:
        """Put it among :data:`tasks`."""
        tasks.register(self.id, self)

    @property
    def protocol(self) -> str:
        """How the answer that verdicts rest on is obtained."""
        if self.probe_of is not None:
            return f"the probe of {self.probe_of}, unchanged"
        return CONVERGED if self.evaluation == "held-out" else CONVERGED_LEAVING_ONE_OUT

    @property
    def learned(self) -> Task:
        """The task whose training recordings the head is fitted on: this one, or the one named by ``probe_of``."""
        return self if self.probe_of is None else tasks[self.probe_of]

    @property
    def corpus(self) -> Corpus | None:
        """Facts of the data set; None for one without a reader of its own."""
        return readers[self.dataset].corpus if self.dataset in readers else None

    @property
    def licence(self) -> str:
        """Of the recordings; "" where it is not known."""
        return self.corpus.licence if self.corpus else ""

    @property
    def access(self) -> str:
        """How to get the recordings; "" where it is not known."""
        return self.corpus.access if self.corpus else ""

    def value(self, recording: Recording) -> float | None:
        """Target of a recording, or None where it does not take part (another data set, no usable label)."""
        if recording.dataset != self.dataset:
            return None
        value = self.target(recording)
        return None if value is None or not math.isfinite(value) else float(value)

    def values(self, recordings: Sequence[Recording], split: str) -> tuple[list[int], list[float]]:
        """Positions in `recordings` that take part in `split`, and their targets."""
        positions, targets = [], []
        for position, recording in enumerate(recordings):
            value = self.value(recording) if recording.split_for(self.id) == split else None
            if value is not None:
                positions.append(position)
                targets.append(value)
        return positions, targets


tasks: Registry[Task] = Registry("task", package="acula_edge.corpora")


def labels(column: str, values: Mapping[str, int], where: Mapping[str, Any] | None = None) -> Target:
    """Target from a column whose text stands for a class; other texts drop out."""

    def target(recording: Recording) -> float | None:
        if not _matches(recording, where):
            return None
        value = recording.metadata.get(column)
        return values.get(value) if isinstance(value, str) else None

    return target


def any_present(columns: Iterable[str], where: Mapping[str, Any] | None = None) -> Target:
    """Target 1 where any of the 0/1 columns is 1, 0 where all are 0; a missing column drops the recording."""
    names = tuple(columns)

    def target(recording: Recording) -> float | None:
        found = [recording.metadata.get(name) for name in names]
        if not _matches(recording, where) or any(value not in (0, 1) for value in found):
            return None
        return float(any(found))

    return target


def number(column: str, where: Mapping[str, Any] | None = None) -> Target:
    """Target from a numeric column."""

    def target(recording: Recording) -> float | None:
        value = recording.metadata.get(column)
        if not _matches(recording, where) or isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return float(value)

    return target


def _matches(recording: Recording, where: Mapping[str, Any] | None) -> bool:
    return all(recording.metadata.get(column) == value for column, value in (where or {}).items())


def resolve_tasks(names: Sequence[str], recordings: Sequence[Recording]) -> list[Task]:
    """Tasks by id or wildcard, in order of number.

    Args:
        names: ids or wildcards; ``all`` stands for every task whose data set is among `recordings`, ``published`` for
            the 18 of the paper, whether their data are there or not.

    Raises:
        InputError: an id that no task has.
    """
    present = {recording.dataset for recording in recordings}
    chosen: dict[str, Task] = {}
    for name in names:
        if name == "all":
            found = [task for task in tasks.names() if tasks[task].dataset in present]
        elif name == "published":
            found = [task for task in tasks.names() if tasks[task].published]
        else:
            found = tasks.names(name) or [tasks[name].id]
        chosen.update((task, tasks[task]) for task in found)
    return [chosen[name] for name in sorted(chosen, key=sort_key)]


def sort_key(name: str) -> tuple[str, int, str]:
    """Sorts ids by letter and number: C1, P1, T2, T10."""
    letters = name.rstrip("0123456789")
    digits = name[len(letters) :]
    return letters, int(digits or 0), name
