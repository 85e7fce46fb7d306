"""SECURITY.md promises nothing that no test holds, and names every limit with the number that the code uses."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from acula_edge import limits

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
REFERENCE = re.compile(r"(tests/[\w/]+\.py)::(\w+)")


def section(title: str) -> str:
    """Text below a heading of second level, up to the next one."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def promises() -> list[str]:
    """Items of the list of promises."""
    return re.split(r"^\* ", section("What is promised, and the test that holds it"), flags=re.MULTILINE)[1:]


def test_there_are_promises() -> None:
    assert len(promises()) > 10


@pytest.mark.parametrize("promise", promises(), ids=lambda text: " ".join(text.split()[:5]))
def test_every_promise_names_tests_that_exist(promise: str) -> None:
    references = REFERENCE.findall(promise)
    assert references, "no test is named"
    for file, name in references:
        assert (ROOT / file).is_file(), file
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, f"{file}::{name}"
        assert name.startswith("test_")


def test_every_limit_is_listed_with_its_number_and_its_words() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d,.]+) \| (.+) \|$", section("Limits"), re.MULTILINE)
    statements = ast.parse(Path(limits.__file__).read_text(encoding="utf-8")).body
    expected = []
    for statement, following in zip(statements, statements[1:], strict=False):
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            assert isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            name = statement.targets[0].id
            expected.append((name, f"{getattr(limits, name):,}", " ".join(str(following.value.value).split())))
    assert len(expected) > 20
    assert rows == expected
