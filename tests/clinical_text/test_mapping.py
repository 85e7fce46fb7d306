"""From columns to facts: units, lists, ages, conditions, what is unknown and what is missing, and what stays out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from acula_edge.clinical_text.corpus import write_reports
from acula_edge.clinical_text.fact_selection import group_by_facts, select_facts
from acula_edge.clinical_text.facts import UNKNOWN, dump_facts, load_facts
from acula_edge.clinical_text.faithfulness import check_report
from acula_edge.clinical_text.mapping import FOLDER, load_mapping, read_mapping
from acula_edge.clinical_text.privacy import is_suspect
from acula_edge.clinical_text.rules import RowError
from acula_edge.clinical_text.vocabulary import load_vocabulary
from acula_edge.data.miniature import miniatures
from acula_edge.data.phantom.plan import PhantomConfig, plan_corpus
from acula_edge.data.reader import readers
from acula_edge.errors import InputError, RecipeError
from acula_edge.recipe import ReportsConfig
from tests.clinical_text.conftest import recording

ALL = ReportsConfig(demographics=True, leave_out=[])


def mapping_file(folder: Path, facts: list[dict[str, Any]], dataset: str = "clinic") -> str:
    path = folder / f"{dataset or 'any'}.yaml"
    path.write_text(yaml.safe_dump({"dataset": dataset, "facts": facts}))
    return str(path)


def facts_of(folder: Path, facts: list[dict[str, Any]], **metadata: Any) -> dict[str, Any]:
    mapping = read_mapping(Path(mapping_file(folder, facts)))
    return mapping.apply(metadata)


def test_every_shipped_mapping_is_sound() -> None:
    names = {path.stem for path in FOLDER.glob("*.yaml")}
    assert names >= {*miniatures.names(), "phantom"}
    for name in names:
        mapping = load_mapping(name)
        assert mapping is not None and mapping.dataset == name and mapping.rules


@pytest.mark.parametrize("name", [*miniatures.names(), "phantom"])
def test_no_column_is_forgotten(make_miniature: Any, name: str) -> None:
    if name == "phantom":
        columns = {column for plan in plan_corpus(PhantomConfig(subjects=20)) for column in plan.facts}
    else:
        columns = {column for r in readers[name].read(make_miniature(name), {}).recordings for column in r.metadata}
    mapping = load_mapping(name)
    assert mapping is not None and columns <= mapping.columns, "map it, or list it under unused"


def test_unknown_and_missing_are_kept_apart() -> None:
    unknown = select_facts(recording("circor", {"murmur": "Unknown"}), ALL)
    assert unknown == {"murmur": UNKNOWN}
    assert select_facts(recording("circor", {"murmur": None}), ALL) == {}
    assert all("murmur" in report for report in write_reports(recording("circor", {"murmur": "Unknown"}), ALL))


def test_the_diastolic_murmur_is_the_site_s_own() -> None:
    patient = {"murmur": "Present", "location": "AV", "systolic_timing": "Holosystolic", "most_audible_location": "AV",
               "diastolic_murmur_timing": "Early-diastolic"}  # fmt: skip
    here = select_facts(recording("circor", {**patient, "murmur_at_this_location": 1}), ReportsConfig())
    assert here == {
        "murmur": "present", "murmur_loudest": "here", "murmur_timing": "holosystolic", "diastolic_murmur": "present",
        "diastolic_murmur_timing": "early diastolic",
    }  # fmt: skip
    silent = select_facts(recording("circor", {**patient, "murmur_at_this_location": 0}), ReportsConfig())
    assert silent == {"murmur": "absent", "murmur_elsewhere": "present"}
    nowhere = select_facts(recording("circor", {**patient, "murmur_at_this_location": None}), ReportsConfig())
    assert nowhere == {"murmur_elsewhere": "present"}


@pytest.mark.parametrize(
    ("age", "band"),
    [(0.01, "neonate"), (0.5, "infant"), (7, "child"), (15.5, "adolescent"), (30, "young adult"), 
     (64.9, "middle-aged adult"), (88, "older adult"), ("20 months", "child"), ("55 days", "infant"),
     ("3 years", "child"), ("50-59", "middle-aged adult"),
     ("Child", "child"), (None, None), ("", None)],
)  # fmt: skip
def test_ages_become_bands(tmp_path: Path, age: Any, band: str | None) -> None:
    assert facts_of(tmp_path, [{"fact": "age", "column": "age", "bands": True}], age=age).get("age") == band


def test_exact_ages_are_stated_only_where_they_are_asked_for() -> None:
    one = recording("icbhi", {"age": 63.5, "sex": "Male", "wheezes": 1, "crackles": 0})
    for report in write_reports(one, ALL):
        assert "63" not in report
    exact = ReportsConfig(demographics=True, ages="exact")
    assert select_facts(one, exact)["age_years"] == 63.5
    for report in write_reports(one, exact):
        assert "63.5 years" in report and check_report(select_facts(one, exact), report) == []
    assert not {"age", "age_years", "sex"} & set(select_facts(one, ReportsConfig(ages="exact")))


def test_lists_quantities_patterns_and_conditions(tmp_path: Path) -> None:
    rules = [
        {"fact": "diagnosis", "column": "dx", "split": "|", "values": {"none": "none", "?": None}},
        {"fact": "history", "column": "asthma_before", "values": {1: "asthma", 0: None}},
        {"fact": "history", "column": "ht", "values": {True: "hypertension", False: None}},
        {"fact": "temperature", "column": "temp_tenths", "scale": 0.1},
        {"fact": "wheeze", "column": "note", "patterns": {"no wheez": "absent", "wheez": "present"}},
        {"fact": "crackles", "value": "present", "when": {"note": "*", "dx": ["copd", None]}},
    ]
    facts = facts_of(tmp_path, rules, dx="copd", asthma_before=1, ht="Yes", temp_tenths=374, note="no wheezing")
    assert facts == {
        "diagnosis": ("COPD",), "history": ("asthma", "hypertension"), "temperature": 37.4, "wheeze": "absent",
        "crackles": "present",
    }  # fmt: skip
    assert facts_of(tmp_path, rules, dx="?|COPD|acute bronchitis") == {"diagnosis": ("COPD", "acute bronchitis")}
    assert facts_of(tmp_path, rules, dx="None", asthma_before=0) == {"diagnosis": ()}
    assert facts_of(tmp_path, rules, dx="unknown") == {"diagnosis": UNKNOWN}


def test_a_value_that_no_rule_knows_sets_the_row_aside_and_is_not_repeated(tmp_path: Path) -> None:
    for rule, cell in (
        ({"fact": "wheeze", "column": "w", "values": {"x": "present"}}, "Mrs Miller"),
        ({"fact": "respiratory_rate", "column": "w"}, "fast"),
        ({"fact": "murmur_grade", "column": "w"}, "IX/X"),
        ({"fact": "age", "column": "w", "bands": True}, "ancient"),
        ({"fact": "chest", "column": "w"}, "somewhere"),
    ):
        with pytest.raises(RowError, match="column 'w'") as caught:
            facts_of(tmp_path, [rule], w=cell)
        assert cell not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["seen on 12/03/2019", "March 2019", "tel 0171 5551234", "a@b.org", "record 4711234", "Dr Miller says", "x" * 99],
)
def test_free_text_that_may_name_a_person_is_no_fact(tmp_path: Path, text: str) -> None:
    assert is_suspect(text)
    with pytest.raises(RowError):
        facts_of(tmp_path, [{"fact": "diagnosis", "column": "dx"}], dx=text)


def test_ordinary_free_text_is_taken_word_for_word(tmp_path: Path) -> None:
    config = ReportsConfig(mapping=mapping_file(tmp_path, [{"fact": "diagnosis", "column": "dx"}]))
    for text in ("GOLD III emphysema", "acute bronchitis", "COPD stage 2"):
        one = recording("clinic", {"dx": text})
        for report in write_reports(one, config):
            assert text in report and check_report(select_facts(one, config), report) == []


@pytest.mark.parametrize("column", ["patient_name", "mrn", "date_of_visit", "phone", "home_address", "dob", "study_id"])
def test_columns_that_identify_a_person_are_refused(tmp_path: Path, column: str) -> None:
    with pytest.raises(InputError, match=f"'{column}' looks like one that identifies a person"):
        read_mapping(Path(mapping_file(tmp_path, [{"fact": "diagnosis", "column": column}])))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"fact": "wheze", "column": "w"}, "did you mean 'wheeze'"),
        ({"fact": "wheeze", "column": "w", "values": {"1": "yes"}}, "no such value"),
        ({"fact": "diagnosis", "column": "w", "values": {"1": "astma"}}, "did you mean 'asthma'"),
        ({"fact": "wheeze"}, "either a column or a value"),
        ({"fact": "wheeze", "colum": "w"}, "did you mean 'column'"),
    ],
)
def test_mistakes_in_a_mapping_are_named(tmp_path: Path, rule: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_mapping(Path(mapping_file(tmp_path, [rule])))


def test_a_user_s_data_set_is_one_file(tmp_path: Path) -> None:
    one = recording("clinic", {"auscultation": "wheezing", "ward": "B7", "surname": "Miller"})
    with pytest.raises(InputError, match=r"no mapping[^$]*reports\.mapping"):
        select_facts(one, ALL)
    rules = [{"fact": "wheeze", "column": "auscultation", "patterns": {"wheez": "present"}}]
    for given in (mapping_file(tmp_path, rules), str(tmp_path), mapping_file(tmp_path, rules, dataset="")):
        config = ReportsConfig(mapping=given)
        assert select_facts(one, config) == {"wheeze": "present"}
        assert not any(word in text for text in write_reports(one, config) for word in ("B7", "Miller"))
    own = mapping_file(tmp_path, [{"fact": "stridor", "value": "present"}], dataset="kauh")
    assert select_facts(recording("kauh", {"diagnosis": "Asthma"}), ReportsConfig(mapping=own)) == {
        "stridor": "present"
    }
    with pytest.raises(RecipeError, match="there is no file or folder"):
        select_facts(one, ReportsConfig(mapping=str(tmp_path / "gone.yaml")))


def test_columns_that_bear_a_fact_s_name_need_no_mapping() -> None:
    one = recording("clinic", {"wheeze": 1, "diagnosis": "COPD, asthma", "age": 70, "ward": "B7", "stridor": "no"})
    assert select_facts(one, ReportsConfig()) == {
        "wheeze": "present", "diagnosis": ("COPD", "asthma"), "stridor": "absent",
    }  # fmt: skip
    assert select_facts(one, ReportsConfig(demographics=True))["age"] == "older adult"


def test_what_is_left_out_is_in_no_report() -> None:
    one = recording(
        "icbhi", {"diagnosis": "COPD", "wheezes": 1, "location": "trachea", "device": "AKG C417L microphone"}
    )
    assert set(select_facts(one, ReportsConfig())) == {"diagnosis", "wheeze"}
    assert set(select_facts(one, ReportsConfig(leave_out=[]))) == {"diagnosis", "wheeze", "site", "device"}
    assert set(select_facts(one, ReportsConfig(leave_out=["diagnosis", "site", "device"]))) == {"wheeze"}
    with pytest.raises(RecipeError, match="did you mean 'device'"):
        select_facts(one, ReportsConfig(leave_out=["devise"]))


def test_facts_survive_the_corpus_file() -> None:
    facts = {"diagnosis": ("COPD",), "symptoms": (), "respiratory_rate": 17.0, "murmur": UNKNOWN}
    dumped = dump_facts(facts)
    import json

    assert load_facts(json.loads(dumped)) == facts and dump_facts(load_facts(json.loads(dumped))) == dumped
    groups = group_by_facts(["a", "a", "b", "a"], [facts, dict(reversed(facts.items())), facts, {}])
    assert groups[0] == groups[1] and len(set(groups)) == 3


def test_every_fact_has_a_category_and_describes_what_there_is() -> None:
    kinds = load_vocabulary().kinds
    for kind in kinds.values():
        assert kind.of is None or kinds[kind.of].kind == "presence"
        assert all(member in kinds for member in kind.members)
