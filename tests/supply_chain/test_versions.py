"""constraints.txt fits pyproject.toml and is what is installed; the verdict on advisories is the one that is meant."""

from __future__ import annotations

from importlib import metadata

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.supply_chain import audit
from tests.supply_chain.audit import Finding, judge, read_bounds
from tests.supply_chain.constraints import read_constraints

# Known to break, and how: the comments in pyproject.toml.
KNOWN_TO_BREAK = {"torch": "2.15.0", "torchaudio": "2.12.0", "transformers": "4.58.0", "pytest": "9.2.0"}


def test_constraints_lie_within_the_bounds() -> None:
    constraints = {canonicalize_name(name): version for name, version in read_constraints().items()}
    bounds = read_bounds()
    elsewhere = {"tensorrt", "acula-edge"}  # not for every machine; ourselves
    assert bounds.keys() - constraints.keys() <= elsewhere
    outside = {name: constraints[name] for name in bounds.keys() - elsewhere if constraints[name] not in bounds[name]}
    assert not outside


def test_constraints_name_every_package_that_the_installed_ones_require() -> None:
    constraints = {canonicalize_name(name) for name in read_constraints()}
    installed = {canonicalize_name(item.name): item for item in metadata.distributions() if item.name}
    required = set()
    for name in constraints & installed.keys():
        for text in installed[name].requires or ():
            requirement = audit.Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                required.add(canonicalize_name(requirement.name))
    assert len(constraints & installed.keys()) > 100
    assert required <= constraints


@pytest.mark.parametrize(("package", "release"), KNOWN_TO_BREAK.items())
def test_releases_that_are_known_to_break_are_out_of_bounds(package: str, release: str) -> None:
    assert release not in read_bounds()[package]


ANSWERS = [
    {"name": "mended", "version": "1.0", "vulns": [{"id": "A-1", "fix_versions": ["2.1", "1.2"]}]},
    {"name": "beyond", "version": "1.0", "vulns": [{"id": "B-1", "fix_versions": ["2.0"]}]},
    {"name": "unmended", "version": "1.0", "vulns": [{"id": "C-1", "fix_versions": []}]},
    {"name": "clean", "version": "1.0", "vulns": []},
    {"name": "unknown", "skip_reason": "not found"},
]


def test_an_advisory_counts_where_a_release_that_we_may_take_has_mended_it(monkeypatch, capsys) -> None:
    assert judge(ANSWERS, {"beyond": SpecifierSet("<2")}) == [
        Finding("mended", "1.0", "A-1", "1.2"),
        Finding("beyond", "1.0", "B-1", None),
        Finding("unmended", "1.0", "C-1", None),
    ]
    monkeypatch.setattr(audit, "ask", lambda: ANSWERS)
    assert audit.main() == 1
    said = capsys.readouterr().out
    assert "mended 1.0: A-1: make constraints (1.2 is without it)" in said
    assert "NOT CHECKED: 1 of 5 packages; the first: not found" in said
    assert "4 packages checked for known vulnerabilities, 3 found" in said


def test_nothing_is_claimed_where_no_advisory_can_be_had(monkeypatch, capsys) -> None:
    monkeypatch.setattr(audit, "ask", lambda: [{"name": "all", "skip_reason": "no network"}])
    assert audit.main() == 0
    assert "NOT CHECKED: 1 of 1 packages; the first: no network\n0 packages checked" in capsys.readouterr().out
