"""The training loop: resume continues exactly, a loss that is not finite names its recordings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from acula_edge.errors import AculaEdgeError, InputError
from acula_edge.training import Optimization, batch_order, fit, forget, refresh_statistics, resolve_device


class Line(nn.Module):
    """Fits y = 2 x with noise that comes from the batch's generator, and dropout."""

    best_figure = "val_score"
    items = 64

    def __init__(self, poison: int | None = None, stop_after: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.2), nn.Linear(8, 1))
        self.poison, self.stop_after, self.seen = poison, stop_after, 0

    def forward(self, items, generator):
        x = torch.from_numpy(items[:, None] / 64 + 0.1 * generator.standard_normal((len(items), 1))).float()
        loss = (self.layer(x) - 2 * x).square().mean()
        if self.poison is not None and self.poison in items:
            loss = loss * float("nan")
        return loss, {"squared": float(loss.detach())}

    def validate(self):
        self.seen += 1
        if self.stop_after is not None and self.seen > self.stop_after:
            raise KeyboardInterrupt
        x = torch.linspace(0, 1, 16)[:, None]
        with torch.no_grad():
            return {"val_score": -float((self.layer(x) - 2 * x).square().mean())}

    def describe(self, items):
        return [f"set/{item}" for item in items]


def settings(**changes) -> Optimization:
    values = {"epochs": 6, "batch_size": 16, "learning_rate": 0.01, "weight_decay": 0.01, "device": "cpu", **changes}
    return Optimization(**values)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_killed_training_resumes_to_the_same_weights(tmp_path, ema):
    undisturbed = Line()
    fit(undisturbed, settings(ema_decay=ema), tmp_path / "a", log=lambda **_: None)
    with pytest.raises(KeyboardInterrupt):
        fit(Line(stop_after=3), settings(ema_decay=ema), tmp_path / "b", log=lambda **_: None)
    resumed = Line()
    rows = []
    fit(resumed, settings(ema_decay=ema), tmp_path / "b", log=lambda **row: rows.append(row), resume=True)
    assert [row["epoch"] for row in rows] == [4, 5, 6]
    for name, value in undisturbed.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_training_lowers_the_loss_and_logs_every_epoch(tmp_path):
    rows = []
    facts = fit(Line(), settings(epochs=20), tmp_path, log=lambda **row: rows.append(row))
    assert facts["epochs"] == 20 and facts["steps"] == 80
    assert rows[-1]["loss"] < rows[0]["loss"] / 2
    assert rows[-1]["learning_rate"] < rows[5]["learning_rate"]


def test_state_of_another_recipe_is_not_taken_up(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(Line(stop_after=2), settings(), tmp_path, log=lambda **_: None)
    rows = []
    fit(Line(), settings(learning_rate=0.02), tmp_path, log=lambda **row: rows.append(row), resume=True)
    assert rows[0]["epoch"] == 1
    forget(tmp_path)
    assert not tmp_path.exists()


def test_a_loss_that_is_not_finite_stops_with_the_recordings(tmp_path):
    with pytest.raises(AculaEdgeError, match="set/7"):
        fit(Line(poison=7), settings(batch_size=8), tmp_path, log=lambda **_: None)


def test_best_epoch_is_restored_when_asked(tmp_path):
    class Worsening(Line):
        def validate(self):
            self.seen += 1
            self.kept = getattr(self, "kept", None) or {k: v.clone() for k, v in self.state_dict().items()}
            return {"val_score": -float(self.seen)}

    task = Worsening()
    fit(task, settings(keep_best=True), tmp_path, log=lambda **_: None)
    for name, value in task.kept.items():
        assert torch.equal(value, task.state_dict()[name])


def test_max_steps_and_small_corpora():
    assert [len(batch) for batch in batch_order(5, 16, 0, 0)] == [5]
    assert sorted(np.concatenate(batch_order(32, 16, 0, 1)).tolist()) == list(range(32))
    assert not np.array_equal(batch_order(32, 16, 0, 1)[0], batch_order(32, 16, 0, 2)[0])


def test_cuda_where_there_is_none_is_a_clear_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no CUDA GPU"):
        resolve_device("cuda")
    assert resolve_device("auto").type == "cpu"


def test_refreshed_statistics_are_those_of_the_clean_inputs():
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 1))
    inputs = torch.randn(128, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 3 + 5
    refresh_statistics(model, inputs.split(32))
    assert float(model[0].running_mean) == pytest.approx(float(inputs.mean()), rel=1e-3)
    assert float(model[0].running_var) == pytest.approx(float(inputs.var()), rel=0.05)
    assert model[0].momentum == 0.1 and not model.training and not model[0].training
    with pytest.raises(InputError, match="no inputs"):
        refresh_statistics(model, [])
