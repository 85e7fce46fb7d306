"""A miniature SPRSound (BioCAS 2022): two recordings per child, with annotations, in the challenge's folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from acula_edge.data.miniature import MiniatureConfig, miniatures
from acula_edge.data.miniature.disk import deal, heard, seconds, write_note, write_rows
from acula_edge.data.miniature.sounds import breathing, generator, write_audio

RATE_HZ = 8000
SHARES = {"Normal": 50, "CAS": 20, "DAS": 22, "CAS & DAS": 5, "Poor Quality": 3}
EVENTS = {"Normal": "Normal", "CAS": "Wheeze", "DAS": "Fine Crackle", "CAS & DAS": "Wheeze+Crackle"}
DISEASES = {"Pneumonia (non-severe)": 0.65, "Asthma": 0.12, "Bronchitis": 0.1, "Control Group": 0.13}


@miniatures.register("sprsound")
def write(folder: Path, config: MiniatureConfig) -> None:
    """Continuous sounds wheeze, discontinuous ones crackle; of every fourth child a recording is in the test set."""
    annotations = deal(generator(config.seed, "annotations"), 2 * config.subjects, SHARES)
    release = folder / "BioCAS2022"
    patients: list[list[object]] = [["", "patient_num", "disease", "age", "gender"]]
    for child in range(config.subjects):
        patient = 40_000_000 + 1013 * child
        person = generator(config.seed, f"patient {patient}")
        age, female = round(float(person.uniform(0.2, 16)), 1), int(person.random() < 0.5)
        disease = str(person.choice(list(DISEASES), p=list(DISEASES.values())))
        patients.append([child, patient, disease, age, "MF"[female]])
        for take in range(2):
            annotation = annotations[2 * child + take]
            name = f"{patient}_{age}_{female}_p{1 + (child + take) % 4}_{2 * child + take + 100}"
            rng = generator(config.seed, name)
            continuous, crackles = heard(rng, "CAS" in annotation), heard(rng, "DAS" in annotation)
            duration_s = seconds(rng, config)
            wave = breathing(rng, duration_s, RATE_HZ, rng.uniform(20, 36), continuous, crackles)
            # Of one child in eight both recordings are tested on ("inter"), of another one of them ("intra").
            inter, intra = child % 8 == 7, child % 8 == 3 and take == 1
            side = "test" if inter or intra else "train"
            part = "inter_test_json" if inter else "intra_test_json" if intra else ""
            ending = ".WAV" if child == 1 else ".wav"
            if (child, take) != (2, 1):
                write_audio(release / f"{side}2022_wav" / f"{name}{ending}", rng, wave, RATE_HZ)
            notes = release / f"{side}2022_json" / part / f"{name}.json"
            write_note(
                notes,
                json.dumps({"record_annotation": annotation, "event_annotation": _events(rng, annotation, duration_s)}),
            )
    write_rows(folder / "Patient Summary" / "SPRSound_patient_summary.csv", patients)
    write_note(release / "README.md")


def _events(rng: np.random.Generator, annotation: str, duration_s: float) -> list[dict[str, str]]:
    """Breaths of 0.8 s, in milliseconds; some of those of an abnormal record are normal."""
    if annotation == "Poor Quality":
        return []
    starts = np.arange(0.0, max(duration_s - 0.9, 0.1), 1.2)
    kinds = [EVENTS[annotation] if place == 0 or rng.random() < 0.7 else "Normal" for place in range(len(starts))]
    return [
        {"start": str(round(1000 * start)), "end": str(round(1000 * start + 800)), "type": kind}
        for start, kind in zip(starts, kinds, strict=True)
    ]
