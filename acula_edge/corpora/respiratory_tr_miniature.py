"""A miniature RespiratoryDatabase@TR: its 42 patients and their grades in its order, four of the twelve channels.

Patients and grades are those of the release's ``Labels.csv`` (Mendeley ``p9z4h98s6j`` v1, CC BY 4.0), so that the
published partition is the real one.
"""

from __future__ import annotations

from pathlib import Path

from acula_edge.data.miniature import MiniatureConfig, miniatures
from acula_edge.data.miniature.disk import brighten, heard, seconds, write_note, write_rows
from acula_edge.data.miniature.sounds import breathing, generator, write_audio

RATE_HZ = 4000
CHANNELS = ("L1", "L2", "R1", "R2")
# Numbers of the patients of each grade; the label file goes by number.
PATIENTS = {
    0: (16, 21, 37, 40, 41, 50),
    1: (17, 29, 39, 43, 45),
    2: (18, 28, 30, 31, 38, 42, 44),
    3: (7, 8, 10, 26, 33, 34, 36),
    4: (2, 3, 4, 5, 6, 9, 11, 12, 13, 14, 15, 22, 23, 24, 25, 32, 35),
}


@miniatures.register("respiratory_tr")
def write(folder: Path, config: MiniatureConfig) -> None:
    """The higher the grade, the faster and harsher the breath; wheeze from grade 2 on, crackles at 1 and 4."""
    patients = sorted((number, grade) for grade, numbers in PATIENTS.items() for number in numbers)
    rows = [["Patient ID", "Diagnosis", ""], *([f"H{number:03d}", f"COPD{grade}", ""] for number, grade in patients)]
    write_rows(folder / "Labels.csv", rows, bom=True)
    write_note(folder / "RespiratoryDatabase@TR" / "._H002_L1.wav")
    for number, grade in patients:
        for channel in CHANNELS:
            name = f"H{number:03d}_{channel}"
            rng = generator(config.seed, name)
            wave = breathing(
                rng,
                seconds(rng, config),
                RATE_HZ,
                rate_per_min=13 + 4 * grade + 2 * rng.standard_normal(),
                wheeze=heard(rng, grade >= 2),
                crackles=heard(rng, grade in (1, 4)),
            )
            wave = brighten(wave, max(0.0, 1.2 * grade + 0.8 * rng.standard_normal()))
            ending = ".WAV" if name == "H004_R2" else ".wav"
            write_audio(folder / "RespiratoryDatabase@TR" / f"{name}{ending}", rng, wave, RATE_HZ)
