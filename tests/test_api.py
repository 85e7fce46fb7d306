"""The package's own names: found lazily, and a stage's package can be called as the verb of its name."""

from __future__ import annotations

import importlib
import sys
import types

import pytest

import acula_edge


def test_every_public_name_exists() -> None:
    for name in acula_edge.__all__:
        assert getattr(acula_edge, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        _ = acula_edge.tarin


def test_a_package_that_is_also_a_verb_is_both(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []
    pipeline = types.ModuleType("acula_edge.pipeline")
    pipeline.report = lambda *paths: calls.append(paths) or "done"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "acula_edge.pipeline", pipeline)
    module = importlib.import_module("acula_edge.report")
    assert acula_edge.report is module
    assert module.__path__
    assert acula_edge.report("a", "b") == "done"
    assert calls == [("a", "b")]
