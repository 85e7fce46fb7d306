"""The phantom corpus: equal bytes for equal seeds, and labels that can be heard."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from acula_edge import progress
from acula_edge.data.phantom.corpus import MARKER, encode_wav, generate_wave, load
from acula_edge.data.phantom.devices import DEVICES
from acula_edge.data.phantom.heart import GRADES, TIMINGS, heart_beats
from acula_edge.data.phantom.lung import RATE_PER_MIN, breathe
from acula_edge.data.phantom.plan import PhantomConfig, Plan, generator, plan_corpus
from acula_edge.data.reader import ReadResult, readers
from acula_edge.errors import ManifestError, RecipeError
from acula_edge.files import sha256_file

SMALL = {"subjects": 6, "duration_s": 1.0}
PLANS = plan_corpus(PhantomConfig(subjects=400))


def read(root: Path, **options: object) -> ReadResult:
    return readers["phantom"].read(root, {**SMALL, **options})


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_equal_seeds_give_equal_bytes_and_others_do_not(tmp_path: Path) -> None:
    first, again, other = (read(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert [r.sha256 for r in first.recordings] == [r.sha256 for r in again.recordings]
    assert not {r.sha256 for r in first.recordings} & {r.sha256 for r in other.recordings}


def test_growing_the_corpus_keeps_who_is_there(tmp_path: Path) -> None:
    few, many = read(tmp_path / "few").recordings, read(tmp_path / "many", subjects=9).recordings
    assert len(many) > len(few)
    for before, after in zip(few, many, strict=False):
        assert dataclasses.replace(after, path=before.path) == before
    assert plan_corpus(PhantomConfig(subjects=400))[:50] == plan_corpus(PhantomConfig(subjects=450))[:50]


def test_recordings_say_what_their_files_are(tmp_path: Path) -> None:
    result = read(tmp_path / "corpus", subjects=12)
    assert not result.set_aside and len({r.subject for r in result.recordings}) == 12
    assert len({r.sha256 for r in result.recordings}) == len(result.recordings)
    rates = {device.name: device.sample_rate_hz for device in DEVICES}
    for one in result.recordings:
        header = soundfile.info(one.path)
        assert (header.samplerate, header.channels, header.subtype) == (one.sample_rate_hz, 1, "PCM_16")
        assert header.frames == round(one.duration_s * one.sample_rate_hz)
        assert 0.9 <= one.duration_s <= 1.1
        assert sha256_file(one.path) == one.sha256
        assert rates[one.metadata["device"]] == one.sample_rate_hz
        assert one.key == f"phantom/{one.recording}" and one.subject.startswith("phantom/p")


def test_sound_is_finite_and_within_full_scale() -> None:
    assert all(2000 <= device.sample_rate_hz <= 16000 for device in DEVICES)
    for plan in PLANS[:24]:
        wave = generate_wave(dataclasses.replace(plan, duration_s=2.0), seed=0)
        assert len(wave) == 2 * plan.device.sample_rate_hz
        assert np.all(np.isfinite(wave))
        assert 0.15 < np.abs(wave).max() <= 1, plan.recording


def test_sound_is_coded_in_sixteen_bits() -> None:
    data = encode_wav(np.array([0, 0.5, 1.0, -1.0, 2.0]), 4000)
    assert data[:4] == b"RIFF" and np.frombuffer(data[-10:], "<i2").tolist() == [0, 16384, 32767, -32768, 32767]


def test_persons_and_findings_are_even() -> None:
    persons = {plan.subject: plan for plan in PLANS}
    assert len(persons) == 400
    heard_twice = len(PLANS) - 400
    assert heard_twice == pytest.approx(200, abs=4)
    hearts = [plan for plan in PLANS if plan.facts["sound"] == "heart"]
    with_murmur = sum(plan.facts["murmur"] == "Present" for plan in hearts)
    assert with_murmur / len(hearts) == pytest.approx(0.45, abs=0.03)
    for device in DEVICES:
        assert sum(p.device == device for p in persons.values()) / 400 == pytest.approx(device.share, abs=0.02)


def test_facts_do_not_contradict_each_other() -> None:
    subjects: dict[str, tuple[object, ...]] = {}
    for plan in PLANS:
        facts = plan.facts
        kind = plan.recording.removeprefix(f"{plan.subject}_")
        assert facts["sound"] == kind in ("heart", "lung", "ambient")
        person = (facts["age"], facts["sex"], plan.stratum, plan.device)
        assert subjects.setdefault(plan.subject, person) == person, "one person is one person"
        assert json.loads(json.dumps(facts)) == facts
        if kind == "heart":
            present = facts["murmur"] == "Present"
            assert present or facts["murmur"] == "Absent"
            assert all((facts[f"murmur_{name}"] is not None) == present for name in
                       ("timing", "shape", "grade", "pitch", "quality"))  # fmt: skip
            assert ("no-murmur" in plan.stratum.split("+")) != present
        elif kind == "lung":
            low, high = RATE_PER_MIN[facts["age"]]
            assert low <= facts["respiratory_rate"] <= high
            assert (facts["wheeze_phase"] is not None) == bool(facts["wheeze"])
            assert (facts["crackles_type"] is not None) == bool(facts["crackles"])
            assert {facts[name] for name in ("wheeze", "crackles", "rhonchi", "cough")} <= {0, 1}
            assert ("clear" in plan.stratum) == (not facts["wheeze"] and not facts["crackles"])
        else:
            assert facts["cough"] in (0, 1)


def band_energy(wave: np.ndarray, rate_hz: int, low_hz: float, high_hz: float) -> float:
    spectrum = np.square(np.abs(np.fft.rfft(wave * np.hanning(len(wave)))))
    frequency = np.fft.rfftfreq(len(wave), 1 / rate_hz)
    return float(spectrum[(frequency >= low_hz) & (frequency <= high_hz)].sum() / len(wave))


def murmur_level_db(plan: Plan, phase: str = "systole", seed: int = 0) -> float:
    """Energy of 120 to 500 Hz after S1 (systole) or after S2 (early diastole), against the energy of S1."""
    rate_hz = plan.device.sample_rate_hz
    wave = generate_wave(plan, seed)
    # The first thing that is drawn for a heart sound is when its heart beats.
    onsets = heart_beats(generator(seed, f"{plan.recording}/sound"), plan.duration_s, plan.facts["age"])
    after, first = [], []
    for onset, period in zip(onsets[:-1], np.diff(onsets), strict=True):
        systole = min(0.30 * np.sqrt(period), 0.55 * period)
        heard = (0.13, systole - 0.01) if phase == "systole" else (systole + 0.1, 0.5 * (systole + period))
        start, faded, begin, end = (round((onset + at) * rate_hz) for at in (0, 0.13, *heard))
        if start >= 0 and end < len(wave):
            first.append(band_energy(wave[start:faded], rate_hz, 20, 120))
            after.append(band_energy(wave[begin:end], rate_hz, 120, 500))
    return float(10 * np.log10(np.mean(after) / np.mean(first)))


def hearts(count: int, **facts: object) -> list[Plan]:
    found = []
    for plan in PLANS:
        if plan.facts["sound"] == "heart" and plan.device.sample_rate_hz >= 4000 and len(found) < count:
            changed = {**plan.facts, "murmur_shape": "Plateau", "murmur_pitch": "Medium",
                       "murmur_quality": "Blowing", **facts}  # fmt: skip
            found.append(dataclasses.replace(plan, facts=changed, snr_db=25.0, duration_s=5.0))
    return found


def test_murmurs_are_heard_between_first_and_second_sound() -> None:
    def mean_level_db(phase: str = "systole", **facts: object) -> float:
        return float(np.mean([murmur_level_db(plan, phase) for plan in hearts(6, **facts)]))

    absent = mean_level_db(murmur="Absent")
    by_grade = [mean_level_db(murmur="Present", murmur_timing="Holosystolic", murmur_grade=grade) for grade in GRADES]
    assert by_grade == sorted(by_grade), "louder by grade"
    assert all(level > absent + 6 for level in by_grade[3:])
    diastolic = {"murmur": "Present", "murmur_timing": "Early-diastolic", "murmur_grade": "V/VI"}
    assert by_grade[4] > mean_level_db(**diastolic) + 6, "a diastolic murmur lies elsewhere"
    assert mean_level_db("diastole", **diastolic) > mean_level_db("diastole", murmur="Absent") + 6


def test_murmurs_of_plans_as_they_are_drawn_are_heard() -> None:
    drawn = [p for p in PLANS if p.facts["sound"] == "heart" and p.device.sample_rate_hz >= 4000]
    systolic = [t for t, (phase, _, _) in TIMINGS.items() if phase == "systole"]
    loud = [p for p in drawn if p.facts["murmur_grade"] in GRADES[3:] and p.facts["murmur_timing"] in systolic][:12]
    silent = [p for p in drawn if p.facts["murmur"] == "Absent"][:12]
    assert len(loud) == 12
    levels = [float(np.median([murmur_level_db(plan) for plan in plans])) for plans in (loud, silent)]
    assert levels[0] > levels[1] + 3


def lungs(count: int, **facts: object) -> list[Plan]:
    """Plans of lungs without anything added, but for `facts`."""
    clear = {"wheeze": 0, "crackles": 0, "rhonchi": 0, "cough": 0, "respiratory_rate": 18.0}
    chosen = [p for p in PLANS if p.facts["sound"] == "lung" and p.device.sample_rate_hz >= 4000][:count]
    return [dataclasses.replace(p, facts={**p.facts, **clear, **facts}, snr_db=30.0, duration_s=5.0) for p in chosen]


def tonality(plan: Plan) -> float:
    """How far the spectrum of 200 to 700 Hz rises above its surroundings, in dB, in frames of 0.25 s."""
    rate_hz, wave = plan.device.sample_rate_hz, generate_wave(plan, 0)
    size = rate_hz // 4
    frames = wave[: len(wave) // size * size].reshape(-1, size) * np.hanning(size)
    power = np.square(np.abs(np.fft.rfft(frames)))[:, size * 200 // rate_hz : size * 700 // rate_hz]
    return float(np.mean(10 * np.log10(power.max(axis=1) / np.median(power, axis=1))))


def spikiness(plan: Plan) -> float:
    """Kurtosis of the first difference: large where there are short pops."""
    wave = np.diff(generate_wave(plan, 0))
    return float(np.mean(wave**4) / np.mean(wave**2) ** 2)


def test_wheeze_is_a_tone() -> None:
    clear = np.mean([tonality(plan) for plan in lungs(8)])
    wheeze = np.mean([tonality(plan) for plan in lungs(8, wheeze=1, wheeze_phase="inspiratory and expiratory")])
    assert wheeze > clear + 3


@pytest.mark.parametrize("kind", ["fine", "coarse"])
def test_crackles_are_pops(kind: str) -> None:
    clear = np.median([spikiness(plan) for plan in lungs(8)])
    assert np.median([spikiness(plan) for plan in lungs(8, crackles=1, crackles_type=kind)]) > 1.5 * clear


def test_coughs_stand_out() -> None:
    def crest(cough: int) -> float:
        chosen = [p for p in PLANS if p.facts["sound"] == "ambient"][:12]
        waves = [
            generate_wave(dataclasses.replace(p, facts={**p.facts, "cough": cough}, snr_db=16.0, duration_s=6.0), 0)
            for p in chosen
        ]
        return float(np.median([np.abs(wave).max() / np.sqrt(np.mean(wave**2)) for wave in waves]))

    assert crest(1) > 1.3 * crest(0)


@pytest.mark.parametrize("rate_per_min", [10.0, 20.0, 40.0])
def test_breaths_come_at_their_rate(rate_per_min: float) -> None:
    onsets = [breath.onset for breath in breathe(np.random.default_rng(0), 600.0, rate_per_min)]
    assert 60 / np.mean(np.diff(onsets)) == pytest.approx(rate_per_min, rel=0.02)
    assert onsets[0] <= 0


def test_hearts_beat_faster_in_children() -> None:
    def rate(age: str) -> float:
        rates = [60 / np.mean(np.diff(heart_beats(np.random.default_rng(seed), 30.0, age))) for seed in range(20)]
        assert all(45 < value < 145 for value in rates)
        return float(np.mean(rates))

    assert rate("Child") > rate("Adult") + 15


def test_the_offset_changes_the_noise_and_nothing_else() -> None:
    plain, harder = plan_corpus(PhantomConfig(subjects=20)), plan_corpus(PhantomConfig(subjects=20, snr_offset_db=-10))
    for before, after in zip(plain, harder, strict=True):
        assert after.snr_db == pytest.approx(before.snr_db - 10, abs=0.1 + 1e-9)
        assert {**after.facts, "snr_db": 0} == {**before.facts, "snr_db": 0}


def test_a_corpus_is_made_once_and_again_for_other_options(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    first = read(root)
    stamp = (root / MARKER).stat().st_mtime_ns
    assert read(root) == first and (root / MARKER).stat().st_mtime_ns == stamp
    assert len({r.subject for r in read(root, subjects=3).recordings}) == 3
    assert len(list((root / "audio").iterdir())) == len(read(root, subjects=3).recordings)
    assert read(root) == first


@pytest.mark.parametrize("lost", [MARKER, "manifest.jsonl"])
def test_a_corpus_that_lacks_a_file_is_made_again(tmp_path: Path, lost: str) -> None:
    root = tmp_path / "corpus"
    first = read(root)
    whole = files(root)
    if lost == MARKER:
        (root / MARKER).write_text("{")
    else:
        (root / lost).unlink()
    assert read(root) == first and files(root) == whole


def test_interrupted_generation_leaves_nothing_and_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(items, description, total):
        for number, item in enumerate(items):
            if number == 3:
                raise KeyboardInterrupt
            yield item

    root = tmp_path / "broken" / "corpus"
    with monkeypatch.context() as patched:
        patched.setattr(progress, "_tracker", break_off)
        with pytest.raises(KeyboardInterrupt):
            read(root)
    assert list(root.parent.iterdir()) == []
    read(root)
    read(tmp_path / "whole")
    assert files(root) == files(tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(progress, "_tracker", break_off)
        with pytest.raises(KeyboardInterrupt):
            read(root, seed=5)
    assert files(root) == files(tmp_path / "whole"), "what was there stays until the new one is whole"


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.wav").write_text("x")
    with pytest.raises(ManifestError, match="no phantom corpus"):
        read(tmp_path)
    assert files(tmp_path) == {"precious.wav": b"x"}
    with pytest.raises(ManifestError, match="no phantom corpus"):
        read(tmp_path / "precious.wav")


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    assert load(tmp_path, PhantomConfig(**SMALL)) == read(tmp_path).recordings


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"subject": 3}, "did you mean 'subjects'"),
        ({"subjects": 2.5}, "subjects must be a number"),
        ({"subjects": "3"}, "subjects must be a number"),
        ({"seed": True}, "seed must be a number"),
        ({"subjects": 0}, "subjects is out of range"),
        ({"duration_s": 0.5}, "duration_s is out of range"),
        ({"duration_s": float("nan")}, "duration_s is out of range"),
        ({"snr_offset_db": 100}, "snr_offset_db is out of range"),
    ],
)
def test_options_are_checked(tmp_path: Path, options: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        readers["phantom"].read(tmp_path / "corpus", options)
    assert not (tmp_path / "corpus").exists()
