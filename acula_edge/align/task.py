"""The alignment task: encoder, heads and losses; the training loop does not know what runs inside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from acula_edge.align.augmentation import mask_spectrogram, random_crop
from acula_edge.align.monitors import effective_rank, held_out_cka, retrieval
from acula_edge.align.objectives import Batch, objectives
from acula_edge.align.self_supervised import self_supervised
from acula_edge.encoders.base import AudioEncoder
from acula_edge.frontend.forms import make_frontend
from acula_edge.recipe import AlignConfig

if TYPE_CHECKING:
    from acula_edge.data.store import WaveStore


@dataclass(frozen=True)
class Pairs:
    """Recordings and what their reports say.

    Attributes:
        rows: [N] positions in the store.
        text: [N, K] float32 targets.
        dataset: [N] integers.
        facts: [N] integers; equal for reports that say the same.
    """

    rows: np.ndarray
    text: np.ndarray
    dataset: np.ndarray
    facts: np.ndarray

    def __deepcopy__(self, memo: dict[int, Any]) -> Pairs:
        return self

    def __len__(self) -> int:
        return len(self.rows)


class Waves:
    """A store that is shared, not copied, when a task is copied for weight averaging."""

    def __init__(self, store: WaveStore) -> None:
        self.store = store

    def __deepcopy__(self, memo: dict[int, Any]) -> Waves:
        return self

    def __getitem__(self, row: int) -> np.ndarray:
        return self.store[row]


class AlignmentTask(nn.Module):
    """Encoder, audio head, text head if the text side is projected, and the losses of a recipe.

    Args:
        encoder: trained in place.
        store: waveforms at the encoder's rate.
        train, val: pairs; validation pairs are of other persons.
        config: objectives and their weights.
        window_samples: length of the window used for validation.
    """

    best_figure = "val_cka"

    def __init__(
        self,
        encoder: AudioEncoder,
        store: WaveStore,
        train: Pairs,
        val: Pairs,
        config: AlignConfig,
        window_samples: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.channels_last = encoder.channels_last
        self.frontend = make_frontend(encoder.frontend)
        self.config = config
        self.waves = Waves(store)
        self.train_pairs, self.val_pairs = train, val
        self.items = len(train)
        self.window_samples = window_samples
        crop_s = config.crop_s
        self.crop_samples = window_samples if crop_s is None else encoder.frontend.samples(crop_s)
        width, text_width = encoder.embedding_dim, train.text.shape[1]
        self.text_head: nn.Module | None = None
        if config.text_target == "projected":
            self.audio_head: nn.Module = _projection(width, config.projection_dim)
            self.text_head = _projection(text_width, config.projection_dim)
        else:
            self.audio_head = nn.Sequential(nn.Dropout(0.2), nn.Linear(width, text_width))
        for name in config.objectives:
            objectives[name]  # a misspelt name is an error before the first step
        self.self_supervised = nn.ModuleDict({name: self_supervised[name](width) for name in config.self_supervised})

    def forward(self, items: np.ndarray, generator: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss of a batch of training pairs, and its parts."""
        pairs = self.train_pairs
        views = 2 if self.self_supervised else 1
        with torch.no_grad():
            mel = torch.cat([self._crops(pairs.rows[items], generator) for _ in range(views)])
        embedding = self.encoder.embed_mel(mel)
        first, *rest = embedding.chunk(views)
        losses: dict[str, torch.Tensor] = {}
        for name, module in self.self_supervised.items():
            losses[name] = module(first, rest[0]) * self.config.self_supervised[name]
        if self.config.objectives:
            audio = self.audio_head(first)
            text = torch.from_numpy(pairs.text[items]).to(audio.device)
            if self.text_head is not None:
                text = self.text_head(text)
            batch = Batch(
                dataset=torch.from_numpy(pairs.dataset[items]).to(audio.device),
                facts=torch.from_numpy(pairs.facts[items]).to(audio.device),
                temperature=self.config.temperature,
            )
            with torch.autocast(audio.device.type, enabled=False):
                for name, weight in self.config.objectives.items():
                    losses[name] = objectives[name](audio, text, batch) * weight
        total = torch.stack(list(losses.values())).sum()
        return total, {name: float(loss.detach()) for name, loss in losses.items()}

    def _crops(self, rows: np.ndarray, generator: np.random.Generator) -> torch.Tensor:
        crops = np.stack([random_crop(self.waves[int(row)], self.crop_samples, generator) for row in rows])
        wave = torch.from_numpy(crops).to(next(self.parameters()).device)
        mel = self.frontend(wave)
        return mask_spectrogram(mel, generator) if self.config.augment else mel

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Held-out CKA, retrieval and effective rank, on the middle window of every validation recording."""
        pairs = self.val_pairs
        if len(pairs) < 4:
            return {}
        device = next(self.parameters()).device
        embeddings, projected = [], []
        for start in range(0, len(pairs), 64):
            windows = np.stack(
                [_middle(self.waves[int(r)], self.window_samples) for r in pairs.rows[start : start + 64]]
            )
            embedding = self.encoder.embed_mel(self.frontend(torch.from_numpy(windows).to(device)))
            embeddings.append(embedding.float().cpu().numpy())
            projected.append(self.audio_head(embedding).float().cpu().numpy())
        text = pairs.text
        if self.text_head is not None:
            text = self.text_head(torch.from_numpy(text).to(device)).float().cpu().numpy()
        audio = np.concatenate(projected)
        return {
            "val_cka": held_out_cka(audio, text, pairs.dataset),
            **retrieval(audio, text, pairs.dataset, pairs.facts),
            "effective_rank": effective_rank(np.concatenate(embeddings)),
        }

    def clean_batches(self, size: int = 64) -> Iterator[torch.Tensor]:
        """Spectrograms of the middle window of every training recording, unmasked, in mixed order."""
        device = next(self.parameters()).device
        rows = np.random.default_rng(0).permutation(self.train_pairs.rows)
        for start in range(0, len(rows) - min(size, len(rows)) + 1, size):
            windows = np.stack([_middle(self.waves[int(r)], self.window_samples) for r in rows[start : start + size]])
            yield self.frontend(torch.from_numpy(windows).to(device))

    def describe(self, items: np.ndarray) -> list[str]:
        """Ids of the recordings of a batch."""
        recordings = self.waves.store.recordings
        return [recordings[int(row)].key for row in self.train_pairs.rows[items]]


def _projection(width: int, out: int) -> nn.Module:
    """The published head (SPEC section 1.2)."""
    return nn.Sequential(nn.Linear(width, 1024), nn.ReLU(), nn.Dropout(0.2), nn.Linear(1024, out))


def _middle(wave: np.ndarray, samples: int) -> np.ndarray:
    if len(wave) < samples:
        wave = np.tile(wave, -(-samples // max(1, len(wave))))
    start = (len(wave) - samples) // 2
    return wave[start : start + samples]
