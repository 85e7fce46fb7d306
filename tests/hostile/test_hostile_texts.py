"""Recipes, JSON and names of strangers: nothing explodes, nothing passes for another thing, every refusal is named."""

from __future__ import annotations

import copy
import json
import os
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from acula_edge.cli.main import cli
from acula_edge.clinical_text.mapping import read_mapping
from acula_edge.errors import AculaEdgeError, ArtifactError, InputError, RecipeError
from acula_edge.files import read_json, sha256_file
from acula_edge.limits import MAX_DEPTH, MAX_JSON_BYTES, MAX_LINE_CHARACTERS, MAX_YAML_BYTES, MAX_YAML_NODES
from acula_edge.quantize.calibration_sets import load_definition
from acula_edge.recipe import Recipe, load_recipe, recipe_from_dict
from acula_edge.run import Run
from acula_edge.untrusted.json_file import Fields, MissingField, showing
from acula_edge.untrusted.texts import TextError, parse_json, read_lines, read_text
from acula_edge.untrusted.yaml_text import parse_yaml
from acula_edge.zero_shot.prompts import load_prompts

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
BAD_YAML = {
    "a tag that runs code": ("a: !!python/object/apply:os.system [touch RAN]", "tags are not taken"),
    "a tag of YAML's own": ("a: !!binary aGVsbG8=", "tags are not taken"),
    "a local tag": ("a: !env HOME", "tags are not taken"),
    "billion laughs": (LAUGHS, "anchors and aliases"),
    "long texts repeated": (f"a: &a {'x' * 9000}\nb: [{', '.join(['*a'] * 200)}]", "anchors and aliases"),
    "an alias of itself": ("a: &a [*a]", "anchors and aliases"),
    "an alias of nothing": ("a: *b", "anchors and aliases"),
    "brackets": ("[" * 100_000, "deeper"),
    "dashes": ("- " * 50_000, "deeper"),
    "many values": ("[" + "1," * (MAX_YAML_NODES + 1) + "]", "more than"),
    "a long file": ("#" * (MAX_YAML_BYTES + 1), "longer"),
    "a key twice": ("name: a\nseed: 1\nname: b", "line 3: the key 'name' is there twice"),
    "equal keys of two kinds": ("{1: a, true: b}", "twice"),
    "a key that is a list": ("? [a]\n: 1", "a key must be"),
    "a key that is nothing": ("~: 1", "a key must be"),
    "5,000 digits": ("seed: " + "9" * 5000, "no number"),
    "65 bits": (f"seed: {1 << 64}", "64 bits"),
    "infinity": ("seed: .inf", "infinite"),
    "not a number": ("seed: .nan", "infinite, none"),
    "a prefix of a number": ("seed: 0b_", "no number"),
    "a control character": ('name: "\\e[2J"', "control character"),
    "half a character": ('name: "\\ud800"', "control character"),
    "two documents": ("a: 1\n---\nb: 2", "single document"),
    "no YAML": ("a: [1, 2", "flow sequence"),
    "a NUL": ("a: \0", "special characters"),
}


@pytest.mark.parametrize("kind", BAD_YAML)
def test_yaml_that_is_more_than_plain_values_is_refused(kind: str) -> None:
    text, words = BAD_YAML[kind]
    with pytest.raises(TextError, match=words):
        parse_yaml(text)


@pytest.mark.parametrize("kind", ["billion laughs", "long texts repeated", "brackets", "dashes"])
def test_what_is_short_to_write_is_not_long_to_have(kind: str) -> None:
    tracemalloc.start()
    with pytest.raises(TextError):
        parse_yaml(BAD_YAML[kind][0])
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


def test_yaml_keeps_its_meaning() -> None:
    text = "a: {x: 1, y: [1e3, 1.5, true, null, 'no', 0x1F]}\nd: 2024-05-01\n<<: {x: 2}\n"
    assert parse_yaml(text) == {
        "a": {"x": 1, "y": ["1e3", 1.5, True, None, "no", 31]},
        "d": "2024-05-01",
        "<<": {"x": 2},
    }
    assert parse_yaml("") is None and parse_yaml("\ufeff# nothing\n") is None


@pytest.mark.parametrize(
    "kind", ["a tag that runs code", "billion laughs", "a key twice", "5,000 digits", "a control character", "dashes"]
)
@pytest.mark.parametrize(
    ("read", "named"),
    [
        (load_recipe, RecipeError),
        (read_mapping, InputError),
        (load_definition, InputError),
        (load_prompts, RecipeError),
    ],
)
def test_every_yaml_file_is_read_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, read: Any, named: type[AculaEdgeError]
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "given.yaml"
    file.write_bytes(BAD_YAML[kind][0].encode("utf-8", "surrogatepass"))
    with pytest.raises(named) as caught:
        read(file)
    assert "given.yaml" in str(caught.value) and caught.value.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["given.yaml"], "something ran"


@pytest.mark.parametrize("kind", [kind for kind in BAD_YAML if kind not in ("many values", "brackets")])
def test_every_value_of_set_is_read_so(kind: str) -> None:
    with pytest.raises(RecipeError, match="--set name"):
        load_recipe("phantom", overrides=[f"name={BAD_YAML[kind][0]}"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("align.learning_rate=1e999", "finite"),
        ("align.learning_rate=nan", "finite"),
        (".".join(["data.sources.x.options", *"a" * 200]) + "=1", "too deep"),
        ("data.sources.x.options.a=" + "[" * 62 + "]" * 62, "deeper"),
        ("=1", "a key and a value"),
        ("name.a=1", "not a section"),
        ("data..sources=1", "no key"),
        ("data.sources=[1]", "must be a mapping"),
        ("data.sources={../../x: {reader: phantom}}", "names a source by a path"),
        ("data.sources={..: {reader: phantom}}", "names a source by a path"),
        ('data.sources={"a\\tb": {reader: phantom}}', "names a source by a path"),
    ],
)
def test_settings_that_cannot_be_are_refused(text: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        load_recipe("phantom", overrides=[text])


@pytest.mark.parametrize("data", ["data: 5", "data: {sources: [1]}", "data: {sources: {circor: 3}}"])
def test_folders_on_top_of_a_recipe_of_another_shape(tmp_path: Path, data: str) -> None:
    (tmp_path / "a.yaml").write_text(data)
    with pytest.raises(RecipeError, match="is not a section"):
        load_recipe(tmp_path / "a.yaml", data={"circor": tmp_path})


def test_an_empty_section_is_filled(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("data:\n")
    assert load_recipe(tmp_path / "a.yaml", data={"circor": "x"}).data.sources["circor"].root == "x"


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "loop", "latin"])
def test_a_recipe_must_be_a_regular_text_file(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "recipe.yaml"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "loop":
        file.symlink_to(file)
    else:
        file.write_bytes(b"name: \xff\n")
    with pytest.raises(RecipeError, match="recipe"):
        load_recipe(file)
    with pytest.raises(OSError if kind != "latin" else ValueError):
        read_text(file, 100)


def test_a_student_s_name_is_no_path(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    assert run.student_dir("base") == tmp_path / "run" / "student" / "base"
    for name in ("../../x", "/tmp/x", "..", "a/b", "a\0", ""):
        with pytest.raises(RecipeError, match="cannot be a path"):
            run.student_dir(name)
        if name not in ("", ".."):
            with pytest.raises(RecipeError, match="cannot be a path"):
                run.bundle_dir(name, "cpu_x86")


BAD_JSON = {
    "no JSON": "{",
    "a key twice": '{"a": 1, "a": 2}',
    "NaN": '{"a": NaN}',
    "infinity": '{"a": -Infinity}',
    "a float that is infinite": '{"a": 1e999}',
    "5,000 digits": '{"a": ' + "9" * 5000 + "}",
    "65 bits": f'{{"a": {1 << 64}}}',
    "half a character": '{"a": "\\ud800"}',
    "brackets": "[" * 100_000,
    "deeper than is taken": "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    "trailing text": "{} {}",
    "empty": "",
    "no UTF-8": "\udcff",
}


@pytest.mark.parametrize("kind", BAD_JSON)
def test_json_that_is_not_plain_values_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "facts.json"
    file.write_bytes(BAD_JSON[kind].encode("utf-8", "surrogateescape"))
    with pytest.raises(ArtifactError, match="cannot be read as JSON") as caught:
        read_json(file)
    assert "facts.json" in str(caught.value) and len(str(caught.value)) < 5000


def test_json_keeps_its_meaning(tmp_path: Path) -> None:
    value = {"a": [1, -2.5, None, True, "\U0001f600", {"b": {}}], "c": 2**63, "d": 1e-300}
    (tmp_path / "a.json").write_text(json.dumps(value))
    found = read_json(tmp_path / "a.json")
    assert found == value and json.loads(json.dumps(found)) == value
    assert parse_json("[NaN, -Infinity]", allow_nan=True)[1] == -float("inf")
    assert parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)


def test_long_json_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with open(tmp_path / "long.json", "wb") as file:
        file.truncate(MAX_JSON_BYTES + 1)
    with pytest.raises(ArtifactError, match="longer than"):
        read_json(tmp_path / "long.json")
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(ArtifactError, match="not a regular file"):
        read_json(tmp_path / "pipe.json")
    with pytest.raises(OSError, match="not a regular file"):
        sha256_file(tmp_path / "pipe.json")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a" * (MAX_LINE_CHARACTERS + 1), "line 1 is longer"),
        (b"a\n" + b"b" * MAX_LINE_CHARACTERS + b"\n", "line 2 is longer"),
        (b"a\nb\0\n", "line 2 holds a NUL"),
        (b"\xff", "line 1 is not UTF-8 .byte 0xff"),
    ],
)
def test_lines_are_bounded(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "lines").write_bytes(data)
    with pytest.raises(ValueError, match=words):
        list(read_lines(tmp_path / "lines"))


def test_a_key_that_is_not_there_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "verify.json").write_text('{"schema": "s/1", "gate": {"passed": true}}')
    found = read_json(tmp_path / "verify.json", "s/1")
    for copied in (found, copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        with pytest.raises(ArtifactError, match=r"verify\.json lacks the key 'reasons'"):
            copied["gate"]["reasons"]
    assert found.get("tasks") is None and "tasks" not in found and isinstance(found, Fields)
    with pytest.raises(KeyError):
        found["tasks"]
    assert issubclass(MissingField, ArtifactError)


def test_a_value_of_another_kind_names_the_files() -> None:
    with pytest.raises(ArtifactError, match=r"a\.json: a value is not of the kind"), showing("a.json"):
        _ = {"a": 1}["a"]["b"]  # type: ignore[index]
    with pytest.raises(RecipeError), showing("a.json"):
        raise RecipeError("as it is")
    with pytest.raises(RuntimeError), showing("a.json"):
        raise RuntimeError("a bug")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run as far as its recipe and manifest go."""
    made = Run.create(tmp_path / "run", Recipe())
    made.record("data", recordings=1)
    return made


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "null", '{"schema": "acula-edge/run/1"}', '{"schema": "acula-edge/run/1", "stages": []}',
     '{"schema": "acula-edge/run/1", "stages": {"align": 3}}', "[" * 9999, '{"schema": NaN}'],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["report", "verify", "export"])
def test_a_damaged_run_is_named(run: Run, text: str, verb: str) -> None:
    bundle = run.bundle_dir("base", "cpu_x86")
    bundle.mkdir(parents=True)
    (bundle / "bundle.json").write_text(text)
    run.manifest_path.write_text(text)
    result = CliRunner().invoke(cli, [verb, str(run.path)])
    assert result.exit_code in (2, 4), result.output
    assert "this is a bug" not in result.output


@pytest.mark.parametrize("text", ["", "- 1", "5", "align: {epochs: 0}", "a: !!python/name:os.system", LAUGHS])
@pytest.mark.parametrize("verb", ["report", "verify", "export"])
def test_a_damaged_recipe_of_a_run_is_named(run: Run, text: str, verb: str) -> None:
    run.recipe_path.write_text(text)
    result = CliRunner().invoke(cli, [verb, str(run.path)])
    assert result.exit_code == 2 and ("recipe.yaml" in result.output or "has no bundle yet" in result.output)


def test_metrics_of_a_kill_or_a_stranger_are_passed_by(run: Run) -> None:
    run.log("align", loss=float("nan"))
    with open(run.metrics_path, "a") as file:
        file.write('[1]\n{"stage": "align", "stage": 1}\n' + "[" * 5000 + '\n{"stage": "align", "st')
    assert [row["stage"] for row in run.metrics()] == ["align"]
    run.metrics_path.write_text("x" * (MAX_LINE_CHARACTERS + 1))
    with pytest.raises(ArtifactError, match="metrics.jsonl"):
        run.metrics()


def test_what_an_error_quotes_cannot_act_on_the_terminal() -> None:
    said = str(InputError("a\x1b[2J", given="b\x9b\r" + "x" * 100_000, allowed=["c\u2028"], remedy="d\u202e\0"))
    assert not {"\x1b", "\x9b", "\r", "\u2028", "\u202e", "\0"} & set(said) and len(said) < 9000
    assert "\\x1b[2J" in said and "characters left out" in said


@pytest.mark.parametrize("value", [3, [], "x", {"a": {"b": 1}}, {"data": {"sources": {"x": {"options": 3}}}}, {1: 2}])
def test_plain_values_that_are_no_recipe(value: Any) -> None:
    with pytest.raises(RecipeError):
        recipe_from_dict(value)


def test_a_mapping_that_lacks_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("dataset: x\nfacts: [{column: y}]\n")
    with pytest.raises(RecipeError, match="lacks the key 'fact'"):
        read_mapping(tmp_path / "a.yaml")
