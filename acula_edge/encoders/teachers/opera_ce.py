"""OPERA-CE: a 3x3 convolution from 1 to 3 channels, then EfficientNet-B0 (SPEC section 1.7.4)."""

from __future__ import annotations

from typing import Any

import timm
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import nn
from torch.nn import functional

from acula_edge.encoders.base import AudioEncoder, AudioEncoderConfig, teachers


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

    @staticmethod
    def public_name(key: str) -> str | None:
        """Name in this class of a parameter of the public checkpoint; None for the parts that are not the encoder."""
        if not key.startswith("encoder."):
            return None
        key = key.removeprefix("encoder.")
        if key.startswith("cnn1."):
            return key.replace("cnn1.", "stem.")
        key = key.removeprefix("efficientnet.")
        for old, new in (
            ("_conv_stem.", "conv_stem."),
            ("_conv_head.", "conv_head."),
        ):
            if key.startswith(old):
                return "backbone." + key.replace(old, new)
        if key.startswith("_bn0."):
            return "backbone." + key.replace("_bn0.", "bn1.")
        if key.startswith("_bn1."):
            return "backbone." + key.replace("_bn1.", "bn2.")
        _, number, part, rest = key.split(".", 3)
        return f"backbone.blocks.{_BLOCKS[int(number)]}.{_PARTS[int(number) > 0][part]}.{rest}"


def _stages() -> list[str]:
    """timm groups the 16 blocks in 7 stages; the public checkpoint numbers them through."""
    return [f"{stage}.{block}" for stage, blocks in enumerate((1, 2, 2, 3, 3, 4, 1)) for block in range(blocks)]


_BLOCKS = _stages()
_PARTS: dict[bool, dict[str, str]] = {
    False: {
        "_depthwise_conv": "conv_dw", "_bn1": "bn1", "_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand",
        "_project_conv": "conv_pw", "_bn2": "bn2",
    },
    True: {
        "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
        "_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand", "_project_conv": "conv_pwl", "_bn2": "bn3",
    },
}  # fmt: skip
