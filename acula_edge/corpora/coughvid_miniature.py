"""A miniature CoughVID: coughs with a status and a sex, the lists of uuids, and what experts heard in some of them.

There are 1.6 times the configured persons, and more COVID-19 than in the release, so that both sides of the lists hold
enough of both tasks' classes. As in the release a wav's name lacks its last character, and some rows hold no cough.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np

from acula_edge.data.miniature import MiniatureConfig, miniatures
from acula_edge.data.miniature.disk import brighten, deal, heard, seconds, write_note, write_rows
from acula_edge.data.miniature.sounds import cough, generator, write_audio
from acula_edge.data.phantom.sound import Array

RATE_HZ = 16000
STATUSES = {"COVID-19": 32, "healthy": 40, "symptomatic": 14, "": 10}
SEXES = {"male": 46, "female": 46, "other": 4, "": 4}
TESTED, VALIDATED = 0.45, 0.25
EXPERTS = (1, 2, 3)
FINDINGS = ("dyspnea", "wheezing", "stridor", "choking", "congestion")
LISTS = {
    "train": "coughvid__train_uuids",
    "val": "coughvid__val_uuids",
    "test": "coughvid_gender_test_uuids",
}
_JUDGED = ("quality", "cough_type", *FINDINGS, "nothing", "diagnosis", "severity")


@miniatures.register("coughvid")
def write(folder: Path, config: MiniatureConfig) -> None:
    """COVID-19 makes a cough wet and sharp, and so it does half of the other symptoms; men cough lower and deeper."""
    rng = generator(config.seed, "persons")
    persons = [
        (status, sex)
        for status, number in _count(rng, round(1.6 * config.subjects)).items()
        for sex in deal(rng, number, SEXES)
    ]
    persons = [persons[place] for place in rng.permutation(len(persons))]
    sides = _deal_sides(rng, persons)
    # Rows without a cough are strewn in between; their number is -1.
    order = [*range(len(persons)), *[-1] * max(3, config.subjects // 12)]
    order = [order[place] for place in rng.permutation(len(order))]
    absent, short, shouted, *_ = (place for place, side in enumerate(sides) if side == "train")
    columns = ["datetime", "cough_detected", "latitude", "longitude", "age", "gender", "respiratory_condition",
               "fever_muscle_pain", "status"]  # fmt: skip
    rows: list[list[object]] = [["uuid", *columns, *(f"{name}_{n}" for n in EXPERTS for name in _JUDGED)]]
    lists: dict[str, list[str]] = {side: [] for side in LISTS}
    for place in order:
        name = str(uuid.UUID(bytes=rng.bytes(16), version=4))
        own = generator(config.seed, name)
        status, sex = persons[place] if place >= 0 else ("healthy", "male")
        wet = heard(own, status == "COVID-19" or status == "symptomatic" and own.random() < 0.5)
        detected = own.uniform(0.8, 1.0) if place >= 0 else own.uniform(0.0, 0.79)
        rows.append(
            [name, "2020-04-13T21:30:59+00:00", f"{detected:.4f}", "", "", *_person(own, status, sex), status,
             *_experts(own, status, wet)]
        )  # fmt: skip
        duration_s = seconds(own, config) if place >= 0 else 1.0
        low = heard(own, True) if sex == "male" else heard(own, False) if sex == "female" else own.random() < 0.5
        wave = cough(own, duration_s, RATE_HZ, low=bool(low), wet=wet)
        wave = brighten(deepen(wave) if low else wave, 1.5 * wet)
        if place >= 0:
            lists[sides[place]].append(name)
        if place != absent:
            stem = name[:-1] if place == short else name
            write_audio(folder / "wav" / f"{stem}{'.WAV' if place == shouted else '.wav'}", own, wave, RATE_HZ)
    write_rows(folder / "metadata_compiled.csv", rows, bom=True)
    for side, names in lists.items():
        np.save(folder / f"{LISTS[side]}.npy", np.array(names))
    write_note(folder / "README.txt")
    write_note(folder / "wav" / "convert.log")


def deepen(wave: Array) -> Array:
    """A wave with its frequencies below some 200 Hz raised, as by a larger chest."""
    return np.asarray(wave + 3 * np.convolve(wave, np.full(40, 1 / 40), "same"))


def _count(rng: np.random.Generator, number: int) -> dict[str, int]:
    statuses = deal(rng, number, STATUSES)
    return {status: statuses.count(status) for status in STATUSES}


def _deal_sides(rng: np.random.Generator, persons: list[tuple[str, str]]) -> list[str]:
    """Side of each person; those with a sex are tested, status by status, and a share of the rest is validation."""
    tested: set[int] = set()
    for status in STATUSES:
        for sex in ("male", "female"):
            places = [place for place, person in enumerate(persons) if person == (status, sex)]
            tested.update(places[: int(np.ceil(TESTED * len(places)))])
    rest = [place for place in range(len(persons)) if place not in tested]
    validated: set[int] = set()
    for status in STATUSES:
        places = [place for place in rest if persons[place][0] == status]
        validated.update(places[: int(VALIDATED * len(places))])
    return ["test" if n in tested else "val" if n in validated else "train" for n in range(len(persons))]


def _person(rng: np.random.Generator, status: str, sex: str) -> list[object]:
    if not status:
        return ["", sex, "", ""]
    ill = status != "healthy"
    return [f"{rng.integers(16, 80)}.0", sex, rng.random() < 0.15, bool(rng.random() < (0.4 if ill else 0.05))]


def _experts(rng: np.random.Generator, status: str, wet: bool) -> list[object]:
    """What the experts say; as in the release most recordings have been heard by none or one of them."""
    cells: list[object] = []
    for _ in EXPERTS:
        if rng.random() > 0.15:
            cells += [""] * len(_JUDGED)
            continue
        found = [bool(rng.random() < 0.15) for _ in FINDINGS]
        diagnosis = {"COVID-19": "COVID-19", "symptomatic": "lower_infection"}.get(status, "healthy_cough")
        severity = rng.choice(["mild", "severe", "unknown"]) if status in ("COVID-19", "symptomatic") else "pseudocough"
        cells += ["good", "wet" if wet else "dry", *found, not any(found), diagnosis, severity]
    return cells
