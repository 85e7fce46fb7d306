"""OPERA-GT: the ViT-S of a masked autoencoder, on patches of 4 frames x 4 bands (SPEC section 1.7.3)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from timm.layers.patch_embed import PatchEmbed
from timm.models.vision_transformer import Block
from torch import nn

from acula_edge.encoders.base import AudioEncoder, AudioEncoderConfig, teachers
from acula_edge.encoders.checkpoints import PublicLayout
from acula_edge.encoders.masked import keep_smallest, patchify, reconstruction_error, take
from acula_edge.encoders.teachers.opera_gt_decoder import (
    NORM_EPS,
    POSITIONS,
    OperaGTDecoder,
    initialize_linear,
    position_table,
)
from acula_edge.errors import InputError

_SIDE = 4
_BANDS = 64
_TOKENS_PER_STEP = _BANDS // _SIDE
_MAX_FRAMES = POSITIONS // _TOKENS_PER_STEP * _SIDE + _SIDE - 1
# The decoder's windows take 256 patches at a time.
_MASKED_FRAMES = (64, 128, 192, 256)


@teachers.register("opera-gt")
class OperaGT(AudioEncoder):
    """ViT of 12 blocks, 384 wide, over at most 1024 patches in time-major order; D = 384.

    The embedding is the mean of the patch tokens, normalized after the mean, without the class token.

    Options:
        mask_ratio: share of the patches that the masked autoencoder has to reconstruct (0.7 as published).
    """

    embedding_dim = 384
    min_frames = _SIDE
    self_supervised = "mae"
    pos_embed: torch.Tensor

    def __init__(self, config: AudioEncoderConfig) -> None:
        super().__init__(config)
        options: dict[str, Any] = {"mask_ratio": 0.7, **config.options}
        if self.frontend.n_mels != _BANDS:
            raise InputError(f"{config.encoder} takes {_BANDS} mel bands", given=self.frontend.n_mels, allowed=[_BANDS])
        self.mask_ratio = options["mask_ratio"]
        width = self.embedding_dim
        norm: Any = partial(nn.LayerNorm, eps=NORM_EPS)
        self.patch_embed = PatchEmbed(img_size=None, patch_size=_SIDE, in_chans=1, embed_dim=width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.register_buffer("pos_embed", position_table(width))
        self.blocks = nn.Sequential(*(Block(width, num_heads=6, qkv_bias=True, norm_layer=norm) for _ in range(12)))
        self.norm = norm(width)
        initialize_linear(self)
        nn.init.xavier_uniform_(self.patch_embed.proj.weight.flatten(1))
        nn.init.normal_(self.cls_token, std=0.02)

    def check_frames(self, frames: int) -> None:
        super().check_frames(frames)
        if frames > _MAX_FRAMES:
            raise InputError(
                f"the clip is too long for {self.config.encoder}",
                given=f"{frames} frames",
                allowed=f"at most {_MAX_FRAMES} frames",
                remedy="cut it into windows and average their embeddings",
            )

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        self.check_frames(mel.shape[1])
        return self.norm(self._encode(self._tokens(mel))[:, 1:].mean(dim=1))

    def make_decoder(self) -> OperaGTDecoder:
        return OperaGTDecoder(self.embedding_dim, patch_values=_SIDE**2)

    def patches(self, frames: int) -> int:
        if frames not in _MASKED_FRAMES:
            raise InputError(
                f"the decoder of {self.config.encoder} cannot take clips of this length",
                given=f"{frames} frames",
                allowed=f"{', '.join(str(allowed) for allowed in _MASKED_FRAMES)} frames",
            )
        return frames // _SIDE * _TOKENS_PER_STEP

    def masked_loss(self, mel: torch.Tensor, decoder: nn.Module, noise: torch.Tensor) -> torch.Tensor:
        predicted, masked = self.reconstruct(mel, decoder, noise)
        return reconstruction_error(predicted, patchify(mel, _SIDE), masked)

    def reconstruct(
        self, mel: torch.Tensor, decoder: nn.Module, noise: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the decoder makes of the visible patches, and which ones it did not see.

        Shape: mel [B, F, 64], noise [B, L] -> values of all patches [B, L, 16], masked [B, L] bool.
        """
        keep = int(self.patches(mel.shape[1]) * (1 - self.mask_ratio))
        kept, rank = keep_smallest(noise, keep)
        latent = self.norm(self._encode(take(self._tokens(mel), kept)))
        return decoder(latent, rank), rank >= keep

    def public_layout(self) -> PublicLayout:
        with torch.device("meta"):
            decoder = self.make_decoder().state_dict()
        head = {name if name == "mask_token" else f"decoder_{name}": name for name in decoder}
        return PublicLayout(public_name=lambda own: own, head=head)

    def _tokens(self, mel: torch.Tensor) -> torch.Tensor:
        """Patch tokens with their positions. Shape: [B, F, 64] -> [B, F // 4 * 16, 384]."""
        tokens = self.patch_embed(mel[:, None])
        return tokens + self.pos_embed[:, 1 : 1 + tokens.shape[1]]

    def _encode(self, tokens: torch.Tensor) -> torch.Tensor:
        """Class token and patch tokens behind the blocks. Shape: [B, K, 384] -> [B, 1 + K, 384]."""
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        return self.blocks(torch.cat([first, tokens], dim=1))
