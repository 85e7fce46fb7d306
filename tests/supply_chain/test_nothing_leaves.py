"""Below Python: no verb looks up a name, sends a packet, or writes beside the folders it was given.

Each verb runs in network and mount namespaces of its own (``namespace.py``), with an ordinary home folder, which must
stay empty, and with one that is read-only. ONNX Runtime writes its telemetry's files at once, but looks its host up
some ten seconds later: two verbs in each home live that long, and of every process of every verb the setting is noted
under which it loaded the library (``inside/sitecustomize.py``). Training does not load it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from acula_edge.library_defaults import DEFAULTS
from tests.pipeline.conftest import RECIPE, write_recipe

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
UNSHARE = ["unshare", "--map-root-user", "--net", "--mount"]
LIVES_S = 20

pytestmark = pytest.mark.timeout(900)  # of the shared fixture: minutes on a busy machine

# What would keep libraries quiet by itself: a stranger's machine has none of it. (ONNX Runtime is silent under CI.)
QUIETING = {*DEFAULTS, "CI", "GITHUB_ACTIONS", "TF_BUILD", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HOME"}
KEPT = ("PATH", "LANG", "OMP_NUM_THREADS", "LD_LIBRARY_PATH", "SSL_CERT_FILE")

HOMES = ("ordinary", "read-only")
VERBS = ("train", "export", "run", "run --stream", "selftest", "selftest.py", "doctor", "benchmark")
LINGERING = ("doctor", "selftest.py")  # without the setting both look it up in either home


@dataclass(frozen=True)
class Place:
    """A folder that a verb may write to, with the home folder, temporary folder and working folder in it."""

    folder: Path
    read_only: bool

    def __post_init__(self) -> None:
        for name in ("home", "tmp", "work"):
            (self.folder / name).mkdir(parents=True)

    def python(self, *words: object, stdin: Path = Path(os.devnull), linger_s: float = 0) -> dict[str, Any]:
        """Run this Python with `words`: its exit code, what it sent, what it said, what it wrote beside `work`, and the
        value of ``ORT_DISABLE_TELEMETRY`` in each process that loaded ONNX Runtime."""
        own = {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp")}
        loads = self.folder / "loads"
        loads.touch()
        path = os.pathsep.join([str(HERE / "inside"), str(ROOT)])
        settings = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        watched = {"ACULA_EDGE_LINGER_S": str(linger_s), "ACULA_EDGE_LOADS": str(loads)}
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        home = self.folder / "home" if self.read_only else "-"
        line = [*UNSHARE, sys.executable, HERE / "namespace.py", self.folder, home, sys.executable, *words]
        with stdin.open("rb") as file:
            done = subprocess.run(
                [str(word) for word in line], stdin=file, capture_output=True, text=True, timeout=900,
                cwd=self.folder / "work", env={**kept, **own, **settings, **watched},
            )  # fmt: skip
        assert done.returncode == 0, done.stderr
        beside = [p for name in ("home", "tmp") for p in (self.folder / name).rglob("*") if not p.is_dir()]
        settings_at_loads = loads.read_text().splitlines()
        loads.unlink()
        return {
            **json.loads(done.stdout.splitlines()[-1]),
            "wrote": sorted(map(str, beside)),
            "loads": settings_at_loads,
        }


@pytest.fixture(scope="module")
def namespaces() -> None:
    missing = [name for name in ("unshare", "ip", "mount") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (util-linux and iproute2)")
    tried = subprocess.run([*UNSHARE, "ip", "link", "set", "lo", "up"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"this machine allows no namespaces: {tried.stderr.strip()}")


@pytest.fixture(scope="module")
def found(namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """What each verb did, by home folder and verb."""
    folder = tmp_path_factory.mktemp("nothing-leaves")
    with ThreadPoolExecutor(len(HOMES)) as pool:
        lines = pool.map(lambda home: every_verb(folder / home, home == "read-only"), HOMES)
        return {(home, verb): done for home, line in zip(HOMES, lines, strict=True) for verb, done in line.items()}


def every_verb(folder: Path, read_only: bool) -> dict[str, dict[str, Any]]:
    """Train and export a small model; then all that can be done with the bundle, at once."""
    first = Place(folder / "line", read_only)
    write_recipe(
        first.folder / "work", align={**RECIPE["align"], "epochs": 1}, distill={**RECIPE["distill"], "epochs": 1}
    )
    verb = ("-m", "acula_edge")
    done = {"train": first.python(*verb, "train")}
    done["export"] = first.python(*verb, "export", "--int8")
    bundle = first.folder / "work" / "runs" / "latest" / "export" / "tiny-cpu_x86"
    if not bundle.is_dir():
        return done
    sound = (np.random.default_rng(0).standard_normal(4 * 4000) * 3000).astype(np.int16)
    soundfile.write(folder / "sound.wav", sound, 4000)
    (folder / "sound.pcm").write_bytes(sound.tobytes())
    lines: dict[str, tuple[object, ...]] = {
        "run": (*verb, "run", bundle, folder / "sound.wav"),
        "run --stream": (*verb, "run", bundle, "-", "--stream", "--rate", 4000),
        "selftest": (*verb, "selftest", bundle),
        "selftest.py": (bundle / "selftest.py",),
        "doctor": (*verb, "doctor"),
        "benchmark": (*verb, "benchmark", "--quick", bundle / "model.int8.onnx"),
    }
    pcm = {"run --stream": folder / "sound.pcm"}
    with ThreadPoolExecutor(len(lines)) as pool:
        tasks = {
            name: pool.submit(
                Place(folder / name.replace(" ", ""), read_only).python,
                *words,
                stdin=pcm.get(name, Path(os.devnull)),
                linger_s=LIVES_S if name in LINGERING else 0,
            )
            for name, words in lines.items()
        }
        return done | {name: task.result() for name, task in tasks.items()}


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_sends_nothing_and_writes_nothing_elsewhere(found, verb: str, home: str) -> None:
    result = found[home, verb]
    assert result["code"] == 0, result["said"]
    assert (result["sent"], result["wrote"], set(result["loads"]) - {"1"}) == ([], [], set())
    assert result["loads"] or verb == "train", "this verb should have loaded ONNX Runtime"
    print(f"{verb}, {home} home: sent nothing, wrote nothing elsewhere")


def test_what_leaves_below_python_is_seen(namespaces: None, tmp_path: Path) -> None:
    """By a program that is no Python: a name, an address, and a file in the home folder."""
    code = "getent hosts example.org; echo > /dev/udp/192.0.2.1/9; echo > /dev/tcp/192.0.2.2/80; touch ~/left /var/left"
    program = f"import subprocess; subprocess.run(['bash', '-c', {code!r}])"
    result = Place(tmp_path / "place", read_only=False).python("-c", program)
    assert {line.rpartition(" ")[2] for line in result["sent"] if line.startswith("asked")} == {"example.org"}
    assert {"sent to 192.0.2.1 port 9", "sent to 192.0.2.2 port 80"} <= set(result["sent"])
    assert result["wrote"] == [str(tmp_path / "place" / "home" / "left")]
    assert not Path("/var/left").exists()
