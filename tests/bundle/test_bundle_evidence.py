"""What a bundle says about itself, and that a change of any of it is found."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from acula_edge.bundle.acceptance import begin_acceptance
from acula_edge.bundle.checks import verify_bundle
from acula_edge.bundle.criteria import collect_criteria, fix_criteria
from acula_edge.bundle.folder import read_bundle
from acula_edge.bundle.json_files import plain
from acula_edge.bundle.sealed import write_sealed_json
from acula_edge.bundle.writer import changed_bundle, seal
from acula_edge.errors import ArtifactError
from acula_edge.files import read_json, write_json
from acula_edge.recipe import GateConfig, Recipe, VerifyConfig
from tests.bundle.conftest import RECIPE, VERIFY
from tests.tiny_bundle import reseal, write_tiny_bundle


def verdicts(folder: Path) -> dict[str, bool | None]:
    return {check["name"]: check["passed"] for check in verify_bundle(folder)["checks"]}


def failed(folder: Path) -> list[str]:
    return [name for name, passed in verdicts(folder).items() if passed is False]


def card(folder: Path) -> tuple[dict[str, Any], str]:
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), text


def test_a_whole_bundle_passes(measured: Path) -> None:
    result = verify_bundle(measured)
    json.dumps(result, allow_nan=False)
    assert result["passed"] and result["accepted"] is True
    assert all(passed is not False for passed in verdicts(measured).values())
    assert verdicts(measured)["signature"] is None


def test_a_bundle_without_evidence_fails_and_says_what_is_missing(tmp_path: Path) -> None:
    plain = write_tiny_bundle(tmp_path / "plain")
    assert {"provenance", "bill of materials", "criteria", "model card"} <= set(failed(plain))


def test_the_bill_of_materials_is_valid_cyclonedx(bundle: Path) -> None:
    text = (bundle / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    sbom = json.loads(text)
    models = {item["name"] for item in sbom["components"] if item["type"] == "machine-learning-model"}
    assert models == {name for name in read_bundle(bundle).files if name.endswith(".onnx")}
    scopes = {item["name"]: item["scope"] for item in sbom["components"] if item["type"] == "library"}
    assert scopes["onnxruntime"] == "required" and scopes["onnx"] == "excluded"


def test_a_hash_in_the_bill_of_materials_that_does_not_match_fails(bundle: Path) -> None:
    sbom = read_json(bundle / "sbom.cdx.json")
    model = next(item for item in sbom["components"] if item["name"] == "model.onnx")
    model["hashes"][0]["content"] = "0" * 64
    write_json(bundle / "sbom.cdx.json", sbom)
    reseal(bundle)
    assert failed(bundle) == ["bill of materials"]


def test_an_unknown_file_or_folder_fails(bundle: Path) -> None:
    (bundle / "extra.onnx").write_text("x")
    (bundle / "folder").mkdir()
    assert failed(bundle) == ["nothing else"]


@pytest.mark.parametrize(("name", "check"), [("verify.json", "verify.json"), ("acceptance.json", "acceptance.json")])
def test_json_of_another_schema_fails(measured: Path, name: str, check: str) -> None:
    write_json(measured / name, {"schema": "other/1"})
    reseal(measured)
    assert f"schema of {check}" in failed(measured)


def test_criteria_are_fixed_once_and_results_stand_beside_them(measured: Path) -> None:
    facts = read_json(measured / "acceptance.json")
    assert facts["fixed"] == "before training" and facts["criteria"] == collect_criteria(RECIPE)
    results = {row["name"]: row for row in facts["results"]}
    assert results["verify.gate.max_mean_drop"]["met"] is True
    assert (results["benchmark.max_p95_ms"]["value"], results["benchmark.max_p95_ms"]["met"]) == (2.25, True)
    assert "Cortex-A72" in results["benchmark.max_p95_ms"]["where"]
    assert results["verify.margin_auroc_student"]["met"] is None and "inconclusive" in str(
        results["verify.margin_auroc_student"]["where"]
    )
    laxer = Recipe(verify=VerifyConfig(gate=GateConfig(max_mean_drop=0.5)))
    assert fix_criteria(measured.parent / "new", RECIPE) == fix_criteria(measured.parent / "new", laxer)


def test_criteria_that_changed_after_they_were_fixed_show(measured: Path) -> None:
    fixed = fix_criteria(measured.parent / "new", RECIPE)
    gate = dataclasses.replace(RECIPE.verify.gate, max_mean_drop=0.5)
    laxer = dataclasses.replace(RECIPE, verify=dataclasses.replace(RECIPE.verify, gate=gate))
    with changed_bundle(measured) as writer:
        writer.acceptance = begin_acceptance(fixed, collect_criteria(laxer), "model.int8.onnx")
    assert failed(measured) == ["criteria"]
    assert "verify.gate.max_mean_drop was 0.01, at export 0.5" in card(measured)[1]
    assert read_json(measured / "acceptance.json")["accepted"] is False


def test_limits_that_verify_used_instead_show(measured: Path) -> None:
    method = {**VERIFY["method"], "margin_auroc_student": 0.2}
    write_json(measured / "verify.json", {**VERIFY, "method": method})
    seal(measured)
    assert failed(measured) == ["criteria"]


def test_criteria_that_were_rewritten_with_their_results_fail(measured: Path) -> None:
    facts = read_json(measured / "acceptance.json")
    facts["criteria"]["verify.alpha"] = 0.4
    write_json(measured / "acceptance.json", facts)
    reseal(measured)
    assert failed(measured) == ["criteria"]


def test_a_rewritten_criteria_file_is_refused(tmp_path: Path) -> None:
    fix_criteria(tmp_path, RECIPE)
    text = (tmp_path / "criteria.json").read_text()
    (tmp_path / "criteria.json").write_text(text.replace('"verify.alpha": 0.05', '"verify.alpha": 0.25'))
    with pytest.raises(ArtifactError, match=r"criteria\.json was altered"):
        fix_criteria(tmp_path, RECIPE)


def test_a_latency_target_that_is_missed_is_not_accepted(measured: Path) -> None:
    benchmark = read_json(measured / "benchmark.json")
    benchmark["measurements"][0]["p95_ms"] = 3.5
    write_json(measured / "benchmark.json", benchmark)
    seal(measured)
    assert read_json(measured / "acceptance.json")["accepted"] is False


def test_the_card_is_in_hugging_faces_form_and_follows_what_was_measured(bundle: Path, measured: Path) -> None:
    front, text = card(measured)
    assert front["pipeline_tag"] == "audio-classification" and front["datasets"] == ["phantom"]
    (result,) = front["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "roc_auc", "value": 0.8, "name": "AUROC of model.int8.onnx"}]
    assert "Not a medical device." in text and "sex: f" in text and "generated" in text
    assert "| `model.int8.onnx` | 1.50 | 2.25 | 1 | M 0.800 |" in text


def test_the_card_shows_no_latency_without_accuracy(made: Path, bundle: Path, measured: Path) -> None:
    assert "model-index" not in card(made)[0]
    assert "Nothing was measured yet" in card(made)[1]
    (measured / "verify.json").unlink()
    seal(measured)
    assert "2.25" not in card(measured)[1].split("## Acceptance")[0]


def test_a_card_without_the_disclaimer_fails(bundle: Path) -> None:
    (bundle / "README.md").write_text((bundle / "README.md").read_text().replace("Not a medical device.", ""))
    reseal(bundle)
    assert failed(bundle) == ["model card"]


def test_incomplete_provenance_fails(bundle: Path) -> None:
    info = plain(read_bundle(bundle))
    reseal(bundle, provenance={**info["provenance"], "weights_sha256": "unknown"})
    assert failed(bundle) == ["provenance"]


@pytest.mark.parametrize("absent", ["self_check", "sha256"])
def test_a_bundle_that_does_not_carry_its_own_hash_is_refused(bundle: Path, absent: str) -> None:
    info = plain(read_bundle(bundle))
    del info[absent]
    write_json(bundle / "bundle.json", info)
    with pytest.raises(ArtifactError, match="was altered"):
        read_bundle(bundle)
    write_sealed_json(bundle / "bundle.json", info)
    assert verdicts(bundle)["bundle.json itself"] is True
