"""What alignment makes of a corpus: groups by facts, vectors of groups, recordings without a report left out."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acula_edge.align import reports as reports_module
from acula_edge.align.reports import ReportVectors, read_reports
from acula_edge.align.train import read_pairs
from acula_edge.clinical_text.corpus import write_corpus
from acula_edge.data.manifest import Recording
from acula_edge.errors import InputError
from acula_edge.recipe import AlignConfig, Recipe, ReportsConfig
from tests.clinical_text.conftest import breaths, recording


def embed(texts: Sequence[Sequence[str]], *_: Any) -> np.ndarray:
    """A vector per recording that its words decide."""
    draws = [np.random.default_rng(sum(map(hash_of, words))) for words in texts]
    return np.stack([draw.normal(size=6) for draw in draws]).astype(np.float32)


def hash_of(text: str) -> int:
    return sum(number * ord(letter) for number, letter in enumerate(text, start=1))


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(reports_module, "embed_recordings", embed)
    recordings = [one.with_split("val" if number % 5 == 0 else "train") for number, one in enumerate(breaths(30))]
    recordings.append(replace(recordings[1], recording="tested", split="test"))
    recordings.append(recording("icbhi", {"wheezes": "who knows", "crackles": 0}, "odd"))

    def make(reports: ReportsConfig | None = None, **align: Any) -> Any:
        recipe = Recipe(reports=reports or ReportsConfig(variants=2), align=AlignConfig(device="cpu", **align))
        paths = {"path": tmp_path, "text_dir": tmp_path / "text", "recordings_path": tmp_path / "recordings.jsonl"}
        run = types.SimpleNamespace(recipe=recipe, **paths)
        store = types.SimpleNamespace(recordings=recordings)
        return run, store

    return make


def states(found: ReportVectors) -> list[int]:
    return [one.metadata["wheezes"] for one in found.recordings]


def test_recordings_group_by_facts(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(reports_module, "notify", lambda message, *values: said.append(message % values))
    found = read_reports(*read())
    keys = {one.key for one in found.recordings}
    assert len(keys) == 30 and "icbhi/tested" not in keys and "icbhi/odd" not in keys
    assert "1 recordings have no report" in said[0] and "icbhi/odd" in said[0]
    assert [group == found.facts[1] for group in found.facts] == [state == 1 for state in states(found)]
    assert len(np.unique(found.vectors, axis=0)) > 2, "phrasings differ"


def test_a_vector_per_facts_carries_no_phrasing(read: Any) -> None:
    by_recording, by_facts = read_reports(*read()), read_reports(*read(text_average="facts"))
    assert len(np.unique(by_facts.vectors, axis=0)) == 2
    for group in np.unique(by_facts.facts):
        rows = by_facts.facts == group
        np.testing.assert_allclose(by_facts.vectors[rows][0], by_recording.vectors[rows].mean(0), rtol=1e-5, atol=1e-6)


def test_positives_are_those_of_the_same_facts_or_of_the_same_target(read: Any) -> None:
    train, val, _ = read_pairs(*read(positives="facts"))
    assert len(set(train.facts)) == 2 == len(set(val.facts))
    train, _, found = read_pairs(*read())
    assert len(set(train.facts)) > 2 and len(train) == found.training.sum() == 24


def test_the_run_s_own_corpus_is_read_if_its_settings_are_the_recipe_s(read: Any, tmp_path: Path) -> None:
    config = ReportsConfig(variants=2)
    run, store = read(config)
    usable = [one for one in store.recordings if one.recording != "odd"]
    write_corpus(usable, config, tmp_path / "reports.jsonl")
    text = (tmp_path / "reports.jsonl").read_text().replace("COPD", "COPD by hand")
    (tmp_path / "reports.jsonl").write_text(text)
    read_reports(run, store)
    assert not (tmp_path / "text").exists(), "nothing is written anew"
    read_reports(*read(ReportsConfig(variants=3)))
    assert (tmp_path / "text" / "reports.jsonl").exists()


def test_a_corpus_is_named(read: Any, tmp_path: Path) -> None:
    run, store = read()
    few: list[Recording] = [one for one in store.recordings if one.recording != "odd"][:12]
    write_corpus(few, ReportsConfig(variants=1), tmp_path / "mine.jsonl")
    found = read_reports(*read(ReportsConfig(corpus=str(tmp_path / "mine.jsonl"))))
    assert [one.key for one in found.recordings] == [one.key for one in few]
    with pytest.raises(InputError, match="there is no file"):
        read_reports(*read(ReportsConfig(corpus="gone.jsonl")))


def test_among_persons_everyone_gets_the_reports_of_one_other_person() -> None:
    recordings = [
        replace(recording("icbhi", {}, f"r{n}"), subject=f"icbhi/{n // 3}", split="train" if n < 27 else "val")
        for n in range(30)
    ]
    training = np.array([one.split == "train" for one in recordings])
    source = reports_module._shuffled(recordings, training, "persons", 0)
    np.testing.assert_array_equal(source[27:], [27, 28, 29])
    givers = [{recordings[told].subject for told in source[3 * n : 3 * n + 3]} for n in range(9)]
    assert all(len(giver) == 1 for giver in givers), "a person's recordings still belong together"
    assert all(f"icbhi/{n}" not in giver for n, giver in enumerate(givers))
    assert len(set.union(*givers)) == 9
    alone = reports_module._shuffled(recordings, training, "recordings", 0)
    assert sorted(alone[:27]) == list(range(27)) and len({recordings[i].subject for i in alone[:3]}) > 1


def test_facts_take_the_place_of_a_language_model(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports_module, "embed_recordings", None)
    run, store = read()
    run.recipe = replace(run.recipe, language=replace(run.recipe.language, model="facts"))
    found = read_reports(run, store)
    assert len(np.unique(found.vectors, axis=0)) == 2 == len(np.unique(found.facts))
    assert found.findings.shape[0] == 30 and np.isin(found.findings[:, 0], [0, 1]).all()
