"""The loop: batches, steps, validation, resumable state.

Built on accelerate, so ``accelerate launch`` and ``torchrun`` need no other code, and on two promises: a training that
was killed at any step ends with the weights that it would have had, and N processes with a share of the batch each
compute what one with all of it would.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from acula_edge.errors import AculaEdgeError
from acula_edge.interruption import shielded
from acula_edge.processes import broadcast_object, is_main, rank, start, world_size
from acula_edge.progress import notify, track
from acula_edge.training.batches import Assignment, assign, batch_order, read_ahead
from acula_edge.training.normalization import synchronized
from acula_edge.training.optimization import (
    Optimization,
    learning_rate_scale,
    make_optimizer,
    make_schedule,
    resolve_device,
)
from acula_edge.training.state import Position, TrainingState, state_key

_NOTICE = "stopping after this step, which is kept; a second signal ends at once, and what is kept is older"


class TrainingTask(Protocol):
    """A module that turns a batch into a loss.

    ``load(assignment)`` reads what the batch needs, on the CPU and in another thread; ``forward(assignment, loaded)``
    returns the loss of the whole batch and named figures. ``begin()`` is called once with the initial weights.
    ``validate()`` returns figures of which the one named `best_figure` (higher is better) chooses the best epoch. A
    task with ``channels_last = True`` is trained in that memory format; one with ``corpora``, a number per item, has
    its batches drawn by corpus.
    """

    best_figure: str
    items: int

    def load(self, assignment: Assignment) -> Any: ...

    def __call__(self, assignment: Assignment, loaded: Any) -> tuple[torch.Tensor, dict[str, float]]: ...

    def begin(self) -> None: ...

    def validate(self) -> dict[str, float]: ...

    def describe(self, items: Any) -> list[str]: ...


def fit(
    task: nn.Module,
    settings: Optimization,
    folder: Path,
    *,
    log: Callable[..., None],
    log_step: Callable[[int, dict[str, float]], None] | None = None,
    resume: bool = False,
    description: str = "training",
) -> dict[str, Any]:
    """Train `task` (a :class:`TrainingTask`) in place; at the end it holds the final weights, in every process.

    Args:
        folder: where the resumable state is kept: after every epoch, every few minutes, and where a signal or an
            interrupt ends the training between steps. Delete it (:func:`forget`) once the result is on disk.
        log: called once per epoch with figures, in the main process.
        log_step: called after every optimizer step with its number and figures, in the main process.

    Returns:
        Steps, epochs, seconds and the last validation figures.

    Raises:
        AculaEdgeError: a loss or gradient that is not finite; names the batch's recordings.
        InputError: no such device, or a batch that cannot be shared among the processes.
    """
    start(cpu=resolve_device(settings.device).type == "cpu")
    with _repeatable(settings.deterministic), synchronized(task):
        return _Loop(task, settings, folder, log, log_step, description).run(resume)


class _Loop:
    def __init__(
        self, task: Any, settings: Optimization, folder: Path, log: Any, log_step: Any, description: str
    ) -> None:
        torch.manual_seed(settings.seed)
        self.task = task
        self.settings, self.description = settings, description
        self.log, self.log_step = log, log_step
        if world_size() == 1:
            # Its state is one per process and keeps the first training's device; the next may want another.
            AcceleratorState._reset_state(reset_partial_state=True)
        self.accelerator = Accelerator(cpu=resolve_device(settings.device).type == "cpu")
        self.channels_last = getattr(task, "channels_last", False)
        if self.channels_last:
            task.to(memory_format=torch.channels_last)
        batches = len(self._order(0))
        self.per_epoch = math.ceil(batches / settings.accumulation)
        self.total = settings.epochs * self.per_epoch
        if settings.max_steps is not None:
            self.total = min(self.total, settings.max_steps)
        optimizer = make_optimizer(task, settings)
        self.schedule = make_schedule(optimizer, settings, self.total)
        self.model, self.optimizer = self.accelerator.prepare(task, optimizer)
        if is_main():
            self.task.eval()
            self.task.begin()
        self.average = (
            AveragedModel(task, multi_avg_fn=get_ema_multi_avg_fn(settings.ema_decay), use_buffers=True)
            if settings.ema_decay
            else None
        )
        key = state_key(task, settings, self.task.items)
        self.state = TrainingState(folder, task, self.optimizer, self.schedule, self.average, key)
        self.position = Position()
        self.saved_at = time.monotonic()
        self.saved_step = 0
        self.between_steps = True

    def run(self, resume: bool) -> dict[str, Any]:
        begun = time.monotonic()
        if resume:
            self.position = self.state.load()
            self.saved_step = self.position.step
            if self.position.step:
                notify("%s continues after step %d of %d", self.description, self.position.step, self.total)
        try:
            figures = self._epochs()
        except KeyboardInterrupt:
            with shielded():
                if self.between_steps and self.position.step > self.saved_step:
                    self._save()
            raise
        if self.average is not None:
            self.task.load_state_dict(self.average.module.state_dict())
        if self.settings.keep_best:
            self.state.load_best(self.task)
        if self.channels_last:
            self.task.to(memory_format=torch.contiguous_format)
        self.task.eval()
        seconds = round(time.monotonic() - begun, 1)
        return {"epochs": self.position.epoch, "steps": self.position.step, "seconds": seconds, **figures}

    def _epochs(self) -> dict[str, Any]:
        figures: dict[str, Any] = {}
        # An epoch of which all batches are done may have been interrupted before it was judged.
        while self.position.epoch < self.settings.epochs and (self.position.step < self.total or self.position.batch):
            if self._out_of_patience():
                break
            self._epoch()
            figures = self._close_epoch()
        return figures

    def _out_of_patience(self) -> bool:
        patience, position = self.settings.patience, self.position
        if patience is None or position.epoch - max(position.best_epoch, self._fallen()) < patience:
            return False
        notify("%s stops early: no better %s in %d epochs", self.description, self.task.best_figure, patience)
        return True

    def _fallen(self) -> int:
        """The epoch at whose end the learning rate has fallen to half of its peak: before, nothing is decided."""
        ends = [min(self.total, (epoch + 1) * self.per_epoch) for epoch in range(self.settings.epochs)]
        scale = learning_rate_scale(self.settings, self.total)
        peak = max(range(self.total), key=scale, default=0)
        return next((n + 1 for n, end in enumerate(ends) if end > peak and scale(end) <= 0.5), len(ends))

    def _order(self, epoch: int) -> list[Any]:
        settings, corpora = self.settings, getattr(self.task, "corpora", None)
        return batch_order(
            self.task.items, settings.batch_size, settings.seed, epoch, world_size(), corpora, settings.corpus_exponent
        )

    def _epoch(self) -> None:
        position, settings = self.position, self.settings
        self.model.train()
        self.epoch_begun = time.monotonic()
        order = self._order(position.epoch)
        left = self.total - position.step
        groups = [order[at : at + settings.accumulation] for at in range(0, len(order), settings.accumulation)]
        groups = groups[math.ceil(position.batch / settings.accumulation) :][:left]
        numbers = range(position.batch, position.batch + sum(len(group) for group in groups))
        assignments = (
            assign(order[number], (settings.seed, position.epoch, number), rank(), world_size()) for number in numbers
        )
        batches = read_ahead(self.task.load, assignments)
        for group in track(groups, f"{self.description} {position.epoch + 1}/{settings.epochs}"):
            with shielded(_NOTICE):
                figures = self._step(batches, len(group))
            if self.log_step is not None and is_main():
                self.log_step(position.step, {**figures, "learning_rate": self.optimizer.param_groups[0]["lr"]})
            if time.monotonic() - self.saved_at > settings.save_every_s and position.batch < len(order):
                self._save()

    def _step(self, batches: Iterator[tuple[Assignment, Any]], size: int) -> dict[str, float]:
        """One optimizer step over `size` batches; figures are means over them."""
        self.between_steps = False
        seen: list[Assignment] = []
        means: dict[str, float] = {}
        for number in range(size):
            assignment, loaded = next(batches)
            seen.append(assignment)
            torch.manual_seed(assignment.seed)
            last = number == size - 1
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                with torch.autocast(self.accelerator.device.type, torch.bfloat16, self.settings.precision == "bf16"):
                    loss, parts = self.model(assignment, loaded)
                figures = {"loss": float(loss.detach()), **parts}
                self._check(figures["loss"], "loss", seen)
                self.accelerator.backward(loss / size)
            self.position.add(figures)
            for name, value in figures.items():
                means[name] = means.get(name, 0.0) + value / size
        parameters = [parameter for parameter in self.task.parameters() if parameter.requires_grad]
        norm = self.accelerator.clip_grad_norm_(parameters, self.settings.max_grad_norm)
        self._check(float(norm), "gradient", seen)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.schedule.step()
        self.position.step += 1
        if self.average is not None:
            self.average.update_parameters(self.task)
        self.between_steps = True
        return means

    def _check(self, value: float, what: str, seen: list[Assignment]) -> None:
        if math.isfinite(value):
            return
        ids = [name for assignment in seen for name in self.task.describe(assignment.items)]
        raise AculaEdgeError(
            f"{self.description}: the {what} of step {self.position.step} is not finite",
            given=", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else ""),
            remedy="check those recordings, or lower the learning rate; --resume goes on from the last state kept",
        )

    def _close_epoch(self) -> dict[str, Any]:
        """Validate, log and keep the state; every process gets the main one's figures."""
        position = self.position
        evaluated: Any = self.average.module if self.average is not None else self.task
        evaluated.eval()
        last = position.epoch + 1 == self.settings.epochs or position.step >= self.total
        looks = last or (position.epoch + 1) % self.settings.validate_every == 0
        figures: dict[str, Any] = broadcast_object(evaluated.validate() if looks and is_main() else {})
        with shielded():
            self._keep_epoch(position, evaluated, figures)
        return figures

    def _keep_epoch(self, position: Position, evaluated: Any, figures: dict[str, Any]) -> None:
        self.between_steps = False
        means = position.means()
        position.close_epoch()
        value = figures.get(self.task.best_figure, math.nan)
        better = value > position.best
        if better:
            position.best = value
        if better or (figures and math.isnan(value)):  # where nothing is judged, nothing stops early
            position.best_epoch = position.epoch
        if is_main():
            if better and self.settings.keep_best:
                self.state.save_best(evaluated)
            rate = self.optimizer.param_groups[0]["lr"]
            seconds = time.monotonic() - self.epoch_begun
            self.log(epoch=position.epoch, step=position.step, learning_rate=rate, seconds=seconds, **means, **figures)
            notify(
                "%s %d/%d  %s", self.description, position.epoch, self.settings.epochs, _one_line({**means, **figures})
            )
        self._save()
        self.between_steps = True

    def _save(self) -> None:
        # All processes hold the same state, and all of them read it back from the main one's file.
        if is_main():
            self.state.save(self.position)
        self.saved_at = time.monotonic()
        self.saved_step = self.position.step


@contextmanager
def _repeatable(asked: bool) -> Iterator[None]:
    """Only algorithms that give the same bits every time, where asked for."""
    former = torch.are_deterministic_algorithms_enabled()
    if asked:
        # cuBLAS reads it when its first handle is made.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(former)


def _one_line(figures: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
