"""How the INT8 graph was made, and what the audit says of it."""

from __future__ import annotations

from acula_edge.report.document import Block, Facts, Text
from acula_edge.report.evidence import Bundle


def quantization_blocks(bundle: Bundle) -> list[Block]:
    """Settings, nodes kept in float, findings."""
    if bundle.quantize is None and bundle.audit is None:
        return [Text("No INT8 model was made." if not bundle.has_int8 else "Not recorded.")]
    return [Facts([])]
