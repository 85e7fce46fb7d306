"""The page as it lies in the package, and Node.js to run its modules without a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = Path(str(resources.files("acula_edge.web") / "page"))

Modules = Callable[..., Any]


class NodeModules:
    """Collects requests to the page's modules and answers them in one run of Node.js."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self.folder = folder
        self._waves = 0

    def wave(self, samples: np.ndarray) -> str:
        """Put a wave where a request can name it."""
        self._waves += 1
        name = f"wave{self._waves}.f32"
        np.asarray(samples, "<f4").tofile(self.folder / name)
        return name

    def run(self, *requests: dict[str, Any]) -> list[Any]:
        """Answers to requests, in order."""
        request, answer = self.folder / "request.json", self.folder / "answer.json"
        request.write_text(json.dumps(requests))
        script = Path(__file__).parent / "modules.mjs"
        done = subprocess.run(
            [self._program, str(script), str(PAGE), str(request), str(answer)], capture_output=True, text=True
        )
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
