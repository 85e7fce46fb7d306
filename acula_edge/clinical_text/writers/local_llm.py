"""Reports by a language model on this machine: any causal one that transformers can load, from an id or a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from acula_edge.clinical_text.prompt import load_prompt, write_messages
from acula_edge.clinical_text.writer import Job, Pull, Written, writers
from acula_edge.errors import InputError, RecipeError
from acula_edge.extras import missing_package
from acula_edge.files import sha256_text
from acula_edge.recipe import LocalWriterConfig, ReportsConfig

ROLES = {"system": "", "user": "", "assistant": "Report: "}


class LocalWriter:
    """See :class:`acula_edge.clinical_text.writer.Writer`.

    Raises:
        RecipeError: no model is named.
        InputError: it cannot be loaded.
    """

    def __init__(self, config: ReportsConfig) -> None:
        if not config.local.model:
            raise RecipeError(
                "the writer 'local-llm' needs a model", remedy="--set reports.local.model=FOLDER_OR_HUGGING_FACE_ID"
            )
        self._config, self._local = config, config.local
        self._prompt = load_prompt(config.prompt)
        self._tokenizer, self._model, self._device = load_model(config.local)

    def write(self, pull: Pull) -> Iterator[Written]:
        """A batch at a time."""
        while True:
            jobs: list[Job] = []
            while len(jobs) < self._local.batch_size and (job := pull()) is not None:
                jobs.append(job)
            if not jobs:
                return
            yield from self._write_batch(jobs)

    def _write_batch(self, jobs: Sequence[Job]) -> Iterator[Written]:
        import torch

        prompts = [self._render(job) for job in jobs]
        room = self._room()
        read = self._tokenizer(
            prompts, return_tensors="pt", padding=True, truncation=room is not None, max_length=room,
            add_special_tokens=not self._chats,
        ).to(self._device)  # fmt: skip
        read.pop("token_type_ids", None)
        drawn = self._local.temperature > 0
        options: dict[str, Any] = {"temperature": self._local.temperature} if drawn else {}
        keys = "/".join(f"{job.recording}.{job.variant}.{len(job.reasons)}" for job in jobs)
        with torch.inference_mode(), torch.random.fork_rng(devices=self._forked()):
            torch.manual_seed(int(sha256_text(f"{self._config.seed}/{keys}")[:8], 16))
            ids = self._model.generate(
                **read, max_new_tokens=self._local.max_new_tokens, do_sample=drawn,
                pad_token_id=self._tokenizer.pad_token_id, **options,
            )  # fmt: skip
        new = ids[:, read["input_ids"].shape[1] :]
        texts = self._tokenizer.batch_decode(new, skip_special_tokens=True)
        for job, text, asked, answered in zip(jobs, texts, read["attention_mask"], new, strict=True):
            written = int((answered != self._tokenizer.pad_token_id).sum())
            # An empty answer is an unfaithful one: it is asked for again, then the template steps in.
            yield Written(job, text, "", int(asked.sum()), written)

    @property
    def _chats(self) -> bool:
        return getattr(self._tokenizer, "chat_template", None) is not None

    def _render(self, job: Job) -> str:
        messages = write_messages(job, self._prompt, self._config.seed)
        if not self._chats:
            return "\n\n".join(ROLES[m["role"]] + m["content"] for m in messages) + "\n\nReport:"
        try:
            rendered = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except Exception as error:
            if "system" not in str(error).casefold():
                raise
            # Gemma's template, for one, has no system role.
            first = {"role": "user", "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
            rendered = self._tokenizer.apply_chat_template(
                [first, *messages[2:]], tokenize=False, add_generation_prompt=True
            )
        return str(rendered)

    def _room(self) -> int | None:
        """Tokens that a request may have, where the model says how many it can see."""
        seen = getattr(self._model.config, "max_position_embeddings", None)
        return None if seen is None else max(16, int(seen) - self._local.max_new_tokens)

    def _forked(self) -> list[int]:
        return [self._device.index or 0] if self._device.type == "cuda" else []


def load_model(config: LocalWriterConfig) -> tuple[Any, Any, Any]:
    """Tokenizer, frozen model and its device. Weights are read from safetensors files; remote code is never run.

    Raises:
        MissingCapability: torch or transformers is not installed.
        InputError: there is no such model, or it cannot be loaded.
    """
    try:
        import transformers

        from acula_edge.language.loading import resolve_dtype
        from acula_edge.training import resolve_device
        from acula_edge.untrusted.model_folders import check_model_folder, check_model_size
    except ModuleNotFoundError as error:
        raise missing_package(error) or error from error
    device = resolve_device(config.device)
    source = str(config.model)
    options: dict[str, Any] = {"revision": config.revision, "trust_remote_code": False}
    check_model_folder(source)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, padding_side="left", **options)
        architecture = transformers.AutoConfig.from_pretrained(source, **options)
        check_model_size(source, lambda: transformers.AutoModelForCausalLM.from_config(architecture))
        model: Any = transformers.AutoModelForCausalLM.from_pretrained(
            source, dtype=resolve_dtype(config.precision, device), use_safetensors=True, **options
        )
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise InputError(
            f"the language model {source!r} cannot be loaded to write reports",
            given=f"{type(error).__name__}: {error}".splitlines()[0],
            allowed="a folder with safetensors weights, or a Hugging Face id that this machine can reach",
        ) from error
    tokenizer.truncation_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer, model.to(device).eval().requires_grad_(False), device


writers.register("local-llm", LocalWriter)
