"""The report's section and the table on the terminal."""

from __future__ import annotations

from typing import Any

import pytest

from acula_edge.bundle.schema import Verify
from acula_edge.cli.summary import print_verification
from acula_edge.reporting.document import Table
from acula_edge.reporting.evidence import Bundle
from acula_edge.reporting.numbers import fixed
from acula_edge.reporting.sections.zero_shot import zero_shot_blocks
from tests.complete import complete

MODELS = ("float_teacher", "float_student", "int8")
ROW = {"value": 0.8125, "ci95": [0.7, 0.9]}
FOUND = {f"recall_at_{cutoff}": {**ROW, "shuffled": 0.2875} for cutoff in (1, 5, 10)}


def verification(**changes: Any) -> dict[str, Any]:
    task = {
        "id": "C1", "name": "Heart murmur", "metric": "auroc", "n_subjects": 40, "n_test": 120, "set": "real",
        "int8_vs_student": {"delta": -0.0012, "ci95": [-0.01, 0.01], "verdict": "inconclusive"},
        **dict.fromkeys(MODELS, ROW),
    }  # fmt: skip
    scope = {
        "dataset": "circor", "n_recordings": 76, "n_subjects": 19, "n_reports": 20,
        "chance": {f"recall_at_{cutoff}": cutoff / 20 for cutoff in (1, 5, 10)}, **dict.fromkeys(MODELS, FOUND),
    }  # fmt: skip
    zero_shot = {
        "prompts": "mine", "in_bundle": True, "language_model": "minilm", "tasks": [task],
        "tasks_missing": [{"id": "T10", "reason": "no training recordings of the data set kauh"}],
        "retrieval": {"scopes": [scope, {**scope, "dataset": None}]},
    }  # fmt: skip
    probe = {**task, "float_student": {"value": 0.9375, "ci95": None}}
    return {"tasks": [probe], "zero_shot": {**zero_shot, **changes}}


def test_the_section_shows_zero_shot_beside_the_probe_and_recall_beside_chance() -> None:
    blocks = zero_shot_blocks(Bundle("base", {}, verify=complete(Verify, verification())))
    tasks, retrieval = (block for block in blocks if isinstance(block, Table))
    assert [cell.text for cell in tasks.rows[0][2:6]] == [fixed(0.8125)] * 3 + [fixed(0.9375)]
    assert [row[1].text for row in retrieval.rows[:5]] == [
        "float teacher", "float student", "INT8", "reports shuffled", "chance",
    ]  # fmt: skip
    assert [row[0].text for row in retrieval.rows[::5]] == ["circor", "all data sets"]
    assert [cell.text for cell in retrieval.rows[4][2:]] == ["0.050", "0.250", "0.500"]


def test_without_prompts_or_verification_there_is_no_section() -> None:
    assert zero_shot_blocks(Bundle("base", {})) == []
    assert zero_shot_blocks(Bundle("base", {}, verify=complete(Verify, {"tasks": [], "zero_shot": None}))) == []


def test_the_terminal_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    print_verification(verification())
    said = capsys.readouterr()
    assert "Zero-shot: the text prompts 'mine'" in said.out and "shuffled" in said.out and "chance" in said.out
    assert "not evaluated zero-shot: T10" in said.err
    print_verification(verification(retrieval={"scopes": []}))
    assert "Which report" not in capsys.readouterr().out
