"""Resumable state of a training: one file, replaced whole; a key tells another run's state apart."""

from __future__ import annotations

import math
import pickle
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from acula_edge.errors import ArtifactError
from acula_edge.files import atomic_path, read_json, sha256_json, write_json
from acula_edge.progress import notify
from acula_edge.training.optimization import Optimization
from acula_edge.untrusted.checkpoints import check_checkpoint

_STATE_NAME = re.compile(r"state-\d+-\d+\.pt")


@dataclass
class Position:
    """How far a training is.

    Attributes:
        epoch: finished epochs.
        batch: finished batches of the epoch that runs.
        step: optimizer steps.
        best: best validation figure so far, and in which epoch it was seen.
        sums: of the figures of the running epoch's batches.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float = -math.inf
    best_epoch: int = 0
    sums: dict[str, float] = field(default_factory=dict)

    def add(self, figures: dict[str, float]) -> None:
        """Count one more batch of the running epoch."""
        self.batch += 1
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """Mean figures of the running epoch."""
        return {name: value / self.batch for name, value in self.sums.items()}

    def close_epoch(self) -> None:
        """Go on to the next epoch."""
        self.epoch, self.batch, self.sums = self.epoch + 1, 0, {}


class TrainingState:
    """Everything that a training needs to go on, in `folder`."""

    def __init__(self, folder: Path, task: nn.Module, optimizer: Any, schedule: Any, average: Any, key: str) -> None:
        self.folder = folder
        self.key = key
        self._parts = {"task": task, "optimizer": optimizer, "schedule": schedule, "average": average}

    def save(self, position: Position) -> None:
        """Replace what is kept. Samples first, then the index that names the file; then the former file goes."""
        name = f"state-{position.epoch}-{position.batch}.pt"
        with atomic_path(self.folder / name) as temporary:
            values = {part: value.state_dict() if value is not None else None for part, value in self._parts.items()}
            _save(values, temporary)
        facts = {**vars(position), "best": position.best if math.isfinite(position.best) else None}
        write_json(self.folder / "state.json", {"key": self.key, "file": name, **facts})
        for old in self.folder.glob("state-*.pt"):
            if old.name != name:
                old.unlink()

    def load(self) -> Position:
        """Restore what is kept; the start where there is nothing, or another recipe's state."""
        index = self.folder / "state.json"
        if not index.is_file():
            return Position()
        facts = read_json(index)
        if facts.pop("key", None) != self.key:
            notify("the kept training state belongs to another recipe; starting anew")
            return Position()
        name = str(facts.pop("file"))
        if not _STATE_NAME.fullmatch(name):
            raise _damaged(index, f"it names the file {name}")
        values = _read(self.folder / name)
        try:
            for part, value in self._parts.items():
                if value is not None:
                    value.load_state_dict(values[part])
            return Position(**{**facts, "best": facts["best"] if facts["best"] is not None else -math.inf})
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise _damaged(self.folder / name, error) from error

    def save_best(self, task: nn.Module) -> None:
        """Keep these weights as the best so far."""
        with atomic_path(self.folder / "best.pt") as temporary:
            _save(task.state_dict(), temporary)

    def load_best(self, task: nn.Module) -> None:
        """Restore the best weights, where any were kept."""
        file = self.folder / "best.pt"
        if file.is_file():
            try:
                task.load_state_dict(_read(file))
            except (AttributeError, KeyError, RuntimeError, TypeError) as error:
                raise _damaged(file, error) from error


def state_key(task: nn.Module, settings: Optimization, items: int) -> str:
    """Hash of what must not change between the parts of one training."""
    shapes = {name: list(value.shape) for name, value in task.state_dict().items()}
    changeable = {"device", "save_every_s"}
    values = {name: value for name, value in vars(settings).items() if name not in changeable}
    return sha256_json([shapes, values, items])


def forget(folder: Path) -> None:
    """Delete the resumable state of a training whose result is on disk."""
    shutil.rmtree(folder, ignore_errors=True)


def _read(file: Path) -> dict[str, Any]:
    try:
        check_checkpoint(file)
        values: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        return values
    except (ArtifactError, OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise _damaged(file, error.given if isinstance(error, ArtifactError) else error) from error


def _damaged(file: Path, reason: object) -> ArtifactError:
    return ArtifactError(
        f"the kept training state {file} cannot be read",
        given=next(iter(str(reason).splitlines()), type(reason).__name__),
        remedy=f"delete {file.parent} and run the same command again; training starts anew",
    )


def _save(values: dict[str, Any], path: Path) -> None:
    try:
        # Given a path, torch's writer would not pass on what the system said.
        with open(path, "wb") as file:
            torch.save(values, file)
    except RuntimeError as error:
        cause = error.__context__
        if not isinstance(cause, OSError):
            raise
        raise OSError(cause.errno, cause.strerror) from error
