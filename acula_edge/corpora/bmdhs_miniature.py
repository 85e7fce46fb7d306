"""A miniature BMD-HS: eight recordings per patient, more healthy ones than in the release."""

from __future__ import annotations

from pathlib import Path

from acula_edge.data.miniature import MiniatureConfig, miniatures
from acula_edge.data.miniature.disk import deal, heard, seconds, write_note, write_rows
from acula_edge.data.miniature.sounds import generator, heart, write_audio

RATE_HZ = 4000
SHARES = {"N": 40, "AS": 8, "AR": 7, "MR": 11, "MS": 10, "MD": 24}
DISEASES = ("AS", "AR", "MR", "MS")
SITES = tuple(f"{position}_{site}" for position in ("sup", "sit") for site in ("Mit", "Tri", "Pul", "Aor"))
ABSENT_SITE = "sit_Pul"


@miniatures.register("bmdhs")
def write(folder: Path, config: MiniatureConfig) -> None:
    """Any diseased valve makes a murmur; the last patient's diseases are not stated, the first one lacks a file."""
    diagnoses = deal(generator(config.seed, "diagnoses"), round(0.95 * config.subjects), SHARES)
    names = [f"recording_{number}" for number in range(1, len(SITES) + 1)]
    rows: list[list[object]] = [["patient_id", *DISEASES, "N", *names]]
    persons: list[list[object]] = [["patient_id", "Age", "Gender", "Smoker", "Lives"]]
    for number, dx in enumerate([*diagnoses, "MD"], start=1):
        person = generator(config.seed, f"patient {number}")
        has = {dx} if dx != "MD" else {DISEASES[i] for i in person.choice(4, size=2, replace=False)}
        flags: list[object] = [int(disease in has) for disease in (*DISEASES, "N")]
        stated = number <= len(diagnoses)
        recordings = [f"{dx}_{number:03d}_{site}" for site in SITES]
        rows.append([f"patient_{number:03d}", *(flags if stated else ["N/A"] * len(flags)), *recordings])
        decade = 10 * int(person.integers(1, 7))
        if stated:
            sex = "M" if person.random() < 0.55 else "F"
            persons.append([f"patient_{number:03d}", f"{decade}-{decade + 9}", sex, int(person.random() < 0.3), "U"])
        for name in recordings:
            if number == 1 and name.endswith(ABSENT_SITE):
                continue
            rng = generator(config.seed, name)
            wave = heart(rng, seconds(rng, config), RATE_HZ, murmur=heard(rng, dx != "N"), age="Adult")
            ending = ".WAV" if number == 2 else ".wav"
            write_audio(folder / "train" / f"{name}{ending}", rng, wave, RATE_HZ)
    write_rows(folder / "train.csv", rows, bom=True)
    write_rows(folder / "additional_metadata.csv", persons)
    write_note(folder / "eco.xlsx")
