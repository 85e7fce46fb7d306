"""Every command that is printed can be pasted: it is rendered in one place, which quotes it for the shell."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

import acula_edge
from acula_edge import pipeline
from acula_edge.cli.main import SECTIONS, cli
from acula_edge.command_line import command_line
from acula_edge.distillation.train import distill
from acula_edge.errors import AculaEdgeError
from acula_edge.reporting.compare import comparison
from acula_edge.run import Run
from acula_edge.runtime import load_bundle
from tests.tiny_bundle import write_tiny_bundle

SOURCES = sorted(Path(acula_edge.__file__).parent.rglob("*.py"))
_VERB = r"[a-z][a-z-]+"
# What begins a command in a text, after which no value may be put in by hand.
COMMAND = re.compile(rf"\b(acula-edge {_VERB}|openssl {_VERB}|python \S*|pip install|cp -\S+|docker {_VERB}) ")


def put_in_by_hand(tree: ast.AST) -> Iterator[int]:
    """Lines of texts in which a value follows the beginning of a command."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            begun = False
            for part in node.values:
                if isinstance(part, ast.Constant):
                    begun = begun or COMMAND.search(str(part.value)) is not None
                elif begun and not (isinstance(part, ast.FormattedValue) and _is_constant(part.value)):
                    yield node.lineno
        elif isinstance(node, ast.BinOp) and isinstance(node.left, ast.Constant) and isinstance(node.left.value, str):
            rendered = isinstance(node.right, ast.Call) and ast.unparse(node.right.func) == "command_line"
            if COMMAND.search(node.left.value) and not rendered:
                yield node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            command = COMMAND.search(node.value)
            if command and re.search(r"%s|\{\w*\}", node.value[command.end() :]):
                yield node.lineno


def _is_constant(value: ast.expr) -> bool:
    """Names in capitals, and the extras of this package, hold nothing that a shell reads."""
    return isinstance(value, ast.Name) and (value.id.isupper() or value.id == "extra")


def test_no_value_is_put_into_a_command_by_hand() -> None:
    found = {path: list(put_in_by_hand(ast.parse(path.read_text(encoding="utf-8")))) for path in SOURCES}
    assert len(found) > 300
    assert {path.name: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "text",
    [
        'f"acula-edge export {path} --int8"',
        'note(f"next: acula-edge export --int8{argument}")',
        '("see acula-edge data check " f"--root {out}")',
        'notify("sign it again: acula-edge bundle sign %s", folder)',
        '"openssl pkey -out {}".format(path)',
        'f"cp -rL {bundle} COPY"',
        '"acula-edge export " + str(path)',
    ],
)
def test_the_search_finds_what_it_looks_for(text: str) -> None:
    assert list(put_in_by_hand(ast.parse(text))) == [1]


def test_the_search_leaves_others_alone() -> None:
    for text in (
        'f"{path}: made by acula-edge"',
        "f\"next: {command_line('acula-edge', 'export', path)}\"",
        '"acula-edge demo"',
    ):
        assert not list(put_in_by_hand(ast.parse(text)))


PATHS = ["my run", "it's", 'a"b', "$HOME", "`id`", "a;b", "*", "~", "a\\b", "ü 音", "-rf", "#x", "a&b", "(x)", "", "\t"]


@pytest.mark.parametrize("name", PATHS)
def test_a_shell_reads_what_was_written(name: str, tmp_path: Path) -> None:
    for word in (name, Path(name)):
        line = command_line("printf", "%s\\0", word, Path("b") / name)
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True, cwd=tmp_path)
        *words, end = done.stdout.split("\0")
        assert end == "" and len(words) == 2
        assert type(word)(words[0]) == word and Path(words[1]) == Path("b") / name
        assert not (isinstance(word, Path) and words[0].startswith("-"))  # it would be taken for an option


VERBS = "|".join(verb for verbs in SECTIONS.values() for verb in verbs)


def test_commands_in_texts_have_the_verbs_and_options_of_the_program() -> None:
    """Beside examples, which are held elsewhere: remedies, docstrings, and the pages of this repository."""
    root = Path(acula_edge.__file__).parents[1]
    pages = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    found = 0
    for path in [*SOURCES, *pages]:
        for verb, rest in re.findall(rf"acula-edge ({VERBS})\b([^\n;,`|#\"]*)", path.read_text(encoding="utf-8")):
            command = cli.get_command(click.Context(cli), verb)
            words = rest.split()
            if isinstance(command, click.Group) and words:
                command = command.commands.get(words[0], command)
            assert command is not None
            options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
            for option in re.findall(r"(?<= )--[a-z0-9-]+", rest):
                assert option in options, f"{path.name}: acula-edge {verb}{rest}"
                found += 1
    assert found > 30


def remedy_of(raises: Callable[[], object]) -> str:
    with pytest.raises(AculaEdgeError) as caught:
        raises()
    return str(caught.value.remedy)


def test_remedies_name_the_folder_as_a_shell_takes_it(tmp_path: Path) -> None:
    folder = tmp_path / "it's my run"
    bundle = write_tiny_bundle(folder / "export" / "tiny")
    (folder / "recipe.yaml").write_text("{}")
    empty = tmp_path / "no $bundle"
    empty.mkdir()
    (empty / "recipe.yaml").write_text("{}")
    remedies = {
        remedy_of(lambda: pipeline._bundles(empty)): ["export", str(empty), "--int8"],
        remedy_of(lambda: distill(Run(folder), "base")): ["train", "--out", str(folder), "--resume"],
        remedy_of(lambda: load_bundle(bundle, provider="tensorrt")): ["build-engine", str(bundle)],
        remedy_of(lambda: comparison([bundle])): ["benchmark", str(bundle)],
    }
    for remedy, words in remedies.items():
        assert shlex.split(remedy) == ["acula-edge", *words]
        command = cli.get_command(click.Context(cli), words[0])
        assert command is not None
        command.make_context(words[0], words[1:])  # parses, runs nothing
