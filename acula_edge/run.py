"""A run's folder: where every stage finds what the one before it left (DESIGN section 3.2)."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from acula_edge.data.manifest import Recording, read_manifest
from acula_edge.errors import ArtifactError, RecipeError
from acula_edge.files import read_json, write_json, write_text, writing
from acula_edge.plain_text import is_plain_name
from acula_edge.provenance import provenance
from acula_edge.recipe import Recipe, dump_recipe, override_recipe, recipe_from_dict
from acula_edge.untrusted.texts import parse_json, read_lines
from acula_edge.untrusted.yaml_text import read_yaml

SCHEMA = "acula-edge/run/1"

# What one export may choose anew. Everything else made the run, or judges it.
EXPORT_SECTIONS = ("quantize", "benchmark", "runtime")


class Run:
    """One run on disk. Its recipe is read once, when it is first asked for; properties name the files.

    Attributes:
        path: the run's folder.
        overrides: ``section.key=value`` on top of its recipe, for one export; the folder keeps the recipe without.
    """

    def __init__(self, path: str | Path, overrides: Sequence[str] = ()) -> None:
        self.path = Path(path)
        self.overrides = tuple(overrides)

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open a run that exists.

        Raises:
            ArtifactError: the folder is no run.
        """
        run = cls(path)
        if not run.recipe_path.is_file():
            raise ArtifactError(
                f"{path} is not a run (it has no recipe.yaml)",
                remedy="name the folder of a run, or make one: acula-edge train --out FOLDER",
            )
        return run

    @classmethod
    def create(cls, path: str | Path, recipe: Recipe) -> Run:
        """Make the folder and keep the resolved recipe in it."""
        run = cls(path)
        write_text(run.recipe_path, dump_recipe(recipe))
        return run

    @property
    def recipe_path(self) -> Path:
        return self.path / "recipe.yaml"

    @property
    def manifest_path(self) -> Path:
        return self.path / "manifest.json"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def recordings_path(self) -> Path:
        return self.path / "recordings.jsonl"

    @property
    def set_aside_path(self) -> Path:
        return self.path / "set_aside.jsonl"

    @property
    def store_dir(self) -> Path:
        return self.path / "cache"

    @property
    def text_dir(self) -> Path:
        return self.path / "text"

    @property
    def encoder_dir(self) -> Path:
        return self.path / "encoder"

    @property
    def checkpoints_dir(self) -> Path:
        return self.path / "checkpoints"

    @property
    def tensorboard_dir(self) -> Path:
        return self.path / "tensorboard"

    def student_dir(self, name: str) -> Path:
        """Folder of one student; a run may hold several."""
        return self.path / "student" / _plain(name)

    def bundle_dir(self, student: str | None, profile: str) -> Path:
        """Folder of one exported bundle; without a student the encoder itself is exported."""
        return self.path / "export" / _plain(f"{student or 'encoder'}-{profile}")

    @property
    def bundles(self) -> list[Path]:
        """Finished bundles, by name; a hidden folder is one that was never finished."""
        found = sorted(path.parent for path in self.path.glob("export/*/bundle.json"))
        return [path for path in found if not path.name.startswith(".")]

    @functools.cached_property
    def recipe(self) -> Recipe:
        """The resolved recipe."""
        recipe = self.kept_recipe
        return override_recipe(recipe, self.overrides, EXPORT_SECTIONS) if self.overrides else recipe

    @functools.cached_property
    def kept_recipe(self) -> Recipe:
        """The recipe in the folder, without `overrides`."""
        try:
            values = read_yaml(self.recipe_path)
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{self.recipe_path} cannot be read", given=error) from error
        if not isinstance(values, dict):
            raise ArtifactError(f"{self.recipe_path} is no recipe", given=type(values).__name__, allowed="a mapping")
        return recipe_from_dict(values, where=str(self.recipe_path))

    def recordings(self, split: str | None = None) -> list[Recording]:
        """Recordings of the run, or of one split."""
        recordings = read_manifest(self.recordings_path)
        return [r for r in recordings if split is None or r.split == split]

    @property
    def manifest(self) -> dict[str, Any]:
        """What the finished stages recorded; empty before the first."""
        if not self.manifest_path.is_file():
            return {"schema": SCHEMA, "stages": {}}
        value: dict[str, Any] = read_json(self.manifest_path, schema=SCHEMA)
        if not isinstance(value.get("stages"), dict) or not all(isinstance(v, dict) for v in value["stages"].values()):
            raise ArtifactError(f"{self.manifest_path} does not list the finished stages", remedy="copy it again")
        return value

    def record(self, stage: str, **facts: Any) -> None:
        """Record a finished stage with what it found. The last thing that a stage does."""
        manifest = self.manifest
        manifest["provenance"] = provenance()
        manifest["recipe_sha256"] = self.kept_recipe.fingerprint()
        manifest["stages"][stage] = {"finished": datetime.now(timezone.utc).isoformat(timespec="seconds"), **facts}
        write_json(self.manifest_path, manifest)

    def log(self, stage: str, **metrics: Any) -> None:
        """Append one line of metrics; not to one that a kill or a full disk has cut short."""
        with writing(self.metrics_path):
            self.path.mkdir(parents=True, exist_ok=True)
            with open(self.metrics_path, "ab+") as file:
                file.seek(-1 if file.tell() else 0, os.SEEK_END)
                begun = file.read() not in (b"", b"\n")
                file.write(b"\n" * begun + json.dumps({"stage": stage, **metrics}).encode() + b"\n")

    def metrics(self, stage: str | None = None) -> list[dict[str, Any]]:
        """Logged metrics; a torn last line (a kill in the middle of a write) is left out."""
        rows = []
        if self.metrics_path.is_file():
            try:
                for line in read_lines(self.metrics_path):
                    with contextlib.suppress(ValueError):
                        row = parse_json(line, allow_nan=True)
                        if isinstance(row, dict) and (stage is None or row.get("stage") == stage):
                            rows.append(row)
            except (OSError, ValueError) as error:
                raise ArtifactError(f"{self.metrics_path} cannot be read", given=error) from error
        return rows


def _plain(name: str) -> str:
    """A student's name, of which folders of the run are named."""
    if not is_plain_name(name):
        raise RecipeError("a student's name cannot be a path", given=repr(name), allowed="a name without / and ..")
    return name
