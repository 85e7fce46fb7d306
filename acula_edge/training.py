"""The one training loop: alignment and distillation differ only in the module that computes the loss.

Built on accelerate, so ``accelerate launch`` and ``torchrun`` need no other code. Batches are a pure function of
(seed, epoch, step): a run that was killed continues with the batches, crops and augmentations it would have seen.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from acula_edge.errors import AculaEdgeError, InputError
from acula_edge.files import atomic_path, read_json, sha256_json, write_json
from acula_edge.progress import notify, track


@dataclass(frozen=True)
class Optimization:
    """What the loop needs to know; recipes hold these values.

    Attributes:
        max_steps: optimizer steps at most; None for all epochs.
        ema_decay: 0 switches weight averaging off.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    max_steps: int | None = None
    warmup_fraction: float = 0.15
    max_grad_norm: float = 1.0
    ema_decay: float = 0.0
    precision: str = "fp32"
    device: str = "auto"
    seed: int = 0
    keep_best: bool = False


class TrainingTask(Protocol):
    """A module whose forward pass turns a batch of item numbers into a loss.

    ``forward(items, generator)`` returns the loss and named figures; ``validate()`` returns figures of which the one
    named `best_figure` (higher is better) chooses the best epoch. A task with ``channels_last = True`` is trained in
    that memory format.
    """

    best_figure: str
    items: int

    def __call__(self, items: np.ndarray, generator: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]: ...

    def validate(self) -> dict[str, float]: ...

    def describe(self, items: np.ndarray) -> list[str]: ...


def resolve_device(name: str) -> torch.device:
    """Torch device of a recipe's device name.

    Raises:
        InputError: CUDA was asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("there is no CUDA GPU here", given="device: cuda", allowed="auto, cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def batch_order(items: int, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Whole batches of item numbers for one epoch; a corpus smaller than a batch is one batch."""
    order = np.random.default_rng([seed, epoch]).permutation(items)
    size = min(batch_size, items)
    return [order[start : start + size] for start in range(0, items - size + 1, size)]


def fit(
    task: nn.Module,
    settings: Optimization,
    folder: Path,
    *,
    log: Callable[..., None],
    resume: bool = False,
    description: str = "training",
) -> dict[str, Any]:
    """Train `task` (a :class:`TrainingTask`) in place; at the end it holds the final weights.

    Args:
        folder: where the resumable state is kept, once per epoch. Delete it (:func:`forget`) once the result is on
            disk.
        log: called once per epoch with figures.

    Returns:
        Steps, epochs, seconds and the last validation figures.

    Raises:
        AculaEdgeError: a loss that is not finite; names the batch's recordings.
    """
    torch.manual_seed(settings.seed)
    accelerator = Accelerator(
        mixed_precision="bf16" if settings.precision == "bf16" else "no",
        cpu=resolve_device(settings.device).type == "cpu",
    )
    protocol: Any = task
    channels_last = getattr(protocol, "channels_last", False)
    if channels_last:
        task.to(memory_format=torch.channels_last)
    parameters = [parameter for parameter in task.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(_decay_groups(task, settings.weight_decay), lr=settings.learning_rate)
    per_epoch = len(batch_order(protocol.items, settings.batch_size, settings.seed, 0))
    total = settings.epochs * per_epoch
    if settings.max_steps is not None:
        total = min(total, settings.max_steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warmup_cosine(total, settings.warmup_fraction))
    model, optimizer = accelerator.prepare(task, optimizer)
    average = (
        AveragedModel(task, multi_avg_fn=get_ema_multi_avg_fn(settings.ema_decay), use_buffers=True)
        if settings.ema_decay
        else None
    )
    state = _State(folder, _state_key(task, settings))
    begun = time.monotonic()
    epoch, step, best = 0, 0, -math.inf
    if resume:
        epoch, step, best = state.load(task, optimizer, schedule, average)
        if epoch:
            notify("%s continues after epoch %d", description, epoch)
    figures: dict[str, Any] = {}
    while epoch < settings.epochs and step < total:
        model.train()
        losses: list[dict[str, float]] = []
        epoch_begun = time.monotonic()
        batches = batch_order(protocol.items, settings.batch_size, settings.seed, epoch)[: total - step]
        for number, batch in enumerate(track(batches, f"{description} {epoch + 1}/{settings.epochs}")):
            share = np.array_split(batch, accelerator.num_processes)[accelerator.process_index]
            seeds = [settings.seed, epoch, number, accelerator.process_index]
            torch.manual_seed(int(np.random.SeedSequence(seeds).generate_state(1)[0]))
            with accelerator.autocast():
                loss, parts = model(share, np.random.default_rng(seeds))
            if not bool(torch.isfinite(loss)):
                raise AculaEdgeError(
                    f"{description}: the loss of step {step} is not finite",
                    given=", ".join(protocol.describe(share)[:8]),
                    remedy="check those recordings, or lower the learning rate; --resume goes on after the last epoch",
                )
            optimizer.zero_grad(set_to_none=True)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(parameters, settings.max_grad_norm)
            optimizer.step()
            schedule.step()
            step += 1
            if average is not None:
                average.update_parameters(task)
            losses.append({"loss": float(loss.detach()), **parts})
        epoch += 1
        evaluated: Any = average.module if average is not None else task
        evaluated.eval()
        figures = evaluated.validate()
        means = {name: float(np.mean([entry[name] for entry in losses])) for name in losses[0]} if losses else {}
        if accelerator.is_main_process:
            rate = optimizer.param_groups[0]["lr"]
            log(epoch=epoch, step=step, learning_rate=rate, seconds=time.monotonic() - epoch_begun, **means, **figures)
            if figures.get(protocol.best_figure, -math.inf) > best:
                best = figures[protocol.best_figure]
                state.save_best(evaluated)
            state.save(epoch, step, best, task, optimizer, schedule, average)
            notify("%s %d/%d  %s", description, epoch, settings.epochs, _one_line({**means, **figures}))
    if average is not None:
        task.load_state_dict(average.module.state_dict())
    if settings.keep_best:
        state.load_best(task)
    if channels_last:
        task.to(memory_format=torch.contiguous_format)
    task.eval()
    return {"epochs": epoch, "steps": step, "seconds": round(time.monotonic() - begun, 1), **figures}


def _one_line(figures: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in figures.items())


def _decay_groups(task: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay on matrices and kernels only."""
    trained = [parameter for parameter in task.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]


def _warmup_cosine(total: int, warmup_fraction: float) -> Callable[[int], float]:
    warmup = max(1, round(total * warmup_fraction))

    def scale(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))

    return scale


def _state_key(task: nn.Module, settings: Optimization) -> str:
    shapes = {name: list(value.shape) for name, value in task.state_dict().items()}
    return sha256_json([shapes, settings, getattr(task, "items", 0)])


class _State:
    """Resumable state: one file, replaced whole after every epoch; a key tells another run's state apart."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key

    def save(self, epoch: int, step: int, best: float, task: Any, optimizer: Any, schedule: Any, average: Any) -> None:
        with atomic_path(self.folder / f"state-{epoch}.pt") as temporary:
            _save(
                {
                    "task": task.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(),
                    "average": average.state_dict() if average is not None else None,
                },
                temporary,
            )
        write_json(
            self.folder / "state.json",
            {"key": self.key, "epoch": epoch, "step": step, "best": best if math.isfinite(best) else None},
        )
        for old in self.folder.glob("state-*.pt"):
            if old.name != f"state-{epoch}.pt":
                old.unlink()

    def save_best(self, task: Any) -> None:
        with atomic_path(self.folder / "best.pt") as temporary:
            _save(task.state_dict(), temporary)

    def load(self, task: Any, optimizer: Any, schedule: Any, average: Any) -> tuple[int, int, float]:
        index = self.folder / "state.json"
        if not index.is_file():
            return 0, 0, -math.inf
        facts = read_json(index)
        if facts["key"] != self.key:
            notify("the kept training state belongs to another recipe; starting anew")
            return 0, 0, -math.inf
        values = torch.load(self.folder / f"state-{facts['epoch']}.pt", map_location="cpu", weights_only=True)
        task.load_state_dict(values["task"])
        optimizer.load_state_dict(values["optimizer"])
        schedule.load_state_dict(values["schedule"])
        if average is not None:
            average.load_state_dict(values["average"])
        best = facts["best"] if facts["best"] is not None else -math.inf
        return facts["epoch"], facts["step"], best

    def load_best(self, task: Any) -> None:
        file = self.folder / "best.pt"
        if file.is_file():
            task.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))


def _save(values: dict[str, Any], path: Path) -> None:
    try:
        torch.save(values, path)
    except RuntimeError as error:
        # torch's writer does not pass on what the system said.
        raise OSError(f"not all of it could be written; is the disk full? ({error})") from error


@torch.no_grad()
def refresh_statistics(model: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Recompute batch normalization's running statistics as plain averages over clean inputs, weights unchanged.

    The averages left by training lag behind the weights and saw masked crops; with few hundred recordings some clips
    then leave the range that the network was trained on by a factor of a thousand.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    model.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    seen = 0
    for batch in batches:
        model(batch)
        seen += 1
    if layers and not seen:
        raise InputError("there are no inputs to refresh normalization statistics on")
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.eval()


def forget(folder: Path) -> None:
    """Delete the resumable state of a training whose result is on disk."""
    shutil.rmtree(folder, ignore_errors=True)
