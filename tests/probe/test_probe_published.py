"""The published probe against one written plainly: one head at a time, in torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from acula_edge.data.manifest import Recording
from acula_edge.errors import InputError
from acula_edge.probe.eligibility import why_not_published
from acula_edge.probe.published_protocol import leave_one_out, macro_auroc, published_probe, stopping_epoch
from acula_edge.probe.published_training import Draws, class_loss, regression_loss, train, with_bias
from acula_edge.probe.tasks import PublishedProbe, Task, number, tasks


class TorchDraws:
    """Random numbers of another kind than the library's."""

    def __init__(self, *seed: int) -> None:
        self._generator = torch.Generator().manual_seed(hash(seed) % 2**32)

    def start(self, columns: int, dimensions: int) -> np.ndarray:
        return torch.empty(columns, dimensions).normal_(0.0, 0.01, generator=self._generator).numpy()

    def order(self, count: int) -> np.ndarray:
        return torch.randperm(count, generator=self._generator).numpy()


def plain_training(
    x: np.ndarray,
    y: np.ndarray,
    outputs: int,
    draws: Draws | TorchDraws,
    probe: PublishedProbe,
    mean: float = 0.0,
    std: float = 1.0,
) -> Iterator[torch.nn.Linear]:
    """One head after every epoch; one output is a regression."""
    head = torch.nn.Linear(x.shape[1], outputs)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(draws.start(outputs, x.shape[1])))
        head.bias.zero_()
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-4)
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.97)
    features = torch.from_numpy(x)
    targets = torch.from_numpy(y.astype(np.float32)) if outputs == 1 else torch.from_numpy(y.astype(np.int64))
    for _ in range(probe.epochs):
        for batch in torch.from_numpy(draws.order(len(x))).split(probe.batch_size):
            output = head(features[batch])
            if outputs == 1:
                loss = torch.nn.functional.mse_loss(output[:, 0] * std + mean + 1e-10, targets[batch])
            else:
                loss = torch.nn.functional.cross_entropy(output + 1e-10, targets[batch])
            penalty = sum(parameter.pow(2).sum() for parameter in head.parameters())
            optimizer.zero_grad()
            (loss + (0.1 if outputs == 1 else 1e-5) * penalty).backward()
            torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
            optimizer.step()
        decay.step()
        yield head


def plain_auroc(head: torch.nn.Linear, x: np.ndarray, y: np.ndarray) -> float:
    with torch.no_grad():
        probabilities = head(torch.from_numpy(x)).softmax(dim=1).numpy()
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(y, probabilities[:, 1]))
    return float(
        np.mean([roc_auc_score(y == label, probabilities[:, label]) for label in range(probabilities.shape[1])])
    )


def plain_classes(
    study: Classes, task: Task, draws: type[Draws] | type[TorchDraws], seeds: range = range(5)
) -> tuple[list[float], list[int]]:
    """Test AUROC and best epoch of every seed."""
    probe, areas, epochs = task.published_probe, [], []
    assert probe is not None
    for seed in seeds:
        best, kept, epoch_of_best = -1.0, None, 0
        x, y = study.part("train")
        for epoch, head in enumerate(plain_training(x, y, len(task.labels), draws(seed), probe), start=1):
            if epoch % probe.validate_every == 0 and (area := plain_auroc(head, *study.part("val"))) > best:
                best, epoch_of_best = area, epoch
                kept = {name: value.clone() for name, value in head.state_dict().items()}
        head.load_state_dict(kept)
        areas.append(plain_auroc(head, *study.part("test")))
        epochs.append(epoch_of_best)
    return areas, epochs


def plain_regression(
    x: np.ndarray, y: np.ndarray, subjects: list[str], task: Task, draws: type[Draws], seed: int = 0
) -> tuple[list[float], list[float], list[int]]:
    """MAE, MAPE and best epoch of every held-out subject."""
    probe, maes, mapes, epochs = task.published_probe, [], [], []
    assert probe is not None
    owner = np.array(subjects)
    for index, held_out in enumerate(dict.fromkeys(subjects)):
        others = np.flatnonzero(owner != held_out)
        if probe.val_unit == "recording":
            fit, val = train_test_split(others, test_size=probe.val_fraction, random_state=42)
        else:
            names = [name for name in dict.fromkeys(subjects) if name != held_out]
            fit_names, _ = train_test_split(names, test_size=probe.val_fraction, random_state=42)
            fit = np.array([row for row in others if owner[row] in fit_names])
            val = np.array([row for row in others if owner[row] not in fit_names])
        mean, std = float(y[fit].mean()), float(y[fit].std())

        def error(head: torch.nn.Linear, rows: np.ndarray, mean: float = mean, std: float = std) -> np.ndarray:
            with torch.no_grad():
                return np.abs(head(torch.from_numpy(x[rows]))[:, 0].numpy() * std + mean - y[rows])

        best, kept, epoch_of_best, lowest, waited = np.inf, None, 0, np.inf, 0
        trained = plain_training(x[fit], y[fit], 1, draws(seed, index), probe, mean, std)
        for epoch, head in enumerate(trained, start=1):
            now = error(head, val).mean()
            if epoch % probe.validate_every == 0 and now < best:
                best, epoch_of_best = now, epoch
                kept = {name: value.clone() for name, value in head.state_dict().items()}
            waited = 0 if now < lowest - 0.001 else waited + 1
            lowest = now if waited == 0 else lowest
            if waited == probe.patience:
                break
        head.load_state_dict(kept)
        rows = np.flatnonzero(owner == held_out)
        maes.append(float(error(head, rows).mean()))
        mapes.append(float((error(head, rows) / y[rows]).mean()))
        epochs.append(epoch_of_best)
    return maes, mapes, epochs


class Classes:
    """Recordings of a task and features, the larger the faster learned, that tell its classes apart."""

    def __init__(self, task: Task, counts: dict[str, int], distance: float, scale: float = 1.0) -> None:
        rng = np.random.default_rng(0)
        self.recordings = [
            Recording(f"{split}-{n}", "", f"{split}{n}", task.dataset, 16000, 1.0, split=split, metadata={"y": label})
            for split, count in counts.items()
            for n in range(count)
            for label in [n % len(task.labels)]
        ]
        self.labels = np.array([recording.metadata["y"] for recording in self.recordings])
        self.embeddings = rng.normal(size=(len(self.recordings), 12)).astype(np.float32)
        self.embeddings[np.arange(len(self.labels)), self.labels] += distance
        self.embeddings *= scale

    def part(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        rows = [row for row, recording in enumerate(self.recordings) if recording.split == split]
        return self.embeddings[rows], self.labels[rows]


def classes_task(count: int, probe: PublishedProbe) -> Task:
    kind = "binary" if count == 2 else "multiclass"
    names = tuple("abcde"[:count])
    return replace(tasks["T6"], kind=kind, labels=names, target=number("y"), published_probe=probe)


COUNTS = {"train": 150, "val": 90, "test": 120}


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_classes_train_as_one_at_a_time(classes: int) -> None:
    probe = PublishedProbe(batch_size=32, epochs=6)
    study = Classes(classes_task(classes, probe), COUNTS, distance=2.0, scale=20.0)
    x, y = study.part("train")
    together = train(
        with_bias(x), [np.arange(len(x))] * 3, class_loss(y), classes, [Draws(seed) for seed in range(3)],
        batch_size=32, epochs=6, l2=1e-5,
    )  # fmt: skip
    alone = [plain_training(x, y, classes, Draws(seed), probe) for seed in range(3)]
    for weights, *heads in zip(together, *alone, strict=True):
        for own, head in zip(weights, heads, strict=True):
            assert own[:, :-1] == pytest.approx(head.weight.detach().numpy(), abs=2e-6)
            assert own[:, -1] == pytest.approx(head.bias.detach().numpy(), abs=2e-6)
    assert np.abs(weights[0] - weights[1]).max() > 1e-3, "seeds differ"


def test_regressions_of_unequal_length_train_as_one_at_a_time() -> None:
    """Folds with one, two and three batches per epoch."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6)).astype(np.float32)
    y = (3 + x[:, 0]).astype(np.float32)
    rows = [np.arange(35), np.arange(5, 30), np.arange(20, 28)]
    mean, std = np.array([2.9, 3.1, 3.4], np.float32), np.array([0.9, 1.1, 0.5], np.float32)
    probe = PublishedProbe(batch_size=16, epochs=8)
    together = train(
        with_bias(x), rows, regression_loss(y, mean, std), 1, [Draws(0, fold) for fold in range(3)],
        batch_size=16, epochs=8, l2=0.1,
    )  # fmt: skip
    alone = [
        plain_training(x[own], y[own], 1, Draws(0, fold), probe, float(mean[fold]), float(std[fold]))
        for fold, own in enumerate(rows)
    ]
    for weights, *heads in zip(together, *alone, strict=True):
        for own, head in zip(weights, heads, strict=True):
            assert own[0, :-1] == pytest.approx(head.weight[0].detach().numpy(), abs=2e-6)
            assert own[0, -1] == pytest.approx(head.bias.item(), abs=2e-6)


@pytest.mark.parametrize(("classes", "every"), [(2, 1), (2, 3), (4, 1)])
def test_with_the_same_draws_seeds_stop_at_the_same_epochs(classes: int, every: int) -> None:
    task = classes_task(classes, PublishedProbe(batch_size=16, epochs=20, validate_every=every))
    study = Classes(task, COUNTS, distance=0.3, scale=40.0)
    areas, epochs = plain_classes(study, task, Draws)
    result = published_probe(study.embeddings, study.recordings, task)
    assert result.best_epochs == tuple(epochs) and len(set(epochs)) > 1
    assert result.per_seed == pytest.approx(areas, abs=1e-4)
    assert result.value == pytest.approx(np.mean(areas), abs=1e-4) and result.std == pytest.approx(
        np.std(areas), abs=1e-4
    )
    assert result.n == COUNTS and result.seeds == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("classes", [2, 3])
def test_with_draws_of_its_own_the_mean_agrees(classes: int) -> None:
    task = classes_task(classes, PublishedProbe(batch_size=32, epochs=16))
    study = Classes(task, {"train": 900, "val": 300, "test": 900}, distance=1.0, scale=20.0)
    areas, _ = plain_classes(study, task, TorchDraws)
    result = published_probe(study.embeddings, study.recordings, task)
    assert result.value == pytest.approx(np.mean(areas), abs=0.002)
    assert 0.6 < result.value < 0.9 and result.std < 0.02


def test_the_first_best_epoch_is_kept() -> None:
    """Every look at the validation set is perfect from some epoch on."""
    task = classes_task(2, PublishedProbe(batch_size=16, epochs=24, validate_every=2))
    study = Classes(task, COUNTS, distance=8.0, scale=5.0)
    areas, epochs = plain_classes(study, task, Draws)
    result = published_probe(study.embeddings, study.recordings, task)
    assert result.best_epochs == tuple(epochs) and len(set(epochs)) > 1 and max(epochs) < 24
    assert result.per_seed == pytest.approx(areas, abs=1e-4) and result.value > 0.999


def test_areas_count_ties_one_half() -> None:
    rng = np.random.default_rng(0)
    for classes in (2, 3, 5):
        labels = np.arange(60) % classes
        rounded = np.round(rng.random((4, 7, 60, classes)), 1).astype(np.float32)
        areas = macro_auroc(labels, rounded)
        assert areas.shape == (4, 7)
        for index in np.ndindex(4, 7):
            columns = [1] if classes == 2 else range(classes)
            expected = np.mean([roc_auc_score(labels == label, rounded[index][:, label]) for label in columns])
            assert areas[index] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(macro_auroc(np.zeros(5, int), np.ones((5, 2), np.float32)))


def regression_study(subjects: int, most: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray, list[Recording]]:
    rng = np.random.default_rng(1)
    owner = np.repeat(np.arange(subjects), rng.integers(1, most + 1, subjects))
    y = (3.5 + 0.8 * rng.normal(size=subjects))[owner] + (0.2 * rng.normal(size=len(owner)) if most > 1 else 0.0)
    x = rng.normal(size=(len(owner), 10)).astype(np.float32)
    x[:, :4] += spread * (y[:, None] - 3.5)
    recordings = [
        Recording(f"{row}", "", f"person-{who}", "mmlung", 16000, 1.0, split="test", metadata={"y": float(value)})
        for row, (who, value) in enumerate(zip(owner, y, strict=True))
    ]
    return x, y, recordings


REGRESSIONS = {
    "early stop": PublishedProbe(batch_size=64, epochs=64, validate_every=3, patience=5, val_fraction=0.11),
    "several batches": PublishedProbe(batch_size=8, epochs=10, val_fraction=0.2, val_unit="recording"),
    "many recordings": PublishedProbe(batch_size=8, epochs=30, validate_every=2, patience=3, val_fraction=0.3),
}


@pytest.mark.parametrize(("name", "most"), [("early stop", 1), ("several batches", 4), ("many recordings", 4)])
def test_regression_is_that_of_one_fold_at_a_time(name: str, most: int) -> None:
    task = replace(tasks["T13"], target=number("y"), published_probe=REGRESSIONS[name])
    x, y, recordings = regression_study(14, most, spread=4.0)
    maes, mapes, epochs = plain_regression(x, y, [recording.subject for recording in recordings], task, Draws)
    result = published_probe(x, recordings, task)
    assert result.best_epochs == tuple(epochs)
    assert result.per_subject == pytest.approx(maes, abs=1e-4)
    assert (result.value, result.std) == pytest.approx((np.mean(maes), np.std(maes)), abs=1e-4)
    assert (result.mape, result.mape_std) == pytest.approx((np.mean(mapes), np.std(mapes)), abs=1e-4)
    assert result.n == {"test": len(recordings), "subjects": 14} and result.seeds == (0,)
    if name == "early stop":
        assert min(epochs) < 60 and all(epoch % 3 == 0 for epoch in epochs)


def test_training_stops_by_every_epoch_even_where_few_are_kept() -> None:
    errors = np.array([1.0, 0.5, 0.4995, 0.4991, 0.499, 0.4985, 0.3])
    assert stopping_epoch(errors, 3) == 5, "0.001 must be passed, and from the best, not from the last"
    assert stopping_epoch(errors, 5) == 7 and stopping_epoch(errors, None) == 7
    slow = 1 - 0.0009 * np.arange(30)
    assert stopping_epoch(slow, 2) == 30, "two steps are more than 0.001"
    assert stopping_epoch(np.full(9, 1.0), 5) == 6


def test_validation_draws_are_the_published_ones() -> None:
    mmlung = tasks["T13"].published_probe
    assert mmlung is not None
    folds = leave_one_out([f"p{n}" for n in range(40)], mmlung)
    assert {(len(fold.train), len(fold.val), len(fold.test)) for fold in folds} == {(34, 5, 1)}
    for held_out, fold in enumerate(folds):
        _, val = train_test_split(np.delete(np.arange(40), held_out), test_size=0.11, random_state=42)
        assert set(fold.val) == set(val) and fold.test.tolist() == [held_out]
    nosemic = tasks["T19"].published_probe
    assert nosemic is not None
    owners = [f"u{n % 7}" for n in range(100)]
    for held_out, fold in enumerate(leave_one_out(owners, nosemic)):
        others = np.flatnonzero(np.arange(100) % 7 != held_out)
        _, val = train_test_split(others, test_size=0.2, random_state=42)
        assert set(fold.val) == set(val) and set(fold.train) | set(fold.val) == set(others)


def test_a_result_is_json_without_subjects() -> None:
    task = replace(
        tasks["T13"], target=number("y"), published_probe=PublishedProbe(batch_size=64, epochs=3, val_fraction=0.11)
    )
    x, _, recordings = regression_study(6, 2)
    result = published_probe(x, recordings, task)
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert json.loads(text)["per_subject"] == list(result.per_subject) and "person" not in text
    zero = [replace(recordings[0], metadata={"y": 0.0}), *recordings[1:]]
    assert published_probe(x, zero, task).mape is None


def test_what_is_missing_is_named() -> None:
    task = classes_task(2, PublishedProbe(batch_size=16, epochs=2))
    study = Classes(task, COUNTS, distance=1.0)
    assert why_not_published(task, study.recordings) is None
    for split in ("train", "val", "test"):
        kept = [r for r in study.recordings if r.split != split or r.metadata["y"] == 0]
        assert why_not_published(task, kept) == f"0 subjects with b in the {split} split, 1 needed"
        with pytest.raises(InputError, match=f"0 subjects with b in the {split} split"):
            published_probe(np.zeros((len(kept), 3)), kept, task)
    no_val = [recording for recording in study.recordings if recording.split != "val"]
    assert why_not_published(task, no_val) == "no usable recordings in the val split"
    assert str(why_not_published(task, [])).startswith("data not found: this run holds no recordings of coughvid")
    assert why_not_published(tasks["P1"], study.recordings) == "no published protocol"
    _, _, recordings = regression_study(2, 3)
    assert why_not_published(replace(tasks["T13"], target=number("y")), recordings) == (
        "2 subjects with any target in the test split, 3 needed"
    )
    with pytest.raises(InputError, match="one finite embedding per recording"):
        published_probe(np.full((len(study.recordings), 3), np.nan), study.recordings, task)
