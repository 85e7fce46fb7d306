"""Does a bundle load and pass its self-tests on other versions of ONNX Runtime?

    python benchmarks/runtime_matrix.py BUNDLE [--version 1.18.* ...] [--json FILE]

For each version a fresh virtual environment gets this package's base install (no torch) with that ONNX Runtime; then
the bundle's own selftest.py and ``acula-edge selftest`` run there, on a copy of the bundle. Leaves with 2 where one
fails. Needs a package index.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("1.18.*", "1.23.2", "newest")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--version", action="append", help=f"of onnxruntime; default {', '.join(VERSIONS)}")
    parser.add_argument("--json", type=Path, help="write the results here as well")
    options = parser.parse_args()
    rows = []
    for version in options.version or VERSIONS:
        with tempfile.TemporaryDirectory(prefix="acula-edge-matrix-") as folder:
            rows.append(try_version(version, options.bundle, Path(folder)))
        print(json.dumps(rows[-1]), flush=True)
    if options.json is not None:
        options.json.write_text(
            json.dumps({"schema": "acula-edge/runtime-matrix/1", "versions": rows}, indent=2) + "\n"
        )
    sys.exit(0 if all(row["passed"] for row in rows) else 2)


def try_version(version: str, bundle: Path, folder: Path) -> dict[str, Any]:
    """Install, copy, run both self-tests; ``asked, found, numpy, passed, script, verb``."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    wanted = "onnxruntime" if version == "newest" else f"onnxruntime=={version}"
    # Builds of ONNX Runtime before 1.19 were made against NumPy 1.
    pins = ["numpy<2"] if version.startswith("1.18") else []
    row: dict[str, Any] = {
        "asked": version,
        "found": None,
        "numpy": None,
        "passed": False,
        "script": None,
        "verb": None,
    }
    installed = run(python, "-m", "pip", "install", "--quiet", str(ROOT), wanted, *pins)
    if installed.returncode != 0:
        return {**row, "script": last_lines(installed, 3)}
    code = "import numpy, onnxruntime, importlib.util as u; assert not u.find_spec('torch')"
    found = run(python, "-c", f"{code}; print(onnxruntime.__version__, numpy.__version__)")
    row["found"], row["numpy"] = found.stdout.split() if found.returncode == 0 else (None, None)
    copy = Path(shutil.copytree(bundle, folder / bundle.resolve().name))
    script = run(python, str(copy / "selftest.py"))
    verb = run(python, "-m", "acula_edge", "selftest", str(copy))
    row |= {"script": last_lines(script, 4), "verb": last_lines(verb, 1)}
    return {**row, "passed": found.returncode == script.returncode == verb.returncode == 0}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """A command in the folder ``/``, so that nothing of this checkout is imported by chance."""
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd="/")


def last_lines(done: subprocess.CompletedProcess[str], count: int) -> list[str]:
    return (done.stdout.strip() or done.stderr.strip()).splitlines()[-count:]


if __name__ == "__main__":
    main()
