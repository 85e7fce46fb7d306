"""Known vulnerabilities of the versions in ``constraints.txt``, by pip-audit.

    python -m tests.supply_chain.audit

Leaves with 1 where one is known that a release within the bounds of pyproject.toml has mended. One without such a
release is shown: nobody can act on it here. Where the advisories cannot be asked for, that is said, and nothing is
claimed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import tomllib
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.supply_chain.constraints import FILE, ROOT

_PATIENCE_S = 180


@dataclass(frozen=True)
class Finding:
    """An advisory that names a version that we install; `mended` is the oldest release within our bounds without it."""

    package: str
    version: str
    advisory: str
    mended: str | None


def ask() -> list[dict[str, Any]]:
    """pip-audit's answer for each package: its vulnerabilities (``vulns``), or why there is none (``skip_reason``)."""
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", str(FILE), "--no-deps", "--disable-pip"),
        *("--format", "json", "--progress-spinner", "off", "--timeout", "15"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S)
        answers: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return [{"name": "all", "skip_reason": f"no answer in {_PATIENCE_S} s"}]
    except ValueError:
        return [{"name": "all", "skip_reason": (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]}]
    return answers


def judge(answers: list[dict[str, Any]], bounds: dict[str, SpecifierSet]) -> list[Finding]:
    """What the answers say of us: each advisory, and whether a release that we may take is without it."""
    found = []
    for answer in answers:
        allowed = bounds.get(canonicalize_name(answer["name"]), SpecifierSet())
        for advisory in answer.get("vulns", ()):
            fixes = sorted(Version(fix) for fix in advisory["fix_versions"])
            mended = next((str(fix) for fix in fixes if fix in allowed), None)
            found.append(Finding(answer["name"], answer["version"], advisory["id"], mended))
    return found


def read_bounds() -> dict[str, SpecifierSet]:
    """What pyproject.toml allows of each package that it names, all extras together."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds: dict[str, SpecifierSet] = {}
    for text in (*project["dependencies"], *(t for extra in project["optional-dependencies"].values() for t in extra)):
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        bounds[name] = bounds.get(name, SpecifierSet()) & requirement.specifier
    return bounds


def main() -> int:
    answers = ask()
    skipped = [answer for answer in answers if "skip_reason" in answer]
    found = judge(answers, read_bounds())
    for finding in found:
        remedy = f"make constraints ({finding.mended} is without it)" if finding.mended else "no release within bounds"
        print(f"{finding.package} {finding.version}: {finding.advisory}: {remedy}")
    if skipped:
        print(f"NOT CHECKED: {len(skipped)} of {len(answers)} packages; the first: {skipped[0]['skip_reason']}")
    print(f"{len(answers) - len(skipped)} packages checked for known vulnerabilities, {len(found)} found")
    return 1 if any(finding.mended for finding in found) else 0


if __name__ == "__main__":
    sys.exit(main())
