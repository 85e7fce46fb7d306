"""compare.html: any number of machines and artifacts side by side, from benchmark JSON files and bundles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def write_comparison(paths: Sequence[str | Path], out: str | Path) -> Path:
    """Write one self-contained page.

    Args:
        paths: JSON files that ``acula-edge benchmark`` wrote, or bundles that hold one.
        out: the page.

    Returns:
        `out`.

    Raises:
        ArtifactError: a file is not such a JSON file, damaged, or of another schema.
        MissingCapability: jinja2 is not installed.
    """
    from acula_edge.files import write_text
    from acula_edge.reporting.compare.entries import read_entries
    from acula_edge.reporting.compare.page import assemble_comparison
    from acula_edge.reporting.rendering import render_html
    from acula_edge.untrusted.json_file import showing

    page = Path(out)
    with showing(", ".join(map(str, paths))):
        text = render_html(assemble_comparison(read_entries(paths)), "compare.html.j2")
    write_text(page, text)
    return page


def comparison(paths: Sequence[str | Path]) -> dict[str, Any]:
    """The same facts as data, see :func:`acula_edge.reporting.compare.facts.comparison_facts`."""
    from acula_edge.reporting.compare.entries import read_entries
    from acula_edge.reporting.compare.facts import comparison_facts
    from acula_edge.untrusted.json_file import showing

    with showing(", ".join(map(str, paths))):
        return comparison_facts(read_entries(paths))
