"""A miniature ICBHI 2017: two recordings per patient, annotated breaths, and the challenge's list with its flaws.

There are more healthy persons than in the release, so that both sides hold enough of them. As in the release one
patient is on both sides of the list, and the list calls one recording by another device than its file does.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from acula_edge.data.miniature import MiniatureConfig, miniatures
from acula_edge.data.miniature.disk import brighten, deal, heard, seconds, write_note, write_rows
from acula_edge.data.miniature.sounds import breathing, generator, write_audio

FIRST_PATIENT = 101
TAKES = 2
SHARES = {
    "COPD": 29, "Healthy": 20, "URTI": 4, "Bronchiectasis": 2, "Pneumonia": 2, "Bronchiolitis": 1, "LRTI": 1,
    "Asthma": 1,
}  # fmt: skip
CRACKLING = frozenset({"Bronchiectasis", "Pneumonia", "Bronchiolitis", "LRTI"})
TESTED = 0.42
LOCATIONS = ("Tc", "Al", "Ar", "Pl", "Pr", "Ll", "Lr")
RATES_HZ = {"Litt3200": 4000, "Meditron": 4000, "LittC2SE": 4000, "AKGC417L": 44100}
RARE = 24  # every twenty-fourth recording is by the device of the highest rate


@miniatures.register("icbhi")
def write(folder: Path, config: MiniatureConfig) -> None:
    """COPD wheezes, hastens the breath and sharpens it; infections below the throat crackle."""
    rng = generator(config.seed, "diagnoses")
    diagnoses = deal(rng, config.subjects, SHARES)
    tested = {
        place
        for diagnosis in SHARES
        for places in [[place for place, found in enumerate(diagnoses) if found == diagnosis]]
        for place in places[: int(TESTED * len(places) + 0.5)]
    }
    shared = next(place for place, found in enumerate(diagnoses) if found == "COPD" and place not in tested)
    audio = folder / "ICBHI_final_database"
    listed, persons = [], []
    for place, diagnosis in enumerate(diagnoses):
        patient = FIRST_PATIENT + place
        persons.append([patient, *_person(generator(config.seed, f"patient {patient}"), diagnosis)])
        for take in range(2 * TAKES if place == shared else TAKES):
            number = TAKES * place + take
            device = "AKGC417L" if number % RARE == 3 else ("Litt3200", "Meditron", "LittC2SE")[place % 3]
            stem = f"{patient}_{1 + take}b1_{LOCATIONS[number % 7]}_{'mc' if device == 'LittC2SE' else 'sc'}"
            rng = generator(config.seed, stem)
            wheezes = heard(rng, diagnosis == "COPD")
            crackles = heard(rng, diagnosis in CRACKLING)
            duration_s = round(seconds(rng, config), 2)  # whole hundredths make the sound faster to compute
            wave = breathing(
                rng,
                duration_s,
                RATES_HZ[device],
                rate_per_min=rng.uniform(13, 18) + 5 * wheezes,
                wheeze=wheezes,
                crackles=crackles,
            )
            if (place, take) != (25, 0):  # listed, but there is no audio
                ending = ".WAV" if (place, take) == (4, 1) else ".wav"
                wave = brighten(wave, 1.5 * wheezes)
                write_audio(audio / f"{stem}_{device}{ending}", rng, wave, RATES_HZ[device])
            write_rows(audio / f"{stem}_{device}.txt", _breaths(rng, duration_s, crackles, wheezes), delimiter="\t")
            on_test = take % 2 == 0 if place == shared else place in tested
            called = "Meditron" if (place, take) == (2, 0) else device  # by another device than the file
            listed.append([f"{stem}_{called}", "test" if on_test else "train"])
    write_rows(folder / "ICBHI_challenge_train_test.txt", listed, delimiter="\t")
    patients = [[FIRST_PATIENT + place, diagnosis] for place, diagnosis in enumerate(diagnoses)]
    write_rows(folder / "ICBHI_Challenge_diagnosis.txt", patients, delimiter="\t", bom=True)
    write_rows(folder / "ICBHI_Challenge_demographic_information.txt", persons, delimiter="\t")
    write_note(audio / "filename_format.txt")
    write_note(audio / "._101_1b1_Tc_sc_Litt3200.wav")


def _person(rng: np.random.Generator, diagnosis: str) -> list[object]:
    """Age, sex and build; children have weight and height in place of a body mass index."""
    if rng.random() < 0.05:
        return ["NA"] * 5
    child = diagnosis in ("URTI", "Bronchiolitis") or (diagnosis == "Healthy" and rng.random() < 0.7)
    sex = "M" if rng.random() < 0.6 else "F"
    if not child:
        return [int(rng.integers(45, 90)), sex, round(float(rng.uniform(18, 38)), 2), "NA", "NA"]
    age = round(float(rng.uniform(0.25, 16)), 2)
    return [age, sex, "NA", round(8 + 3 * age, 1), round(70 + 6 * age)]


def _breaths(rng: np.random.Generator, duration_s: float, crackles: bool, wheezes: bool) -> list[list[object]]:
    """Start, end, crackles and wheezes of each breath; what is heard is annotated in most of them."""
    starts = np.arange(0.0, max(duration_s - 0.5, 0.1), 2.5)
    return [
        [
            round(float(start), 3),
            round(float(min(start + 2.5, duration_s)), 3),
            int(crackles and (place == 0 or rng.random() < 0.7)),
            int(wheezes and (place == 0 or rng.random() < 0.7)),
        ]
        for place, start in enumerate(starts)
    ]
