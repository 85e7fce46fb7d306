"""Serve a page on this computer only, with the headers that a browser likes best."""

from __future__ import annotations

import functools
import http.server
import re
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
_POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]+)"')


class PageHandler(http.server.SimpleHTTPRequestHandler):
    """Files of one folder; the page's own Content-Security-Policy also as a header."""

    # Windows' registry may say otherwise.
    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".json": "application/json",
    }

    def __init__(self, *args: Any, policy: str, **kwargs: Any) -> None:
        self._policy = policy
        super().__init__(*args, **kwargs)

    def end_headers(self) -> None:
        """Add the headers of every answer."""
        self.send_header("Content-Security-Policy", f"{self._policy}; frame-ancestors 'none'")
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of single requests."""


def open_server(folder: str | Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server for `folder` on 127.0.0.1; port 0 is any free one. ``serve_forever`` runs it.

    Raises:
        OSError: the port is taken.
    """
    match = _POLICY.search((Path(folder) / "index.html").read_text(encoding="utf-8"))
    policy = match[1] if match else "default-src 'self'"
    handler = functools.partial(PageHandler, directory=str(folder), policy=policy)
    return http.server.ThreadingHTTPServer((HOST, port), handler)
