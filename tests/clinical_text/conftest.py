"""Recordings with facts, and an endpoint that answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from acula_edge.data.manifest import Recording
from acula_edge.data.miniature import MiniatureConfig, write_miniature
from acula_edge.recipe import HttpWriterConfig, ReportsConfig

Answer = tuple[int, bytes, dict[str, str]]


def recording(dataset: str, metadata: dict[str, Any], name: str = "r", split: str = "train") -> Recording:
    return Recording(name, "", f"{dataset}/s-{name}", dataset, 4000, 1.0, split=split, metadata=metadata)


def breaths(count: int, wheeze: int | None = None) -> list[Recording]:
    """Recordings of lungs; every second one wheezes unless all do the same."""
    return [
        recording("icbhi", {"diagnosis": "COPD", "wheezes": number % 2 if wheeze is None else wheeze, "crackles": 0},
                  f"r{number:03d}")
        for number in range(count)
    ]  # fmt: skip


def chat(text: Any, tokens: tuple[int, int] = (100, 20)) -> Answer:
    """An answer as OpenAI's API gives it."""
    body = {
        "choices": [{"message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]},
    }
    return 200, json.dumps(body).encode(), {}


def state(body: dict[str, Any]) -> str:
    """A faithful report of what a request asks for, in the simplest words."""
    facts = dict(
        line.removeprefix("- ").split(": ", 1)
        for line in body["messages"][1]["content"].splitlines()
        if line.startswith("- ")
    )
    said = [f"{name}: {'yes' if value == 'present' else value}." for name, value in facts.items()]
    return " ".join(text[:1].upper() + text[1:] for text in said)


class Endpoint:
    """A stub of ``/v1/chat/completions``.

    Attributes:
        answer: makes an answer of a request's body and number; replace it.
        delay_s: how long every answer takes.
        requests: bodies, headers and times of what was asked.
        most: requests that were under way at once.
    """

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, Any], int], Answer] = lambda body, number: chat(state(body))
        self.delay_s = 0.0
        self.requests: list[dict[str, Any]] = []
        self.most = self._now = 0
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with endpoint._lock:
                    number = len(endpoint.requests)
                    endpoint.requests.append(
                        {"body": body, "headers": dict(self.headers), "path": self.path, "time": time.monotonic()}
                    )
                    endpoint._now += 1
                    endpoint.most = max(endpoint.most, endpoint._now)
                time.sleep(endpoint.delay_s)
                code, content, headers = endpoint.answer(body, number)
                with endpoint._lock:
                    endpoint._now -= 1
                try:
                    self.send_response(code)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    pass  # the client gave up

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # a client that is killed is no news
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def config(self, variants: int = 1, **http: Any) -> ReportsConfig:
        """Reports by this endpoint."""
        settings = {"url": self.url, "model": "stub", "retries": 2, "timeout_s": 5.0, **http}
        return ReportsConfig(writer="http", variants=variants, http=HttpWriterConfig(**settings))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """A stub endpoint; pauses between attempts are short."""
    from acula_edge.clinical_text.writers import http

    monkeypatch.setattr(http, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    stub = Endpoint()
    yield stub
    stub.close()


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def make_miniature(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A small miniature release, made once."""
    root = tmp_path_factory.mktemp("miniatures")

    def make(name: str) -> Path:
        if not (root / name).exists():
            write_miniature(name, root / name, MiniatureConfig(subjects=20, duration_s=1.0))
        return root / name

    return make
