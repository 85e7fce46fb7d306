"""The alignment task: encoder, heads and losses; the training loop does not know what runs inside.

Every process embeds its share of a batch; heads and objectives see the whole batch in every process. Where a batch is
too large for the memory, crops go through the encoder a few at a time, their activations are dropped and computed
again in the backward pass (gradient caching, Gao et al. 2021): the loss still sees all embeddings at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from acula_edge.align.augmentation import (
    MaskDraws,
    draw_masks,
    first_crop,
    mask_spectrogram,
    random_crop,
    vary_gain,
)
from acula_edge.align.monitors import PROBED, Monitors, fact_auroc
from acula_edge.align.objectives import Batch, objectives
from acula_edge.align.pairs import Pairs, Waves
from acula_edge.align.self_supervised import self_supervised
from acula_edge.align.text_space import Layer
from acula_edge.audio.offset import without_offset
from acula_edge.encoders.base import AudioEncoder
from acula_edge.frontend.torch import make_frontend
from acula_edge.recipe import AlignConfig
from acula_edge.training import Assignment
from acula_edge.training.normalization import frozen_statistics, refresh_statistics
from acula_edge.training.together import gather_batch

if TYPE_CHECKING:
    from acula_edge.data.store import StoredWave, WaveStore


SETTLING = 8
"""Batches of 64 training recordings that normalization statistics are refreshed on before a look at validation ones."""


@dataclass(frozen=True)
class Crops:
    """This process's share of a batch, as read.

    Attributes:
        wave: [V * b, T] crops: all first views, then all second ones.
        masks: of the spectrograms; None without augmentation.
        noise: per self-supervised objective, [V * b, draws].
    """

    wave: torch.Tensor
    masks: MaskDraws | None
    noise: dict[str, torch.Tensor]


class AlignmentTask(nn.Module):
    """Encoder, audio head, text head if the text side is projected, and the losses of a recipe.

    Args:
        encoder: trained in place.
        store: waveforms at the encoder's rate.
        train, val: pairs; validation pairs are of other persons.
        config: objectives and their weights.
        window_samples: length of the window used for validation.
    """

    best_figure = "val_fact_auroc"

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
        self.corpora = train.dataset
        self.window_samples = window_samples
        crop_s = config.crop_s
        self.crop_samples = window_samples if crop_s is None else encoder.frontend.samples(crop_s)
        self.crop_frames = encoder.frontend.frames(self.crop_samples)
        encoder.check_frames(self.crop_frames)
        width, text_width = encoder.embedding_dim, train.text.shape[1]
        self.audio_head: nn.Module | None = None
        self.text_head: nn.Module | None = None
        if config.objectives and config.text_target == "projected":
            self.audio_head = _projection(width, config.projection_dim)
            self.text_head = _projection(text_width, config.projection_dim)
        elif config.objectives:
            self.audio_head = nn.Sequential(nn.Dropout(0.2), nn.Linear(width, text_width))
        for name in config.objectives:
            objectives[name]  # a misspelt name is an error before the first step
        self.self_supervised = nn.ModuleDict({name: self_supervised[name](encoder) for name in config.self_supervised})
        self.views = max([1, *(head.views for head in self.heads().values())])
        self.monitors = Monitors()
        self._embed: Callable[[torch.Tensor], torch.Tensor] = encoder.embed_mel
        if config.compile:
            self._embed = torch.compile(encoder.embed_mel)

    def heads(self) -> dict[str, Any]:
        """The self-supervised objectives (:class:`SelfSupervised`) by name."""
        return dict(self.self_supervised.items())

    def load(self, assignment: Assignment) -> Crops:
        """Read this process's crops and draw what is random about them."""
        rows = self.train_pairs.rows[assignment.own]
        generators = assignment.generators * self.views
        crops = [
            self._crop(self.waves[int(row)], generator)
            for row, generator in zip(np.tile(rows, self.views), generators, strict=True)
        ]
        noise = {}
        for name, head in self.heads().items():
            if count := head.draws(self.encoder, self.crop_frames):
                drawn = np.stack([generator.random(count, dtype=np.float32) for generator in generators])
                noise[name] = torch.from_numpy(drawn)
        masks = draw_masks(generators) if self.config.augment else None
        return Crops(torch.from_numpy(np.stack(crops)), masks, noise)

    def forward(self, assignment: Assignment, crops: Crops) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss of a batch of training pairs, over all processes, and its parts."""
        device = next(self.parameters()).device
        mel = self._spectrograms(crops, device)
        noise = {name: values.to(device, non_blocking=True) for name, values in crops.noise.items()}
        embedding, clip_losses = self._listen_in_parts(mel, noise)
        views = [gather_batch(view) for view in embedding.chunk(self.views)]
        dataset = self._tensor(self.train_pairs.dataset[assignment.items], device)
        subject = self._tensor(self.train_pairs.subject[assignment.items], device)
        negatives = (dataset[:, None] == dataset[None, :]) & (subject[:, None] != subject[None, :])
        losses: dict[str, torch.Tensor] = {}
        for name, head in self.heads().items():
            loss = gather_batch(clip_losses[name]).mean() if name in clip_losses else head.batch_loss(views, negatives)
            losses[name] = loss * self.config.self_supervised[name]
        if self.audio_head is not None:
            audio = self.audio_head(views[0])
            text = self._tensor(self.train_pairs.text[assignment.items], device)
            if self.text_head is not None:
                text = self.text_head(text)
            batch = Batch(
                dataset=dataset,
                facts=self._tensor(self.train_pairs.facts[assignment.items], device),
                temperature=self.config.temperature,
            )
            with torch.autocast(device.type, enabled=False):
                for name, weight in self.config.objectives.items():
                    losses[name] = objectives[name](audio, text, batch) * weight
        total = torch.stack(list(losses.values())).sum()
        return total, {name: float(loss.detach()) for name, loss in losses.items()}

    def _crop(self, wave: np.ndarray | StoredWave, generator: np.random.Generator) -> np.ndarray:
        if self.config.crop == "first":
            return first_crop(without_offset(wave[: self.crop_samples]), self.crop_samples)
        return without_offset(random_crop(wave, self.crop_samples, generator))

    @torch.no_grad()
    def _spectrograms(self, crops: Crops, device: torch.device) -> torch.Tensor:
        wave = crops.wave.to(device, non_blocking=True)
        if crops.masks is None:
            return self.frontend(wave)
        masks, spec = crops.masks.to(device), self.encoder.frontend
        if spec.keeps_level:
            wave = vary_gain(wave, masks)
        return mask_spectrogram(self.frontend(wave), masks, scale=spec.kind == "log-mel")

    def _listen_in_parts(
        self, mel: torch.Tensor, noise: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Embeddings [V * b, D], and the losses of clips by themselves [V * b], of at most micro_batch at once."""
        size = self.config.micro_batch
        if size is None or size >= len(mel):
            return self._listen(mel, noise)
        parts = []
        for start in range(0, len(mel), size):
            part = slice(start, start + size)
            taken = {name: values[part] for name, values in noise.items()}
            parts.append(
                checkpoint(self._listen, mel[part], taken, use_reentrant=False, context_fn=self._repeat_contexts)
            )
        names = parts[0][1]
        return torch.cat([part[0] for part in parts]), {
            name: torch.cat([part[1][name] for part in parts]) for name in names
        }

    def _repeat_contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), frozen_statistics(self.encoder)

    def _listen(
        self, mel: torch.Tensor, noise: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        embedding = self._embed(mel)
        losses = {}
        for name, head in self.heads().items():
            loss = head.clip_losses(self.encoder, mel, embedding, noise.get(name, mel[:, 0, :0]))
            if loss is not None:
                losses[name] = loss.float()
        return embedding, losses

    @staticmethod
    def _tensor(values: np.ndarray, device: torch.device) -> torch.Tensor:
        return torch.from_numpy(values).to(device, non_blocking=True)

    def begin(self) -> None:
        """Keep what the starting encoder makes of the validation recordings."""
        if len(self.val_pairs) >= 4:
            self.settle()
            self.monitors.begin(self._embed_rows(self.val_pairs.rows), self.val_pairs)

    def settle(self, batches: int | None = SETTLING) -> None:
        """Bring normalization statistics up to the weights (:func:`refresh_statistics`), from `batches` at most."""
        refresh_statistics(self.encoder, islice(self.clean_batches(), batches))

    def validate(self) -> dict[str, float]:
        """Figures on the middle window of every validation recording (see :class:`Monitors`)."""
        pairs = self.val_pairs
        if len(pairs) < 4:
            return {}
        self.settle()
        embeddings = self._embed_rows(pairs.rows)
        items = np.random.default_rng(0).permutation(len(self.train_pairs))[:PROBED]
        figures = self.monitors.compare(embeddings, pairs)
        figures |= fact_auroc(
            self._embed_rows(self.train_pairs.rows[items]), self.train_pairs.findings[items], embeddings, pairs
        )
        if self.audio_head is None or self.config.text_target == "labels":
            return figures
        device = next(self.parameters()).device
        with torch.no_grad():
            audio = self.audio_head(torch.from_numpy(embeddings).to(device)).float().cpu().numpy()
            text = pairs.text
            if self.text_head is not None:
                text = self.text_head(torch.from_numpy(text).to(device)).float().cpu().numpy()
        return {**self.monitors.agreement(audio, text, pairs), **figures}

    @torch.no_grad()
    def _embed_rows(self, rows: np.ndarray) -> np.ndarray:
        """Embeddings [N, D] of the middle windows of recordings at these positions of the store."""
        parts = [self._embed_middles(rows[start : start + 64]) for start in range(0, len(rows), 64)]
        return np.concatenate(parts)

    def _embed_middles(self, rows: np.ndarray) -> np.ndarray:
        device = next(self.parameters()).device
        windows = np.stack([_middle(self.waves[int(row)], self.window_samples) for row in rows])
        return self.encoder.embed_mel(self.frontend(torch.from_numpy(windows).to(device))).float().cpu().numpy()

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


def affine_layers(head: nn.Module) -> list[Layer]:
    """The linear layers of a head, in order, as NumPy arrays."""
    linear = [module for module in head.modules() if isinstance(module, nn.Linear)]
    arrays = [(layer.weight.detach().cpu().numpy().T, layer.bias.detach().cpu().numpy()) for layer in linear]
    return [(weight.copy(), bias.copy()) for weight, bias in arrays]


def _middle(wave: np.ndarray | StoredWave, samples: int) -> np.ndarray:
    if len(wave) < samples:
        wave = np.tile(np.asarray(wave), -(-samples // max(1, len(wave))))
    start = (len(wave) - samples) // 2
    return without_offset(wave[start : start + samples])
