"""The leak guard in reports: policy and counts, no ids; a run that was aligned on its test persons says so on top."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from acula_edge.files import read_json, write_json, write_text
from acula_edge.recipe import dump_recipe
from acula_edge.reporting import write_report
from acula_edge.run import Run
from tests.report.conftest import MakeRun
from tests.report.reading import read_page

SECRET_ID = "4071_9.5_1_p1_12"


def add_guard(path: Path, included: bool = False, found: bool = True, near: bool = True) -> Path:
    """Write the guard's facts into a run's manifest, and its policy into the recipe."""
    run = Run.open(path)
    data = run.recipe.data
    policy = dataclasses.replace(data.guard, include_evaluation_subjects=included, near_duplicates=near)
    recipe = dataclasses.replace(run.recipe, data=dataclasses.replace(data, guard=policy))
    write_text(run.recipe_path, dump_recipe(recipe))
    counts = {"near": {"recordings": 2, "persons": 1}, "linked": {"recordings": 5, "persons": 1}} if found else {}
    facts = {
        "policy": dataclasses.asdict(policy),
        "evaluated": {"val": 12, "test": 24},
        "compared": 480 if near else 0,
        "too_little": 3 if near else 0,
        "withheld": counts,
        "datasets": {"sprsound": 7} if found else {},
        "recordings": [{"recording": f"sprsound/{SECRET_ID}", "reason": "near", "of": "kauh/BP7", "bit_error": 0.1}],
        **({"included": 72} if included else {}),
    }
    manifest = read_json(run.manifest_path)
    manifest["recipe_sha256"] = recipe.fingerprint()
    manifest["stages"]["data"] = {"guard": facts}
    write_json(run.manifest_path, manifest)
    write_report(path)
    return path


def test_policy_and_counts_are_told_and_no_ids(make_run: MakeRun) -> None:
    run = add_guard(make_run())
    page = read_page(run)
    words = page.section("data")
    assert "24 persons tested and the 12 persons of validation" in words
    assert "480 recordings were compared by fingerprint, up to a bit error of 0.25, 3 are too short" in words
    caption = "Training and validation recordings left out by the guard"
    row = page.row(caption, "The same sound as an evaluated recording under another person's id")
    assert row[1:] == ["2", "1"]
    assert "By data set: sprsound 7." in words and "stages.data.guard.recordings" in words
    for name in ("report.html", "report.md"):
        text = (run / name).read_text()
        assert SECRET_ID not in text and "evaluation subjects included" not in text


def test_a_clean_run_says_that_nothing_was_found(make_run: MakeRun) -> None:
    assert "No copy was found under another id" in read_page(add_guard(make_run(), found=False)).section("data")
    words = read_page(add_guard(make_run("unheard"), near=False)).section("data")
    assert "the recipe leaves out the comparison by fingerprint" in words


def test_a_run_without_the_guard_says_so(make_run: MakeRun) -> None:
    run = make_run()
    write_report(run)
    assert "has not been through the guard" in read_page(run).section("data")


def test_a_run_that_was_aligned_on_test_persons_is_marked_everywhere(make_run: MakeRun) -> None:
    run = add_guard(make_run(), included=True, found=False)
    page = read_page(run)
    assert "evaluation subjects included" in page.texts[""]
    assert "no figure here is of unseen persons" in page.section("headline")
    assert "Test persons, unseen in training" not in page.section("headline")
    words = page.section("data")
    assert "72 test recordings among them" in words and "they are no evidence of quality" in words
    assert "Recordings of validation and test never enter alignment" not in words
    assert "evaluation subjects included" in (run / "report.md").read_text()
