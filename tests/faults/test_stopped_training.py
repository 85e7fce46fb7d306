"""A training that a signal ends: the step under way is finished and kept, and the rest is as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from acula_edge.interruption import Stopped, stoppable
from acula_edge.training import batches
from tests.group import run_together
from tests.test_training import Line, train

CHANGES: dict[str, Any] = {"save_every_s": 600.0, "ema_decay": 0.9, "keep_best": True}


class Stopping(Line):
    """Sends its own process a signal in the middle of a step, or of a validation."""

    def __init__(
        self, at_step: int | None = None, at_validation: int | None = None, number: int = signal.SIGTERM
    ) -> None:
        super().__init__()
        self.number = number
        self.at_step, self.at_validation, self.validations = at_step, at_validation, 0

    def forward(self, assignment: Any, x: Any) -> Any:
        if self.steps == self.at_step:
            os.kill(os.getpid(), self.number)
        return super().forward(assignment, x)

    def validate(self) -> dict[str, float]:
        self.validations += 1
        if self.validations == self.at_validation:
            os.kill(os.getpid(), self.number)
        return super().validate()


@pytest.mark.parametrize(
    ("stopping", "kept", "changes"),
    [
        ({"at_step": 0}, 1, {}),
        ({"at_step": 9}, 10, {}),
        ({"at_step": 11}, 12, {}),  # the last of its epoch
        ({"at_validation": 2}, 8, {}),
        ({"at_step": 4}, 3, {"accumulation": 3}),
        ({"at_validation": 1}, 3, {"max_steps": 3}),  # after the last step of all
    ],
    ids=lambda value: "-".join(map(str, [*value, *value.values()])) if isinstance(value, dict) else str(value),
)
def test_a_stopped_training_keeps_the_step_and_ends_with_the_same_bits(
    stopping: dict[str, int], kept: int, changes: dict[str, Any], tmp_path: Path
) -> None:
    undisturbed, stopped, resumed = Line(), Stopping(**stopping), Line()
    rows, facts = train(undisturbed, tmp_path / "a", **CHANGES, **changes)
    with stoppable(), pytest.raises(Stopped):
        train(stopped, tmp_path / "b", **CHANGES, **changes)
    assert json.loads((tmp_path / "b" / "state.json").read_text())["step"] == kept
    assert [path.name for path in (tmp_path / "b").glob(".*")] == []
    later, resumed_facts = train(resumed, tmp_path / "b", resume=True, **CHANGES, **changes)
    for name, value in undisturbed.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert resumed_facts["steps"] == facts["steps"] and stopped.steps + resumed.steps == undisturbed.steps
    untimed = [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
    assert [{k: v for k, v in row.items() if k != "seconds"} for row in later] == untimed[-len(later) :]


def test_a_step_that_was_not_finished_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):  # no command line, so nothing waits for the step
        train(Line(kill_at=5), tmp_path, **CHANGES)
    assert json.loads((tmp_path / "state.json").read_text())["step"] == 4


def test_reading_ahead_ends_with_the_reader() -> None:
    """What was read for a step that never comes is dropped, and its thread with it."""
    order = batches.batch_order(64, 16, 0, 0)
    assignments = (batches.assign(items, (0, 0, number), 0, 1) for number, items in enumerate(order))
    reading: Iterator[Any] = batches.read_ahead(lambda assignment: assignment.own, assignments)
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert next(assignments, None) is not None


GROUP = """
import os, signal, sys, time, types
from pathlib import Path
import acula_edge
from acula_edge.processes import rank
from tests.faults.test_stopped_training import Stopping, train

def train_together(**_):
    train(Stopping(at_step={steps}[rank()], number={number}), Path({folder!r}), save_every_s=600.0)

pipeline = types.ModuleType("acula_edge.pipeline")
pipeline.train = train_together
sys.modules["acula_edge.pipeline"] = acula_edge.pipeline = pipeline
from acula_edge.cli.main import main
main(["train"])
"""


def test_a_process_that_was_killed_ends_the_group_with_a_named_error(tmp_path: Path) -> None:
    """As the kernel ends one for want of memory: no exception, no word."""
    code = GROUP.format(folder=str(tmp_path), steps=[None, 6], number=int(signal.SIGKILL))
    first, second = run_together(code, timeout_s=60)
    assert second.returncode == -signal.SIGKILL
    assert first.returncode == 2, first.stderr
    assert "another process of this group has ended" in first.stderr and "Traceback" not in first.stderr
    assert first.stderr.splitlines()[-1] == "  then:    go on where it stopped: acula-edge train --resume"
    assert json.loads((tmp_path / "state.json").read_text())["step"] == 4  # of the last epoch that was finished


def test_a_group_stops_at_one_step_and_only_the_main_process_says_so(tmp_path: Path) -> None:
    # Both get the signal, as from torchrun; the other one a little earlier.
    code = GROUP.format(folder=str(tmp_path), steps=[7, 6], number=int(signal.SIGTERM))
    first, second = run_together(code, timeout_s=60)
    assert (first.returncode, second.returncode) == (143, 143), first.stderr + second.stderr
    assert first.stderr.splitlines()[-2:] == [
        "interrupted", "  to do:   go on where it stopped: acula-edge train --resume",
    ]  # fmt: skip
    assert "interrupted" not in second.stderr and "Traceback" not in first.stderr + second.stderr
    assert json.loads((tmp_path / "state.json").read_text())["step"] == 8
