"""OPERA-CE: a 3x3 convolution from 1 to 3 channels, then EfficientNet-B0 (SPEC section 1.7.4)."""

from __future__ import annotations

from typing import Any

import timm
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import nn
from torch.nn import functional

from acula_edge.encoders.base import AudioEncoder, AudioEncoderConfig, teachers
from acula_edge.encoders.checkpoints import COLA_HEAD, PublicLayout


class _StaticPadConv2d(nn.Conv2d):
    """Convolution with the asymmetric padding that OPERA-CE's weights were trained with.

    Its padding was computed once, for 224-pixel images: at stride 2 a kernel of k pads (k - 2) // 2 before and
    (k - 1) // 2 after, whatever the input's size.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernel = self.kernel_size[0]
        before, after = (kernel - 2) // 2, (kernel - 1) // 2
        x = functional.pad(x, (before, after, before, after))
        return functional.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


@teachers.register("opera-ce")
class OperaCE(AudioEncoder):
    """EfficientNet-B0 over (time, mel), global average pooling, D = 1280.

    Options:
        drop_path_rate: stochastic depth, linear over blocks (0.1 as published).
        bn_momentum: share of the newest batch in the running statistics. The published weights used 0.01 over many
            thousand steps; short trainings from scratch need 0.1.
    """

    embedding_dim = 1280
    min_frames = 34
    self_supervised = "cola"

    def __init__(self, config: AudioEncoderConfig) -> None:
        super().__init__(config)
        options: dict[str, Any] = {"drop_path_rate": 0.1, "bn_momentum": 0.1, **config.options}
        self.stem = nn.Conv2d(1, 3, kernel_size=3)
        self.backbone = timm.create_model(
            "efficientnet_b0", in_chans=3, num_classes=0, drop_path_rate=options["drop_path_rate"]
        )
        for module in self.backbone.modules():
            if isinstance(module, BatchNormAct2d):
                module.eps = 1e-3
                module.momentum = options["bn_momentum"]
            if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
                module.__class__ = _StaticPadConv2d

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        return self.backbone(self.stem(mel[:, None]))

    def public_layout(self) -> PublicLayout:
        return PublicLayout(_public_name, COLA_HEAD)


def _public_name(own: str) -> str:
    if own.startswith("stem."):
        return own.replace("stem.", "encoder.cnn1.")
    own = own.removeprefix("backbone.")
    if not own.startswith("blocks."):
        part, rest = own.split(".", 1)
        return f"encoder.efficientnet.{_OUTSIDE[part]}.{rest}"
    _, stage, block, rest = own.split(".", 3)
    part, rest = rest.rsplit(".", 1)
    number = sum(_BLOCKS_PER_STAGE[: int(stage)]) + int(block)
    parts = _INVERTED if number else _SEPARABLE
    return f"encoder.efficientnet._blocks.{number}.{parts[part]}.{rest}"


# timm groups the 16 blocks in 7 stages; the public checkpoint numbers them through.
_BLOCKS_PER_STAGE = (1, 2, 2, 3, 3, 4, 1)
_OUTSIDE = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
_SEPARABLE = {
    "conv_dw": "_depthwise_conv", "bn1": "_bn1", "se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand",
    "conv_pw": "_project_conv", "bn2": "_bn2",
}  # fmt: skip
_INVERTED = {
    "conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1",
    "se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand", "conv_pwl": "_project_conv", "bn3": "_bn2",
}  # fmt: skip
