"""The check on hand-written sentences, on planted errors and on what it must keep apart."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from acula_edge.clinical_text.facts import dump_facts, load_facts
from acula_edge.clinical_text.faithfulness import check_report
from acula_edge.clinical_text.reading import Claim, read_claims
from acula_edge.clinical_text.writers.template import write_reports
from benchmarks.planted_errors import KINDS, plant_errors
from tests.clinical_text.test_template_reports import TYPICAL

FOLDER = Path(__file__).parent


def sentences(name: str) -> list[tuple[str, dict[str, Any]]]:
    rows = yaml.safe_load((FOLDER / f"{name}_sentences.yaml").read_text())
    return [(row["text"], load_facts(row["facts"])) for row in rows]


@pytest.mark.parametrize("name", ["clinical", "heldout"])
def test_hand_written_sentences_raise_few_alarms_and_their_errors_are_found(name: str) -> None:
    rows = sentences(name)
    assert len(rows) >= 40
    alarms = [text for text, facts in rows if check_report(facts, text)]
    planted, found = Counter[str](), Counter[str]()
    for text, facts in rows:
        for kind, altered in plant_errors(facts):
            planted[kind] += 1
            found[kind] += bool(check_report(altered, text))
    assert len(alarms) <= 0.06 * len(rows), alarms
    assert sum(found.values()) >= 0.98 * sum(planted.values()), (planted, found)
    assert found["polarity"] == planted["polarity"] > 30
    assert found["certainty"] == planted["certainty"] > 30


def test_errors_planted_in_templates_are_found() -> None:
    planted, found = Counter[str](), Counter[str]()
    more = {
        "place": {"murmur": "absent", "site": "aortic area"},
        "number": {"respiratory_rate": 17.3, "wheeze": "absent"},
    }
    for facts in [*TYPICAL.values(), *more.values()]:
        for kind, altered in plant_errors(facts):
            for report in write_reports(dump_facts(altered), 0, "r", 3, 64):
                planted[kind] += 1
                found[kind] += bool(check_report(facts, report))
    assert set(planted) == set(KINDS) and found == planted


def problems(facts: dict[str, Any], report: str) -> set[str]:
    return {problem.kind for problem in check_report(facts, report)}


@pytest.mark.parametrize(
    ("facts", "report", "kinds"),
    [
        ({"murmur": "absent"}, "A murmur is heard.", {"contradicted", "missing"}),
        ({"murmur": "absent"}, "No murmur; a gallop is heard.", {"invented"}),
        ({"murmur": "absent"}, "The recording is long.", {"missing"}),
        ({"murmur": "absent"}, "No murmur is heard; grade 3/6.", set()),
        ({"murmur": "present", "murmur_grade": "II/VI"}, "A grade III/VI murmur.", {"contradicted", "missing"}),
        ({"murmur": "present"}, "A holosystolic murmur.", {"invented"}),
        ({"wheeze": "absent", "crackles": "absent"}, "No added sounds are heard.", set()),
        ({"wheeze": "absent", "crackles": "present"}, "No added sounds are heard.", {"contradicted", "missing"}),
        ({"added_sounds": "absent"}, "No wheeze, no crackles.", {"missing"}),
        ({"breath_sounds": "normal"}, "Normal breath sounds, no wheeze.", set()),
        ({"wheeze": "present"}, "Wheezing is heard in a patient with COPD.", {"invented"}),
        ({"diagnosis": ("asthma",)}, "Asthma; no COPD.", {"invented"}),
        ({"diagnosis": ()}, "A healthy person without asthma.", set()),
        ({"diagnosis": ("asthma",)}, "A healthy person.", {"contradicted", "missing"}),
        ({"diagnosis": ("mild COPD",)}, "Mild COPD.", set()),
        ({"respiratory_rate": 17.3}, "The respiratory rate is 17.3 per minute.", set()),
        ({"respiratory_rate": 17.3}, "The respiratory rate is 17 per minute.", set()),
        ({"respiratory_rate": 17.3}, "The respiratory rate is 18 per minute.", {"contradicted"}),
        ({"wheeze": "present"}, "Wheezing for 3 days.", {"invented"}),
        ({"wheeze": "present"}, "She wheezes; wheezes are heard.", {"invented"}),
        ({"fev1": 2.5, "fvc": 3.1}, "FEV1 3.1 L, FVC 2.5 L.", {"contradicted"}),
        ({"wheeze": "present", "wheeze_phase": "expiratory", "crackles": "present", "crackles_phase": "inspiratory"},
         "Expiratory wheezes and inspiratory crackles.", set()),
        ({"wheeze": "present", "wheeze_phase": "expiratory", "crackles": "present", "crackles_phase": "inspiratory"},
         "Inspiratory wheezes and expiratory crackles.", {"contradicted", "missing"}),
        ({"murmur": "present", "murmur_pitch": "high", "diastolic_murmur": "present", "diastolic_murmur_pitch": "low"},
         "A high-pitched murmur is heard. In diastole there is a low-pitched murmur.", set()),
        ({"murmur": "absent"}, "", {"missing"}),
        ({}, "No finding is recorded.", set()),
        ({}, "A wheeze is heard.", {"invented"}),
    ],
)  # fmt: skip
def test_kinds_of_problems(facts: dict[str, Any], report: str, kinds: set[str]) -> None:
    assert problems(facts, report) == kinds, [problem.say() for problem in check_report(facts, report)]


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("There is a wheeze.", "present"), ("No wheeze.", "absent"), ("A wheeze is not heard.", "absent"),
        ("Wheeze is absent.", "absent"), ("Neither crackles nor wheeze.", "absent"), ("Without wheeze.", "absent"),
        ("Free of crackles and wheeze.", "absent"), ("A wheeze cannot be excluded.", "unknown"),
        ("Wheeze was ruled out.", "absent"), ("Whether there is a wheeze is unclear.", "unknown"),
        ("No crackles, but a wheeze is heard.", "present"), ("No crackles are heard, a wheeze is present.", "present"),
        ("No crackles, rhonchi or wheeze.", "absent"), ("Crackles are absent and a wheeze is heard.", "present"),
        ("Not only crackles, a wheeze is heard as well.", "present"), ("A wheeze is possible.", "unknown"),
        ("Denies wheeze.", "absent"), ("A wheeze can neither be confirmed nor excluded.", "unknown"),
    ],
)  # fmt: skip
def test_denials_and_doubts(text: str, state: str) -> None:
    assert Claim("wheeze", "", state) in read_claims(text)
    assert len({claim for claim in read_claims(text) if claim.name == "wheeze"}) == 1
