"""MobileNetV4-conv-small as a teacher that two CPU cores can train from random initialization.

OPERA-CE needs several times as many clips before it is as good: with few hundred recordings and no GPU, the number of
optimizer steps decides, and here a step costs a fifth.
"""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import nn
from torch.nn import functional

from acula_edge.encoders.base import AudioEncoder, AudioEncoderConfig, teachers


@teachers.register("mobilenet")
class MobileNet(AudioEncoder):
    """MobileNetV4-conv-small (Qin et al. 2024) over (mel, time), global average pooling, D = 1280.

    Options:
        variant: name of another timm convolutional network with one global pooling.
        normalize: bring every embedding to mean 0 and variance 1 over its D values. Without it a clip unlike the
            training ones can come out dozens of times as long as the others, and its direction is lost on a probe.
    """

    min_frames = 32
    channels_last = True
    self_supervised = "cola"

    def __init__(self, config: AudioEncoderConfig) -> None:
        super().__init__(config)
        options: dict[str, Any] = {"variant": "mobilenetv4_conv_small", **config.options}
        self.norm = nn.BatchNorm2d(1)
        backbone: Any = timm.create_model(options["variant"], in_chans=1, num_classes=0)
        self.backbone = backbone
        self.embedding_dim = int(backbone.head_hidden_size)
        self.normalize = bool(options.get("normalize", False))

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        embedding = self.backbone(self.norm(mel[:, None]))
        return functional.layer_norm(embedding, embedding.shape[1:]) if self.normalize else embedding
