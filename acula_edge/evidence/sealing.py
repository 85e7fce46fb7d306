"""Evidence that follows what is in a bundle: results beside criteria, and the card, are written anew before sealing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acula_edge.engines.bundle_files import read_bundle, seal, write_bundle_file
from acula_edge.evidence.acceptance import refresh_acceptance, write_acceptance
from acula_edge.evidence.model_card import CARD_FILE, recommended_file, write_card
from acula_edge.evidence.sbom import write_sbom


def write_evidence(
    bundle: str | Path,
    origin: Mapping[str, Any],
    fixed: Mapping[str, Any],
    now: Mapping[str, Any],
) -> None:
    """Give a new bundle its provenance, criteria, bill of materials and card.

    Args:
        origin: further entries of ``provenance`` in ``bundle.json``.
        fixed, now: see :func:`acula_edge.evidence.acceptance.write_acceptance`.
    """
    bundle = Path(bundle)
    info = read_bundle(bundle, verify=False)
    info["provenance"] = {**info["provenance"], **origin}
    write_acceptance(bundle, fixed, now, recommended_file(info))
    write_sbom(bundle, info)
    write_card(bundle, info)
    write_bundle_file(bundle, info)


def seal_evidence(bundle: str | Path) -> dict[str, Any]:
    """As :func:`acula_edge.engines.bundle_files.seal`, after results and card were brought up to date.

    Bundles without a card (of earlier versions, or not made in a run) get none.

    Returns:
        The content of ``bundle.json``.
    """
    bundle = Path(bundle)
    if (bundle / CARD_FILE).is_file():
        refresh_acceptance(bundle)
        write_card(bundle, read_bundle(bundle, verify=False))
    return seal(bundle)
