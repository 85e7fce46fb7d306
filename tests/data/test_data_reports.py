"""Reports from templates: what they say is what the metadata say, and never of a test recording."""

from __future__ import annotations

import functools
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from acula_edge.data.manifest import Recording
from acula_edge.data.phantom.plan import PhantomConfig, plan_corpus
from acula_edge.data.reader import readers
from acula_edge.data.reports import write_corpus, write_reports
from acula_edge.data.writers.template import FOLDER, load_template
from acula_edge.errors import InputError
from acula_edge.recipe import ReportsConfig

Metadata = dict[str, Any]

SYSTOLIC = {"timing": "Holosystolic", "shape": "Diamond", "grading": "II/VI", "pitch": "High", "quality": "Harsh"}
DIASTOLIC = {
    "timing": "Early-diastolic", "shape": "Decrescendo", "grading": "III/IV", "pitch": "Low", "quality": "Blowing",
}  # fmt: skip
PERSON = {"age": "Infant", "sex": "Female", "outcome": "Abnormal", "campaign": "CC2015"}
SYSTOLIC_FIELDS = [f"systolic_{aspect}" for aspect in SYSTOLIC]
SHIPPED = ("circor", "kauh", "phantom")


def recording(dataset: str, metadata: Metadata, name: str = "r", split: str = "train") -> Recording:
    return Recording(name, "", f"{dataset}/s", dataset, 4000, 1.0, split=split, metadata=metadata)


def circor_metadata() -> list[Metadata]:
    """Everything that a site, a loudest site and gaps in the description of a murmur can be."""
    combinations: list[Metadata] = []
    gaps = [{}, *({aspect: None} for aspect in SYSTOLIC), dict.fromkeys(SYSTOLIC)]
    for murmur, at, loudest, gap, diastolic in itertools.product(
        ("Present", "Absent", "Unknown"), (1, 0, None), ("AV", "MV", None), gaps, (True, False)
    ):
        present = murmur == "Present"
        if present != (at is not None) and (murmur, at) not in (("Absent", 0), ("Present", None)):
            continue
        systolic = {**SYSTOLIC, **gap}
        combinations.append(
            {
                **PERSON,
                "location": "AV",
                "murmur": murmur,
                "murmur_at_this_location": at,
                "murmur_locations": "AV+MV" if present else None,
                "most_audible_location": loudest if present else None,
                **{f"systolic_{aspect}": value if present else None for aspect, value in systolic.items()},
                # Diastolic murmurs of the corpus are described whole or not at all.
                **{
                    f"diastolic_murmur_{aspect}": value if present and at == 1 and diastolic else None
                    for aspect, value in DIASTOLIC.items()
                },
            }
        )
    return combinations


DIAGNOSES = ("Normal", "Asthma", "COPD", "Heart failure + COPD", "Heart failure + lung fibrosis", "Pneumonia", None)
SOUNDS = ("Normal", "Expiratory wheeze", "Inspiratory crackles + expiratory wheeze", "Crepitations", "Bronchial", None)


def kauh_metadata() -> list[Metadata]:
    return [
        {"diagnosis": diagnosis, "sound": sound, "stethoscope_filter": "bell", "location": location, "age": 83,
         "sex": "Male"}
        for diagnosis, sound, location in itertools.product(DIAGNOSES, SOUNDS, ("posterior left upper", None))
    ]  # fmt: skip


def phantom_metadata() -> list[Metadata]:
    return [plan.facts for plan in plan_corpus(PhantomConfig(subjects=120))]


COMBINATIONS = {"circor": circor_metadata, "kauh": kauh_metadata, "phantom": phantom_metadata}


@functools.cache
def all_reports(dataset: str, demographics: bool = False, variants: int = 8) -> list[tuple[Metadata, str]]:
    config = ReportsConfig(variants=variants, demographics=demographics)
    return [
        (metadata, report)
        for number, metadata in enumerate(COMBINATIONS[dataset]())
        for report in write_reports(recording(dataset, metadata, f"r{number}"), config)
    ]


@pytest.mark.parametrize("dataset", SHIPPED)
def test_reports_are_sentences(dataset: str) -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} >= set(SHIPPED)
    for _, report in all_reports(dataset, demographics=True, variants=2) + all_reports(dataset):
        assert report and report == report.strip() and report[0].isupper() and report[-1] == ".", report
        assert not re.search(r"[{}_]|  |\.\.|,,|\b(none|nan|null|true|false)\b", report, re.IGNORECASE), report
        assert not re.search(r"cc20\d\d|abnormal|birch|alder|cedar|dogwood", report.casefold()), report


@pytest.mark.parametrize("dataset", SHIPPED)
def test_persons_are_described_only_where_that_is_asked_for(dataset: str) -> None:
    words = r"\b(infant|child|adult|elderly|fe)?male\b|\b(infant|child|adult|elderly|83)\b|years old|\baged\b"
    for _, report in all_reports(dataset):
        assert not re.search(words, report, re.IGNORECASE), report
    for metadata, report in all_reports(dataset, demographics=True, variants=2):
        assert str(metadata["age"]).casefold() in report.casefold(), report
        assert re.search(rf"\b{metadata['sex']}\b", report, re.IGNORECASE), report


NO_MURMUR = r"no murmur|without a murmur|no cardiac murmur|without murmur|murmur is absent|free of murmurs"
UNSURE = r"uncertain|unclear|neither be confirmed|not allow|leaves the question|cannot be said|too poor|no statement"
LOUDEST = r"loudest (here|at this site)|maximum at this site|point of maximum"
ELSEWHERE = r"faint|elsewhere|other sites|another site"
WORDS = {
    "timing": r"\b(?:holo|early-|mid-|late-)(?:systolic|diastolic)\b",
    "shape": r"\b(?:diamond|plateau|decrescendo|crescendo)\b",
    "grading": r"\b[iv]+/(?:iv|vi)\b",
    "pitch": r"\b(?:low|medium|high)\b",
    "quality": r"\b(?:harsh|blowing|musical)\b",
}


def test_circor_reports_agree_with_the_metadata() -> None:
    for facts, report in all_reports("circor"):
        said = report.casefold()
        expected = {"Absent": NO_MURMUR, "Unknown": UNSURE, "Present": r"murmur"}
        for murmur, pattern in expected.items():
            if murmur == facts["murmur"]:
                assert re.search(pattern, said), report
            elif murmur != "Present":
                assert not re.search(pattern, said), report
        present = facts["murmur"] == "Present"
        loudest = present and facts["murmur_at_this_location"] == 1 and facts["most_audible_location"] == "AV"
        assert bool(re.search(LOUDEST, said)) == loudest, report
        assert bool(re.search(ELSEWHERE, said)) == (present and facts["murmur_at_this_location"] != 1), report
        for aspect, pattern in WORDS.items():
            allowed = {facts[f"systolic_{aspect}"], facts[f"diastolic_murmur_{aspect}"]} - {None}
            assert set(re.findall(pattern, said)) <= {value.casefold() for value in allowed}, report


@pytest.mark.parametrize("loudest", ["AV", "MV", None])
def test_a_murmur_that_is_described_in_part_is_still_said(loudest: str | None) -> None:
    facts = {"murmur": "Present", "murmur_at_this_location": 1, "location": "AV", "most_audible_location": loudest}
    for report in write_reports(recording("circor", {**PERSON, **facts}), ReportsConfig()):
        assert re.search("murmur", report) and ":" not in report


def test_kauh_reports_agree_with_the_metadata() -> None:
    healthy = r"normal lungs|healthy|no lung disease|disease is absent|no respiratory diagnosis|no known disease"
    diseases = r"asthma|copd|fibrosis|failure|pneumonia"
    for facts, report in all_reports("kauh"):
        said = report.casefold()
        assert bool(re.search(healthy, said)) == (facts["diagnosis"] == "Normal"), report
        ill = facts["diagnosis"] not in ("Normal", None)
        assert bool(re.search(diseases, said)) == ill, report
        assert not ill or facts["diagnosis"].casefold() in said, report
        assert "copd" not in report and "Copd" not in report
        assert report.count(".") == max(1, sum(facts[name] is not None for name in ("diagnosis", "sound"))), report
        if facts["sound"] is None:
            assert not re.search(r"wheeze|crack|crep|bronchial|breath sounds|auscultation", said), report
        else:
            assert facts["sound"].casefold() in said, report
            for sound in ("wheeze", "crackles", "crepitations", "bronchial"):
                assert (sound in said) == (sound in facts["sound"].casefold()), report


def test_phantom_reports_agree_with_the_metadata() -> None:
    for facts, report in all_reports("phantom"):
        said = report.casefold()
        assert bool(re.search(NO_MURMUR, said)) == (facts.get("murmur") == "Absent"), report
        assert ("murmur" in said) == (facts["sound"] == "heart"), report
        for aspect, pattern in WORDS.items():
            if facts["sound"] == "heart":
                value = facts["murmur_grade" if aspect == "grading" else f"murmur_{aspect}"]
                assert set(re.findall(pattern, said)) <= {str(value).casefold()}, report
        clear = facts["sound"] == "lung" and not facts["wheeze"] and not facts["crackles"]
        normal = r"clear breath|neither wheeze|vesicular|sound clear|no added|sounds are normal"
        assert bool(re.search(normal, said)) == clear, report
        without_denial = said.replace("neither wheeze nor crackles are heard", "")
        for finding, pattern in (("wheeze", "wheez"), ("crackles", "crackles"), ("rhonchi", "rhonchi")):
            assert (pattern in without_denial) == (facts.get(finding) == 1), report
        assert ("cough" in said) == ("cough" in facts), report
        denied = r"no cough|not cough|absent|does not occur"
        assert bool(re.search(denied, said)) == (facts.get("cough") == 0), report
        if facts.get("wheeze_phase") == "expiratory":
            assert "inspiratory and" not in said
        numbers = re.findall(r"\b\d+(?:\.\d+)?", said)
        assert numbers == ([str(facts["respiratory_rate"])] if facts["sound"] == "lung" else []), report


@pytest.mark.parametrize("dataset", SHIPPED)
def test_equal_seeds_give_equal_reports(dataset: str) -> None:
    other_seed = other_name = 0
    for metadata in COMBINATIONS[dataset]()[:60]:
        one = recording(dataset, metadata)
        reports = write_reports(one, ReportsConfig())
        assert reports == write_reports(recording(dataset, dict(reversed(metadata.items()))), ReportsConfig())
        assert reports[:3] == write_reports(one, ReportsConfig(variants=3)), "more phrasings keep the first"
        other_seed += reports != write_reports(one, ReportsConfig(seed=1))
        other_name += reports != write_reports(recording(dataset, metadata, "another"), ReportsConfig())
    assert other_seed > 50 and other_name > 50


@pytest.mark.parametrize("dataset", SHIPPED)
def test_variants_are_distinct(dataset: str) -> None:
    # Whole descriptions have at least six phrasings; a murmur that is described in part may have two.
    for number, metadata in enumerate(COMBINATIONS[dataset]()):
        if metadata.get("murmur") == "Present" and dataset == "circor" and None in map(metadata.get, SYSTOLIC_FIELDS):
            continue
        if set(metadata.values()) <= {None, "bell", "posterior left upper", 83, "Male"}:
            continue
        reports = write_reports(recording(dataset, metadata, f"r{number}"), ReportsConfig(variants=3))
        assert len(set(reports)) == 3, metadata


def test_more_variants_than_phrasings_repeat() -> None:
    reports = write_reports(recording("circor", {"murmur": "Absent"}), ReportsConfig(variants=30))
    assert len(reports) == 30 and len(set(reports)) == 8


@pytest.mark.parametrize("dataset", [*SHIPPED, "clinic"])
def test_nothing_known_is_said_as_that(dataset: str) -> None:
    metadata = {**PERSON, "murmur": None} if dataset != "clinic" else {"age": 3, "finding": None}
    assert write_reports(recording(dataset, metadata), ReportsConfig(variants=2)) == ["No finding is recorded."] * 2


def test_a_data_set_without_a_template_states_its_columns() -> None:
    metadata = {
        "heart_rate": 88,
        "diagnosis": "COPD, GOLD III",
        "note": None,
        "age_years": 71,
        "sex": "Male",
        "stage": 2,
    }
    one = recording("clinic", metadata)
    assert write_reports(one, ReportsConfig(variants=1)) == ["Diagnosis: COPD, GOLD III. Heart rate: 88. Stage: 2."]
    assert (
        write_reports(one, ReportsConfig(variants=2, demographics=True))
        == ["Age years: 71. Diagnosis: COPD, GOLD III. Heart rate: 88. Sex: Male. Stage: 2."] * 2
    )


@pytest.mark.parametrize("dataset", [*SHIPPED, "clinic"])
def test_test_recordings_are_refused(dataset: str) -> None:
    with pytest.raises(InputError, match="would leak its label") as caught:
        write_reports(recording(dataset, {"murmur": "Present", "diagnosis": "Asthma"}, split="test"), ReportsConfig())
    assert "Present" not in str(caught.value) and "Asthma" not in str(caught.value)


@pytest.mark.parametrize("variants", [0, -1])
def test_no_phrasing_is_an_error(variants: int) -> None:
    with pytest.raises(InputError, match="at least 1"):
        write_reports(recording("circor", {"murmur": "Absent"}), ReportsConfig(variants=variants))


def test_an_unknown_writer_is_an_error() -> None:
    with pytest.raises(InputError, match="did you mean 'template'"):
        write_reports(recording("circor", {"murmur": "Absent"}), ReportsConfig(writer="templates"))


def test_the_corpus_of_reports_leaves_test_recordings_out(tmp_path: Path) -> None:
    recordings = [
        recording("circor", {"murmur": "Absent"}, f"{split}{number}", split)
        for number, split in enumerate(("train", "test", "val", "test"))
    ]
    config = ReportsConfig(variants=2)
    assert write_corpus(recordings, config, tmp_path / "r.jsonl") == 4
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [(row["recording"], row["variant"]) for row in rows] == [
        (f"circor/{name}", variant) for name in ("train0", "val2") for variant in (0, 1)
    ]
    assert [row["report"] for row in rows[:2]] == write_reports(recordings[0], config)


@pytest.mark.parametrize("dataset", SHIPPED)
def test_templates_name_fields_and_conditions_that_exist(dataset: str) -> None:
    fields = {field for metadata in COMBINATIONS[dataset]() for field in metadata}
    template = load_template(dataset)
    for statement in [*template["statements"], *template["demographics"]]:
        assert set(statement) == {"when", "say"} and len(set(statement["say"])) == len(statement["say"])
        assert set(statement["when"]) <= fields
        for phrasing in statement["say"]:
            assert set(re.findall(r"{(\w+)(?::l)?}", phrasing)) <= fields and phrasing.count("{") == phrasing.count("}")


@pytest.mark.real_data
@pytest.mark.parametrize(("dataset", "folder"), [("circor", "circor-digiscope"), ("kauh", "kauh-lung-10s")])
def test_reports_of_real_metadata(shared_dir: Path, dataset: str, folder: str) -> None:
    for one in readers[dataset].read(shared_dir / "data" / folder, {}).recordings:
        for report in write_reports(one, ReportsConfig(variants=2)):
            assert not re.search(r"[{}_]|\b(none|nan)\b|no finding is recorded", report, re.IGNORECASE)
            if one.metadata.get("murmur") in ("Absent", "Unknown"):
                pattern = NO_MURMUR if one.metadata["murmur"] == "Absent" else UNSURE
                assert re.search(pattern, report.casefold())
