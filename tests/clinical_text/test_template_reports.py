"""Reports from templates: faithful, varied, the same for the same seed, and never of a test recording."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from acula_edge.clinical_text.corpus import write_reports
from acula_edge.clinical_text.fact_selection import select_facts
from acula_edge.clinical_text.facts import Facts, dump_facts
from acula_edge.clinical_text.faithfulness import check_report
from acula_edge.clinical_text.vocabulary import load_vocabulary
from acula_edge.clinical_text.writers import template
from acula_edge.clinical_text.writers.template import NOTHING
from acula_edge.data.miniature import miniatures
from acula_edge.data.phantom.plan import PhantomConfig, plan_corpus
from acula_edge.data.reader import readers
from acula_edge.errors import InputError
from acula_edge.recipe import ReportsConfig
from tests.clinical_text.conftest import recording

MURMUR: Facts = {
    "murmur": "present", "murmur_timing": "holosystolic", "murmur_grade": "III/VI", "murmur_pitch": "high",
    "murmur_quality": "harsh", "murmur_shape": "plateau", "murmur_loudest": "here",
}  # fmt: skip
TYPICAL: dict[str, Facts] = {
    "CirCor, murmur": MURMUR,
    "CirCor, no murmur": {"murmur": "absent"},
    "CirCor, unknown": {"murmur": "unknown"},
    "CirCor, elsewhere": {"murmur": "absent", "murmur_elsewhere": "present"},
    "KAUH, asthma": {"diagnosis": ("asthma",), "wheeze": "present", "wheeze_phase": "expiratory"},
    "KAUH, normal": {"diagnosis": (), "breath_sounds": "normal"},
    "ICBHI, COPD": {"diagnosis": ("COPD",), "wheeze": "present", "crackles": "absent"},
    "ICBHI, healthy": {"diagnosis": (), "wheeze": "absent", "crackles": "absent"},
}
PERSON = (
    r"\b(infant|child|adult|elderly|adolescent|teenager|neonate|newborn|fe)?male\b|"
    r"\b(infant|child|adult|elderly)\b|years old|\baged\b"
)


def every_choice() -> Iterator[Facts]:
    """Every value of every kind of fact at least once, and findings with all that describes them."""
    vocabulary = load_vocabulary()
    for kind in vocabulary.kinds.values():
        if kind.kind == "presence":
            for state in ("present", "absent", "unknown"):
                if kind.values["present"].nouns or kind.values[state].clauses:
                    yield {kind.name: state}
        for value in kind.values if kind.kind == "choice" else ():
            yield {kind.name: value} if kind.of is None else {kind.of: "present", kind.name: value}
        if kind.kind == "list":
            yield from ({kind.name: (item,)} for item in kind.values or _written(vocabulary.terms))
            if not kind.values:
                yield {kind.name: ("asthma", "hypertension", "fever")}
                yield {kind.name: ()}
        if kind.kind == "quantity":
            yield from ({kind.name: value} for value in (0.7, 3.0, 17.25))


def _written(terms: Any) -> list[str]:
    return [name for name, words in terms.items() if words.one]


def reports_of(facts: Facts, variants: int = 6, seed: int = 0) -> list[str]:
    return template.write_reports(dump_facts(facts), seed, "r", variants, 64)


def test_every_word_of_the_vocabulary_is_read_as_it_is_written() -> None:
    for facts in every_choice():
        if "age_years" in facts:
            continue
        for report in reports_of(facts):
            assert report != NOTHING, facts
            assert check_report(facts, report) == [], report


@pytest.mark.parametrize("name", TYPICAL)
def test_the_same_facts_have_fifty_surface_forms(name: str) -> None:
    facts = TYPICAL[name]
    forms = {report for seed in range(6) for report in reports_of(facts, 40, seed)}
    assert len(forms) >= 50
    for report in sorted(forms)[::5]:
        assert check_report(facts, report) == [], report


@pytest.mark.parametrize("name", [*miniatures.names(), "phantom"])
def test_reports_of_every_data_set_are_faithful_and_leave_the_person_out(make_miniature: Any, name: str) -> None:
    if name == "phantom":
        plans = plan_corpus(PhantomConfig(subjects=30))
        recordings = [recording("phantom", plan.facts, f"r{number}") for number, plan in enumerate(plans)]
    else:
        recordings = readers[name].read(make_miniature(name), {}).recordings
    plain = ReportsConfig(variants=3)
    whole = ReportsConfig(variants=3, demographics=True, leave_out=[])
    for one in recordings[:: max(1, len(recordings) // 30)]:
        one = one.with_split("train")
        for config in (plain, whole):
            facts = select_facts(one, config)
            for report in write_reports(one, config):
                assert (report == NOTHING) == (not facts)
                assert not facts or check_report(facts, report) == [], report
                assert report[-1] == "." and not report[0].islower() and 1 <= len(report.split(". ")) <= 3
                assert not re.search(r"[{}@_]|  |\.\.|,,|\b(None|nan|null|True|False)\b", report), report
                if config is plain:
                    assert not re.search(PERSON, report, re.IGNORECASE), report
        if one.metadata.get("sex"):
            assert all(one.metadata["sex"].casefold() in text.casefold() for text in write_reports(one, whole))


def test_a_murmur_is_stated_only_where_it_is_heard() -> None:
    common = {"murmur": "Present", "location": "AV", "most_audible_location": "MV", "systolic_timing": "Holosystolic",
              "systolic_grading": "II/VI", "systolic_quality": "Harsh", "diastolic_murmur_timing": "Early-diastolic",
              "diastolic_murmur_grading": "II/IV"}  # fmt: skip
    for report in write_reports(recording("circor", {**common, "murmur_at_this_location": 0}), ReportsConfig()):
        assert not re.search("diastol|systol|harsh|grade", report, re.IGNORECASE), report
        assert re.search("elsewhere|other", report, re.IGNORECASE), report
    for report in write_reports(recording("circor", {**common, "murmur_at_this_location": 1}), ReportsConfig()):
        assert re.search("diastol", report) and re.search("holosystolic|pansystolic", report, re.IGNORECASE), report


def test_equal_seeds_give_equal_reports() -> None:
    one = recording("kauh", {"diagnosis": "Asthma", "sound": "Expiratory wheeze"})
    reports = write_reports(one, ReportsConfig())
    other_order = recording("kauh", {"sound": "Expiratory wheeze", "diagnosis": "Asthma"})
    assert reports == write_reports(other_order, ReportsConfig())
    assert reports[:3] == write_reports(one, ReportsConfig(variants=3)), "more phrasings keep the first"
    assert reports != write_reports(one, ReportsConfig(seed=1))
    assert reports != write_reports(recording("kauh", one.metadata, "another"), ReportsConfig())
    # Not only in this process: the same text on every machine and in every version.
    assert write_reports(one, ReportsConfig(variants=2)) == [
        "Known asthma; the stethoscope reveals expiratory wheezing.",
        "A case of asthma. One hears wheezing during expiration.",
    ]


def test_variants_are_distinct_and_share_a_pool() -> None:
    for facts in TYPICAL.values():
        assert len(set(reports_of(facts, 8))) == 8
    dumped = dump_facts(TYPICAL["CirCor, no murmur"])
    shared = {text for number in range(40) for text in template.write_reports(dumped, 0, f"r{number}", 8, 16)}
    assert len(shared) <= 16
    assert len(template.write_reports(dumped, 0, "r", 200, 4)) == 200


def test_nothing_known_is_said_as_that() -> None:
    empty = recording("circor", {"murmur": None, "age": "Infant", "outcome": "Abnormal", "campaign": "CC2015"})
    assert write_reports(empty, ReportsConfig(variants=2)) == [NOTHING] * 2
    assert check_report({}, NOTHING) == []


def test_test_recordings_are_refused() -> None:
    with pytest.raises(InputError, match="would leak its label") as caught:
        write_reports(recording("circor", {"murmur": "Present"}, split="test"), ReportsConfig())
    assert "Present" not in str(caught.value)


@pytest.mark.parametrize("variants", [0, -1])
def test_no_phrasing_is_an_error(variants: int) -> None:
    with pytest.raises(InputError, match="at least 1"):
        ReportsConfig(variants=variants)


@pytest.mark.real_data
@pytest.mark.parametrize(("dataset", "folder"), [("circor", "circor-digiscope"), ("kauh", "kauh-lung-10s")])
def test_reports_of_real_metadata(shared_dir: Any, dataset: str, folder: str) -> None:
    config = ReportsConfig(variants=2, leave_out=[], demographics=True)
    for one in readers[dataset].read(shared_dir / "data" / folder, {}).recordings:
        facts = select_facts(one, config)
        for report in write_reports(one, config):
            assert report != NOTHING and check_report(facts, report) == [], report
