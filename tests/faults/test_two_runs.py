"""Two verbs into one run: the second is refused with the first's purpose, number and age, and changes nothing."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from acula_edge.cli.main import cli
from acula_edge.files import write_json, write_text
from acula_edge.recipe import dump_recipe, load_recipe
from tests.pipeline.conftest import snapshot
from tests.test_folder_lock import holder

LINES = (
    "data prepare phantom --recipe phantom --out run",
    "data reports run/recordings.jsonl",
    "train --out run",
    "train --out run --resume",
    "distill run",
    "export run --int8",
    "verify run",
    "benchmark run/export/base-cpu_x86",
)


@pytest.fixture
def in_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run of which every verb finds what it asks for before it takes the lock."""
    run = tmp_path / "run"
    write_text(run / "recipe.yaml", dump_recipe(load_recipe("phantom")))
    write_text(run / "recordings.jsonl", "")
    write_text(run / "encoder" / "model.safetensors", "")
    write_json(run / "export" / "base-cpu_x86" / "bundle.json", {})
    monkeypatch.chdir(tmp_path)
    return run


@pytest.mark.parametrize("line", LINES)
def test_the_second_into_one_run_is_refused(line: str, in_run: Path) -> None:
    name = ".reports.jsonl.lock" if line.startswith("data reports") else None
    with holder(in_run, "export", name) as first:
        before = snapshot(in_run.parent)
        done = CliRunner().invoke(cli, shlex.split(line))
        assert done.exit_code == 2, done.stderr
        assert re.search(rf"acula-edge export, process {first.pid} on \S+, for 0 min \d+ s", done.stderr)
        assert "the lock ends with that process by itself" in done.stderr
        assert snapshot(in_run.parent) == before
