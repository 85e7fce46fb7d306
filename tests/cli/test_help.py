"""Every verb explains itself, and a misspelt one is answered with the likely one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from acula_edge import __version__
from acula_edge.cli.main import SECTIONS, cli

ROOT = Path(__file__).resolve().parents[2]

# DESIGN section 3.1.
VERBS = {
    "doctor", "demo", "recipes", "data", "train", "distill", "export", "audit", "build-engine", "verify",
    "benchmark", "run", "selftest", "bundle", "report",
}  # fmt: skip


def all_commands(group: click.Group, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of every verb, families and their members alike."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        yield (*prefix, name)
        command = group.get_command(ctx, name)
        if isinstance(command, click.Group):
            yield from all_commands(command, (*prefix, name))


def test_the_program_has_the_verbs_of_the_design() -> None:
    assert {name for names in SECTIONS.values() for name in names} == VERBS


@pytest.mark.parametrize("path", list(all_commands(cli)), ids=" ".join)
def test_every_verb_has_help_with_an_example(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*path, "--help"])
    assert result.exit_code == 0, result.output
    examples = re.split(r"^Examples?:$", result.output, flags=re.MULTILINE)
    assert len(examples) == 2
    lines = [line.strip() for line in examples[1].splitlines() if line.strip()]
    assert lines
    assert all(f"acula-edge {' '.join(path)}" in line for line in lines)


@pytest.mark.parametrize("path", list(all_commands(cli)), ids=" ".join)
def test_every_example_uses_options_that_exist(path: tuple[str, ...]) -> None:
    """An example that cannot be parsed is worse than none."""
    command: click.Command | None = cli
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), name)
    if isinstance(command, click.Group):
        return
    known = {option for parameter in command.params for option in parameter.opts}  # type: ignore[union-attr]
    for example in command.examples:  # type: ignore[union-attr]
        ours = next(part for part in re.split(r"[|>]", example) if "acula-edge" in part)
        used = {word.partition("=")[0] for word in ours.split() if re.match(r"--?[a-z]", word)}
        assert used <= known


def test_the_program_help_lists_every_verb_with_one_line() -> None:
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    for name in VERBS:
        assert re.search(rf"^  {name} +\S", result.output, flags=re.MULTILINE)
    assert "Exit codes" in result.output


@pytest.mark.parametrize("old", [["reports"], ["reports", "write"]])
def test_reports_of_old_are_written_by_data_reports(old: list[str]) -> None:
    found = CliRunner().invoke(cli, [*old, "--help"]).output
    assert found == CliRunner().invoke(cli, ["data", "reports", "--help"]).output and "acula-edge data reports" in found


@pytest.mark.parametrize(("typed", "meant"), [("tarin", "train"), ("exprot", "export"), ("benchmrak", "benchmark")])
def test_a_misspelt_verb_gets_a_suggestion(typed: str, meant: str) -> None:
    result = CliRunner().invoke(cli, [typed])
    assert result.exit_code == 2
    assert f"did you mean '{meant}'?" in result.output


def test_a_misspelt_member_of_a_family_gets_a_suggestion() -> None:
    result = CliRunner().invoke(cli, ["recipes", "shwo"])
    assert result.exit_code == 2
    assert "did you mean 'show'?" in result.output


def test_a_misspelt_option_gets_a_suggestion() -> None:
    result = CliRunner().invoke(cli, ["export", "--int9"])
    assert result.exit_code == 2
    assert "--int8" in result.output


@pytest.mark.parametrize("arguments", [["--version"], ["-h"]])
def test_python_dash_m_is_the_program(arguments: list[str]) -> None:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "acula_edge", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert __version__ in done.stdout if arguments == ["--version"] else "Usage: acula-edge" in done.stdout
