"""The decoder of AudioMAE's masked autoencoder: standard ViT blocks, at random initialization.

The published decoder, 16 blocks of windowed attention, is not rebuilt, and its weights are not loaded: what is
post-trained here is the encoder. The first steps of a post-training teach the decoder.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from timm.models.vision_transformer import Block
from torch import nn

from acula_edge.encoders.masked import grid_positions, take
from acula_edge.encoders.teachers.opera_gt_decoder import initialize_linear


class AudioMAEDecoder(nn.Module):
    """From the tokens of the visible patches to the values of every patch.

    Args:
        width_in: of the encoder's tokens.
        patch_values: values of one patch.
        grid: largest number of patches along time, and the number along frequency.
        width, depth, heads: of the decoder.
    """

    pos_embed: torch.Tensor

    def __init__(
        self, width_in: int, patch_values: int, grid: tuple[int, int], *, width: int, depth: int, heads: int
    ) -> None:
        super().__init__()
        norm: Any = partial(nn.LayerNorm, eps=1e-6)
        self.embed = nn.Linear(width_in, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.register_buffer("pos_embed", grid_positions(*grid, width))
        self.blocks = nn.Sequential(*(Block(width, heads, qkv_bias=True, norm_layer=norm) for _ in range(depth)))
        self.norm = norm(width)
        self.pred = nn.Linear(width, patch_values)
        initialize_linear(self)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, latent: torch.Tensor, rank: torch.Tensor) -> torch.Tensor:
        """Predict all patches, the visible ones included.

        Shape: latent [B, 1 + K, W], the class token first; rank [B, L] of
        :func:`acula_edge.encoders.masked.keep_smallest` -> [B, L, P].
        """
        latent = self.embed(latent)
        first, visible = latent[:, :1], latent[:, 1:]
        hidden = self.mask_token.expand(len(visible), rank.shape[1] - visible.shape[1], -1)
        tokens = take(torch.cat([visible, hidden.to(visible.dtype)], dim=1), rank)
        tokens = torch.cat([first, tokens], dim=1) + self.pos_embed[:, : 1 + tokens.shape[1]]
        return self.pred(self.norm(self.blocks(tokens))[:, 1:])


def _public_decoder() -> frozenset[str]:
    """Tensors of the published decoder: names in the public file that the encoder has no use for."""
    layers = ("attn.qkv", "attn.proj", "attn.meta_mlp.fc1", "attn.meta_mlp.fc2", "norm1", "mlp.fc1", "mlp.fc2", "norm2")
    modules = ["decoder_embed", "decoder_norm", "decoder_pred"]
    modules += [f"decoder_blocks.{block}.{layer}" for block in range(16) for layer in layers]
    tensors = {f"{module}.{kind}" for module in modules for kind in ("weight", "bias")}
    tensors |= {f"decoder_blocks.{block}.attn.tau" for block in range(16)}
    return frozenset({"mask_token", "decoder_pos_embed", *tensors})


PUBLIC_DECODER = _public_decoder()
