"""Prompt files: what is read, and what is refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from acula_edge.errors import RecipeError
from acula_edge.pipeline.names import check_names
from acula_edge.probe.tasks import Task, tasks
from acula_edge.recipe import load_recipe, recipe_from_dict
from acula_edge.shipped import shipped_prompts, shipped_recipes
from acula_edge.zero_shot.prompts import load_prompts

C1 = {"murmur absent": ["No murmur."], "murmur present": ["A murmur."]}


def write(folder: Path, value: object) -> Path:
    path = folder / "mine.yaml"
    path.write_text(value if isinstance(value, str) else yaml.safe_dump(value))
    return path


def test_sentences_come_in_the_order_of_the_tasks_classes(tmp_path: Path) -> None:
    prompts = load_prompts(
        write(tmp_path, {"tasks": {"C1": {"murmur present": ["A  murmur.\n", "Murmur"], "murmur absent": "None."}}})
    )
    assert prompts.name == "mine"
    assert prompts.sentences == {"C1": [["None."], ["A murmur.", "Murmur"]]}
    assert [task.id for task in prompts.tasks] == ["C1"]


def test_the_hash_is_of_what_is_asked(tmp_path: Path) -> None:
    first = load_prompts(write(tmp_path, {"tasks": {"C1": C1}})).sha256
    commented = load_prompts(write(tmp_path, "# mine\n" + yaml.safe_dump({"tasks": {"C1": C1}}))).sha256
    changed = load_prompts(write(tmp_path, {"tasks": {"C1": {**C1, "murmur present": ["A loud murmur."]}}})).sha256
    assert first == commented != changed


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"tasks": {"C11": C1}}, "there is no task C11"),
        ({"tasks": {"P4": {"slow": ["slow"]}}}, "P4 is a regression"),
        ({"tasks": {"C1": {"murmur absent": ["No murmur."]}}}, "class 'murmur present' has no prompt"),
        ({"tasks": {"C1": {**C1, "murmur absent": []}}}, "class 'murmur absent' has no prompt"),
        ({"tasks": {"C1": {**C1, "murmur presnt": ["A murmur."]}}}, "did you mean 'murmur present'"),
        ({"tasks": {"C1": {**C1, "murmur absent": ["a MURMUR."]}}}, "gives one sentence to two classes"),
        ({"tasks": {"C1": {**C1, "murmur absent": ["No murmur.", 3]}}}, "must list sentences"),
        ({"tasks": {"C1": {**C1, "murmur absent": [" "]}}}, "must list sentences"),
        ({"tasks": {"C1": ["No murmur."]}}, "must map classes to sentences"),
        ({"tasks": {}}, "at least one task"),
        ({"C1": C1}, "at least one task"),
        ({"tasks": {"C1": C1}, "temperature": 2}, "at least one task"),
        ("- a\n- b\n", "at least one task"),
        ("", "at least one task"),
        ("tasks: {C1: [", "cannot be read as YAML"),
    ],
)
def test_what_does_not_fit_is_an_error_that_says_what(tmp_path: Path, content: object, said: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(RecipeError) as caught:
        load_prompts(path)
    assert said in str(caught.value) and "mine.yaml" in str(caught.value)


def test_a_name_that_nothing_has_lists_what_there_is() -> None:
    with pytest.raises(RecipeError, match="did you mean 'phantom'"):
        load_prompts("phantm")


@pytest.mark.parametrize("name", shipped_prompts())
def test_shipped_prompts_can_be_read(name: str) -> None:
    prompts = load_prompts(name)
    assert prompts.tasks and all(len(sentences) >= 2 for task in prompts.sentences.values() for sentences in task)


def test_recipes_name_their_own_prompts_and_are_not_mistaken_for_them() -> None:
    assert {"phantom", "auscultation"} <= set(shipped_prompts())
    assert "prompts" not in shipped_recipes()
    assert load_prompts(load_recipe("phantom").zero_shot.prompts or "").sentences.keys() == {"P1", "P2", "P3"}
    assert load_prompts(load_recipe("auscultation").zero_shot.prompts or "").sentences.keys() == {"C1", "T10"}


def test_a_recipe_with_wrong_prompts_is_refused_before_training(tmp_path: Path) -> None:
    path = write(tmp_path, {"tasks": {"C11": C1}})
    with pytest.raises(RecipeError, match="there is no task C11"):
        check_names(recipe_from_dict({"zero_shot": {"prompts": str(path)}}))
    with pytest.raises(RecipeError, match="temperature"):
        recipe_from_dict({"zero_shot": {"temperature": 0}})


def test_tasks_of_more_than_two_classes_have_prompts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    three = Task("X9", "Sound", "mine", "lung", lambda recording: 0.0, "any", kind="multiclass", labels=("a", "b", "c"))
    monkeypatch.setitem(tasks._entries, "X9", three)
    prompts = load_prompts(write(tmp_path, {"tasks": {"X9": {"c": ["sea"], "a": ["hay"], "b": ["bee"]}}}))
    assert prompts.sentences == {"X9": [["hay"], ["bee"], ["sea"]]}
