"""What the phantom corpus holds: subjects, their findings and their recordings, all by seed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from acula_edge.data.phantom.devices import DEVICES, Device
from acula_edge.data.phantom.heart import GRADES
from acula_edge.data.phantom.lung import RATE_PER_MIN
from acula_edge.errors import RecipeError

DATASET = "phantom"


@dataclass(frozen=True)
class PhantomConfig:
    """Size and difficulty of a phantom corpus.

    Attributes:
        subjects: number of persons; half of them are heard twice, the others once.
        duration_s: mean length of a recording; lengths vary by a tenth.
        seed: equal seeds give equal corpora.
        snr_offset_db: added to every recording's signal-to-noise ratio; negative values make all tasks harder.
    """

    subjects: int = 240
    duration_s: float = 10.0
    seed: int = 0
    snr_offset_db: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.subjects <= 1_000_000:
            raise RecipeError(
                "the phantom's number of subjects is out of range", given=self.subjects, allowed="1 to 1e6"
            )
        if not 1 <= self.duration_s <= 600:
            raise RecipeError("the phantom's duration_s is out of range", given=self.duration_s, allowed="1 to 600")
        if not -60 <= self.snr_offset_db <= 60:
            raise RecipeError(
                "the phantom's snr_offset_db is out of range", given=self.snr_offset_db, allowed="-60 to 60"
            )


@dataclass(frozen=True)
class Plan:
    """One recording that is to be generated.

    Attributes:
        recording, subject: ids.
        stratum: the subject's main findings.
        device: what it is recorded with.
        duration_s: its length.
        snr_db: RMS of what is listened to over RMS of the background.
        facts: metadata; labels and words of the report.
    """

    recording: str
    subject: str
    stratum: str
    device: Device
    duration_s: float
    snr_db: float
    facts: dict[str, Any]


# Shares of what subjects are heard for.
_KINDS = {
    ("heart", "lung"): 0.40,
    ("heart", "ambient"): 0.10,
    ("heart",): 0.25,
    ("lung",): 0.20,
    ("ambient",): 0.05,
}
_AGES = {"Child": 0.25, "Adult": 0.45, "Elderly": 0.30}
_SNR_DB = {"heart": (6.0, 20.0), "lung": (4.0, 18.0), "ambient": (4.0, 16.0)}
_TIMINGS = {"Holosystolic": 0.4, "Early-systolic": 0.2, "Mid-systolic": 0.25, "Early-diastolic": 0.15}
_SHAPES = {
    "Holosystolic": {"Plateau": 0.8, "Diamond": 0.2},
    "Early-systolic": {"Decrescendo": 0.7, "Diamond": 0.3},
    "Mid-systolic": {"Diamond": 0.8, "Crescendo": 0.2},
    "Early-diastolic": {"Decrescendo": 1.0},
}
_GRADES = dict(zip(GRADES, (0.12, 0.24, 0.28, 0.20, 0.10, 0.06), strict=True))
_PITCHES = {"Low": 0.3, "Medium": 0.4, "High": 0.3}
_QUALITIES = {"Harsh": 0.4, "Blowing": 0.45, "Musical": 0.15}
_HEART_SITES = ("aortic area", "pulmonary area", "tricuspid area", "mitral area")
_LUNG_SITES = tuple(
    f"{a} {b} {c}" for a in ("anterior", "posterior") for b in ("left", "right") for c in ("upper", "lower")
)
# Each attribute of subject n is read off the sequence frac(offset + n * root): even over any run of subjects, so that
# small corpora are balanced too. Square roots of different primes keep the attributes apart.
_PRIMES = {
    "kind": 2,
    "age": 3,
    "sex": 5,
    "murmur": 7,
    "wheeze": 11,
    "crackles": 13,
    "cough": 17,
    "device": 19,
    "rhonchi": 23,
}


def plan_corpus(config: PhantomConfig) -> list[Plan]:
    """Plans of every recording, in order of id."""
    return [plan for number in range(config.subjects) for plan in plan_subject(config, number)]


def plan_subject(config: PhantomConfig, number: int) -> list[Plan]:
    """Plans of one subject's recordings; they depend on nothing but the configuration and the number."""

    def deal(attribute: str) -> float:
        offset = generator(config.seed, attribute).random()
        return math.modf(offset + (number + 1) * math.sqrt(_PRIMES[attribute]))[0]

    subject = f"p{number + 1:04d}"
    rng = generator(config.seed, subject)
    kinds = _choose(_KINDS, deal("kind"))
    person = {"age": _choose(_AGES, deal("age")), "sex": "Female" if deal("sex") < 0.5 else "Male"}
    findings = {
        "murmur": deal("murmur") < 0.45,
        "wheeze": deal("wheeze") < 0.3,
        "crackles": deal("crackles") < 0.3,
        "rhonchi": deal("rhonchi") < 0.12,
        "cough": deal("cough") < 0.42,
    }
    device = _choose({device: device.share for device in DEVICES}, deal("device"))
    plans = []
    stratum = "+".join(_stratum(kind, findings) for kind in kinds)
    for kind in kinds:
        facts = {"sound": kind, **person, **_FACTS[kind](rng, person["age"], findings)}
        snr_db = round(float(rng.uniform(*_SNR_DB[kind])) + config.snr_offset_db, 1)
        duration_s = round(config.duration_s * rng.uniform(0.9, 1.1), 1)
        facts.update(device=device.name, snr_db=snr_db)
        plans.append(Plan(f"{subject}_{kind}", subject, stratum, device, duration_s, snr_db, facts))
    return plans


def generator(seed: int, name: str) -> np.random.Generator:
    """The random generator that belongs to a name; different names are independent."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def _choose(shares: Mapping[Any, float], position: float) -> Any:
    """The key within whose share of [0, 1) the position falls."""
    total = sum(shares.values())
    for key, share in shares.items():
        position -= share / total
        if position < 0:
            return key
    return next(reversed(list(shares)))


def _stratum(kind: str, findings: Mapping[str, bool]) -> str:
    if kind == "heart":
        return "murmur" if findings["murmur"] else "no-murmur"
    if kind == "lung":
        return "adventitious" if findings["wheeze"] or findings["crackles"] else "clear"
    return "cough" if findings["cough"] else "quiet"


def _heart_facts(rng: np.random.Generator, age: str, findings: Mapping[str, bool]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "location": str(rng.choice(_HEART_SITES)),
        "murmur": "Present" if findings["murmur"] else "Absent",
    }
    timing = _choose(_TIMINGS, rng.random())
    drawn = {
        "timing": timing,
        "shape": _choose(_SHAPES[timing], rng.random()),
        "grade": _choose(_GRADES, rng.random()),
        "pitch": _choose(_PITCHES, rng.random()),
        "quality": _choose(_QUALITIES, rng.random()),
    }
    return {**facts, **{f"murmur_{name}": value if findings["murmur"] else None for name, value in drawn.items()}}


def _lung_facts(rng: np.random.Generator, age: str, findings: Mapping[str, bool]) -> dict[str, Any]:
    phase = "expiratory" if rng.random() < 0.65 else "inspiratory and expiratory"
    kind = "fine" if rng.random() < 0.5 else "coarse"
    return {
        "location": str(rng.choice(_LUNG_SITES)),
        "respiratory_rate": round(float(rng.uniform(*RATE_PER_MIN[age])), 1),
        "wheeze": int(findings["wheeze"]),
        "wheeze_phase": phase if findings["wheeze"] else None,
        "crackles": int(findings["crackles"]),
        "crackles_type": kind if findings["crackles"] else None,
        "rhonchi": int(findings["rhonchi"]),
        "cough": int(findings["cough"]),
    }


def _ambient_facts(rng: np.random.Generator, age: str, findings: Mapping[str, bool]) -> dict[str, Any]:
    return {"location": None, "cough": int(findings["cough"])}


_FACTS = {"heart": _heart_facts, "lung": _lung_facts, "ambient": _ambient_facts}
