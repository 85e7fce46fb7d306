"""A miniature UK COVID-19 Vocal Audio Dataset: an exhalation and a cough of each participant, and the lists.

Almost half of the participants are positive, more than in the release, so that both sides of the lists hold enough of
them. As in the release the lists leave participants out whom ``train_test_splits.csv`` places.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from acula_edge.data.miniature import MiniatureConfig, miniatures
from acula_edge.data.miniature.disk import brighten, deal, heard, seconds, write_note, write_rows
from acula_edge.data.miniature.sounds import breathing, cough, generator, write_audio

RATES_HZ = {"exhalation": 8000, "cough": 16000}
SHARES = {"Positive": 28, "Negative": 30, "Unknown/Void": 1, "": 1}
SIDES = {"test": 0.44, "val": 0.16, "train": 0.40}
LISTS = {"train": "training", "val": "val", "test": "testing"}
SYMPTOMS = ("cough_any", "new_continuous_cough", "shortness_of_breath", "fatigue", "fever_high_temperature", "other")
CONDITIONS = ("asthma", "other")
SMOKING = ("Never smoked", "Ex-smoker", "Current smoker (1 to 10 cigarettes per day)", "Prefer not to say")
_DETAILS = ("sample_rate", "num_channels", "length", "size", "amplitude", "snr", "offset")


@miniatures.register("ukcovid")
def write(folder: Path, config: MiniatureConfig) -> None:
    """Participants who test positive cough wet, and their breath crackles; both are sharp."""
    rng = generator(config.seed, "participants")
    results = deal(rng, config.subjects, SHARES)
    sides = _deal_sides(rng, results)
    unlisted = {next(place for place, side in enumerate(sides) if side == "train"), sides.index("long")}
    names = [f"{number:016x}" for number in rng.integers(1 << 62, size=config.subjects)]
    absent, silent, shouted, *_ = (
        place for place, side in enumerate(sides) if side == "train" and place not in unlisted
    )
    audio: list[list[object]] = [
        ["participant_identifier", *(f"{sound}_{detail}" for sound in RATES_HZ for detail in ("file_name", *_DETAILS)),
         "three_cough_file_name"]
    ]  # fmt: skip
    persons: list[list[object]] = [
        ["participant_identifier", "covid_test_result", "age", "gender", "smoker_status",
         *(f"respiratory_condition_{name}" for name in ("none", *CONDITIONS)),
         *(f"symptom_{name}" for name in ("none", *SYMPTOMS)), "symptom_onset"]
    ]  # fmt: skip
    lists: dict[str, list[str]] = {}
    for place, (name, result, side) in enumerate(zip(names, results, sides, strict=True)):
        rng = generator(config.seed, name)
        persons.append([name, result, *_person(rng, result == "Positive")])
        row: list[object] = [name]
        for sound, rate_hz in RATES_HZ.items():
            rng = generator(config.seed, f"{name}/{sound}")
            file = (
                f"{sound}_{int(rng.integers(1 << 40)):010x}.{'WAV' if (place, sound) == (shouted, 'cough') else 'wav'}"
            )
            if (place, sound) == (silent, "exhalation"):
                row += [""] * (1 + len(_DETAILS))
                continue
            duration_s, ill = seconds(rng, config), heard(rng, result == "Positive")
            if sound == "cough":
                wave = cough(rng, duration_s, rate_hz, low=bool(rng.random() < 0.5), wet=ill)
            else:
                wave = breathing(rng, duration_s, rate_hz, rate_per_min=rng.uniform(14, 22), crackles=ill)
            wave = brighten(wave, 1.5 * ill)
            row += [file, rate_hz, 1, round(duration_s, 3), 2 * len(wave), 0.1, 20.0, 0]
            if (place, sound) != (absent, "cough"):
                write_audio(folder / "audio_selected" / file, rng, wave, rate_hz)
            if side in LISTS and place not in unlisted:
                lists.setdefault(f"{sound}_{LISTS[side]}", []).append(file)
        audio.append([*row, f"three_cough_{name}.wav"])
    write_rows(folder / "audio_metadata.csv", audio, bom=True)
    write_rows(folder / "participant_metadata.csv", persons)
    write_rows(
        folder / "train_test_splits.csv",
        [["participant_identifier", "splits", "naive_splits"],
         *([name, side, ""] for name, side in zip(names, sides, strict=True))],
    )  # fmt: skip
    for name, files in lists.items():
        np.save(folder / f"{name}_files_downsample.npy", np.array(files))
    write_note(folder / "README.md")
    write_note(folder / "audio_selected" / ".DS_Store")


def _deal_sides(rng: np.random.Generator, results: list[str]) -> list[str]:
    """Side of each participant, test result by test result; the first who is trained on is in no standard set."""
    sides = [""] * len(results)
    for result in SHARES:
        places = [place for place, found in enumerate(results) if found == result]
        for place, side in zip(places, deal(rng, len(places), SIDES), strict=True):
            sides[place] = side
    sides[next(place for place, side in enumerate(sides) if side == "train" and results[place] == "Negative")] = "long"
    return sides


def _person(rng: np.random.Generator, positive: bool) -> list[object]:
    symptoms = [int(rng.random() < (0.5 if positive else 0.15)) for _ in SYMPTOMS]
    conditions = [int(rng.random() < 0.12) for _ in CONDITIONS]
    return [
        rng.choice(["18-44", "45-64", "65+"]),
        rng.choice(["Female", "Male", ""], p=[0.55, 0.42, 0.03]),
        rng.choice(SMOKING),
        int(not any(conditions)),
        *conditions,
        int(not any(symptoms)),
        *symptoms,
        "2021-11-01" if any(symptoms) else "",
    ]
