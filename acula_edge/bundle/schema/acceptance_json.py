"""``acceptance.json``: criteria and results."""

from __future__ import annotations

from typing import Any, Literal

from acula_edge.bundle.schema.base import File, Sha256, Struct


class Change(Struct):
    """A criterion that is not what was fixed."""

    name: str
    fixed: Any
    later: Any
    at: Literal["export", "verify"]


class Result(Struct):
    """A criterion and what was found; ``met`` is null where it asks nothing, or was not measured."""

    name: str
    limit: Any
    value: Any
    met: bool | None
    where: str | None
    decides: bool


class Acceptance(File, kw_only=True):
    """``acceptance.json``: the criteria that were fixed before training, and beside each what was found.

    ``accepted`` is whether all that apply are met, null where nothing was measured.
    """

    SCHEMA = "acula-edge/acceptance/1"

    schema: str = SCHEMA
    fixed: str
    fixed_at: str
    criteria: dict[str, Any]
    criteria_sha256: Sha256
    changed: list[Change]
    model: str
    results: list[Result] = []
    accepted: bool | None = None
