"""A miniature Coswara: two coughs per user, as many smokers as not, and users whom the release's rules leave out.

There are three times the configured users, so that a fifth of them holds enough of all classes; in return a shallow
cough lasts half as long as configured, and a heavy one, which nobody reads, is its first moment.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from acula_edge.data.miniature import MiniatureConfig, miniatures
from acula_edge.data.miniature.disk import deal, heard, seconds, write_note, write_rows
from acula_edge.data.miniature.sounds import cough, generator, write_audio

RATE_HZ = 16000
HEAVY_S = 0.3
DATES = ("20200413", "20200820", "20210603")
SHARES = {
    ("female", "smoker"): 24, ("female", "other"): 22, ("male", "smoker"): 24, ("male", "other"): 22,
    ("female", ""): 3, ("male", ""): 3, ("pnts", "other"): 1, ("other", "smoker"): 1,
}  # fmt: skip
# The release spells the answers in these ways.
SPELLINGS = {"smoker": ("y", "True", "TRUE"), "other": ("n", "False", "FALSE"), "": ("",)}
STATUSES = ("healthy", "positive_mild", "no_resp_illness_exposed", "resp_illness_not_identified", "recovered_full")
COLUMNS = ("id", "a", "covid_status", "ep", "g", "l_c", "smoker", "cold", "ht", "asthma", "cough", "fever", "st")
# Users of the release one of whose files is missing (the shallow cough) or broken (the heavy one).
DROPPED = {
    "C7Km0KttQRMMM6UoyocajfgZAOB3": "cough-heavy",
    "kgjTguvo3vZJTO7F1qO9GxEicbA3": "cough-heavy",
    "9hftEYixyhP1Neeq3fB7ZwITQC53": "cough-shallow",
}
LETTERS = list(string.ascii_letters + string.digits)


@miniatures.register("coswara")
def write(folder: Path, config: MiniatureConfig) -> None:
    """A man's cough is lower, a smoker's is wet."""
    kinds = deal(generator(config.seed, "users"), 3 * config.subjects, SHARES)
    rows: list[Sequence[object]] = [COLUMNS]
    annotated: list[tuple[str, int, int]] = []
    dropped = dict(zip(range(6, len(kinds), max(1, len(kinds) // 4)), DROPPED, strict=False))
    for place, (sex, smoking) in enumerate(kinds):
        rng = generator(config.seed, f"user {place}")
        user = dropped.get(place, "".join(rng.choice(LETTERS, 27)) + str(1 + place % 3))
        rows.append([user, *_answers(rng, sex, SPELLINGS[smoking][place % len(SPELLINGS[smoking])])])
        shallow, heavy = (0 if place % 23 == offset else int(rng.integers(1, 3)) for offset in (8, 15))
        if place != 12:  # not annotated
            annotated.append((user, shallow, heavy))
        person = folder / "Extracted_data" / DATES[place * len(DATES) // len(kinds)] / user
        wave = cough(
            rng,
            round(seconds(rng, config) / 2, 2),  # whole hundredths make the sound faster to compute
            RATE_HZ,
            low=heard(rng, sex == "male"),
            wet=heard(rng, smoking == "smoker"),
        )
        ending = ".WAV" if place == 3 else ".wav"
        broken = DROPPED.get(user, "")
        if place != 4 and broken != "cough-shallow":  # user 4 is listed, but there is no audio
            write_audio(person / f"cough-shallow{ending}", rng, wave, RATE_HZ)
        write_audio(person / f"cough-heavy{ending}", rng, wave[: round(HEAVY_S * RATE_HZ)], RATE_HZ)
        if broken == "cough-heavy":
            (person / f"cough-heavy{ending}").write_bytes(b"")
    write_rows(folder / "combined_data.csv", rows, bom=True)
    annotated.sort()  # in another order than the table
    for column, modality in ((1, "cough-shallow"), (2, "cough-heavy")):
        table = [[f"{entry[0]}_{modality}", entry[column]] for entry in annotated]
        write_rows(folder / "annotations" / f"{modality}_labels.csv", [["FILENAME", " QUALITY"], *table])
    write_note(folder / "csv_labels_legend.json", '{"id": "User ID", "a": "Age (number)"}\n')
    write_note(folder / "Extracted_data" / DATES[0] / ".DS_Store")


def _answers(rng: np.random.Generator, sex: str, smoker: str) -> list[object]:
    """The row's other cells; what is ticked is True, what is not is empty."""
    ticked = ["True" if rng.random() < 0.12 else "" for _ in COLUMNS[7:]]
    return [int(rng.integers(16, 75)), str(rng.choice(STATUSES)), "y", sex, "India", smoker, *ticked]
