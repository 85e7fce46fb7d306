"""A miniature ZCHSound: the clean recordings with the release's shares of diagnoses, and a few noisy ones.

There are 2.4 times the configured persons, so that a fifth of them holds enough of both classes.
"""

from __future__ import annotations

from pathlib import Path

from acula_edge.data.miniature import MiniatureConfig, miniatures
from acula_edge.data.miniature.disk import deal, heard, seconds, write_note, write_rows
from acula_edge.data.miniature.sounds import generator, heart, write_audio
from acula_edge.data.phantom.noise import background, handling

RATE_HZ = 4000
CLEAN_SHARES = {"NORMAL": 533, "VSD": 187, "ASD": 119, "PFO": 70, "PDA": 32}
NOISY_SHARES = {"NORMAL": 160, "ASD": 102, "PFO": 35, "VSD": 14, "PDA": 7}


@miniatures.register("zchsound")
def write(folder: Path, config: MiniatureConfig) -> None:
    """Any defect makes a murmur; the noisy recordings have rubbing and knocks too."""
    clean = round(2.4 * config.subjects)
    noisy = max(5, config.subjects // 6)
    rng = generator(config.seed, "diagnoses")
    write_note(folder / "readme.txt")
    for noise, table, audio, first, diagnoses in (
        ("clean", "Clean Heartsound Data Details", "clean Heartsound Data", 1, deal(rng, clean, CLEAN_SHARES)),
        ("noisy", "Noise Heartsound Data Details", "Noise Heartsound Data Details", clean + 1,
         deal(rng, noisy, NOISY_SHARES)),
    ):  # fmt: skip
        rows: list[list[object]] = [["fileName", "gender", "age(days)", "diagnosis"]]
        for number, diagnosis in enumerate(diagnoses, start=first):
            name = f"ZCH{number:04d}"
            rng = generator(config.seed, name)
            age_days = int(rng.integers(1, 14 * 365))
            rows.append([f"{name}.wav", "M" if rng.random() < 0.5 else "F", age_days, diagnosis])
            wave = heart(rng, seconds(rng, config), RATE_HZ, murmur=heard(rng, diagnosis != "NORMAL"))
            if noise == "noisy":
                wave = wave + 0.3 * background(rng, len(wave), RATE_HZ) + handling(rng, len(wave), RATE_HZ)
            if name != "ZCH0011":
                ending = ".WAV" if name == "ZCH0005" else ".wav"
                write_audio(folder / audio / f"{name}{ending}", rng, wave, RATE_HZ)
        write_rows(folder / f"{table}.csv", rows, delimiter=";", bom=noise == "clean")
