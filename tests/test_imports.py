"""The import walls: what may not be loaded on a device, and what a mere look at the help may not load."""

from __future__ import annotations

import ast
import json
import os
import pkgutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# What training needs and a device does not have.
TRAINING = (
    "torch", "torchaudio", "transformers", "accelerate", "timm", "scipy", "sklearn", "statsmodels", "pandas",
    "matplotlib", "jinja2", "onnx", "onnxscript", "optimum", "safetensors", "pyarrow",
)  # fmt: skip
HEAVY = ("torch", "transformers", "onnxruntime", "tensorrt", "matplotlib")

LIGHT_PACKAGES = (
    "acula_edge.audio",
    "acula_edge.benchmarking",
    "acula_edge.cli",
    "acula_edge.frontend",
    "acula_edge.runtime",
    "acula_edge.web",
)
LIGHT_MODULES = (
    "acula_edge.data.manifest", "acula_edge.engines.ort", "acula_edge.errors", "acula_edge.extras", "acula_edge.files",
    "acula_edge.processes", "acula_edge.progress", "acula_edge.provenance", "acula_edge.recipe", "acula_edge.registry",
    "acula_edge.run",
)  # fmt: skip


def light_modules() -> list[str]:
    """Every module that a device imports: all of these packages but what lies in a package called torch."""
    names = list(LIGHT_MODULES)
    for package in LIGHT_PACKAGES:
        names.append(package)
        spec = find_spec(package)
        assert spec is not None and spec.submodule_search_locations is not None
        names += [m.name for m in pkgutil.walk_packages(spec.submodule_search_locations, f"{package}.")]
    return [name for name in names if "torch" not in name.split(".")]


def loaded_after(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after `code`."""
    script = f"{code}\nimport json, sys; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_device_side_loads_nothing_of_training() -> None:
    loaded = loaded_after("import importlib\nfor name in " + repr(light_modules()) + ": importlib.import_module(name)")
    assert "acula_edge" in loaded
    assert not loaded & set(TRAINING)


@pytest.mark.parametrize(
    "code",
    [
        "import acula_edge; dir(acula_edge)",
        "from click.testing import CliRunner\nfrom acula_edge.cli.main import cli\n"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0",
        "from click.testing import CliRunner\nfrom acula_edge.cli.main import cli\n"
        "assert CliRunner().invoke(cli, ['export', '--help']).exit_code == 0",
    ],
    ids=["import", "help", "verb-help"],
)
def test_a_look_at_the_program_loads_nothing_heavy(code: str) -> None:
    assert not loaded_after(code) & {*HEAVY, *TRAINING, "numpy"}


def test_a_verb_is_imported_only_when_it_is_asked_for() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom acula_edge.cli.main import cli\n"
        "assert CliRunner().invoke(cli, ['train', '--help']).exit_code == 0\n"
        "assert 'acula_edge.cli.train' in sys.modules and 'acula_edge.cli.export' not in sys.modules"
    )
    assert "click" in loaded_after(code)


STAGES = (
    "audio", "frontend", "data", "clinical_text", "encoders", "language", "align", "distillation", "engines",
    "quantize", "probe", "zero_shot", "runtime", "benchmarking", "reporting", "web",
)  # fmt: skip


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_imports_the_pipeline_or_the_command_line(stage: str) -> None:
    for path in (ROOT / "acula_edge" / stage).rglob("*.py"):
        for module in imported_modules(path):
            whole = f"{module}."  # acula_edge.clinical_text is another room than acula_edge.cli
            assert not whole.startswith(("acula_edge.pipeline.", "acula_edge.cli.")), f"{path} imports {module}"


def test_the_runtime_stands_on_the_device_side_only() -> None:
    allowed = ("audio", "frontend", "engines", "runtime")
    for path in (ROOT / "acula_edge" / "runtime").rglob("*.py"):
        for module in imported_modules(path):
            room = module.removeprefix("acula_edge.").partition(".")[0] if module.startswith("acula_edge.") else ""
            assert room not in STAGES or room in allowed, f"{path} imports {module}"


def imported_modules(path: Path) -> set[str]:
    """Modules named by the import statements of a file, wherever they stand."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names
