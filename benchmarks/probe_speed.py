"""How long the published probe takes here, all seeds or folds at once, and with one trainer per seed or fold.

    python benchmarks/probe_speed.py --rounds 3
    python benchmarks/probe_speed.py --rounds 2 --lightning      # needs lightning and torchmetrics

Random features of 768 dimensions and published sizes: T6 (two classes, five seeds), T11 (five classes, five seeds),
T13 (40 subjects, each left out once) and T19 (16 subjects with 81 recordings). One thread. Trainers:

* torch: a plain loop with a DataLoader over a TensorDataset, no workers, areas by this library;
* lightning: a Lightning Trainer as the published scripts use it, best checkpoint on disk, AUROC by torchmetrics, but
  without workers, progress bar, logger and model summary, and without logging the training loss.

Timings are paired: a round measures this library, a trainer, this library again, the other trainer; a ratio is a
trainer's time by that of this library just before. Medians over rounds, and in brackets the least and the largest.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import copy
import importlib
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, TensorDataset

from acula_edge.data.manifest import Recording
from acula_edge.probe.published_protocol import (
    L2_CLASSES,
    L2_REGRESSION,
    MIN_DELTA,
    leave_one_out,
    macro_auroc,
    published_probe,
)
from acula_edge.probe.tasks import PublishedProbe, Task, number, tasks

DIMENSIONS = 768
SEEDS = range(5)
CLASS_SIZES = {"T6": (3218, 1090, 2955), "T11": (312, 84, 108)}
SUBJECTS = {"T13": (40, 1), "T19": (16, 81)}

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Job:
    """What one trainer does: one seed, or one left-out subject. `outputs` is 1 for a regression."""

    parts: dict[str, tuple[torch.Tensor, torch.Tensor]]
    outputs: int
    seed: int
    mean: float = 0.0
    std: float = 1.0

    def loader(self, part: str, probe: PublishedProbe) -> DataLoader[Any]:
        """Batches of one part; those of training are shuffled."""
        return DataLoader(TensorDataset(*self.parts[part]), probe.batch_size, shuffle=part == "train")

    def head(self) -> torch.nn.Linear:
        """The head before training."""
        head = torch.nn.Linear(DIMENSIONS, self.outputs)
        torch.nn.init.normal_(head.weight, 0.0, 0.01)
        torch.nn.init.zeros_(head.bias)
        return head

    def loss(self, head: torch.nn.Linear, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Penalized loss of one batch."""
        squares = head.weight.pow(2).sum() + head.bias.pow(2).sum()
        if self.outputs == 1:
            estimate = head(x)[:, 0] * self.std + self.mean
            return torch.nn.functional.mse_loss(estimate + 1e-10, y) + L2_REGRESSION * squares
        return torch.nn.functional.cross_entropy(head(x) + 1e-10, y) + L2_CLASSES * squares

    def measure(self, outputs: torch.Tensor, y: torch.Tensor) -> float:
        """AUROC, or the mean absolute error."""
        if self.outputs == 1:
            return float((outputs[:, 0] * self.std + self.mean - y).abs().mean())
        return float(macro_auroc(y.numpy(), outputs.softmax(dim=1).numpy()))


@dataclass(frozen=True)
class Case:
    """One task of published size."""

    task: Task
    probe: PublishedProbe
    embeddings: Array
    recordings: list[Recording]
    jobs: list[Job]


def make_case(name: str) -> Case:
    """Random features that carry a little of the target."""
    rng = np.random.default_rng(0)
    task = replace(tasks[name], target=number("y"))
    probe = task.published_probe
    assert probe is not None
    rows: list[tuple[str, str, float]]
    if name in CLASS_SIZES:
        sizes = dict(zip(("train", "val", "test"), CLASS_SIZES[name], strict=True))
        rows = [(split, f"{split}{n}", n % len(task.labels)) for split, size in sizes.items() for n in range(size)]
    else:
        subjects, takes = SUBJECTS[name]
        rows = [("test", f"s{n}", 3 + rng.normal()) for n in range(subjects) for _ in range(takes)]
    recordings = [
        Recording(str(row), "", subject, task.dataset, 16000, 1.0, split=split, metadata={"y": value})
        for row, (split, subject, value) in enumerate(rows)
    ]
    y = np.array([value for _, _, value in rows])
    embeddings = rng.normal(size=(len(rows), DIMENSIONS)).astype(np.float32)
    embeddings[:, :64] += 0.3 * (y[:, None] - y.mean()) * rng.normal(size=64).astype(np.float32)
    return Case(task, probe, embeddings, recordings, make_jobs(task, probe, embeddings, rows))


def make_jobs(task: Task, probe: PublishedProbe, embeddings: Array, rows: list[tuple[str, str, float]]) -> list[Job]:
    x = torch.from_numpy(embeddings)
    if task.kind != "regression":
        y = torch.tensor([int(value) for _, _, value in rows])
        masks = {part: torch.tensor([split == part for split, _, _ in rows]) for part in ("train", "val", "test")}
        parts = {part: (x[mask], y[mask]) for part, mask in masks.items()}
        return [Job(parts, len(task.labels), seed) for seed in SEEDS]
    y = torch.tensor([value for _, _, value in rows], dtype=torch.float32)
    jobs = []
    for fold in leave_one_out([subject for _, subject, _ in rows], probe):
        parts = {part: (x[own], y[own]) for part, own in vars(fold).items()}
        learned = parts["train"][1]
        jobs.append(Job(parts, 1, 0, float(learned.mean()), float(learned.std(correction=0))))
    return jobs


def ours(case: Case) -> float:
    return published_probe(case.embeddings, case.recordings, case.task, SEEDS).value


def by_torch(case: Case) -> float:
    """A plain loop per job."""
    values = []
    for job in case.jobs:
        torch.manual_seed(job.seed)
        head, sign = job.head(), -1 if job.outputs == 1 else 1
        optimizer = torch.optim.Adam(head.parameters(), lr=1e-4)
        decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.97)
        best, kept, lowest, waited = -np.inf, head.state_dict(), np.inf, 0
        loaders = {part: job.loader(part, case.probe) for part in job.parts}
        for epoch in range(1, case.probe.epochs + 1):
            for x, y in loaders["train"]:
                optimizer.zero_grad()
                job.loss(head, x, y).backward()
                torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
                optimizer.step()
            decay.step()
            value = test_by_torch(job, head, loaders["val"])
            if epoch % case.probe.validate_every == 0 and sign * value > best:
                best, kept = sign * value, copy.deepcopy(head.state_dict())
            waited = 0 if value < lowest - MIN_DELTA else waited + 1
            lowest = value if waited == 0 else lowest
            if waited == case.probe.patience:
                break
        head.load_state_dict(kept)
        values.append(test_by_torch(job, head, loaders["test"]))
    return float(np.mean(values))


@torch.inference_mode()
def test_by_torch(job: Job, head: torch.nn.Linear, loader: DataLoader[Any]) -> float:
    outputs, targets = zip(*((head(x), y) for x, y in loader), strict=True)
    return job.measure(torch.cat(outputs), torch.cat(targets))


def by_lightning(case: Case) -> float:
    """A Trainer per job."""
    lightning = importlib.import_module("lightning.pytorch")
    callbacks = importlib.import_module("lightning.pytorch.callbacks")
    metrics = importlib.import_module("torchmetrics")

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self, job: Job) -> None:
            super().__init__()
            self.job, self.linear = job, job.head()
            self.collected: list[tuple[torch.Tensor, torch.Tensor]] = []

        def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
            return self.job.loss(self.linear, batch[0], batch[1])

        def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
            self.collected.append((self.linear(batch[0]), batch[1]))

        test_step = validation_step

        def on_validation_epoch_end(self) -> None:
            self.log("value", self.measured())

        on_test_epoch_end = on_validation_epoch_end

        def measured(self) -> Any:
            outputs, targets = (torch.cat(column) for column in zip(*self.collected, strict=True))
            self.collected.clear()
            if self.job.outputs == 1:
                return self.job.measure(outputs, targets)
            auroc = metrics.AUROC(task="multiclass", num_classes=self.job.outputs)
            return auroc(outputs.softmax(dim=1), targets)

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.Adam(self.parameters(), lr=1e-4)
            return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.97)]

    values = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for index, job in enumerate(case.jobs):
            torch.manual_seed(job.seed)
            mode = "min" if job.outputs == 1 else "max"
            watchers = [
                callbacks.ModelCheckpoint(
                    f"{folder}/{index}", monitor="value", mode=mode, every_n_epochs=case.probe.validate_every
                )
            ]
            if case.probe.patience is not None:
                stop = callbacks.EarlyStopping("value", min_delta=MIN_DELTA, patience=case.probe.patience, mode=mode)
                watchers.append(stop)
            trainer = lightning.Trainer(
                accelerator="cpu", devices=1, max_epochs=case.probe.epochs, gradient_clip_val=1.0, logger=False,
                enable_progress_bar=False, enable_model_summary=False, callbacks=watchers,
            )  # fmt: skip
            trainer.fit(Module(job), job.loader("train", case.probe), job.loader("val", case.probe))
            (tested,) = trainer.test(
                dataloaders=job.loader("test", case.probe), ckpt_path="best", weights_only=True, verbose=False
            )
            values.append(tested["value"])
    return float(np.mean(values))


def timed(run: Callable[[Case], float], case: Case) -> tuple[float, float]:
    """Seconds and what came out."""
    start = time.perf_counter()
    value = run(case)
    return time.perf_counter() - start, value


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", default=[*CLASS_SIZES, *SUBJECTS], choices=[*CLASS_SIZES, *SUBJECTS])
    parser.add_argument("--lightning", action="store_true", help="measure Lightning's Trainer too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trainers = {"torch": by_torch}
    if arguments.lightning:
        absent = [name for name in ("lightning", "torchmetrics") if find_spec(name) is None]
        if absent:
            parser.error(
                f"not installed: {', '.join(absent)}; pip install lightning torchmetrics, or leave --lightning"
            )
        trainers["lightning"] = by_lightning
        for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero"):
            logging.getLogger(name).setLevel(logging.ERROR)
    print("| task | trainer | seconds here | seconds with trainers | times faster | value here | value there |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.cases:
        case = make_case(name)
        ours(case)
        rounds: dict[str, list[tuple[float, float]]] = {trainer: [] for trainer in trainers}
        values: dict[str, str] = {}
        for _ in range(arguments.rounds):
            for trainer, run in trainers.items():
                here, value_here = timed(ours, case)
                there, value_there = timed(run, case)
                rounds[trainer].append((here, there))
                values[trainer] = f"{value_here:.4f} | {value_there:.4f}"
        for trainer, pairs in rounds.items():
            seconds_here, seconds_there = ([pair[side] for pair in pairs] for side in (0, 1))
            ratios = [there / here for here, there in pairs]
            cells = [spread(seconds_here, 2), spread(seconds_there, 1), spread(ratios, 0), values[trainer]]
            print(f"| {name} | {trainer} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
