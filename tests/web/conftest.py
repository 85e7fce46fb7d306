"""A bundle, the page as it lies in the package, and Node.js to run its modules without a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acula_edge.web import OrtWeb
from acula_edge.web.onnxruntime_web import FILES
from tests.web.listening_bundle import write_listening_bundle

PAGE = Path(str(resources.files("acula_edge.web") / "page"))


class NodeModules:
    """Answers requests to the page's modules; see modules.mjs."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._waves = 0
        self.folder = folder

    def wave(self, samples: np.ndarray) -> str:
        """Put a wave where a request can name it."""
        self._waves += 1
        name = f"wave{self._waves}.f32"
        np.asarray(samples, "<f4").tofile(self.folder / name)
        return name

    def run(self, *requests: dict[str, Any]) -> list[Any]:
        """Answers to requests, in order, from one run of Node.js."""
        request, answer = self.folder / "request.json", self.folder / "answer.json"
        request.write_text(json.dumps(requests))
        script = Path(__file__).parent / "modules.mjs"
        command = [self._program, str(script), str(PAGE), str(request), str(answer)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return list(json.loads(answer.read_text()))


@pytest.fixture
def modules(tmp_path: Path) -> NodeModules:
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node.js is not installed here (apt install nodejs)")
    folder = tmp_path / "node"
    folder.mkdir()
    return NodeModules(program, folder)


@pytest.fixture(scope="session")
def bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_listening_bundle(tmp_path_factory.mktemp("bundle") / "tiny-cpu_x86")


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> OrtWeb:
    """Files named as onnxruntime-web's, for what never runs them."""
    folder = tmp_path_factory.mktemp("ort")
    for name in FILES:
        (folder / name).write_text(f"// {name}\n")
    return OrtWeb({name: folder / name for name in FILES}, "9.9.9", False, "a test")
