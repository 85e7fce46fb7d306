"""Students: small networks of dense or depthwise convolutions with ReLU or ReLU6, which INT8 makes faster.

No squeeze-excite and no hard-swish: ONNX Runtime's INT8 is slower than float with them (DESIGN section 4).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import timm
import torch
from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg
from timm.utils.model import reparameterize_model
from torch import nn
from torch.nn import functional

from acula_edge.encoders.base import AudioEncoder, AudioEncoderConfig
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.registry import Registry


class Student(AudioEncoder):
    """A timm backbone, pooling over time that keeps the frequency axis, and a linear layer to D.

    Options:
        embedding_dim: D.
    """

    def __init__(self, config: AudioEncoderConfig) -> None:
        super().__init__(config)
        self.embedding_dim = config.options["embedding_dim"]
        kind = students[config.encoder]
        self.patch = kind.patch
        self.backbone = kind.backbone()
        self.norm = nn.BatchNorm2d(1)
        bands = math.ceil(math.ceil(self.frontend.n_mels / self.patch) / self.backbone.feature_info[-1]["reduction"])
        self.projection = nn.Linear(self.backbone.num_features * bands, self.embedding_dim)

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        features = self.backbone.forward_features(self._patches(self.norm(mel[:, None])))
        # Pooling, not a mean: engines reduce the last axes of a small map ten times slower than they pool it.
        return self.projection(functional.avg_pool2d(features, (features.shape[2], 1)).flatten(1))

    def _patches(self, mel: torch.Tensor) -> torch.Tensor:
        """Fold patches into channels. Shape: [B, 1, F, M] -> [B, patch^2, F / patch, M / patch], rounded up.

        Equals ``pixel_unshuffle``, in two moves of one axis each: engines have fast kernels for those, and for none of
        more than four axes.
        """
        patch = self.patch
        if patch == 1:
            return mel
        frames, bands = (-size % patch for size in mel.shape[2:])
        if frames or bands:
            mel = functional.pad(mel, (0, bands, 0, frames))
        batch, _, frames, bands = mel.shape
        rows = mel.reshape(batch, frames // patch, patch, bands).transpose(1, 2)
        values = rows.reshape(batch, patch, frames * bands // patch**2, patch).transpose(2, 3)
        return values.reshape(batch, patch**2, frames // patch, bands // patch)

    def deployable(self) -> Student:
        """A copy in evaluation mode with training-time branches merged into single convolutions."""
        merged = copy.deepcopy(self).eval()
        merged.backbone = reparameterize_model(merged.backbone)
        return merged


@dataclass(frozen=True)
class StudentKind:
    """One entry of the registry.

    Attributes:
        name: what recipes and ``--student`` call it.
        device: class of device that it is meant for.
        backbone: makes the timm network, patch^2 input channels, no classifier.
        patch: side of the square of spectrogram values that become channels. With 2 the first map is a quarter as
            large, and has the four channels that INT8 kernels multiply at once, so that no layer stays in float.
    """

    name: str
    device: str
    backbone: Callable[[], Any]
    patch: int = 1
    build: type[Student] = Student


students: Registry[StudentKind] = Registry("student")


def from_timm(name: str) -> Callable[[], Any]:
    """A network of timm's for one input channel."""
    return lambda: timm.create_model(name, in_chans=1, num_classes=0, global_pool="")


def repvgg(widths: Sequence[int], depths: Sequence[int], stem: int, patch: int = 1) -> Callable[[], Any]:
    """RepVGG blocks (Ding et al. 2021): dense 3x3, merged at deployment; every stage halves the map, as the stem does.

    Args:
        widths, depths: channels and blocks of each stage.
        stem: channels of the stem.
        patch: as in :class:`StudentKind`.
    """
    stages = tuple(ByoBlockCfg(type="rep", d=d, c=c, s=2, gs=0) for c, d in zip(widths, depths, strict=True))
    return _network(stages, "rep", stem, patch)


def separable(stages: Sequence[tuple[int, int, int]], stem: int, patch: int = 1) -> Callable[[], Any]:
    """MobileOne blocks of one branch (Vasu et al. 2023): at deployment a depthwise 3x3, ReLU, a 1x1, ReLU.

    Args:
        stages: (channels, blocks, stride) of each.
        stem: channels of the stem, a dense 3x3 of stride 2.
        patch: as in :class:`StudentKind`.
    """
    blocks, last = [], stem
    for channels, depth, stride in stages:
        layers = []
        for _ in range(depth):
            layers.append(ByoBlockCfg(type="one", d=1, c=last, s=stride, gs=1))
            layers.append(ByoBlockCfg(type="one", d=1, c=channels, s=1, gs=0, block_kwargs={"kernel_size": 1}))
            last = channels
        blocks.append(tuple(layers))  # timm takes the stride of a stage's first block, and 1 for the others
    return _network(tuple(blocks), "one", stem, patch)


def _network(blocks: tuple[Any, ...], kind: str, stem: int, patch: int) -> Callable[[], Any]:
    config = ByoModelCfg(blocks=blocks, stem_type=kind, stem_chs=stem)
    return lambda: ByobNet(config, in_chans=patch**2, num_classes=0, global_pool="")


# About 74, 290 and 13 M multiply-accumulates for 256 x 64 values (benchmarks/student_frontier.py compares).
_BASE = repvgg((80, 160, 256), (2, 3, 2), stem=32, patch=2)
# TensorRT's INT8 kernels take channels by 32.
_LARGE = repvgg((128, 256, 512), (2, 4, 1), stem=64, patch=2)
# At most 450 k parameters and 0.5 MB of INT8 for a microcontroller, whose kernels are quickest with dense 3x3 too.
_TINY = repvgg((48, 96, 128), (1, 2, 1), stem=24, patch=2)

students.register("base", StudentKind("base", "phone, Cortex-A, x86", _BASE, patch=2))
students.register("large", StudentKind("large", "Jetson", _LARGE, patch=2))
students.register("tiny", StudentKind("tiny", "microcontroller class", _TINY, patch=2))
students.register("mobileone", StudentKind("mobileone", "phone, Cortex-A, x86", from_timm("mobileone_s0")))


def make_student(name: str, *, frontend: FrontendSpec, embedding_dim: int) -> Student:
    """Build a registered student at random initialization."""
    kind = students[name]
    options = {"embedding_dim": embedding_dim}
    return kind.build(AudioEncoderConfig(encoder=name, frontend=frontend.to_dict(), options=options))
