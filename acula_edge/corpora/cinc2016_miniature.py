"""A miniature CinC 2016: six groups, persons known in three of them, a validation folder that repeats recordings."""

from __future__ import annotations

import shutil
from pathlib import Path

from acula_edge.data.miniature import MiniatureConfig, miniatures
from acula_edge.data.miniature.disk import deal, heard, seconds, write_note, write_rows
from acula_edge.data.miniature.sounds import generator, heart, write_audio

RATE_HZ = 2000
GROUPS = {"a": 4, "b": 5, "c": 1, "d": 1, "e": 12, "f": 1}
ABNORMAL = {"a": "MVP", "b": "CAD", "c": "MR", "d": "Pathologic", "e": "CAD", "f": "Pathologic"}
COLUMNS = (
    "Challenge record name", "Database", "Original record name", "Subject ID", "Diagnosis",
    "Class (-1=normal 1=abnormal)", "Transducer site on body", "Gender", "Age (year)",
)  # fmt: skip


@miniatures.register("cinc2016")
def write(folder: Path, config: MiniatureConfig) -> None:
    """Two recordings per person; the second of the first person of each group is too noisy to tell."""
    groups = deal(generator(config.seed, "groups"), config.subjects, GROUPS)
    appendix: list[list[object]] = [list(COLUMNS)]
    for letter in GROUPS:
        persons = max(groups.count(letter), 1)
        ill = deal(generator(config.seed, f"classes {letter}"), persons, {True: 35, False: 65})
        classes: list[list[object]] = []
        quality: list[list[object]] = []
        for number in range(2 * persons):
            person, take = divmod(number, 2)
            name = f"{letter}{number + 1:04d}"
            abnormal = ill[person]
            rng = generator(config.seed, name)
            wave = heart(rng, seconds(rng, config), RATE_HZ, murmur=heard(rng, abnormal), age="Adult")
            ending = ".WAV" if name == "b0002" else ".wav"
            write_audio(folder / f"training-{letter}" / f"{name}{ending}", rng, wave, RATE_HZ)
            write_note(folder / f"training-{letter}" / f"{name}.hea", f"{name} 1 2000\n")
            label = 1 if abnormal else -1
            classes.append([name, label])
            quality.append([name, label, int((person, take) != (0, 1))])
            appendix.append(_facts(letter, name, person, take, abnormal))
        write_rows(folder / f"training-{letter}" / "REFERENCE.csv", classes)
        write_rows(folder / f"training-{letter}" / "REFERENCE-SQI.csv", quality)
    write_rows(folder / "annotations" / "Online Appendix_training set.csv", appendix)
    (folder / "validation").mkdir()
    shutil.copy(folder / "training-e" / "e0001.wav", folder / "validation" / "e0001.wav")


def _facts(letter: str, name: str, person: int, take: int, abnormal: bool) -> list[object]:
    original = {"a": f"C{person + 40}S{take + 1}", "c": f"id{person + 17}_{take}"}.get(letter, f"rec{name}")
    subject = person + 1 if letter == "b" else ""
    sex, age = ("Male" if person % 2 else "Female"), (25 + person if letter in "be" else "")
    diagnosis = ABNORMAL[letter] if abnormal else "Normal"
    site = ("Apex", "Aortic area", "Pulmonary area")[person % 3] if letter in "abe" else ""
    return [name, f"training-{letter}", original, subject, diagnosis, 1 if abnormal else -1, site, sex, age]
