"""A miniature CirCor: two sites per patient id; more murmurs than in the release, and children of both campaigns.

There are 2.5 times the configured patient ids, so that a fifth of the persons holds enough of both classes.
"""

from __future__ import annotations

from pathlib import Path

from acula_edge.data.miniature import MiniatureConfig, miniatures
from acula_edge.data.miniature.disk import deal, heard, seconds, write_note, write_rows
from acula_edge.data.miniature.sounds import generator, heart, write_audio

RATE_HZ = 4000
FIRST_PATIENT = 2530
SHARES = {"Present": 63, "Absent": 77, "Unknown": 10}
COLUMNS = (
    "Patient ID", "Recording locations:", "Age", "Sex", "Height", "Weight", "Pregnancy status", "Murmur",
    "Murmur locations", "Most audible location", "Systolic murmur timing", "Systolic murmur shape",
    "Systolic murmur grading", "Systolic murmur pitch", "Systolic murmur quality", "Diastolic murmur timing",
    "Diastolic murmur shape", "Diastolic murmur grading", "Diastolic murmur pitch", "Diastolic murmur quality",
    "Outcome", "Campaign", "Additional ID",
)  # fmt: skip
MURMUR = {
    "Systolic murmur timing": "Holosystolic",
    "Systolic murmur shape": "Plateau",
    "Systolic murmur grading": "III/VI",
    "Systolic murmur pitch": "Medium",
    "Systolic murmur quality": "Harsh",
}


@miniatures.register("circor")
def write(folder: Path, config: MiniatureConfig) -> None:
    """A murmur is heard at both sites; every twelfth id has a partner from the other campaign."""
    murmurs = deal(generator(config.seed, "murmurs"), round(2.5 * config.subjects), SHARES)
    ids = [FIRST_PATIENT + 7 * place for place in range(len(murmurs))]
    partner = {ids[place]: ids[place + 1] for place in range(0, len(ids) - 1, 12)}
    partner |= {second: first for first, second in partner.items()}
    rows = []
    for place, (patient, murmur) in enumerate(zip(ids, murmurs, strict=True)):
        person = generator(config.seed, f"patient {patient}")
        sites = ("AV", "PV", "TV", "MV")[place % 3 : place % 3 + 2]
        facts: dict[str, object] = dict.fromkeys(COLUMNS, "nan")
        facts |= {
            "Patient ID": patient,
            "Recording locations:": "+".join(sites),
            "Age": str(person.choice(["Infant", "Child", "Adolescent"], p=[0.2, 0.6, 0.2])),
            "Sex": "Female" if person.random() < 0.5 else "Male",
            "Height": round(float(person.uniform(60, 160)), 1),
            "Weight": round(float(person.uniform(6, 55)), 1),
            "Pregnancy status": False,
            "Murmur": murmur,
            "Outcome": "Abnormal" if person.random() < (0.8 if murmur == "Present" else 0.4) else "Normal",
            "Campaign": "CC2014" if place % 2 else "CC2015",
        }
        if murmur == "Present":
            facts |= MURMUR | {"Murmur locations": "+".join(sites), "Most audible location": sites[1]}
        if patient in partner:
            facts["Additional ID"] = f"{partner[patient]}.0"
        rows.append([facts[column] for column in COLUMNS])
        for site in sites:
            rng = generator(config.seed, f"{patient}_{site}")
            wave = heart(rng, seconds(rng, config), RATE_HZ, murmur=heard(rng, murmur == "Present"))
            ending = ".WAV" if place == 4 else ".wav"
            write_audio(folder / "training_data" / f"{patient}_{site}{ending}", rng, wave, RATE_HZ)
        files = [f"{site} {patient}_{site}.hea {patient}_{site}.wav {patient}_{site}.tsv" for site in sites]
        lines = [f"{patient} {len(sites)} {RATE_HZ}", *files]
        lines += [f"#{column.rstrip(':')}: {facts[column]}" for column in COLUMNS[2:]]
        write_note(folder / "training_data" / f"{patient}.txt", "\n".join(lines) + "\n")
    write_rows(folder / "training_data.csv", [COLUMNS, *rows])
    write_note(folder / "RECORDS")
