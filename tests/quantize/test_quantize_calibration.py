from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from acula_edge.bundle.json_files import plain
from acula_edge.errors import InputError
from acula_edge.files import sha256_text
from acula_edge.quantize.calibration import CalibrationDefinition, Degradation, load_definition, pick_windows, spread
from acula_edge.recipe import DataConfig
from tests.quantize.conftest import RATE_HZ, SAMPLES, MemoryStore, make_store

DATA = DataConfig(window_s=SAMPLES / RATE_HZ / 2, hop_s=0.5, trim_top_db=None)
PLAIN = CalibrationDefinition("plain")


def test_only_training_subjects_are_listened_to() -> None:
    store = make_store()  # refuses by itself to hand out others
    picked = pick_windows(store, PLAIN, DATA, RATE_HZ, 30)
    assert picked.windows.shape == (30, SAMPLES // 2)
    assert {recording.split for recording in picked.recordings} == {"train"}


def test_a_subject_on_both_sides_of_the_split_is_left_out() -> None:
    """Published partitions have such persons."""
    store = make_store()
    leaked = next(r for r in store.recordings if r.split == "train")
    store.recordings = [replace(r, split="test") if r.key == leaked.key else r for r in store.recordings]
    assert any(r.subject == leaked.subject and r.split == "train" for r in store.recordings)
    picked = pick_windows(store, PLAIN, DATA, RATE_HZ, 200)
    assert leaked.subject not in {recording.subject for recording in picked.recordings}


def test_without_training_recordings_nothing_is_calibrated() -> None:
    store = make_store()
    store.recordings = [recording.with_split("test") for recording in store.recordings]
    with pytest.raises(InputError, match="no recording of a person of the training split"):
        pick_windows(store, PLAIN, DATA, RATE_HZ, 10)


def test_data_sets_count_alike_and_no_subject_too_much() -> None:
    big, small = make_store(30, 4, ["heart"]), make_store(12, 1, ["lung"])
    store = MemoryStore([*big.recordings, *small.recordings], [*big._waves, *small._waves])
    picked = pick_windows(store, PLAIN, DATA, RATE_HZ, 16)
    assert Counter(r.dataset for r in picked.recordings) == {"heart": 8, "lung": 8}
    few = pick_windows(store, replace(PLAIN, windows_per_subject=1), DATA, RATE_HZ, 1000)
    assert max(Counter(r.subject for r in few.recordings).values()) == 1
    assert len(few.windows) == 20 + 8


def test_loudness_is_spread_from_faint_to_loud() -> None:
    store = make_store(90, 1, ["heart"])

    def levels_db(bins: int) -> np.ndarray:
        windows = pick_windows(store, replace(PLAIN, loudness_bins=bins), DATA, RATE_HZ, 20).windows
        return 20 * np.log10(np.sqrt(np.square(windows).mean(axis=1)))

    assert np.ptp(levels_db(6)) >= np.ptp(levels_db(1))
    edges = np.linspace(levels_db(6).min(), levels_db(6).max(), 5)
    assert np.histogram(levels_db(6), edges)[0].min() >= 2


def test_the_choice_is_the_same_every_time_and_follows_the_seed() -> None:
    first, again = (pick_windows(make_store(), PLAIN, DATA, RATE_HZ, 12) for _ in range(2))
    np.testing.assert_array_equal(first.windows, again.windows)
    other = pick_windows(make_store(), replace(PLAIN, seed=1), DATA, RATE_HZ, 12)
    assert not np.array_equal(first.windows, other.windows)


def test_what_is_recorded_names_no_subject() -> None:
    picked = pick_windows(make_store(), PLAIN, DATA, RATE_HZ, 12)
    facts = plain(picked.describe())
    subjects = {recording.subject for recording in picked.recordings}
    assert facts["n_windows"] == 12
    assert facts["n_subjects"] == len(subjects)
    assert facts["subjects_sha256"] == sorted(sha256_text(subject)[:16] for subject in subjects)
    assert not any(subject in str(facts) for subject in subjects)


def test_degradations_change_their_share_of_the_windows() -> None:
    degraded = replace(
        PLAIN, degradations=[Degradation("noise", 0.25, (10, 20)), Degradation("clip", 0.25, (0.3, 0.5))]
    )
    clean = pick_windows(make_store(), PLAIN, DATA, RATE_HZ, 20)
    changed = pick_windows(make_store(), degraded, DATA, RATE_HZ, 20)
    assert changed.degraded == {"noise": 5, "clip": 5}
    assert int(np.any(clean.windows != changed.windows, axis=1).sum()) == 10


def test_waves_are_resampled_to_the_encoder_rate() -> None:
    picked = pick_windows(make_store(), PLAIN, DATA, RATE_HZ // 2, 4)
    assert picked.windows.shape == (4, SAMPLES // 4)


@pytest.mark.parametrize("name", ["default", "degraded"])
def test_shipped_definitions_load(name: str) -> None:
    definition = load_definition(name)
    assert definition.name == name
    assert definition.description
    assert (name == "degraded") == bool(definition.degradations)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema: acula-edge/calibration/1\nwindow: 3", "no entry 'window'"),
        ("schema: acula-edge/calibration/1\nwindows: many", "wrong form"),
        ("schema: acula-edge/calibration/1\ndevice_rates: 3", "wrong form"),
        ("schema: acula-edge/calibration/1\nwindows: 0", "positive counts"),
        (
            "schema: acula-edge/calibration/1\ndegradations: [{kind: hum, share: 0.1, range: [0, 1]}]",
            "unknown degradation",
        ),
        ("schema: acula-edge/calibration/1\ndegradations: [{kind: noise}]", "wrong form"),
        ("windows: 3", "no calibration definition"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_definitions_with_mistakes_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        load_definition(tmp_path / "own.yaml")


def test_a_misspelt_definition_is_named() -> None:
    with pytest.raises(InputError, match="did you mean 'default'"):
        load_definition("defualt")


def test_a_data_set_that_the_run_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="no data set skin"):
        pick_windows(make_store(), replace(PLAIN, datasets=["skin"]), DATA, RATE_HZ, 4)


@pytest.mark.parametrize(
    ("available", "total", "expected"),
    [
        ({"a": 100, "b": 100}, 10, {"a": 5, "b": 5}),
        ({"a": 2, "b": 100}, 10, {"a": 2, "b": 8}),
        ({"a": 2, "b": 3}, 10, {"a": 2, "b": 3}),
        ({"a": 5, "b": 5, "c": 5}, 1, {"a": 1, "b": 0, "c": 0}),
        ({"a": 50, "b": 50, "c": 50}, 100, {"a": 34, "b": 33, "c": 33}),
    ],
)
def test_spread(available: dict[str, int], total: int, expected: dict[str, int]) -> None:
    assert spread(available, total) == expected


def test_the_rates_of_devices_count_alike_within_a_data_set() -> None:
    store = make_store(60, 1, ["heart"])
    rare = {f"heart-{subject}" for subject in (1, 2, 4, 5, 7, 8)}
    store.recordings = [replace(r, sample_rate_hz=44100) if r.subject in rare else r for r in store.recordings]

    def rates(definition: CalibrationDefinition) -> dict[str, int]:
        return pick_windows(store, definition, DATA, RATE_HZ, 12).describe().sample_rates_hz

    assert rates(PLAIN) == {"4000": 6, "44100": 6}
    assert rates(replace(PLAIN, device_rates=False)).get("44100", 0) < 6


@pytest.mark.parametrize("per_dataset", [24, 3])
def test_persons_who_judge_never_fit(per_dataset: int) -> None:
    store = make_store(per_dataset)
    fit, judge = (pick_windows(store, PLAIN, DATA, RATE_HZ, 100, persons=side) for side in ("fit", "judge"))
    fitted, judging = ({recording.subject for recording in side.recordings} for side in (fit, judge))
    assert not fitted & judging
    assert {r.dataset for r in fit.recordings} == {r.dataset for r in judge.recordings} == {"heart", "lung"}
    everyone = {recording.subject for recording in store.recordings if recording.split == "train"}
    assert fitted | judging == everyone
    assert len(judging) == len(everyone) // 5 if per_dataset == 24 else len(judging) == 2


def test_a_single_person_fits_and_nobody_judges() -> None:
    store = make_store(2, 2, ["heart"])
    assert len(pick_windows(store, PLAIN, DATA, RATE_HZ, 4, persons="fit")) == 2
    with pytest.raises(InputError, match="no recording of a person"):
        pick_windows(store, PLAIN, DATA, RATE_HZ, 4, persons="judge")


def test_windows_are_read_when_they_are_asked_for_and_are_the_same_every_time() -> None:
    store = make_store()
    touched: list[int] = []
    read = store.__class__.__getitem__

    class Counting(MemoryStore):
        def __getitem__(self, index: int) -> np.ndarray:
            touched.append(index)
            return read(self, index)

    counting = Counting(store.recordings, store._waves)
    noisy = replace(PLAIN, degradations=[Degradation("noise", 1.0, (10, 20))])
    picked = pick_windows(counting, noisy, DATA, RATE_HZ, 12)
    touched.clear()
    first = picked[3]
    assert len(touched) == 1
    np.testing.assert_array_equal(first, picked[3])
    np.testing.assert_array_equal(first, picked[2:4][1])
    np.testing.assert_array_equal(first, picked.windows[3])
    with pytest.raises(IndexError):
        picked[12]
