"""The exact versions that an installation takes: resolved anew from pyproject.toml into ``constraints.txt``.

python -m tests.supply_chain.constraints            # about two minutes; nothing is installed
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "constraints.txt"
EXTRAS = "train,demo,dev,sign"

_HEAD = """\
# What `make install` installs, to the last package: resolved from pyproject.toml under Python {python} on {machine}.
# For a device with that Python: pip install acula-edge --constraint constraints.txt
# Made by `make constraints`; `make test` after it, and commit both changes together.
"""


def resolve() -> dict[str, str]:
    """Versions by normalized name that pip would install now, with all extras, into an empty environment."""
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"),
        f"{ROOT}[{EXTRAS}]",
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found = (entry["metadata"] for entry in json.loads(done.stdout)["install"])
    return {entry["name"].lower().replace("_", "-"): entry["version"] for entry in found}


def read_constraints(file: Path = FILE) -> dict[str, str]:
    """Versions by normalized name."""
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("==") for line in lines if line and not line.startswith("#"))
    return {name: version for name, _, version in pairs}


def main() -> None:
    versions = resolve()
    del versions["acula-edge"]
    before = read_constraints() if FILE.is_file() else {}
    head = _HEAD.format(
        python=".".join(platform.python_version_tuple()[:2]), machine=f"{platform.system()} {platform.machine()}"
    )
    FILE.write_text(head + "".join(f"{name}=={versions[name]}\n" for name in sorted(versions)), encoding="utf-8")
    for name in sorted(before.keys() | versions.keys()):
        if before.get(name) != versions.get(name):
            print(f"{name}: {before.get(name, 'absent')} -> {versions.get(name, 'absent')}")


if __name__ == "__main__":
    main()
