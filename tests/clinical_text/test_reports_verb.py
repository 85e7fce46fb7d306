"""acula-edge data reports: what it prints, what it asks, what it needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from acula_edge.cli.main import cli
from acula_edge.data.manifest import write_manifest
from tests.clinical_text.conftest import Endpoint, breaths, rows_of


def write(folder: Path, *words: object, stdin: str | None = None) -> Result:
    manifest = folder / "recordings.jsonl"
    if not manifest.exists():
        write_manifest(manifest, breaths(4))
    line = ["data", "reports", manifest, "--recipe", "phantom", "--set", "reports.variants=1", *words]
    return CliRunner().invoke(cli, [str(word) for word in line], input=stdin)


def http(endpoint: Endpoint, *more: str) -> list[str]:
    settings = ["writer=http", f"http.url={endpoint.url}", "http.model=stub", *more]
    return [word for setting in settings for word in ("--set", f"reports.{setting}")]


def test_a_path_on_stdout_and_the_account_on_stderr(tmp_path: Path) -> None:
    result = write(tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(tmp_path / "reports.jsonl")
    assert "fallbacks: 0" in result.stderr and "COPD" not in result.output
    told = json.loads(write(tmp_path, "--json", "--out", tmp_path / "other.jsonl").stdout)
    assert told["reports"] == 4 and told["reports_file"].endswith("other.jsonl")


def test_the_run_s_own_recipe_is_the_default(tmp_path: Path) -> None:
    write_manifest(tmp_path / "recordings.jsonl", breaths(2))
    (tmp_path / "recipe.yaml").write_text("reports: {variants: 5}\n")
    result = CliRunner().invoke(cli, ["data", "reports", str(tmp_path / "recordings.jsonl")])
    assert result.exit_code == 0, result.output
    assert len(rows_of(tmp_path / "reports.jsonl")) == 10


def test_nothing_is_sent_without_consent(endpoint: Endpoint, tmp_path: Path) -> None:
    prices = ("http.price_in=1", "http.price_out=2")
    result = write(tmp_path, *http(endpoint, *prices))
    assert result.exit_code == 2 and "--yes" in result.stderr
    assert endpoint.requests == []
    assert endpoint.url in result.stderr and '"role": "system"' in result.stderr and "cost: about" in result.stderr
    result = write(tmp_path, *http(endpoint, *prices), "--yes", "--json")
    assert result.exit_code == 0, result.output
    assert len(endpoint.requests) == 4
    assert json.loads(result.stdout)["cost"] == round(4 * (100 * 1 + 20 * 2) / 1e6, 6)


def test_rows_without_a_report_are_told(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.answer = lambda body, number: (400, b"", {})
    result = write(tmp_path, *http(endpoint), "--yes")
    assert result.exit_code == 0 and "4 rows have no report" in result.stderr


def test_an_edited_prompt_is_what_is_sent(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("Be brief.")
    write(tmp_path, *http(endpoint, f"prompt={tmp_path / 'mine.txt'}"), "--yes")
    assert {request["body"]["messages"][0]["content"] for request in endpoint.requests} == {"Be brief."}
    result = write(tmp_path, *http(endpoint, f"prompt={tmp_path / 'gone.txt'}"), "--yes")
    assert result.exit_code == 2 and "reports.prompt" in result.stderr


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("reports.leave_out=[devise]", "did you mean 'device'"),
        ("reports.mapping=gone.yaml", "there is no file or folder"),
        ("reports.writer=http", "needs an endpoint"),
        ("reports.writer=local-llm", "reports.local.model"),
    ],
)
def test_a_recipe_s_mistakes_are_found_before_hours_of_work(setting: str, message: str) -> None:
    result = CliRunner().invoke(cli, ["recipes", "check", "phantom", "--set", setting])
    assert result.exit_code == 2 and message in result.stderr
