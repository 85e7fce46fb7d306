"""A miniature KAUH: three files per patient; about as many healthy as obstructive patients, and a few of others.

There are 2.2 times the configured persons, so that a fifth of them holds enough of both classes.
"""

from __future__ import annotations

from pathlib import Path

from acula_edge.data.miniature import MiniatureConfig, miniatures
from acula_edge.data.miniature.disk import brighten, deal, heard, seconds, write_note
from acula_edge.data.miniature.sounds import breathing, generator, write_audio

RATE_HZ = 4000
SHARES = {
    "N": 62, "Asthma": 24, "asthma": 22, "COPD": 13, "Heart Failure + COPD ": 3, "copd": 1, "heart failure": 3,
    "pneumonia": 2, "BRON": 2, "Lung Fibrosis": 1,
}  # fmt: skip
# How much of the high frequencies each of the stethoscope's filters lets through.
FILTERS = {"BP": 0.0, "DP": 1.0, "EP": 0.4}


@miniatures.register("kauh")
def write(folder: Path, config: MiniatureConfig) -> None:
    """Obstruction wheezes, hastens the breath and sharpens it; other diseases crackle."""
    diagnoses = deal(generator(config.seed, "diagnoses"), round(2.2 * config.subjects), SHARES)
    write_note(folder / "Data annotation.xlsx")
    write_note(folder / "AudioFiles" / ".DS_Store")
    for patient, diagnosis in enumerate(diagnoses, start=1):
        person = generator(config.seed, f"patient {patient}")
        healthy, obstructed = diagnosis == "N", "asthma" in diagnosis.casefold() or "copd" in diagnosis.casefold()
        wheezes = heard(person, obstructed)
        sound = "N" if healthy else "E W" if obstructed else "Crep"
        location = f"{person.choice(['A', 'P'])} {person.choice(['L', 'R'])} {person.choice(['U', 'M', 'L'])}"
        age, sex = int(person.integers(21, 85)), "M" if person.random() < 0.6 else "F"
        rate_per_min = person.uniform(12, 19) + 5 * wheezes
        for prefix, treble in FILTERS.items():
            name = f"{prefix}{patient}_{diagnosis},{sound},{location},{age},{sex}"
            rng = generator(config.seed, name)
            wave = breathing(
                rng,
                seconds(rng, config),
                RATE_HZ,
                rate_per_min,
                wheeze=wheezes,
                crackles=heard(rng, not healthy and not obstructed),
            )
            ending = ".WAV" if name.startswith("EP3_") else ".wav"
            write_audio(folder / "AudioFiles" / f"{name}{ending}", rng, brighten(wave, treble + 1.5 * wheezes), RATE_HZ)
