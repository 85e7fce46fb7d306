"""Prompts in a bundle: scored on the device as where they were made, and absent where there are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from acula_edge.bundle.layout import PROMPTS_FILE
from acula_edge.bundle.prompt_vectors import (
    PromptTask,
    PromptVectors,
    load_prompt_vectors,
    save_prompt_vectors,
)
from acula_edge.bundle.writer import seal
from acula_edge.cli.main import cli
from acula_edge.errors import ArtifactError
from acula_edge.runtime import load_bundle
from tests.tiny_bundle import DIM, RATE_HZ, SAMPLES, make_sound, write_tiny_bundle


def make_vectors(width: int = DIM) -> PromptVectors:
    draw = np.random.default_rng(3)

    def task(name: str, labels: tuple[str, ...]) -> PromptTask:
        rows = draw.normal(size=(len(labels), 4))
        return PromptTask(
            name, f"Task {name}", "d", labels, draw.normal(size=4), rows / np.linalg.norm(rows, axis=1)[:, None]
        )

    tasks = [task("M", ("absent", "present")), task("K", ("a", "b", "c"))]
    return PromptVectors("mine", "ab" * 32, 0.1, draw.normal(size=(width, 4)), tasks)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = write_tiny_bundle(tmp_path / "tiny-cpu_x86")
    save_prompt_vectors(folder, make_vectors())
    seal(folder)
    return folder


def test_scores_are_the_softmax_of_cosines_to_the_prompts() -> None:
    vectors = make_vectors()
    rows = np.random.default_rng(0).normal(size=(5, DIM))
    for task in vectors.tasks:
        shares = vectors.score(rows)[task.id]
        for row, found in zip(rows, shares, strict=True):
            heard = row @ vectors.weight - task.center
            odds = np.exp([heard @ prompt / np.linalg.norm(heard) / 0.1 for prompt in task.vectors])
            np.testing.assert_allclose(found, odds / odds.sum(), rtol=1e-9)


def test_a_recording_without_a_direction_is_undecided() -> None:
    vectors = make_vectors()
    task = vectors.tasks[1]
    np.testing.assert_allclose(task.score(np.asarray(task.center)[None], 0.1), [[1 / 3] * 3])


def test_a_bundle_answers_as_the_vectors_do(folder: Path) -> None:
    bundle = load_bundle(folder)
    wave = make_sound(4.5)
    answer = bundle.score(wave, RATE_HZ)["zero_shot"]
    kept = load_prompt_vectors(folder, DIM)
    assert kept is not None
    expected = kept.score(bundle.embed(wave, RATE_HZ)[None])
    assert list(answer) == ["M", "K"]
    assert answer["M"]["score"] == pytest.approx(expected["M"][0, 1], rel=1e-5)
    assert answer["M"]["label"] == ("absent", "present")[int(expected["M"][0].argmax())]
    assert list(answer["K"]["scores"].values()) == pytest.approx(expected["K"][0].tolist(), rel=1e-5)
    assert answer["K"]["score"] == max(answer["K"]["scores"].values())
    assert (answer["M"]["kind"], answer["K"]["kind"]) == ("binary", "multiclass")


def test_a_stream_ends_where_the_whole_recording_does(folder: Path) -> None:
    bundle = load_bundle(folder)
    wave = make_sound(5.2)
    updates = list(bundle.stream(np.array_split(wave, 31), RATE_HZ))
    whole = bundle.score(wave, RATE_HZ)["zero_shot"]
    assert updates[-1].recording_zero_shot is not None and updates[0].zero_shot is not None
    for task, answer in whole.items():
        assert updates[-1].recording_zero_shot[task]["score"] == pytest.approx(answer["score"], rel=1e-5)
    assert updates[0].zero_shot == bundle.score(wave[:SAMPLES], RATE_HZ)["zero_shot"]
    assert json.loads(json.dumps(updates[-1].to_dict(), allow_nan=False))["zero_shot"]


def test_nothing_is_named_where_nothing_can_be_measured(folder: Path) -> None:
    answers = load_bundle(folder).score(np.zeros(SAMPLES, np.float32), RATE_HZ)["zero_shot"]
    assert [answer["label"] for answer in answers.values()] == [None, None]


def test_a_bundle_without_prompts_answers_its_tasks_only(tmp_path: Path) -> None:
    bundle = load_bundle(write_tiny_bundle(tmp_path / "old"))
    wave = make_sound(3.0)
    assert bundle.prompts is None
    assert set(bundle.score(wave, RATE_HZ)) == {"tasks", "quality", "windows"}
    assert not {"zero_shot", "recording_zero_shot"} & set(next(iter(bundle.stream([wave], RATE_HZ))).to_dict())


def test_saving_twice_gives_the_same_bytes_and_reading_the_same_vectors(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_prompt_vectors(tmp_path / name, make_vectors())
    assert (tmp_path / "a" / PROMPTS_FILE).read_bytes() == (tmp_path / "b" / PROMPTS_FILE).read_bytes()
    read = load_prompt_vectors(tmp_path / "a", DIM)
    assert read is not None and read.describe() == make_vectors().describe()
    np.testing.assert_allclose(read.tasks[1].vectors, make_vectors().tasks[1].vectors, rtol=1e-6)


def test_vectors_of_another_model_or_a_damaged_file_are_refused(tmp_path: Path, folder: Path) -> None:
    save_prompt_vectors(folder, make_vectors(DIM + 1))
    seal(folder)
    with pytest.raises(ArtifactError, match="belongs to another model"):
        load_bundle(folder)
    (folder / PROMPTS_FILE).write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match="zero_shot.npz was altered"):
        load_bundle(folder)
    seal(folder)
    with pytest.raises(ArtifactError, match="cannot be read as zero-shot prompts"):
        load_bundle(folder)


def test_run_prints_the_answers(folder: Path, tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "a.wav", make_sound(3.0), RATE_HZ)
    plain = CliRunner().invoke(cli, ["run", str(folder), str(tmp_path / "a.wav")])
    assert plain.exit_code == 0, plain.output
    assert "zero-shot" in plain.stdout and "nearest prompts" in plain.stdout
    lines = CliRunner().invoke(cli, ["run", str(folder), str(tmp_path / "a.wav"), "--json"]).stdout
    assert json.loads(lines)["zero_shot"].keys() == {"M", "K"}
