"""``acula-edge train`` and ``acula-edge export --int8``: what lies on disk afterwards, and whether it works."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from safetensors.numpy import load_file

from acula_edge.bundle.checks import verify_bundle
from acula_edge.bundle.folder import check
from acula_edge.bundle.json_files import plain, read_facts
from acula_edge.bundle.schema import FILES, Benchmark, File, Verify, describe_schema
from acula_edge.cli.main import cli
from acula_edge.data.manifest import Recording
from acula_edge.data.prepare import list_recordings
from acula_edge.files import read_json, sha256_file, sha256_text
from acula_edge.pipeline.bundling import build_bundle
from acula_edge.recipe import load_recipe
from acula_edge.run import Run
from acula_edge.runtime import Bundle, load_bundle, selftest
from tests.pipeline.conftest import WholeLine, acula_edge, leftovers
from tests.pipeline.schemas import MANIFEST

MODELS = {"frontend.onnx", "encoder.onnx", "encoder.int8.onnx", "model.onnx", "model.int8.onnx"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def read(recording: Recording) -> tuple[np.ndarray, int]:
    return soundfile.read(recording.path, dtype="int16")


@pytest.fixture(scope="module")
def bundle(whole_line: WholeLine) -> Bundle:
    return load_bundle(whole_line.bundle)


@pytest.fixture(scope="module")
def heard(whole_line: WholeLine) -> list[Recording]:
    """Test recordings at the model's own rate, which are stored as they are: no two resamplings to compare."""
    found = [recording for recording in whole_line.run.recordings("test") if recording.sample_rate_hz == 4000]
    assert len(found) >= 3
    return found


def test_the_folder_of_a_run_holds_what_the_readme_says(whole_line: WholeLine) -> None:
    run = whole_line.run
    assert names(run.path) == {
        "recipe.yaml", "criteria.json", "manifest.json", "metrics.jsonl", "recordings.jsonl", "set_aside.jsonl",
        "text", "cache", "encoder", "student", "checkpoints", "export", "report.html", "report.md",
    }  # fmt: skip
    assert names(run.path / "student") == {"tiny"}
    assert names(run.student_dir("tiny")) == {"config.json", "model.safetensors"}
    assert names(run.encoder_dir) == {"config.json", "model.safetensors", "text_space.safetensors"}
    (vectors,) = run.text_dir.glob("embeddings-*-00000.safetensors")
    assert names(run.text_dir) == {
        vectors.name, "embeddings.json", "reports.jsonl", "reports.summary.json", "reports.set-aside.jsonl", "prompts",
    }  # fmt: skip
    assert names(run.path / "export") == {"tiny-cpu_x86"}
    assert names(whole_line.bundle) == MODELS | {
        "bundle.json", "selftest.npz", "quantize.json", "audit.json", "verify.json", "verify_scores.npz",
        "benchmark.json", "benchmark_samples.npz", "zero_shot.npz", "zero_shot_scores.npz", "config.json",
        "ort_config.json", "selftest.py", "README.md", "acceptance.json", "sbom.cdx.json",
    }  # fmt: skip
    assert names(run.checkpoints_dir) == set(), "a finished training needs no resumable state"
    assert leftovers(run.path) == []


def test_the_working_folder_holds_nothing_else(whole_line: WholeLine) -> None:
    assert names(whole_line.run.path.parents[1]) == {"acula-edge.yaml", "runs"}
    assert names(whole_line.run.path.parent) == {"latest"}


def test_the_manifest_keeps_its_promise(whole_line: WholeLine) -> None:
    jsonschema.Draft202012Validator.check_schema(MANIFEST)
    jsonschema.validate(read_json(whole_line.run.manifest_path), MANIFEST, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(("file", "kind"), FILES.items())
def test_json_that_others_read_says_what_its_structure_says(whole_line: WholeLine, file: str, kind: type[File]) -> None:
    content = read_json(whole_line.bundle / file)
    schema = describe_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(content, schema, jsonschema.Draft202012Validator)
    assert plain(read_facts(whole_line.bundle / file, kind)) == content, "a key that the structure does not know"


def test_a_run_with_all_three_models_has_every_value(whole_line: WholeLine) -> None:
    verify = read_facts(whole_line.bundle / "verify.json", Verify)
    assert verify.tasks and verify.gate.criteria and verify.split and verify.zero_shot and verify.zero_shot.tasks
    assert None not in (
        verify.summary.means.float_teacher,
        verify.summary.means.float_student,
        verify.summary.means.int8,
    )
    for task in (*verify.tasks, *verify.zero_shot.tasks):
        rows = (task.float_teacher, task.float_student, task.int8, task.int8_vs_student, task.int8_vs_teacher)
        assert None not in rows, task.id
        assert all(group.int8_vs_student is not None for group in task.subgroups)
    assert verify.parity.onnx_vs_torch and verify.parity.int8_vs_onnx
    benchmark = read_facts(whole_line.bundle / "benchmark.json", Benchmark)
    assert {row.stage for row in benchmark.measurements} == {"frontend", "encoder", "end_to_end"}
    assert len(benchmark.measurements) >= 6 and all(
        row.threads == 1 and row.loops == 2 for row in benchmark.measurements
    )
    assert len(benchmark.comparisons) >= 3 and all(pair.accuracy.tasks for pair in benchmark.comparisons)


def test_every_json_file_names_its_schema_and_holds_no_nan(whole_line: WholeLine) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    others = ("config.json", "ort_config.json", "sbom.cdx.json")  # in the form that other programs ask for
    files = [path for path in whole_line.run.path.rglob("*.json") if path.name not in others]
    assert len(files) > 8
    for file in files:
        assert json.loads(file.read_text(), parse_constant=refuse)["schema"].startswith("acula-edge/"), file


def test_the_bundle_shows_all_of_its_evidence(whole_line: WholeLine) -> None:
    result = verify_bundle(whole_line.bundle)
    assert result["passed"], result["checks"]
    fixed = read_json(whole_line.run.path / "criteria.json")
    shown = read_json(whole_line.bundle / "acceptance.json")
    assert shown["fixed"] == fixed["fixed"] == "before training"
    assert shown["criteria_sha256"] == fixed["criteria_sha256"] and shown["changed"] == []
    assert fixed["fixed_at"] <= whole_line.run.manifest["stages"]["align"]["finished"]
    assert {row["name"] for row in shown["results"] if row["met"]} > {"verify.gate.min_cosine", "verify.gate.min_tasks"}


def test_the_manifest_knows_the_weights_on_disk(whole_line: WholeLine) -> None:
    run = whole_line.run
    stages = run.manifest["stages"]
    encoder = sha256_file(run.encoder_dir / "model.safetensors")
    student = sha256_file(run.student_dir("tiny") / "model.safetensors")
    assert stages["align"]["sha256"] == stages["distill-tiny"]["teacher_sha256"] == encoder
    assert stages["distill-tiny"]["sha256"] == student
    assert run.manifest["recipe_sha256"] == run.recipe.fingerprint()
    origin = read_json(whole_line.bundle / "bundle.json")["provenance"]
    assert (origin["weights_sha256"], origin["encoder_sha256"]) == (student, encoder)
    assert origin["recipe_sha256"] == run.recipe.fingerprint()


def test_every_epoch_left_one_line_of_metrics(whole_line: WholeLine) -> None:
    run = whole_line.run
    assert [row["epoch"] for row in run.metrics("align")] == [1, 2, 3]
    assert [row["epoch"] for row in run.metrics("distill")] == [1, 2]
    assert all(np.isfinite(row["loss"]) for row in run.metrics())


def test_both_networks_were_trained(whole_line: WholeLine) -> None:
    for folder in (whole_line.run.encoder_dir, whole_line.run.student_dir("tiny")):
        weights = load_file(folder / "model.safetensors")
        assert all(np.isfinite(values).all() for values in weights.values())
        # Batch normalization starts with a mean of 0.
        assert any(np.any(values != 0) for name, values in weights.items() if name.endswith("running_mean"))


def test_no_report_of_a_test_person_was_read(whole_line: WholeLine) -> None:
    run = whole_line.run
    reported = {json.loads(line)["recording"] for line in (run.text_dir / "reports.jsonl").read_text().splitlines()}
    assert run.recordings("test")
    assert reported == {recording.key for split in ("train", "val") for recording in run.recordings(split)}
    stages = run.manifest["stages"]
    assert stages["align"]["pairs_train"] == len(run.recordings("train"))
    assert stages["align"]["pairs_val"] == len(run.recordings("val"))


def test_a_person_is_on_one_side_only(whole_line: WholeLine) -> None:
    sides: dict[str, set[str]] = {}
    for recording in whole_line.run.recordings():
        sides.setdefault(recording.subject, set()).add(recording.split)
    assert len(sides) == 30
    assert all(len(splits) == 1 for splits in sides.values())
    assert set.union(*sides.values()) == {"train", "val", "test"}


def test_calibration_listened_to_training_persons_only(whole_line: WholeLine) -> None:
    calibration = read_json(whole_line.bundle / "quantize.json")["calibration"]
    person = {split: {sha256_text(r.subject)[:16] for r in whole_line.run.recordings(split)} for split in
              ("train", "val", "test")}  # fmt: skip
    used = set(calibration["subjects_sha256"])
    assert calibration["n_windows"] == 16
    assert used and used <= person["train"]
    assert not used & (person["val"] | person["test"])


def test_the_report_is_one_file_that_needs_no_network(whole_line: WholeLine) -> None:
    page = (whole_line.run.path / "report.html").read_text(encoding="utf-8")
    assert "not a medical device" in page.casefold()
    for source in ('src="http', "src='http", 'href="http', "@import", "url(http"):
        assert source not in page
    for task in read_json(whole_line.bundle / "verify.json")["tasks"]:
        assert task["name"] in page
    assert (whole_line.run.path / "report.md").read_text(encoding="utf-8").startswith("# ")


def test_results_go_to_stdout_and_messages_to_stderr(whole_line: WholeLine) -> None:
    assert whole_line.train.stdout == "runs/latest\n"
    assert "aligning 3/3" in whole_line.train.stderr
    assert "next: acula-edge export --int8\n" in whole_line.train.stderr
    assert "gate: passed" in whole_line.export.stdout
    assert "bundle: runs/latest/export/tiny-cpu_x86\n" in whole_line.export.stdout
    assert "report: runs/latest/report.html\n" in whole_line.export.stdout
    assert "Traceback" not in whole_line.train.stderr + whole_line.export.stderr
    assert "Warning" not in whole_line.train.stderr + whole_line.export.stderr


def test_the_bundle_lists_every_file_with_its_hash(whole_line: WholeLine) -> None:
    assert check(whole_line.bundle) == []


def test_the_selftest_passes(whole_line: WholeLine) -> None:
    result = selftest(whole_line.bundle)
    assert result["passed"], result


def test_scores_equal_those_of_the_verification(whole_line: WholeLine, bundle: Bundle, heard: list[Recording]) -> None:
    compared = 0
    with np.load(whole_line.bundle / "verify_scores.npz") as kept:
        for recording in heard:
            answers = bundle.score(*read(recording))["tasks"]
            assert set(answers) == {"P1", "P2", "P3", "P4"}
            for task, answer in answers.items():
                rows = np.flatnonzero(kept[f"{task}/recordings"] == recording.key)
                if rows.size:
                    assert answer["score"] == pytest.approx(kept[f"{task}/int8"][rows[0]], rel=1e-4, abs=1e-4)
                    compared += 1
    assert compared >= 3


def test_zero_shot_scores_equal_those_of_the_verification(
    whole_line: WholeLine, bundle: Bundle, heard: list[Recording]
) -> None:
    zero_shot = read_json(whole_line.bundle / "verify.json")["zero_shot"]
    assert zero_shot["in_bundle"] and zero_shot["maps"]["float_teacher"] == "alignment head"
    assert [task["id"] for task in zero_shot["tasks"]] == ["P1", "P2", "P3"]
    compared = 0
    with np.load(whole_line.bundle / "zero_shot_scores.npz") as kept:
        for recording in heard:
            for task, answer in bundle.score(*read(recording))["zero_shot"].items():
                rows = np.flatnonzero(kept[f"{task}/recordings"] == recording.key)
                if rows.size:
                    assert answer["score"] == pytest.approx(kept[f"{task}/int8"][rows[0]], rel=1e-3, abs=1e-3)
                    compared += 1
    assert compared >= 3


def test_reports_are_looked_for_among_those_of_validation_persons(whole_line: WholeLine) -> None:
    held_out = whole_line.run.recordings("val")
    retrieval = read_json(whole_line.bundle / "verify.json")["zero_shot"]["retrieval"]
    (scope,) = retrieval["scopes"]
    assert (retrieval["split"], scope["dataset"]) == ("val", "phantom")
    assert scope["n_recordings"] == len(held_out)
    assert scope["n_subjects"] == len({recording.subject for recording in held_out})
    for model in ("float_teacher", "float_student", "int8"):
        recalls = [scope[model][f"recall_at_{cutoff}"]["value"] for cutoff in (1, 5, 10)]
        assert recalls == sorted(recalls)


def test_embeddings_equal_those_of_the_verification(
    whole_line: WholeLine, bundle: Bundle, heard: list[Recording]
) -> None:
    from acula_edge.data.prepare import prepare
    from acula_edge.pipeline.evaluation import model_embeddings

    run = whole_line.run
    store = prepare(run.recipe, run)
    cached = {path: path.read_bytes() for path in run.store_dir.glob("embeddings-*.npy")}
    expected = model_embeddings(run, whole_line.bundle / "model.int8.onnx", store, 4000)
    assert {path: path.read_bytes() for path in run.store_dir.glob("embeddings-*.npy")} == cached
    position = {recording.key: index for index, recording in enumerate(store.recordings)}
    for recording in heard:
        embedding = bundle.embed(*read(recording))
        assert embedding.shape == (32,)
        np.testing.assert_allclose(embedding, expected[position[recording.key]], rtol=1e-4, atol=1e-5)


def test_a_stream_ends_where_the_whole_recording_does(bundle: Bundle, heard: list[Recording]) -> None:
    for recording in heard:
        pcm, rate_hz = read(recording)
        whole = bundle.score(pcm, rate_hz)
        assert whole["quality"]["measurable"]
        pieces = np.array_split(pcm, 23)
        updates = list(bundle.stream(pieces, rate_hz))
        assert len(updates) == whole["windows"] >= 2
        assert updates[-1].end_s == pytest.approx(len(pcm) / rate_hz)
        for task, answer in whole["tasks"].items():
            assert updates[-1].recording[task]["score"] == pytest.approx(answer["score"], rel=1e-4, abs=1e-4)


def test_a_bundle_works_wherever_it_is_copied(
    whole_line: WholeLine, bundle: Bundle, heard: list[Recording], tmp_path: Path
) -> None:
    shutil.copytree(whole_line.bundle, tmp_path / "device")
    shutil.copy(heard[0].path, tmp_path / "sound.wav")
    done = acula_edge("run", "device", "sound.wav", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tasks"] == bundle.score(*read(heard[0]))["tasks"]
    tested = CliRunner().invoke(cli, ["selftest", str(tmp_path / "device")])
    assert tested.exit_code == 0, tested.output


def test_a_copied_bundle_that_was_altered_is_refused(whole_line: WholeLine, tmp_path: Path) -> None:
    shutil.copytree(whole_line.bundle, tmp_path / "device")
    model = bytearray((tmp_path / "device" / "model.int8.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (tmp_path / "device" / "model.int8.onnx").write_bytes(model)
    done = CliRunner().invoke(cli, ["selftest", str(tmp_path / "device")])
    assert done.exit_code == 2
    assert "model.int8.onnx" in done.output


def test_a_run_that_is_moved_takes_its_generated_recordings_along(copied_run: Run) -> None:
    recordings = list_recordings(copied_run.recipe.data, copied_run).recordings
    assert len(recordings) == len(copied_run.recordings())
    assert all(Path(r.path).is_relative_to(copied_run.path) and Path(r.path).is_file() for r in recordings)


def test_without_a_recipe_the_phantom_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_recipe(None).name == "phantom"
    (tmp_path / "acula-edge.yaml").write_text("name: mine\n")
    assert load_recipe(None).name == "mine"


def test_one_export_may_be_quantized_otherwise_and_says_so(copied_run: Run) -> None:
    kept = copied_run.recipe_path.read_bytes()
    other = Run(copied_run.path, ["quantize.method=mse", "quantize.calibration_windows=8"])
    bundle = build_bundle(other, "tiny", "cpu_x86", int8=True)
    info = read_json(bundle / "bundle.json")
    assert info["quantization"]["method"] == "mse" and info["quantization"]["calibration"]["n_windows"] == 8
    assert info["provenance"]["overrides"] == list(other.overrides)
    assert info["provenance"]["recipe_sha256"] == Run(copied_run.path).recipe.fingerprint()
    assert copied_run.recipe_path.read_bytes() == kept
