"""A bundle on a device: refused when altered, right when whole, the same in pieces and from several threads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soxr

from acula_edge.audio.segment import cut_windows
from acula_edge.errors import ArtifactError, AudioError, InputError
from acula_edge.runtime import Bundle, load_bundle
from tests.tiny_bundle import DIM, HOP, RATE_HZ, SAMPLES, embed_by_hand, make_sound, write_info, write_tiny_bundle

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def copy(bundle_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle_dir, tmp_path / "copy"))


@pytest.mark.parametrize("name", ["model.onnx", "model.int8.onnx", "frontend.onnx", "selftest.npz"])
def test_one_flipped_bit_is_refused_by_name(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")):
        load_bundle(copy)


def test_a_missing_file_and_a_folder_that_is_no_bundle_are_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "frontend.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"frontend\.onnx is missing"):
        load_bundle(copy)
    with pytest.raises(ArtifactError, match="no bundle"):
        load_bundle(tmp_path)


def test_a_bundle_without_the_precision_says_so(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "float", int8=False)
    with pytest.raises(ArtifactError, match="no int8 model") as caught:
        load_bundle(folder, precision="int8")
    assert "float" in str(caught.value) and "--int8" in str(caught.value)
    assert load_bundle(folder, precision="float").precision == "float"
    with pytest.raises(InputError, match="precision"):
        load_bundle(folder, precision="int4")


@pytest.mark.parametrize("recommended", ["int8", "float", None])
def test_the_recommended_model_runs_unless_another_is_asked_for(copy: Path, recommended: str | None) -> None:
    info = json.loads((copy / "bundle.json").read_text())
    info.pop("recommended", None)
    write_info(copy, info if recommended is None else {**info, "recommended": recommended})
    assert load_bundle(copy).precision == ("float" if recommended == "float" else "int8")
    assert load_bundle(copy, precision="int8").precision == "int8"


def test_a_bundle_without_int8_runs_in_float(tmp_path: Path) -> None:
    assert load_bundle(write_tiny_bundle(tmp_path / "float", int8=False)).precision == "float"


def test_embedding_is_the_mean_over_windows(bundle_dir: Path) -> None:
    loaded = load_bundle(bundle_dir, precision="float")
    wave = make_sound(7.3)
    expected = embed_by_hand(cut_windows(wave, SAMPLES, HOP)).mean(axis=0)
    found = loaded.embed(wave, sample_rate_hz=RATE_HZ)
    assert found.shape == (DIM,) == (loaded.embedding_dim,) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_int8_follows_float(bundle: Bundle, bundle_dir: Path) -> None:
    wave = make_sound(5.0)
    exact = load_bundle(bundle_dir, precision="float").embed(wave, RATE_HZ)
    rounded = bundle.embed(wave, RATE_HZ)
    assert not np.array_equal(exact, rounded)
    np.testing.assert_allclose(rounded, exact, rtol=0.05)


def test_int16_float_and_other_rates_agree(bundle: Bundle) -> None:
    wave = np.round(make_sound(6.0, rate_hz=4000) * 32768) / 32768
    pcm = np.round(wave * 32768).astype(np.int16)
    np.testing.assert_array_equal(bundle.embed(pcm, 4000), bundle.embed(wave.astype(np.float32), 4000))
    resampled = soxr.resample(wave.astype(np.float32), 4000, RATE_HZ, quality="HQ")
    np.testing.assert_allclose(bundle.embed(pcm, 4000), bundle.embed(resampled, RATE_HZ), rtol=1e-5)


def test_score_answers_every_task_with_quality(bundle: Bundle) -> None:
    result = bundle.score(make_sound(7.3), sample_rate_hz=RATE_HZ)
    json.dumps(result, allow_nan=False)
    assert set(result) == {"tasks", "quality", "windows"}
    assert list(result["tasks"]) == ["M", "K", "R"]
    assert result["quality"]["measurable"]
    assert result["windows"] == len(cut_windows(make_sound(7.3), SAMPLES, HOP))
    murmur = result["tasks"]["M"]
    assert 0 <= murmur["score"] <= 1 and murmur["label"] in ("absent", "present")
    assert sum(result["tasks"]["K"]["scores"].values()) == pytest.approx(1)


def test_silence_gets_scores_but_no_answer(bundle: Bundle) -> None:
    result = bundle.score(np.zeros(3 * RATE_HZ, dtype=np.int16), RATE_HZ)
    assert result["quality"]["reasons"] == ["silent: digital silence"]
    assert result["tasks"]["M"]["label"] is None and result["tasks"]["R"]["score"] is None


def test_a_clip_shorter_than_a_window_is_one_window(bundle: Bundle) -> None:
    result = bundle.score(make_sound(0.1), RATE_HZ)
    assert result["windows"] == 1
    assert not result["quality"]["measurable"] and "too short" in result["quality"]["reasons"][0]


def test_quiet_ends_are_trimmed_as_in_evaluation(tmp_path: Path) -> None:
    trimming = load_bundle(write_tiny_bundle(tmp_path / "trim", trim_top_db=60.0))
    sound = make_sound(4.0)
    padded = np.concatenate([np.zeros(3000, np.float32), sound, np.zeros(3000, np.float32)])
    assert trimming.score(padded, RATE_HZ)["windows"] <= trimming.score(sound, RATE_HZ)["windows"] + 1
    np.testing.assert_allclose(trimming.embed(padded, RATE_HZ), trimming.embed(sound, RATE_HZ), rtol=0.2)


@pytest.mark.parametrize("pcm", [np.zeros(0), np.array([np.nan] * 10), np.zeros((5, 2))])
def test_what_is_no_sound_is_refused(bundle: Bundle, pcm: np.ndarray) -> None:
    with pytest.raises(AudioError):
        bundle.score(pcm, RATE_HZ)
    with pytest.raises(AudioError):
        bundle.embed(pcm, RATE_HZ)


def test_threads_get_what_one_caller_gets(bundle: Bundle) -> None:
    sounds = [make_sound(3.0 + index / 4, seed=index) for index in range(12)]
    alone = [bundle.embed(sound, RATE_HZ) for sound in sounds]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda sound: bundle.embed(sound, RATE_HZ), sounds))
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("chunk", [1, 333, 5000])
@pytest.mark.parametrize("seconds", [0.7, 2.0, 7.3])
def test_a_stream_ends_with_what_score_says_of_the_whole(bundle: Bundle, seconds: float, chunk: int) -> None:
    wave = make_sound(seconds)
    updates = list(bundle.stream((wave[i : i + chunk] for i in range(0, len(wave), chunk)), RATE_HZ))
    windows = cut_windows(wave, SAMPLES, HOP)
    assert len(updates) == len(windows)
    assert [update.windows for update in updates] == list(range(1, len(windows) + 1))
    whole = bundle.score(wave, RATE_HZ)
    for task, answer in whole["tasks"].items():
        final = updates[-1].recording[task]
        if answer["score"] is not None:
            assert final["score"] == pytest.approx(answer["score"], rel=1e-5)
        assert final["label"] == answer["label"]
    json.dumps(updates[-1].to_dict(), allow_nan=False)


def test_updates_say_where_their_window_lies_and_how_long_it_took(bundle: Bundle) -> None:
    updates = list(bundle.stream([make_sound(4.5)], RATE_HZ))
    assert [(update.start_s, update.end_s) for update in updates] == [
        (0.0, 2.0), (0.8, 2.8), (1.6, 3.6), (2.4, 4.4), (2.5, 4.5),
    ]  # fmt: skip
    assert [update.final for update in updates] == [False] * 4 + [True]
    assert all(update.compute_ms > 0 and update.real_time_factor > 0 for update in updates)


def test_a_window_of_a_stream_is_scored_like_the_same_clip(bundle: Bundle) -> None:
    wave = make_sound(4.5)
    for update in bundle.stream([wave], RATE_HZ):
        clip = wave[round(update.start_s * RATE_HZ) : round(update.end_s * RATE_HZ)]
        assert update.tasks == bundle.score(clip, RATE_HZ)["tasks"]


def test_silence_before_the_sound_does_not_enter_the_recordings_answer(bundle: Bundle) -> None:
    sound = make_sound(2.0)
    updates = list(bundle.stream([np.zeros(SAMPLES, np.float32), sound], RATE_HZ))
    assert updates[0].recording["M"]["label"] is None
    assert updates[-1].recording["M"]["label"] is not None
    measurable = [update for update in updates if update.quality["measurable"]]
    assert 0 < len(measurable) < len(updates)
    values = [update.tasks["R"]["score"] for update in measurable]
    assert updates[-1].recording["R"]["score"] == pytest.approx(np.mean(values))


def test_a_stream_at_another_rate_is_resampled_without_seams(bundle: Bundle) -> None:
    pcm = np.round(make_sound(5.0, rate_hz=4000) * 32767).astype(np.int16)
    updates = list(bundle.stream(np.array_split(pcm, 77), 4000))
    whole = bundle.score(pcm, 4000)
    assert updates[-1].recording["M"]["score"] == pytest.approx(whole["tasks"]["M"]["score"], rel=1e-4)


def test_a_device_needs_nothing_of_training(bundle_dir: Path) -> None:
    script = (
        "import sys, numpy as np\n"
        "from acula_edge.runtime import load_bundle, selftest\n"
        f"bundle = load_bundle({str(bundle_dir)!r})\n"
        "pcm = (np.random.default_rng(0).standard_normal(9000) * 3000).astype(np.int16)\n"
        "bundle.score(pcm, 3000); list(bundle.stream([pcm], 3000)); assert selftest(bundle)['passed']\n"
        "heavy = ('torch', 'transformers', 'matplotlib', 'scipy', 'sklearn', 'onnx', 'pandas', 'yaml')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["acula_edge", "acula_edge.runtime", "acula_edge.benchmarking"])
def test_import_walls(package: str) -> None:
    script = (
        f"import sys, {package}\n"
        "heavy = ('torch', 'transformers', 'matplotlib', 'scipy', 'sklearn')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"
