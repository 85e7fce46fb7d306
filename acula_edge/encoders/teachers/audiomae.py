"""AudioMAE: the ViT-B of a masked autoencoder, on patches of 16 frames x 16 bands (SPEC section 1.7.5)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from timm.layers.patch_embed import PatchEmbed
from timm.models.vision_transformer import Block
from torch import nn
from torch.nn import functional

from acula_edge.encoders.base import AudioEncoder, AudioEncoderConfig, teachers
from acula_edge.encoders.checkpoints import PublicLayout
from acula_edge.encoders.masked import grid_positions, keep_smallest, patchify, reconstruction_error, take
from acula_edge.encoders.teachers.audiomae_decoder import PUBLIC_DECODER, AudioMAEDecoder
from acula_edge.encoders.teachers.opera_gt_decoder import initialize_linear
from acula_edge.errors import InputError
from acula_edge.frontend.published import AUDIOMAE

_SIDE = 16
_MAX_FRAMES = 1024
_NORM_EPS = 1e-6


@teachers.register("audiomae")
class AudioMAE(AudioEncoder):
    """ViT over patches in time-major order; D = 768.

    The embedding is the mean of the patch tokens, without the class token, normalized after the mean. That norm was
    never trained (the public file does not hold it), so it has no parameters here. The public ``norm`` belongs to the
    masked form: it is applied there, and stays as it is.

    Options:
        frames: length that shorter spectrograms are padded to, with the value of a filter bank of zeros: 1024 as
            published, or less, in steps of 16; None for as few as the clip needs. A patch at a given time has the same
            position in all of them.
        mask_ratio: share of the patches that the masked autoencoder has to reconstruct (0.8 as published).
        width, depth, heads: of the encoder, 768, 12 and 12 as published.
        decoder_width, decoder_depth, decoder_heads: see :class:`AudioMAEDecoder`.
    """

    published_frontend = AUDIOMAE
    self_supervised = "mae"
    pos_embed: torch.Tensor

    def __init__(self, config: AudioEncoderConfig) -> None:
        super().__init__(config)
        self.options: dict[str, Any] = {
            "frames": _MAX_FRAMES, "mask_ratio": 0.8, "width": 768, "depth": 12, "heads": 12,
            "decoder_width": 512, "decoder_depth": 8, "decoder_heads": 16, **config.options,
        }  # fmt: skip
        width, frames = self.options["width"], self.options["frames"]
        if self.frontend.n_mels % _SIDE:
            raise InputError("audiomae cuts the mel bands in patches of 16", given=f"{self.frontend.n_mels} bands")
        if frames is not None and (frames % _SIDE or not 0 < frames <= _MAX_FRAMES):
            raise InputError(
                "audiomae cannot pad to this length", given=frames, allowed="multiples of 16 up to 1024, or null"
            )
        self.embedding_dim = width
        self.max_frames = frames or _MAX_FRAMES
        self.columns = self.frontend.n_mels // _SIDE
        norm: Any = partial(nn.LayerNorm, eps=_NORM_EPS)
        self.patch_embed = PatchEmbed(img_size=None, patch_size=_SIDE, in_chans=1, embed_dim=width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.register_buffer("pos_embed", grid_positions(_MAX_FRAMES // _SIDE, self.columns, width))
        heads = self.options["heads"]
        blocks = (Block(width, heads, qkv_bias=True, norm_layer=norm) for _ in range(self.options["depth"]))
        self.blocks = nn.Sequential(*blocks)
        self.norm = norm(width).requires_grad_(False)
        initialize_linear(self)
        nn.init.xavier_uniform_(self.patch_embed.proj.weight.flatten(1))
        nn.init.normal_(self.cls_token, std=0.02)

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        tokens = self._encode(self._tokens(self._padded(mel)))
        return functional.layer_norm(tokens[:, 1:].mean(dim=1), (self.embedding_dim,), eps=_NORM_EPS)

    def make_decoder(self) -> AudioMAEDecoder:
        width, depth, heads = (self.options[f"decoder_{name}"] for name in ("width", "depth", "heads"))
        grid = (_MAX_FRAMES // _SIDE, self.columns)
        return AudioMAEDecoder(self.embedding_dim, _SIDE**2, grid, width=width, depth=depth, heads=heads)

    def patches(self, frames: int) -> int:
        return self._length(frames) // _SIDE * self.columns

    def masked_loss(self, mel: torch.Tensor, decoder: nn.Module, noise: torch.Tensor) -> torch.Tensor:
        """Reconstruction loss per clip; every target patch is brought to zero mean and unit variance, as published.

        Shape: mel [B, F, M], noise [B, L] -> [B].
        """
        mel = self._padded(mel)
        keep = int(self.patches(mel.shape[1]) * (1 - self.options["mask_ratio"]))
        kept, rank = keep_smallest(noise, keep)
        latent = self.norm(self._encode(take(self._tokens(mel), kept)))
        target = patchify(mel, _SIDE).float()
        variance, mean = torch.var_mean(target, dim=-1, keepdim=True)
        target = (target - mean) / (variance + 1e-6).sqrt()
        return reconstruction_error(decoder(latent, rank), target, rank >= keep)

    def public_layout(self) -> PublicLayout:
        return PublicLayout(public_name=lambda own: own, unused=PUBLIC_DECODER)

    def _length(self, frames: int) -> int:
        """Frames that a clip of `frames` frames is padded to."""
        self.check_frames(frames)
        return self.options["frames"] or -(-frames // _SIDE) * _SIDE

    def _padded(self, mel: torch.Tensor) -> torch.Tensor:
        missing = self._length(mel.shape[1]) - mel.shape[1]
        # The published filter bank is padded with zeros before mean and deviation are applied.
        return functional.pad(mel, (0, 0, 0, missing), value=-self.frontend.mean / self.frontend.deviation)

    def _tokens(self, mel: torch.Tensor) -> torch.Tensor:
        """Patch tokens with their positions. Shape: [B, F, M] -> [B, F / 16 * M / 16, D]."""
        tokens = self.patch_embed(mel[:, None])
        return tokens + self.pos_embed[:, 1 : 1 + tokens.shape[1]]

    def _encode(self, tokens: torch.Tensor) -> torch.Tensor:
        """Class token and patch tokens behind the blocks. Shape: [B, K, D] -> [B, 1 + K, D]."""
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        return self.blocks(torch.cat([first, tokens], dim=1))
