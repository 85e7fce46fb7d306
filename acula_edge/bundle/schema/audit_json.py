"""``audit.json``: what a target may refuse, miscompute or run slowly."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from acula_edge.bundle.schema.base import Count, File, Profile, Struct


class Finding(Struct):
    """A place where a rule of :mod:`acula_edge.quantize.audit` is broken.

    An error: the target will refuse or miscompute; a warning: it will be slow, or a runtime of another
    version may refuse; info is for the reader. ``node`` is a node or tensor, "" for the whole graph.
    """

    rule: str
    severity: Literal["error", "warning", "info"]
    node: str
    message: str
    source: str


class Footprint(Struct):
    """Bytes on a device without an operating system; RAM is null where a value's shape is not fixed.

    ``flash_bytes`` of all constants, as they are stored; ``ram_bytes``: most that live at once, inputs and outputs
    included; ``ram_int8_bytes``: of one-byte values alone; ``peak_node``: where ``ram_bytes`` is reached.
    """

    flash_bytes: Count
    ram_bytes: Count | None
    ram_int8_bytes: Count | None
    peak_node: str | None
    encoder: Footprint | None | UnsetType = UNSET


class Audit(File, kw_only=True):
    """``audit.json``: what a target may refuse, miscompute or run slowly."""

    SCHEMA = "acula-edge/audit/1"

    schema: str = SCHEMA
    model: str
    profile: Profile
    tensorrt: str | UnsetType = UNSET
    passed: bool
    findings: list[Finding]
    ops: dict[str, Count]
    nodes: Count
    opset: Count
    ir_version: Count
    quantize_linear: Count
    macs: Count
    int8_mac_share: float
    footprint: Footprint | None
