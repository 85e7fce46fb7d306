"""From a document to HTML and Markdown."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from acula_edge import __version__
from acula_edge.errors import MissingCapability
from acula_edge.reporting.document import Document

if TYPE_CHECKING:
    from jinja2 import Environment

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#])")


def render_html(document: Document, template: str = "report.html.j2") -> str:
    """One self-contained page."""
    return _environment(True).get_template(template).render(document=document, version=__version__)


def render_markdown(document: Document) -> str:
    """The same words and tables; charts as sentences."""
    text = _environment(False).get_template("report.md.j2").render(document=document, version=__version__)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.splitlines())).strip() + "\n"


def escape_markdown(text: str) -> str:
    """Plain text as Markdown that shows exactly this text, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).replace("&", "&amp;").splitlines()))


@lru_cache(maxsize=2)
def _environment(escape: bool) -> Environment:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingCapability("reports need jinja2", remedy="pip install jinja2") from error
    environment = Environment(
        loader=PackageLoader("acula_edge.reporting"),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = escape_markdown
    return environment
