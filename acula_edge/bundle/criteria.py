"""What an artifact is judged by, written down with time and hash before anything is trained."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from acula_edge.bundle.sealed import read_sealed_json, write_sealed_json
from acula_edge.files import sha256_json
from acula_edge.recipe import Recipe

CRITERIA_SCHEMA = "acula-edge/criteria/1"
CRITERIA_FILE = "criteria.json"

BEFORE_TRAINING = "before training"
AFTER_TRAINING = "after training"

_VERIFY = ("tasks", "margin_auroc_student", "margin_auroc_teacher", "margin_mae_relative", "alpha", "bootstrap", "seed")


def collect_criteria(recipe: Recipe) -> dict[str, Any]:
    """Margins, level, tasks, the gate's limits and the latency target of a recipe; plain values by dotted name."""
    criteria = {f"verify.{name}": getattr(recipe.verify, name) for name in _VERIFY}
    criteria |= {f"verify.gate.{name}": value for name, value in dataclasses.asdict(recipe.verify.gate).items()}
    criteria["benchmark.max_p95_ms"] = recipe.benchmark.max_p95_ms
    return criteria


def fix_criteria(run: Path, recipe: Recipe, when: str = BEFORE_TRAINING) -> dict[str, Any]:
    """Write ``criteria.json`` into a run's folder, unless it is there: criteria are fixed once.

    The time is this machine's clock. The file shows a later change of the recipe, and its own hash a change of itself;
    neither stops a person who rewrites all files. Whoever must prove it to others publishes the hash, or signs it.

    Returns:
        Its content: ``schema, fixed, fixed_at, recipe_sha256, criteria, criteria_sha256``.

    Raises:
        ArtifactError: the file is there and was altered.
    """
    path = Path(run) / CRITERIA_FILE
    if not path.is_file():
        criteria = collect_criteria(recipe)
        write_sealed_json(
            path,
            {
                "schema": CRITERIA_SCHEMA,
                "fixed": when,
                "fixed_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "recipe_sha256": recipe.fingerprint(),
                "criteria": criteria,
                "criteria_sha256": sha256_json(criteria),
            },
        )
    return read_sealed_json(path, CRITERIA_SCHEMA)
