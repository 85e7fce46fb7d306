"""AST: an audio spectrogram transformer trained on AudioSet's labels (Gong et al. 2021; SPEC section 1.7.7)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import ASTConfig, ASTModel

from acula_edge.encoders.base import AudioEncoder, AudioEncoderConfig, teachers
from acula_edge.encoders.hub import fill_module, plain_config, read_config, read_module, read_preprocessor
from acula_edge.errors import InputError
from acula_edge.frontend.published import AST
from acula_edge.frontend.spec import FrontendSpec

_TOKENS = 2
"""The class token and the distillation token, which stand before the patches."""


@teachers.register("ast")
class Ast(AudioEncoder):
    """transformers' ASTModel over a Kaldi filter bank; D = 768.

    Checkpoint: id or folder of an ``ASTModel`` or ``ASTForAudioClassification``, as
    MIT/ast-finetuned-audioset-10-10-0.4593.

    Options:
        frames: length that shorter spectrograms are padded to, with the value of a filter bank of zeros: 1024 as
            published, or less. The position table of a shorter one is cut from the middle, as AST's authors do.
        pooling: ``"pooler"`` (the mean of class and distillation token, which the published classifier reads) or
            ``"mean"`` (of the patch tokens).
        config: values of :class:`transformers.ASTConfig`, where there is no checkpoint.
    """

    published_frontend = AST
    self_supervised = "preserve"
    max_frames: int

    def __init__(self, config: AudioEncoderConfig) -> None:
        super().__init__(config)
        options: dict[str, Any] = {"frames": 1024, "pooling": "pooler", "config": {}, **config.options}
        if options["pooling"] not in ("pooler", "mean"):
            raise InputError("unknown pooling of ast", given=options["pooling"], allowed=("pooler", "mean"))
        sizes = {"num_mel_bins": self.frontend.n_mels, **options["config"], "max_length": options["frames"]}
        model = ASTConfig.from_dict(sizes)
        if model.num_mel_bins != self.frontend.n_mels:
            raise InputError(
                "the front end does not fit this ast",
                given=f"{self.frontend.n_mels} mel bands",
                allowed=[model.num_mel_bins],
            )
        if model.max_length < model.patch_size:
            raise InputError("ast cannot see so few frames", given=model.max_length, allowed=f">= {model.patch_size}")
        self.max_frames, self.pooling = model.max_length, options["pooling"]
        self.backbone = ASTModel(model)
        self.embedding_dim = model.hidden_size

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        self.check_frames(mel.shape[1])
        # The published filter bank is padded with zeros before mean and deviation are applied.
        silence = -self.frontend.mean / self.frontend.deviation
        mel = functional.pad(mel, (0, 0, 0, self.max_frames - mel.shape[1]), value=silence)
        output = self.backbone(mel)
        return output.pooler_output if self.pooling == "pooler" else output.last_hidden_state[:, _TOKENS:].mean(dim=1)

    @classmethod
    def frontend_for(cls, checkpoint: str | Path | None, options: dict[str, Any]) -> FrontendSpec:
        values = read_preprocessor(checkpoint)
        normalized = values.get("do_normalize", True)
        return replace(
            AST,
            n_mels=values.get("num_mel_bins", options.get("config", {}).get("num_mel_bins", AST.n_mels)),
            mean=values.get("mean", AST.mean) if normalized else 0.0,
            deviation=2 * values["std"] if normalized and "std" in values else AST.deviation if normalized else 1.0,
        )

    @classmethod
    def build(cls, config: AudioEncoderConfig, checkpoint: str | Path | None = None) -> AudioEncoder:
        if checkpoint is None:
            return cls(config)
        published = read_config(checkpoint, {ASTConfig.model_type: ASTConfig})
        config.options = {**config.options, "config": {**plain_config(published), **config.options.get("config", {})}}
        encoder = cls(config)
        state = read_module(checkpoint, published, ASTModel).state_dict()
        name = "embeddings.position_embeddings"
        state[name] = cut_positions(state[name], published, encoder.backbone.config)
        fill_module(encoder.backbone, state, checkpoint)
        return encoder


def cut_positions(table: torch.Tensor, published: Any, wanted: Any) -> torch.Tensor:
    """The middle of a position table along time, between two :class:`transformers.ASTConfig`.

    Shape: [1, 2 + bands * steps, D] -> [1, 2 + bands * steps wanted, D], where patches lie band by band.

    Raises:
        InputError: the table is shorter than what is wanted.
    """
    steps, steps_wanted = (
        (config.max_length - config.patch_size) // config.time_stride + 1 for config in (published, wanted)
    )
    if steps_wanted > steps:
        raise InputError(
            "ast cannot see more frames than it was trained with",
            given=f"frames={wanted.max_length}",
            allowed=f"at most {published.max_length}",
        )
    start = steps // 2 - steps_wanted // 2
    patches = table[:, _TOKENS:].unflatten(1, (-1, steps))[:, :, start : start + steps_wanted]
    return torch.cat([table[:, :_TOKENS], patches.flatten(1, 2)], dim=1)
