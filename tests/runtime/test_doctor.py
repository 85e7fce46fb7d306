"""What a machine can do, and that the doctor stays quick and honest where packages are missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from acula_edge import doctor

HERE: dict[str, Any] = {"torch": None, "tensorrt": {"version": None, "trtexec": False}, "gpus": [], "disk_free_mb": 1e5}
GPU = {"name": "Some GPU"}


def only(*modules: str):
    return lambda module: module in modules


def test_every_verb_gets_a_verdict_and_a_reason() -> None:
    result = doctor.examine()
    json.dumps(result, allow_nan=False)
    assert result["schema"] == "acula-edge/doctor/1"
    for verb in ("train", "distill", "export", "verify", "benchmark", "run", "selftest", "audit", "build-engine"):
        verdict = result["verbs"][verb]
        assert isinstance(verdict["can"], bool) and verdict["why"]
    assert "registered" not in result


def test_a_device_without_training_packages_runs_but_does_not_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "is_installed", only("numpy", "onnxruntime", "soundfile", "soxr", "yaml"))
    assert doctor.judge_verb("run", **HERE)["can"]
    assert doctor.judge_verb("benchmark", **HERE)["can"]
    train = doctor.judge_verb("train", **HERE)
    assert not train["can"]
    assert "torch" in train["why"] and train["to_do"] == 'pip install "acula-edge[train]"'
    assert "acula-edge[demo]" in doctor.judge_verb("demo", **HERE)["to_do"]


def test_training_names_the_device_it_would_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "is_installed", lambda module: True)
    on_gpu = doctor.judge_verb("train", **{**HERE, "torch": {"cuda": "13.0"}, "gpus": [GPU]})
    assert on_gpu["can"] and "Some GPU" in on_gpu["why"]
    no_cuda = doctor.judge_verb("train", **{**HERE, "torch": {"cuda": None}, "gpus": [GPU]})
    assert no_cuda["can"] and "no CUDA" in no_cuda["why"]
    full = doctor.judge_verb("train", **{**HERE, "disk_free_mb": 10.0})
    assert not full["can"] and "10 MB" in full["why"]


@pytest.mark.parametrize(
    ("gpus", "tensorrt", "can", "word"),
    [
        ([], {"version": "10.3", "trtexec": True}, False, "GPU"),
        ([GPU], {"version": None, "trtexec": False}, False, "trtexec"),
        ([GPU], {"version": None, "trtexec": True}, True, "trtexec"),
        ([GPU], {"version": "10.3", "trtexec": False}, True, "Python"),
    ],
)
def test_engines_need_a_gpu_and_a_builder(gpus: list[Any], tensorrt: dict[str, Any], can: bool, word: str) -> None:
    verdict = doctor.judge_verb("build-engine", **{**HERE, "gpus": gpus, "tensorrt": tensorrt})
    assert verdict["can"] is can and word in verdict["why"]


def test_registered_names_without_torch_say_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor.importlib.import_module

    def refuse(name: str, package: str | None = None):
        if name.startswith(("acula_edge.encoders", "acula_edge.align", "acula_edge.language")):
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real(name, package)

    monkeypatch.setattr(doctor.importlib, "import_module", refuse)
    names, missing = doctor.list_registered()
    assert set(missing) == {"encoders", "students", "objectives", "self_supervised", "teachers"}
    assert "acula-edge[train]" in missing["encoders"]
    assert {"C1", "P1"} <= set(names["tasks"])
    assert names["profiles"] == ["cpu_arm", "cpu_x86", "tensorrt"]
    assert {"circor", "kauh", "phantom"} <= set(names["readers"])


def test_a_bug_in_a_registered_module_is_not_called_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[str]:
        raise ModuleNotFoundError("No module named 'acula_edge.nonsense'", name="acula_edge.nonsense")

    monkeypatch.setattr(doctor, "_REGISTERED", {"encoders": broken})
    with pytest.raises(ModuleNotFoundError):
        doctor.list_registered()


def test_the_build_of_torch_is_read_without_importing_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "version.py").write_text("__version__ = '9.9'\ncuda: Optional[str] = '13.0'\nhip = None\n")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    described = doctor.describe_torch([GPU])
    assert described is not None
    assert described["cuda"] == "13.0" and described["gpu_expected"]
    (package / "version.py").write_text("cuda: Optional[str] = None\n")
    described = doctor.describe_torch([GPU])
    assert described is not None
    assert described["cuda"] is None and not described["gpu_expected"]


def test_a_quick_examination_imports_nothing_of_training() -> None:
    script = (
        "import sys; from acula_edge.doctor import examine; examine()\n"
        "heavy = ('torch', 'transformers', 'matplotlib', 'scipy', 'sklearn', 'tensorrt')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root())
    assert done.stdout.strip() == "[]"


def root() -> Path:
    return Path(__file__).resolve().parents[2]
