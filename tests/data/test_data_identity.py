"""One person under one id: no spelling of it reaches the other side of a split."""

from __future__ import annotations

import csv
import shutil
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from acula_edge.data.identity import identify_persons, normalize_id, similar_id
from acula_edge.data.leaks import find_leaks
from acula_edge.data.manifest import Recording
from acula_edge.data.reader import readers
from acula_edge.data.splits import assign_splits
from acula_edge.errors import ManifestError
from acula_edge.recipe import SplitConfig


def listed(*subjects: str, dataset: str = "clinic") -> list[Recording]:
    return [
        Recording(f"r{number:03}", f"/r{number}.wav", f"{dataset}/{subject}", dataset, 4000, 1.0)
        for number, subject in enumerate(subjects)
    ]


def persons_of(*subjects: str) -> list[str]:
    return [recording.subject for recording in identify_persons(listed(*subjects)).recordings]


SAME = {  # one person without a question
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "no-break blanks": lambda text: f"\u00a0{text}\u2009",
    "invisible": lambda text: f"\ufeff{text[:1]}\u200b\u00ad{text[1:]}\ufe0f\u3164",
}
GUESSED = {
    "upper": str.upper,
    "lower": str.lower,
    "zeros": lambda text: f"00{text}" if text[0].isdigit() else text,
    "float": lambda text: f"{text}.0" if text.isascii() and text.isdigit() else text,
    "exponent": lambda text: f"{int(text):.17e}" if text.isascii() and text.isdigit() else text,
    "thousands": lambda text: f"{int(text):,}" if text.isascii() and text.isdigit() else text,
    "text cell": lambda text: f"'{text}",
    "underscore": lambda text: text.replace(" ", "_"),
    "decimal comma": lambda text: f"{text},0" if text.isascii() and text.isdigit() else text,
    "en dash": lambda text: text.replace("-", "\u2013"),
    "no-break hyphen": lambda text: text.replace("-", "\u2011"),
    "Arabic digits": lambda text: text.translate({ord(str(d)): 0x660 + d for d in range(10)}),
    "Cyrillic": lambda text: text.translate({ord("a"): "\u0430", ord("A"): "\u0410", ord("b"): "\u0432"}),
}
# Ids as people give them: letters, accents included, and a number, or a number alone.
ids = st.one_of(
    st.integers(0, 10**8).map(str),
    st.builds(
        "{}{}{}".format,
        st.text("abÄéñøz", min_size=1, max_size=4),
        st.sampled_from(["", " ", "-"]),
        st.integers(0, 999),
    ),
)
people = st.lists(ids, min_size=5, max_size=8, unique_by=similar_id)


@given(people, st.data())
def test_no_spelling_of_a_person_is_on_another_side(originals: list[str], data: st.DataObject) -> None:
    spelled = []
    for own in originals:
        forms = data.draw(st.lists(st.sampled_from(sorted({**SAME, **GUESSED})), max_size=3))
        spelled += [own, *({**SAME, **GUESSED}[form](own) for form in forms)]
    found = identify_persons(listed(*spelled))
    split = assign_splits(found.recordings, SplitConfig(folds=5))
    assert find_leaks(split) == []
    assert len({recording.subject for recording in split}) == len(originals)
    sides: dict[str, set[str]] = {}
    for recording, text in zip(split, spelled, strict=True):
        sides.setdefault(similar_id(text), set()).add(recording.split)
    assert all(len(side) == 1 for side in sides.values())


@given(ids, st.sampled_from(sorted(SAME)))
def test_unicode_forms_are_one_person_in_silence(own: str, form: str) -> None:
    found = identify_persons(listed(own, SAME[form](own)), similar="refuse")
    assert len({recording.subject for recording in found.recordings}) == 1
    assert found.warnings == [] and found.alike == []
    assert found.normalized == (SAME[form](own) != own)


@pytest.mark.parametrize(
    ("one", "other"),
    [("p1", "P1"), ("007", "7"), ("101", "101.0"), ("1000", "1e3"), ("20240501", "2.0240501e+07"), ("1234", "1,234"),
     ("p 1", "p_1"), ("p01", "p1"), ("'7", "7"), ("Straße 1", "STRASSE 1"), ("P-01", "P\u201301"), ("7", "7,0"),
     ("7", "\u0667"), ("i1", "\u01301"), ("P1", "\u04201"), ("o'b 1", "O\u2019B 1"), ("1'234", "1234")],
)  # fmt: skip
def test_guesses_are_joined_named_or_refused_as_the_recipe_says(one: str, other: str) -> None:
    recordings = listed(one, other, "someone else")
    joined = identify_persons(recordings)
    assert joined.recordings[0].subject == joined.recordings[1].subject != joined.recordings[2].subject
    assert len(joined.alike) == 1 and sorted(joined.alike[0]) == sorted([f"clinic/{one}", f"clinic/{other}"])
    assert "clinic/r000" in joined.warnings[0] and "clinic/r001" in joined.warnings[0]
    apart = identify_persons(recordings, similar="distinct")
    assert [r.subject for r in apart.recordings] == [r.subject for r in recordings]
    assert "clinic/r000" in apart.warnings[0] and apart.alike == joined.alike
    with pytest.raises(ManifestError, match="more than one spelling") as refused:
        identify_persons(recordings, similar="refuse")
    assert "clinic/r001" in str(refused.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1.1", "1.10"), ("1.05", "1.5"), ("P01", "P10"), ("1-11", "11-1"), ("p1", "q1"), ("1.2.0", "1.2"), ("0", "10"),
     ("P-01", "P01"), ("1e3x", "1000x"), ("12,34", "1234"), ("a1", "a1b"), ("Zoe", "Zoé"), ("P1\u00b2", "P1"),
     ("\u05d01", "\u05d11")],
)  # fmt: skip
def test_different_ids_stay_different_persons(one: str, other: str) -> None:
    first, second = persons_of(one, other)
    assert first != second


def test_ids_of_one_spelling_stay_as_they_are_so_that_folds_do_not_move() -> None:
    assert persons_of("P007", "Zoé", "1e3") == ["clinic/P007", "clinic/Zoé", "clinic/1e3"]


def test_the_order_of_rows_does_not_choose_the_id() -> None:
    assert set(persons_of("p1", "P1", "P001")) == set(persons_of("P001", "p1", "P1"))


def test_equal_ids_of_two_data_sets_are_two_persons() -> None:
    both = [*listed("7", dataset="one"), *listed("7.0", dataset="two")]
    assert [r.subject for r in identify_persons(both).recordings] == ["one/7", "two/7.0"]


def test_a_data_set_has_one_spelling() -> None:
    typed = [*listed("1", dataset="Clinic"), *listed("1", dataset="clinic")]
    with pytest.raises(ManifestError, match="spelled in more than one way"):
        identify_persons(typed)
    apart = identify_persons(typed, similar="distinct")
    assert len({r.subject for r in apart.recordings}) == 2
    assert len(apart.warnings) == 1 and "'Clinic' and 'clinic'" in apart.warnings[0]


def write_table(folder: Path, rows: list[tuple[str, ...]]) -> Path:
    """A manifest of recordings that differ, one a row of (dataset, subject)."""
    generator = np.random.default_rng(0)
    for number in range(len(rows)):
        soundfile.write(folder / f"{number}.wav", 0.1 * generator.standard_normal(4000), 4000)
    table = folder / "manifest.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [("path", "dataset", "subject"), *((f"{number}.wav", *row) for number, row in enumerate(rows))]
        )
    return table


def test_a_manifest_keeps_a_data_set_and_its_persons_in_one_unicode_form(tmp_path: Path) -> None:
    composed, decomposed = "Köln", unicodedata.normalize("NFD", "Köln")
    rows = [(composed, "1"), (decomposed, "1"), (decomposed, f"{decomposed}/1"), (composed, f"{decomposed}/1")]
    found = readers["manifest"].read(write_table(tmp_path, rows), {})
    assert {(r.dataset, r.subject) for r in found.recordings} == {("Köln", "Köln/1")}
    assert found.warnings == []


@pytest.mark.parametrize("text", ["nan", "None", "NULL", "n/a"])
def test_recordings_of_unknown_persons_are_not_one_person(tmp_path: Path, text: str) -> None:
    with pytest.raises(ManifestError, match="row 3: the column 'subject' says that there is no id"):
        readers["manifest"].read(write_table(tmp_path, [("a", "1"), ("a", text)]), {})


@given(st.text(max_size=12))
def test_the_spelling_that_is_kept_is_final_and_of_one_kind_of_likeness(text: str) -> None:
    normal = normalize_id(text)
    assert normalize_id(normal) == normal
    assert similar_id(normal) == similar_id(text)
    assert all(similar_id(change(text)) == similar_id(text) for change in (str.upper, str.lower, str.casefold))


def test_a_given_split_on_two_sides_is_found_whatever_the_spelling(tmp_path: Path) -> None:
    one, other = listed("p1", "P1")
    split = identify_persons([replace(one, split="train"), replace(other, split="test")]).recordings
    assert find_leaks(split) == ["the person clinic/P1 is in test and train"]


def test_an_id_needs_a_visible_character() -> None:
    with pytest.raises(ManifestError, match="without a visible character"):
        identify_persons(listed("\u200b"))
    assert normalize_id(" \ufeff") == ""


ID_COLUMNS = {"Patient ID", "Additional ID", "patient_id", "patient_num", "participant_identifier"}
FLOATS = ("circor", "icbhi", "sprsound")


@pytest.mark.parametrize("name", FLOATS)
def test_numbers_of_patients_that_a_program_wrote_as_floats_are_the_same_ids(
    make_miniature, tmp_path: Path, name: str
) -> None:
    original = make_miniature(name)
    copy = tmp_path / name
    shutil.copytree(original, copy)
    changed = sum(_write_floats(table) for table in [*copy.rglob("*.csv"), *copy.rglob("ICBHI_Challenge_d*.txt")])
    assert changed
    before, after = readers[name].read(original, {}), readers[name].read(copy, {})
    facts = [(r.recording, r.subject, r.metadata) for r in before.recordings]
    assert [(r.recording, r.subject, r.metadata) for r in after.recordings] == facts


def _write_floats(table: Path) -> int:
    """Rewrite what pandas makes of a column of numbers with gaps; the number of cells."""
    tabs = table.suffix == ".txt"
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="\t" if tabs else ","))
    places = [0] if tabs else [place for place, name in enumerate(rows[0]) if name in ID_COLUMNS]
    cells = [(row, place) for row in rows for place in places if row[place].isdigit()]
    for row, place in cells:
        row[place] += ".0"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t" if tabs else ",").writerows(rows)
    return len(cells)
