"""acula-edge data list and phantom, and what data check says of a copy against the release."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from acula_edge.probe.tasks import resolve_tasks

Invoke = Callable[..., Result]

TEN = {
    "ukcovid", "coughvid", "icbhi", "coswara", "kauh", "respiratory_tr", "mmlung", "nosemic", "circor", "zchsound",
}  # fmt: skip


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from acula_edge.data.miniature import MiniatureConfig, write_miniature

    root = tmp_path_factory.mktemp("releases")
    write_miniature("icbhi", root / "icbhi", MiniatureConfig(subjects=24, duration_s=1.0))
    return root


def listed(invoke: Invoke, *words: Any) -> dict[str, Any]:
    result = invoke("data", "list", "--json", *words)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_18_tasks_and_their_ten_data_sets_are_listed(invoke: Invoke) -> None:
    found = listed(invoke)
    published = [task for task in found["tasks"] if task["published"]]
    assert [task["id"] for task in published] == [task.id for task in resolve_tasks(["published"], [])]
    assert {task["dataset"] for task in published} == TEN
    assert {row["dataset"] for row in found["datasets"]} >= TEN
    for task in found["tasks"]:
        assert task["licence"] and task["access"] and task["target"] and task["protocol"]
    for row in found["datasets"]:
        assert row["title"] and row["sound"] and row["layout"] and row["folder"] is None
    assert {task["id"] for task in published if task["assumed"]} == {"C1", "C2"}


def test_what_is_on_this_machine_is_found(invoke: Invoke, releases: Path) -> None:
    rows = {row["dataset"]: row for row in listed(invoke, "--under", releases)["datasets"]}
    assert rows["icbhi"]["folder"] == str(releases / "icbhi") and rows["icbhi"]["miniature"] is True
    assert rows["kauh"]["folder"] is None and rows["phantom"]["generated"] is True
    text = " ".join(invoke("data", "list", "--under", releases).stdout.split())
    assert "(generated)" in text and "10.17632/jwyy9np4gv" in text.replace("Mendeley Data ", "10.17632/")


def test_a_copy_is_compared_with_the_release(invoke: Invoke, releases: Path) -> None:
    result = invoke("data", "check", "icbhi", "--root", releases / "icbhi", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    rows = {row["what"]: row for row in facts["against_release"]}
    assert rows["recordings"]["expected"] == 920 and rows["recordings"]["found"] == facts["recordings"]
    assert rows["subjects"]["expected"] == 126 and rows["subjects"]["found"] == facts["subjects"]
    assert any("920" in warning and str(facts["recordings"]) in warning for warning in facts["warnings"])
    assert facts["partition"]["icbhi"]["exact"] is True


def test_a_miniature_is_made_once_and_never_over_anything_else(invoke: Invoke, tmp_path: Path) -> None:
    words = ("data", "phantom", "icbhi", "--subjects", "20", "--duration", "1", "--out", tmp_path / "icbhi")
    assert invoke(*words).exit_code == 0
    first = {path.name: path.read_bytes() for path in (tmp_path / "icbhi").rglob("*") if path.is_file()}
    assert invoke(*words).exit_code == 0
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "icbhi").rglob("*") if path.is_file()}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    refused = invoke("data", "phantom", "icbhi", "--out", tmp_path / "other")
    assert refused.exit_code == 2 and "no miniature release" in refused.stderr
    assert (tmp_path / "other" / "thesis.txt").read_text() == "mine"
    unknown = invoke("data", "phantom", "icbhy", "--out", tmp_path / "x")
    assert unknown.exit_code == 2 and "did you mean 'icbhi'?" in unknown.stderr
    small = invoke("data", "phantom", "icbhi", "--out", tmp_path / "x", "--subjects", "3")
    assert small.exit_code == 2 and "20 to 100000" in small.stderr
