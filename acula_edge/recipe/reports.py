"""What reports state, who writes them, and what that may cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from acula_edge.bounds import Bounded


@dataclass(frozen=True)
class LocalWriterConfig(Bounded):
    """A language model on this machine, for ``reports.writer: local-llm``.

    Attributes:
        model: Hugging Face id or folder of a causal language model, best one that follows instructions.
        revision: commit or tag of a Hugging Face id.
        batch_size: reports at a time.
        max_new_tokens: length of a report at most.
        temperature: 0 takes the likeliest word each time; above, words are drawn by the recipe's seed.
        precision: the model runs in; ``"auto"`` is bfloat16 on CUDA and float32 on the CPU.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
    """

    at_least: ClassVar = {"batch_size": 1, "max_new_tokens": 1, "temperature": 0}

    model: str | None = None
    revision: str | None = None
    batch_size: int = 16
    max_new_tokens: int = 120
    temperature: float = 0.0
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = "auto"


@dataclass(frozen=True)
class HttpWriterConfig(Bounded):
    """An OpenAI-compatible endpoint, for ``reports.writer: http``. The facts of every recording are sent there.

    Attributes:
        url: base URL; ``/chat/completions`` is added to it, for instance ``http://127.0.0.1:8000/v1``.
        model: the name that the endpoint knows it by.
        api_key_env: environment variable that holds the key; the key itself is never stored or logged.
        concurrency: requests under way at once.
        requests_per_minute: at most; null for no limit.
        timeout_s: for one answer.
        retries: of one request, after an answer that says to try again (429, 5xx), none at all, or one that is no JSON.
        temperature: of the model.
        max_tokens: length of a report at most.
        price_in, price_out: per million tokens, for the estimate and the account; null where it costs nothing.
    """

    at_least: ClassVar = {"concurrency": 1, "retries": 0, "temperature": 0, "max_tokens": 1, "price_in": 0,
                          "price_out": 0}  # fmt: skip
    above: ClassVar = {"requests_per_minute": 0, "timeout_s": 0}

    url: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    concurrency: int = 8
    requests_per_minute: float | None = None
    timeout_s: float = 60.0
    retries: int = 6
    temperature: float = 0.0
    max_tokens: int = 160
    price_in: float | None = None
    price_out: float | None = None


@dataclass(frozen=True)
class ReportsConfig(Bounded):
    """Clinical reports written from metadata.

    Attributes:
        writer: name of the writer: ``template``, ``local-llm`` or ``http``.
        variants: phrasings per recording; their embeddings are averaged, which lessens what phrasing adds to facts.
        pool: phrasings that the template writer makes of one set of facts, for recordings to draw theirs from.
        demographics: whether age band and sex may enter a report.
        ages: ``"exact"`` states ages in years beside the band.
        leave_out: facts, or whole categories of them, that never enter a report.
        mapping: YAML file, or folder of them, from columns to facts, before those that ship with acula-edge.
        prompt: text file with the instructions to a language model; null takes the one that ships.
        corpus: finished reports (``acula-edge data reports``) that alignment reads instead of writing any.
        shuffle: a negative control: ``"recordings"`` gives every recording another one's report of the same data set,
            ``"persons"`` gives every person another's, so that the recordings of one person still belong together.
        seed: equal seeds give equal reports.
    """

    at_least: ClassVar = {"variants": 1, "pool": 1}

    writer: str = "template"
    variants: int = 8
    pool: int = 64
    demographics: bool = False
    ages: Literal["band", "exact"] = "band"
    leave_out: list[str] = field(default_factory=lambda: ["site", "device"])
    mapping: str | None = None
    prompt: str | None = None
    corpus: str | None = None
    shuffle: Literal["recordings", "persons"] | None = None
    seed: int = 0
    local: LocalWriterConfig = field(default_factory=LocalWriterConfig)
    http: HttpWriterConfig = field(default_factory=HttpWriterConfig)
