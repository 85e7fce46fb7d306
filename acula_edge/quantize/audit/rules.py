"""What a rule is, and running all of them.

A rule is a function in :mod:`acula_edge.quantize.audit.checks` that yields a :class:`Hit` per place::

    @rule("zero-point", "error", "zero points must be 0", source=PARSER, profiles=TENSORRT)
    def find_zero_points(view: GraphView) -> Iterator[Hit]: ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from acula_edge.bundle.schema import Finding
from acula_edge.quantize.audit.view import GraphView
from acula_edge.registry import Registry

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")

OLDEST_TENSORRT = "10.3"
"""JetPack 6.1 and 6.2, the oldest that this project serves."""

EVERYWHERE = ("cpu_arm", "cpu_x86", "tensorrt")
TENSORRT = ("tensorrt",)
CPU = ("cpu_arm", "cpu_x86")


@dataclass(frozen=True)
class Hit:
    """A place where a rule is broken.

    Attributes:
        node: node or tensor; "" for the whole graph.
        message: what is wrong there and what to do.
        severity: instead of the rule's.
    """

    node: str
    message: str
    severity: Severity | None = None


Check = Callable[[GraphView], Iterator[Hit]]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: short, stable.
        severity: of its findings, unless a finding says otherwise.
        summary: what must hold.
        source: document that says so.
        profiles: that it applies to.
        of_file: looks at the file alone and runs even where its weights lie elsewhere.
        check: finds where it is broken.
    """

    name: str
    severity: Severity
    summary: str
    source: str
    profiles: tuple[str, ...]
    of_file: bool
    check: Check


rules: Registry[Rule] = Registry("audit rule", package="acula_edge.quantize.audit.checks")


def rule(
    name: str,
    severity: Severity,
    summary: str,
    *,
    source: str,
    profiles: tuple[str, ...] = EVERYWHERE,
    of_file: bool = False,
) -> Callable[[Check], Check]:
    """Decorator that registers a check as a rule."""

    def register(check: Check) -> Check:
        rules.register(name, Rule(name, severity, summary, source, profiles, of_file, check))
        return check

    return register


def find(view: GraphView) -> list[Finding]:
    """Everything that the rules of the view's profile find, errors first."""
    found = []
    for name in rules.names():
        entry = rules[name]
        if view.profile.name not in entry.profiles or (view.external and not entry.of_file):
            continue
        for hit in entry.check(view):
            found.append(Finding(name, hit.severity or entry.severity, hit.node, hit.message, entry.source))
    order = {node.name: position for position, node in enumerate(view.nodes)}
    return sorted(
        found, key=lambda item: (SEVERITIES.index(item.severity), item.rule, order.get(item.node, -1), item.node)
    )


def list_rules(profile: str | None = None) -> list[dict[str, Any]]:
    """Every rule: ``{"rule", "severity", "profiles", "summary", "source"}``, of one profile or all."""
    return [
        {
            "rule": entry.name,
            "severity": entry.severity,
            "profiles": list(entry.profiles),
            "summary": entry.summary,
            "source": entry.source,
        }
        for entry in (rules[name] for name in rules.names())
        if profile is None or profile in entry.profiles
    ]
