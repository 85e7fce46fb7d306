"""Errors end in a message and the exit code that scripts rely on."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any, NoReturn

import pytest
from click.testing import CliRunner, Result

import acula_edge
from acula_edge.cli.main import cli
from acula_edge.errors import ArtifactError, GateRefused, InputError, MissingCapability

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def train_that_raises(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that runs `acula-edge train` with a pipeline that raises a given error."""

    def invoke(error: BaseException, *options: str) -> Result:
        def train(**_: object) -> NoReturn:
            raise error

        pipeline = types.ModuleType("acula_edge.pipeline")
        pipeline.train = train  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "acula_edge.pipeline", pipeline)
        monkeypatch.setattr(acula_edge, "pipeline", pipeline, raising=False)
        return CliRunner().invoke(cli, ["train", *options])

    return invoke


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("no such thing", given="a", allowed=["b", "c"], remedy="take b"), 2),
        (ArtifactError("half a model"), 2),
        (GateRefused("worse than float"), 3),
        (MissingCapability("no GPU here", remedy="buy one"), 4),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 4),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.onnx"), 2),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "model.onnx"), 2),
        (RuntimeError("unforeseen"), 1),
        (ModuleNotFoundError("No module named 'acula_edge.nonsense'", name="acula_edge.nonsense"), 1),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_exit_code(train_that_raises: Any, error: BaseException, code: int) -> None:
    assert train_that_raises(error).exit_code == code


def test_an_error_says_what_was_given_what_is_allowed_and_what_to_do(train_that_raises: Any) -> None:
    result = train_that_raises(InputError("no such thing", given="a", allowed=["b", "c"], remedy="take b"))
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "error: no such thing",
        "  given:   a",
        "  allowed: b, c",
        "  to do:   take b",
    ]


@pytest.mark.parametrize("options", [("-v",), ("--verbose",)])
def test_verbose_shows_the_traceback(train_that_raises: Any, options: tuple[str, ...]) -> None:
    result = train_that_raises(InputError("no such thing"), *options)
    assert "Traceback" in result.stderr
    assert result.exit_code == 2


def test_a_bug_shows_its_traceback_and_says_that_it_is_one(train_that_raises: Any) -> None:
    result = train_that_raises(RuntimeError("unforeseen"))
    assert "RuntimeError: unforeseen" in result.stderr
    assert "this is a bug" in result.stderr


def test_an_interrupt_names_the_command_that_goes_on(train_that_raises: Any) -> None:
    result = train_that_raises(KeyboardInterrupt(), "--out", "runs/a b", "--set", "seed=1")
    assert "acula-edge train --out 'runs/a b' --set seed=1 --resume" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--data", "circor"],
        ["train", "--data", "circor=/no/such/folder"],
        ["train", "--no-such-option"],
        ["export", "--profile", "dsp"],
        ["benchmark"],
        ["recipes", "check", "no-such-recipe"],
    ],
    ids=" ".join,
)
def test_bad_usage_ends_with_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_recipe_with_a_misspelt_key_names_it(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("align:\n  epoch: 3\n")
    result = CliRunner().invoke(cli, ["recipes", "check", str(recipe)])
    assert result.exit_code == 2
    assert "'align.epoch'" in result.stderr
    assert "did you mean 'epochs'?" in result.stderr
    assert str(recipe) in result.stderr


def test_control_c_ends_the_process_with_130(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(
        "import sys, time, types, acula_edge\n"
        "pipeline = types.ModuleType('acula_edge.pipeline')\n"
        "def train(**_):\n    print('training', flush=True)\n    time.sleep(60)\n"
        "pipeline.train = train\n"
        "sys.modules['acula_edge.pipeline'] = acula_edge.pipeline = pipeline\n"
        "from acula_edge.cli.main import main\nmain(['train'])\n"
    )
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "interrupted.py")],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run in the background of a script inherit that Control-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "training\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "acula-edge train --resume" in stderr
    assert "Traceback" not in stderr
