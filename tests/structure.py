"""How far a reader has to go: what the verbs run through, counted by tracing them, and what the code holds.

    python tests/structure.py [--json] [--run FOLDER]

A small phantom run is trained, exported with INT8 (once to have everything trained, once traced) and run on a sound.
With ``--run`` only what the code holds and one traced export of that run are counted.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "acula_edge"
SENSITIVE = ("audio", "frontend", "quantize", "probe/statistics")
"""Rooms of signal processing, INT8 and statistics, whose code says why it computes what it computes."""

_CALLS = {
    "recipe_from_dict": "recipe parsed",
    "sha256_file": "files hashed",
    "inspect_onnx": "ONNX files inspected as a stranger's",
    "score_tasks": "tasks scored",
}
_FUNCTION = 0x1  # CO_OPTIMIZED: a module's or a class's own code runs while it is imported and says nothing


def trace_verb(words: list[str]) -> dict[str, int]:
    """Run ``acula-edge WORDS`` in this process and count."""
    files: set[str] = set()
    counts: Counter[str] = Counter(dict.fromkeys([*_CALLS.values(), "bundle.json read"], 0))
    counts.update({"bundle.json sealed": 0, "bundle folder exchanged": 0})

    def profile(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_flags & _FUNCTION and code.co_filename.startswith(str(PACKAGE)):
            files.add(code.co_filename)
            if code.co_name in _CALLS:
                counts[_CALLS[code.co_name]] += 1

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], (str, os.PathLike)):
            reads = not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)
            counts["bundle.json read"] += reads and os.path.basename(arguments[0]) == "bundle.json"
        elif event == "os.rename":
            counts["bundle.json sealed"] += os.path.basename(arguments[1]) == "bundle.json"
        elif event == "tempfile.mkdtemp":
            folder, name = os.path.split(arguments[0])
            counts["bundle folder exchanged"] += os.path.basename(folder) == "export" and ".partial-" in name

    import threading

    from acula_edge.cli.main import cli

    sys.addaudithook(audit)
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        cli.main(words, standalone_mode=False)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return {"files that ran": len(files), **counts}


def trace_verbs(run: Path | None) -> dict[str, dict[str, int]]:
    """Counts of ``export --int8``, and without a run also of ``train`` and ``run``, each in a process of its own."""
    if run is not None:
        return {"export --int8": _in_process("export", run, "--int8", "--no-gate")}
    import soundfile
    import yaml

    from acula_edge.bundle.golden import golden_waves
    from tests.pipeline.conftest import RECIPE

    with tempfile.TemporaryDirectory(prefix="acula-edge-") as scratch:
        folder, run = Path(scratch), Path(scratch) / "run"
        recipe = {**RECIPE, "quantize": {"calibration_windows": 16}}
        (folder / "small.yaml").write_text(yaml.safe_dump(recipe))
        soundfile.write(folder / "sound.wav", golden_waves(4000, 20000)["heart"], 4000)
        train = _in_process("train", folder / "small.yaml", "--out", run)
        _in_process("export", run, "--int8", "--no-gate")
        export = _in_process("export", run, "--int8", "--no-gate")
        bundle = next(path.parent for path in run.glob("export/*/bundle.json"))
        return {
            "train": train,
            "export --int8": export,
            "run": _in_process("run", bundle, folder / "sound.wav", "--json"),
        }


def _in_process(*words: object) -> dict[str, int]:
    with tempfile.NamedTemporaryFile("r", suffix=".json") as result:
        line = [sys.executable, __file__, "--trace", result.name, *map(str, words)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(f"acula-edge {' '.join(map(str, words))} failed:\n{done.stderr}")
        counts: dict[str, int] = json.load(result)
        return counts


def count_code() -> dict[str, Any]:
    """What the package and its tests hold, by syntax tree and token."""
    modules = {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in modules.items()}
    report = [tree for path, tree in trees.items() if PACKAGE / "reporting" in path.parents]
    return {
        "package: files": len(modules),
        "package: lines": sum(text.count("\n") for text in modules.values()),
        "tests: lines": sum(path.read_text(encoding="utf-8").count("\n") for path in (ROOT / "tests").rglob("*.py")),
        "files that spell an INT8 model's file name": sum(map(_spells_int8, trees.values())),
        "dict[str, Any]": sum(_untyped(node) for tree in trees.values() for node in ast.walk(tree)),
        "report/: .get(": sum(_is_get(node) for tree in report for node in ast.walk(tree)),
        "report/: or {}": sum(_or_empty(node) for tree in report for node in ast.walk(tree)),
        "comment lines, %": {
            room: round(_comment_share({p: t for p, t in modules.items() if PACKAGE / room in p.parents}), 2)
            for room in SENSITIVE
        },
    }


def _spells_int8(tree: ast.Module) -> bool:
    said = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]  # docstrings
    return any(
        isinstance(node, ast.Constant) and "int8.onnx" in str(node.value) and node not in said
        for node in ast.walk(tree)
    )


def _untyped(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and ast.unparse(node) == "dict[str, Any]"


def _is_get(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"


def _or_empty(node: ast.AST) -> bool:
    return isinstance(node, ast.BoolOp) and isinstance(node.values[-1], ast.Dict) and not node.values[-1].keys


def _comment_share(modules: dict[Path, str]) -> float:
    lines = sum(text.count("\n") for text in modules.values())
    return 100 * sum(_is_reason(line) for text in modules.values() for line in _comments(text)) / lines


def _comments(text: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip():
            yield token.string


def _is_reason(comment: str) -> bool:
    return not re.match(r"#\s*(noqa|type:|fmt:)", comment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--trace", type=Path, help=argparse.SUPPRESS)
    known, words = parser.parse_known_args()
    if known.trace is not None:
        known.trace.write_text(json.dumps(trace_verb(words)))
        return
    found = {"code": count_code(), **trace_verbs(known.run)}
    if known.json:
        print(json.dumps(found, indent=2))
        return
    for part, counts in found.items():
        print(part)
        for name, value in counts.items():
            print(f"  {name:45} {value}")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
