"""The package's own names are found lazily."""

from __future__ import annotations

import importlib
import inspect

import pytest

import acula_edge


def test_every_public_name_exists() -> None:
    for name in acula_edge.__all__:
        assert getattr(acula_edge, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        _ = acula_edge.tarin


@pytest.mark.parametrize("verb", ["benchmark", "distill", "report"])
def test_a_verb_is_a_function_also_after_its_room_was_imported(verb: str) -> None:
    rooms = {"benchmark": "benchmarking", "distill": "distillation", "report": "reporting"}
    importlib.import_module(f"acula_edge.{rooms[verb]}")
    assert inspect.isfunction(getattr(acula_edge, verb))
