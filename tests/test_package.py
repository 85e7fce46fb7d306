"""What is installed: the wheel holds what the program reads, and declares what the program imports."""

from __future__ import annotations

import ast
import re
import sys
import zipfile
from pathlib import Path

import pytest

from acula_edge import __version__
from acula_edge.errors import MissingCapability
from acula_edge.extras import EXTRA_OF_MODULE, missing_package

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Import names that differ from the distribution's.
MODULE_OF_DISTRIBUTION = {
    "pyyaml": "yaml", "scikit-learn": "sklearn", "optimum-onnx": "optimum", "cyclonedx-python-lib": "cyclonedx",
}  # fmt: skip
# Comes with torch's own requirements or with a declared package, by that package's promise.
IMPLIED = {"acula_edge", "huggingface_hub", "packageurl", "tokenizers", "torchvision", "pandas", "psutil"}


def modules(requirements: list[str]) -> set[str]:
    """Import names of requirements."""
    names = {re.split(r"[\s<>=!~;\[]", text, maxsplit=1)[0].lower() for text in requirements}
    return {MODULE_OF_DISTRIBUTION.get(name, name.replace("-", "_")) for name in names}


def declared() -> set[str]:
    """Import names of everything that pyproject.toml declares, beside the developer's tools."""
    extras = PROJECT["optional-dependencies"]
    return modules(PROJECT["dependencies"] + extras["train"] + extras["tensorrt"] + extras["sign"] + extras["demo"])


def test_every_import_is_declared() -> None:
    undeclared = {}
    for path in (ROOT / "acula_edge").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names = [node.module]
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top not in declared() | IMPLIED:
                    undeclared[top] = str(path.relative_to(ROOT))
    assert undeclared == {}


def test_every_optional_package_is_known_to_the_error_that_names_its_extra() -> None:
    extras = PROJECT["optional-dependencies"]
    for extra in ("train", "tensorrt", "sign", "demo"):
        for module in modules(extras[extra]) - {"acula_edge"}:
            assert EXTRA_OF_MODULE[module] == extra


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    error = missing_package(ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"))
    assert isinstance(error, MissingCapability)
    assert error.exit_code == 4
    assert error.remedy == 'pip install "acula-edge[train]"'
    assert missing_package(ModuleNotFoundError("No module named 'acula_edge.x'", name="acula_edge.x")) is None


def test_the_wheel_holds_recipes_calibration_and_templates(tmp_path: Path) -> None:
    wheel_builder = pytest.importorskip("hatchling.builders.wheel").WheelBuilder
    (wheel,) = wheel_builder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    held = set(zipfile.ZipFile(wheel).namelist())
    assert Path(wheel).name.startswith(f"acula_edge-{__version__}-py3-none-any")
    for folder in ("recipes", "calibration"):
        shipped = [path.name for path in (ROOT / folder).glob("*.yaml")]
        assert shipped
        assert {f"acula_edge/_{folder}/{name}" for name in shipped} <= held
    for path in (ROOT / "acula_edge").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert path.relative_to(ROOT).as_posix() in held
    assert not [name for name in held if name.startswith("tests/")]
