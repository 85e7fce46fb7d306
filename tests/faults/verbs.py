"""The verbs that write, each with what lies there before it and what has to lie there after it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.pipeline.conftest import RECIPE

# Small, and nothing in it depends on the clock: the speed guard is off. What is learned does not matter.
SMALL: dict[str, Any] = {
    **RECIPE,
    "data": {
        **RECIPE["data"],
        "sources": {"phantom": {"reader": "phantom", "options": {"subjects": 16, "duration_s": 4.5}}},
    },
    "quantize": {**RECIPE["quantize"], "calibration_windows": 8, "sensitivity": False, "aware": "never"},
    "verify": {**RECIPE["verify"], "bootstrap": 20, "published_probe": False},
}
del SMALL["zero_shot"]

RUN = "run"
BUNDLE = f"{RUN}/export/tiny-cpu_x86"

# In JSON files: when, how long, how fast. Everything else has to be the same.
VOLATILE = ("finished", "created", "seconds", "timing", "environment", "speed", "key")
_KEY = re.compile("-[0-9a-f]{16}")


@dataclass(frozen=True)
class Verb:
    """One verb.

    Attributes:
        name: of the verb, and of the state of the folder that it leaves.
        words: typed at first.
        again: typed after it was disturbed.
        artifacts: files below the run, as patterns, that have to be the same to the last bit as when undisturbed.
        finished: a file that says that the work is whole; None where every file says so for itself.
    """

    name: str
    words: tuple[str, ...]
    again: tuple[str, ...]
    artifacts: tuple[str, ...]
    finished: str | None = None


def _verb(name: str, words: str, artifacts: str, again: str | None = None, finished: str | None = None) -> Verb:
    return Verb(name, tuple(words.split()), tuple((again or words).split()), tuple(artifacts.split()), finished)


# In the order in which they build on one another.
VERBS = (
    _verb(
        "data prepare", f"data prepare phantom --recipe acula-edge.yaml --out {RUN}",
        "recordings.jsonl set_aside.jsonl cache/waves-*",
    ),
    _verb("data reports", f"data reports {RUN}/recordings.jsonl", "reports.jsonl reports.set-aside.jsonl"),
    _verb(
        "train", f"train --out {RUN} --resume", "recordings.jsonl encoder/* text/*.safetensors",
        finished="encoder/model.safetensors",
    ),
    _verb("distill", f"distill {RUN}", "student/tiny/*", finished="student/tiny/model.safetensors"),
    _verb(
        "export", f"export {RUN} --int8",
        "export/tiny-cpu_x86/*.onnx export/tiny-cpu_x86/*.npz export/tiny-cpu_x86/quantize.json "
        "export/tiny-cpu_x86/audit.json",
        finished="export/tiny-cpu_x86/bundle.json",
    ),
    _verb("verify", f"verify {RUN}", "export/tiny-cpu_x86/verify.json export/tiny-cpu_x86/verify_scores.npz"),
    _verb("report", f"report {RUN}", "report.html report.md"),
)  # fmt: skip


def begin(folder: Path) -> None:
    """Lay out a folder in which the first verb can be typed."""
    folder.mkdir(parents=True)
    (folder / "acula-edge.yaml").write_text(yaml.safe_dump(SMALL))


def fingerprints(verb: Verb, folder: Path) -> dict[str, str]:
    """Hash of every artifact of a verb, without what depends on the clock."""
    run = folder / RUN
    found = sorted(path for pattern in verb.artifacts for path in run.glob(pattern) if path.is_file())
    hashes = {str(path.relative_to(run)): _hash(path) for path in found if path.name != "benchmark_samples.npz"}
    # Stores are named by when their recordings were written; phantom ones are made again.
    return {_KEY.sub("-KEY", name): value for name, value in hashes.items()}


def torn_files(folder: Path) -> list[str]:
    """Files whose name says that they are whole, and which are not."""
    torn = []
    for path in sorted(folder.rglob("*")):
        reader = _READERS.get(path.suffix)
        if reader is None or not path.is_file() or any(part.startswith(".") for part in path.parts):
            continue
        try:
            reader(path)
        except Exception as error:
            torn.append(f"{path.relative_to(folder)}: {type(error).__name__}: {error}")
    return torn


def leftovers(folder: Path) -> list[str]:
    """Hidden and unfinished files."""
    kept = [path for path in folder.rglob("*") if path.suffix in (".part", ".journal", ".partial")]
    return [*hidden(folder), *(str(path.relative_to(folder)) for path in kept if not path.name.startswith("."))]


def hidden(folder: Path) -> list[str]:
    """Temporary files and locks; what a verb goes on from is not hidden."""
    return [str(path.relative_to(folder)) for path in folder.rglob(".*")]


def _hash(path: Path) -> str:
    if path.suffix == ".json":
        content = json.dumps(_steady(json.loads(path.read_text())), sort_keys=True).encode()
    elif path.suffix == ".npz":
        content = _arrays(path)
    else:
        content = path.read_bytes()
    return hashlib.sha256(content).hexdigest()


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _steady(item) for key, item in value.items() if key not in VOLATILE}
    return [_steady(item) for item in value] if isinstance(value, list) else value


def _arrays(path: Path) -> bytes:
    """Content of an archive without the times in it."""
    import numpy as np

    with np.load(path, allow_pickle=False) as arrays:
        return b"".join(name.encode() + arrays[name].tobytes() for name in sorted(arrays.files))


def _read_safetensors(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        for name in file.keys():  # noqa: SIM118
            file.get_tensor(name)


def _read_onnx(path: Path) -> None:
    import onnx

    onnx.checker.check_model(onnx.load(path))


_READERS: dict[str, Callable[[Path], Any]] = {
    ".json": lambda path: json.loads(path.read_text()),
    ".yaml": lambda path: yaml.safe_load(path.read_text()),
    ".npz": _arrays,
    ".safetensors": _read_safetensors,
    ".onnx": _read_onnx,
}
