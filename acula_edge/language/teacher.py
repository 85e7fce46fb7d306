"""Report embeddings from any Hugging Face language model (SPEC section 1.3)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from acula_edge.errors import InputError, MissingCapability
from acula_edge.language.loading import load_language_model
from acula_edge.language.pooling import pool
from acula_edge.progress import notify, track
from acula_edge.recipe import LanguageConfig


class TextEncoder:
    """A frozen language model that turns reports into vectors.

    Args:
        config: model, layer, pooling, length, precision.
        device: torch device.

    Raises:
        InputError: the model cannot be loaded, or has not the layer, the length or the token that `config` asks for.
    """

    def __init__(self, config: LanguageConfig, device: str | torch.device = "cpu") -> None:
        self.config = config
        self.device = torch.device(device)
        self.tokenizer, self.model = load_language_model(config, self.device)
        self._check()
        self._batch_size = config.batch_size
        padding = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id, 0)
        self._padding = next(token for token in padding if token is not None)

    def _check(self) -> None:
        config, depth = self.config, int(self.model.config.num_hidden_layers)
        if not -depth - 1 <= config.layer <= depth:
            raise InputError(
                f"the language model {config.model!r} has not the layer that language.layer names",
                given=config.layer,
                allowed=f"0 (token embeddings) to {depth} (the last), or -1 (the last) to {-depth - 1}",
            )
        positions = getattr(self.model.config, "max_position_embeddings", None) or math.inf
        longest = min(self.tokenizer.model_max_length, positions)
        if config.max_length > longest:
            raise InputError(
                f"language.max_length is more than {config.model!r} can read",
                given=config.max_length,
                allowed=f"at most {longest}",
            )
        if config.pooling == "cls" and self.tokenizer.cls_token_id is None:
            raise InputError(
                f"the language model {config.model!r} has no CLS token to pool", allowed="language.pooling mean or last"
            )

    def embed(self, reports: Sequence[str]) -> np.ndarray:
        """Embed reports.

        Returns:
            float32 [N, W] with W the model's width, in the order given; see :class:`LanguageConfig` for what is
            pooled.

        Raises:
            InputError: there is no report, or as in :meth:`batches`.
        """
        if not reports:
            raise InputError("there are no reports to embed")
        rows: list[np.ndarray | None] = [None] * len(reports)
        total = math.ceil(len(reports) / self._batch_size)
        for indices, vectors in track(self.batches(reports), "reading reports", total):
            for index, vector in zip(indices, vectors, strict=True):
                rows[index] = vector
        return np.stack([row for row in rows if row is not None])

    def batches(self, reports: Sequence[str]) -> Iterator[tuple[list[int], np.ndarray]]:
        """Embed reports batch by batch, the longest first; a batch that does not fit in memory is halved.

        Yields:
            Positions of a batch in `reports` and its vectors, float32 [B, W].

        Raises:
            InputError: a report without a token, or a vector that is not finite.
            MissingCapability: a single report does not fit in the GPU's memory.
        """
        tokens = self._tokenize(reports)
        order = sorted(range(len(tokens)), key=lambda index: len(tokens[index]), reverse=True)
        start = 0
        while start < len(order):
            batch = order[start : start + self._batch_size]
            try:
                vectors = self._forward([tokens[index] for index in batch])
            except torch.OutOfMemoryError as error:
                if len(batch) == 1:
                    raise MissingCapability(
                        f"the GPU has too little memory for one report in {self.config.model!r}",
                        remedy="--set language.precision=bfloat16, a smaller language.max_length, or a smaller model",
                    ) from error
                vectors = None
            if vectors is None:
                # Only here: within the handler the traceback keeps the failed batch in memory.
                self._batch_size = len(batch) // 2
                torch.cuda.empty_cache()
                notify("out of GPU memory at %d reports a batch; going on with %d", len(batch), self._batch_size)
                continue
            yield batch, vectors
            start += len(batch)

    def _tokenize(self, reports: Sequence[str]) -> list[list[int]]:
        texts = [report.strip().lower() if self.config.lowercase else report.strip() for report in reports]
        options = {"return_attention_mask": False, "return_token_type_ids": False}
        tokens: list[list[int]] = self.tokenizer(texts, truncation=True, max_length=self.config.max_length, **options)[
            "input_ids"
        ]
        empty = [report for report, ids in zip(reports, tokens, strict=True) if not ids]
        if empty:
            raise InputError("a report has no token for the language model", given=repr(empty[0][:40]))
        return tokens

    @torch.inference_mode()
    def _forward(self, tokens: list[list[int]]) -> np.ndarray:
        lengths = torch.tensor([len(ids) for ids in tokens])
        ids = pad_sequence([torch.tensor(ids) for ids in tokens], batch_first=True, padding_value=self._padding)
        mask = torch.arange(ids.shape[1]) < lengths.unsqueeze(1)
        last = self.config.layer in (-1, self.model.config.num_hidden_layers)
        states = self.model(
            input_ids=ids.to(self.device), attention_mask=mask.long().to(self.device), output_hidden_states=not last
        )
        hidden = states.last_hidden_state if last else states.hidden_states[self.config.layer]
        vectors = pool(hidden.float(), lengths.to(self.device), self.config.pooling)
        if self.config.normalizes:
            vectors = torch.nn.functional.normalize(vectors, dim=-1)
        if not bool(torch.isfinite(vectors).all()):
            raise InputError(
                f"the language model {self.config.model!r} gave numbers that are not finite",
                given=f"precision {self.model.dtype}",
                remedy="--set language.precision=float32",
            )
        return vectors.cpu().numpy()
