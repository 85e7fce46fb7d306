"""Reports by any OpenAI-compatible endpoint: vLLM, a llama.cpp server, a hosted model.

As many requests as the recipe allows are kept under way; what says "later" (429, 5xx, silence, an answer that is no
JSON) is asked again after a growing, jittered pause, or the one that the endpoint asks for (Retry-After).
"""

from __future__ import annotations

import concurrent.futures
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from acula_edge.clinical_text.prompt import load_prompt, write_messages
from acula_edge.clinical_text.writer import Job, Pull, Written, writers
from acula_edge.errors import InputError, RecipeError
from acula_edge.recipe import HttpWriterConfig, ReportsConfig

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
LONGEST_WAIT_S = 600.0
"""Longest pause that an endpoint may ask for; beyond it the request counts as failed."""
MAX_FAILURES = 20
"""Requests that may fail one after another before the endpoint counts as gone."""
AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
REFUSED = frozenset({401, 402, 403, 404, 405})


class HttpWriter:
    """See :class:`acula_edge.clinical_text.writer.Writer`.

    Raises:
        RecipeError: no URL or model is named, or the key's variable is not set.
    """

    def __init__(self, config: ReportsConfig) -> None:
        self._config, self._http = config, config.http
        self._url = endpoint_of(self._http)
        self._headers = {"Content-Type": "application/json"}
        if (key := _key_of(self._http)) is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._prompt = load_prompt(config.prompt)
        self._pace = Pace(self._http.requests_per_minute)
        self._local = threading.local()
        self._stop = threading.Event()

    def write(self, pull: Pull) -> Iterator[Written]:
        """Keep ``concurrency`` requests under way until no job is left.

        Raises:
            InputError: the endpoint refuses (wrong key, model or URL), or many requests in a row have failed.
        """
        pool = concurrent.futures.ThreadPoolExecutor(self._http.concurrency, thread_name_prefix="reports")
        under_way: set[concurrent.futures.Future[Written]] = set()
        failures, refusal = 0, None
        try:
            while True:
                # After a refusal nothing new is asked, but what is under way is paid for and still handed over.
                while refusal is None and len(under_way) < self._http.concurrency and (job := pull()) is not None:
                    under_way.add(pool.submit(self.ask, job))
                if not under_way:
                    break
                done, under_way = concurrent.futures.wait(under_way, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    try:
                        written = future.result()
                    except InputError as error:
                        refusal = error
                        continue
                    failures = failures + 1 if written.text is None else 0
                    if failures >= MAX_FAILURES and refusal is None:
                        refusal = InputError(
                            f"the last {failures} requests to {self._url} have failed",
                            given=written.failure,
                            remedy="run the same command once the endpoint answers; finished reports are kept",
                        )
                    yield written
        finally:
            # Where somebody ends this early, no answer that is still under way is waited for.
            self._stop.set()
            pool.shutdown(wait=not under_way, cancel_futures=True)
        if refusal is not None:
            raise refusal

    def ask(self, job: Job) -> Written:
        """Ask for one report, as often as the recipe allows."""
        import requests

        body = request_body(job, self._config, self._prompt)
        failure = ""
        for attempt in range(self._http.retries + 1):
            if not self._pace.wait(self._stop):
                return Written(job, None, "stopped")
            pause, answer = None, None
            try:
                answer = self._session().post(self._url, json=body, headers=self._headers, timeout=self._timeouts())
            except requests.RequestException as error:
                failure = f"no answer ({type(error).__name__})"
            if answer is not None:
                if answer.status_code == 200:
                    written = read_answer(job, answer)
                    if written.text is not None:
                        return written
                    failure = written.failure
                elif answer.status_code in REFUSED:
                    raise InputError(
                        f"{self._url} refuses the request",
                        given=f"HTTP {answer.status_code}",
                        remedy="check reports.http.url, model and the key's variable (api_key_env)",
                    )
                elif answer.status_code in AGAIN:
                    failure, pause = f"HTTP {answer.status_code}", retry_after_s(answer.headers)
                else:
                    return Written(job, None, f"HTTP {answer.status_code}")
            if pause is not None and pause > LONGEST_WAIT_S:
                return Written(job, None, f"{failure}, to be tried again after {pause:.0f} s only")
            if attempt < self._http.retries and self._stop.wait(pause_s(attempt) if pause is None else pause):
                return Written(job, None, "stopped")
        return Written(job, None, f"{failure}, {self._http.retries + 1} times")

    def _timeouts(self) -> tuple[float, float]:
        return min(10.0, self._http.timeout_s), self._http.timeout_s

    def _session(self) -> Any:
        """This thread's connection, which is kept open."""
        import requests

        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        return self._local.session


class Pace:
    """Lets requests start no faster than so many a minute, evenly."""

    def __init__(self, per_minute: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s = 0.0 if per_minute is None else 60 / per_minute
        self._clock = clock
        self._next = clock()
        self._lock = threading.Lock()

    def take(self) -> float:
        """Take the next turn; seconds until it."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._every_s
            return turn - now

    def wait(self, stop: threading.Event) -> bool:
        """Wait for the next turn; False where `stop` is set meanwhile."""
        return not stop.wait(self.take()) if self._every_s else not stop.is_set()


def endpoint_of(http: HttpWriterConfig) -> str:
    """The URL that is asked.

    Raises:
        RecipeError: the recipe lacks it or the model's name, or it is no URL.
    """
    if not http.url or not http.model:
        raise RecipeError(
            "the writer 'http' needs an endpoint and a model",
            remedy="--set reports.http.url=http://127.0.0.1:8000/v1 --set reports.http.model=NAME",
        )
    if not http.url.startswith(("http://", "https://")):
        raise RecipeError("reports.http.url is no URL", given=http.url, allowed="http://... or https://...")
    base = http.url.rstrip("/")
    return base if base.endswith("/chat/completions") else f"{base}/chat/completions"


def request_body(job: Job, config: ReportsConfig, prompt: str) -> dict[str, Any]:
    """What is sent for one report."""
    return {
        "model": config.http.model,
        "messages": write_messages(job, prompt, config.seed),
        "temperature": config.http.temperature,
        "max_tokens": config.http.max_tokens,
        "seed": (config.seed * 1_000_003 + job.variant) % 2**31,
    }


def read_answer(job: Job, answer: Any) -> Written:
    """The report in an answer, and the tokens that it took."""
    try:
        content = answer.json()
        text = content["choices"][0]["message"]["content"]
        usage = content.get("usage") or {}
        tokens = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return Written(job, None, "an answer that cannot be read")
    if not isinstance(text, str) or not text.strip():
        return Written(job, None, "an empty answer", *tokens)
    return Written(job, text, "", *tokens)


def pause_s(attempt: int) -> float:
    """Pause before the next attempt: doubled each time, by half to one and a half, so that clients do not march."""
    return float(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt)) * random.uniform(0.5, 1.5)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Pause that an answer asks for, in seconds or as a date; None where it asks for none."""
    text = headers.get("Retry-After")
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _key_of(http: HttpWriterConfig) -> str | None:
    if http.api_key_env is None:
        return None
    key = os.environ.get(http.api_key_env)
    if not key:
        raise RecipeError(
            f"reports.http.api_key_env: the environment variable {http.api_key_env} is not set",
            remedy=f"export {http.api_key_env}=...",
        )
    return key


writers.register("http", HttpWriter)
