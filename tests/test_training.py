"""The training loop: resume continues exactly, a loss that is not finite names its recordings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from acula_edge.errors import AculaEdgeError, ArtifactError, InputError
from acula_edge.training import Optimization, batch_order, fit, forget, refresh_statistics, resolve_device
from acula_edge.training.optimization import make_schedule


class Line(nn.Module):
    """Fits y = 2 x with noise that comes from every item's generator, and dropout."""

    best_figure = "val_score"
    items = 64

    def __init__(self, poison: int | None = None, kill_at: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.2), nn.Linear(8, 1))
        self.poison, self.kill_at, self.steps = poison, kill_at, 0

    def load(self, assignment):
        noise = np.array([generator.standard_normal() for generator in assignment.generators])
        return torch.from_numpy(assignment.own / 64 + 0.1 * noise).float()[:, None]

    def forward(self, assignment, x):
        if self.kill_at is not None and self.steps == self.kill_at:
            raise KeyboardInterrupt
        self.steps += 1
        loss = (self.layer(x) - 2 * x).square().mean()
        if self.poison is not None and self.poison in assignment.items:
            loss = loss * float("nan")
        return loss, {"squared": float(loss.detach())}

    def begin(self):
        pass

    def validate(self):
        x = torch.linspace(0, 1, 16)[:, None]
        with torch.no_grad():
            return {"val_score": -float((self.layer(x) - 2 * x).square().mean())}

    def describe(self, items):
        return [f"set/{item}" for item in items]


def settings(**changes) -> Optimization:
    values = {"epochs": 6, "batch_size": 16, "learning_rate": 0.01, "weight_decay": 0.01, "device": "cpu", **changes}
    return Optimization(**values)


def train(task, folder, resume=False, **changes):
    rows: list[dict] = []
    facts = fit(task, settings(**changes), folder, log=lambda **row: rows.append(row), resume=resume)
    return rows, facts


@pytest.mark.parametrize(
    ("kill_at", "changes"),
    [(1, {}), (9, {"ema_decay": 0.9}), (22, {"accumulation": 3}), (10, {"deterministic": True, "schedule": "linear"})],
)
def test_a_training_killed_at_any_step_ends_with_the_same_bits(tmp_path, kill_at, changes):
    undisturbed, resumed = Line(), Line()
    rows, facts = train(undisturbed, tmp_path / "a", save_every_s=0, **changes)
    with pytest.raises(KeyboardInterrupt):
        train(Line(kill_at=kill_at), tmp_path / "b", save_every_s=0, **changes)
    later, resumed_facts = train(resumed, tmp_path / "b", resume=True, save_every_s=0, **changes)
    for name, value in undisturbed.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert resumed_facts["steps"] == facts["steps"]
    untimed = [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
    assert [{k: v for k, v in row.items() if k != "seconds"} for row in later] == untimed[-len(later) :]
    assert resumed.steps < undisturbed.steps or kill_at == 1  # it did go on, not begin again


def test_training_lowers_the_loss_and_logs_every_epoch(tmp_path):
    rows, facts = train(Line(), tmp_path, epochs=20)
    assert facts["epochs"] == 20 and facts["steps"] == 80
    assert rows[-1]["loss"] < rows[0]["loss"] / 2
    assert rows[-1]["learning_rate"] < rows[5]["learning_rate"]


def test_accumulated_batches_are_one_step_and_their_gradients_one_mean(tmp_path):
    class Plain(Line):
        def load(self, assignment):
            self.layer[1].p = 0.0
            return torch.from_numpy(assignment.own / 64).float()[:, None]

    whole, quarters = Plain(), Plain()
    assert train(whole, tmp_path / "a", batch_size=64, epochs=1)[1]["steps"] == 1
    assert train(quarters, tmp_path / "b", batch_size=16, accumulation=4, epochs=1)[1]["steps"] == 1
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(value, quarters.state_dict()[name], rtol=1e-5, atol=1e-6)


def test_state_of_another_recipe_is_not_taken_up(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(Line(kill_at=9), tmp_path)
    rows, _ = train(Line(), tmp_path, resume=True, learning_rate=0.02)
    assert rows[0]["epoch"] == 1
    forget(tmp_path)
    assert not tmp_path.exists()


def test_a_damaged_state_says_what_to_delete(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(Line(kill_at=9), tmp_path)
    (state,) = tmp_path.glob("state-*.pt")
    state.write_bytes(state.read_bytes()[:200])
    with pytest.raises(ArtifactError, match="cannot be read"):
        train(Line(), tmp_path, resume=True)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_loss_that_is_not_finite_stops_with_the_recordings(tmp_path, accumulation):
    with pytest.raises(AculaEdgeError, match="loss of step .* is not finite") as caught:
        train(Line(poison=7), tmp_path, batch_size=8, accumulation=accumulation)
    assert "set/7" in str(caught.value) or "more" in str(caught.value)


def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_spoiled(tmp_path):
    class Cusp(Line):
        def forward(self, assignment, x):
            return (self.layer(x) * 0).abs().sum().sqrt(), {}

    task = Cusp()
    before = {name: value.clone() for name, value in task.state_dict().items()}
    with pytest.raises(AculaEdgeError, match="gradient of step 0 is not finite"):
        train(task, tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in task.state_dict().items())


class Worsening(Line):
    """Its validation figure falls from the first epoch on."""

    def validate(self):
        self.seen = getattr(self, "seen", 0) + 1
        self.kept = getattr(self, "kept", None) or {k: v.clone() for k, v in self.state_dict().items()}
        return {"val_score": -float(self.seen)}


def test_best_epoch_is_restored_when_asked(tmp_path):
    task = Worsening()
    train(task, tmp_path, keep_best=True)
    for name, value in task.kept.items():
        assert torch.equal(value, task.state_dict()[name])


def test_patience_waits_for_the_learning_rate_to_fall(tmp_path):
    _, facts = train(Worsening(), tmp_path / "a", patience=2, epochs=20)
    half = 20 * (0.15 + 0.85 / 2)  # a cosine is at one half in the middle
    assert half + 2 <= facts["epochs"] <= half + 3

    class Unjudged(Line):
        def validate(self):
            return {}

    assert train(Unjudged(), tmp_path / "b", patience=2, epochs=5)[1]["epochs"] == 5


def test_validation_may_be_looked_at_less_often(tmp_path):
    task = Worsening()
    rows, _ = train(task, tmp_path, epochs=5, validate_every=2)
    assert ["val_score" in row for row in rows] == [False, True, False, True, True]
    assert task.seen == 3


@pytest.mark.parametrize(("exponent", "share"), [(1.0, 0.1), (0.5, 0.25), (0.0, 0.5)])
def test_a_small_corpus_is_drawn_by_weight_and_each_of_its_items_in_turn(exponent, share):
    corpora = np.repeat([0, 1], [1800, 200])
    order = np.concatenate(batch_order(2000, 50, 3, 1, corpora=corpora, exponent=exponent))
    times = np.bincount(order, minlength=2000)
    assert len(order) == 2000
    assert (corpora[order] == 1).mean() == pytest.approx(share, abs=0.03)
    assert np.ptp(times[1800:]) <= 1 and times[:1800].max() == 1
    again = np.concatenate(batch_order(2000, 50, 3, 1, corpora=corpora, exponent=exponent))
    np.testing.assert_array_equal(order, again)


def test_every_step_can_be_logged(tmp_path):
    seen = []
    fit(
        Line(), settings(epochs=2, accumulation=2), tmp_path,
        log=lambda **_: None, log_step=lambda step, figures: seen.append((step, figures)),
    )  # fmt: skip
    assert [step for step, _ in seen] == [1, 2, 3, 4]
    assert {"loss", "squared", "learning_rate"} <= seen[0][1].keys()


def test_the_published_schedule_warms_up_by_steps_and_falls_in_a_line_to_zero():
    layer = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    schedule = make_schedule(optimizer, settings(schedule="linear", warmup_steps=4), 12)
    rates = []
    for _ in range(12):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(rates[:5], [0.25, 0.5, 0.75, 1, 1])
    np.testing.assert_allclose(np.diff(rates[4:]), -1 / 8)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0)


def test_batches_are_whole_mixed_and_shared_evenly():
    assert [len(batch) for batch in batch_order(5, 16, 0, 0)] == [5]
    assert sorted(np.concatenate(batch_order(32, 16, 0, 1)).tolist()) == list(range(32))
    assert not np.array_equal(batch_order(32, 16, 0, 1)[0], batch_order(32, 16, 0, 2)[0])
    assert [len(batch) for batch in batch_order(5, 16, 0, 0, processes=2)] == [4]
    with pytest.raises(InputError, match=r"align.batch_size=18"):
        batch_order(64, 16, 0, 0, processes=3)
    with pytest.raises(InputError, match="fewer training items than processes"):
        batch_order(1, 16, 0, 0, processes=2)


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
    refresh_statistics(nn.Linear(1, 1), [])  # nothing to refresh
