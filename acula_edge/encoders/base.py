"""The one interface of every encoder: a front-end specification, `embed_mel`, `embed`, and a folder on disk.

Encoders are ``transformers.PreTrainedModel``s: ``save_pretrained`` writes config.json and model.safetensors, and a
folder says by itself which class reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from acula_edge.audio.resample import resample
from acula_edge.audio.samples import as_array, to_wave
from acula_edge.errors import AculaEdgeError, ArtifactError, InputError
from acula_edge.files import read_json
from acula_edge.frontend.spec import OPERA, FrontendSpec
from acula_edge.registry import Registry
from acula_edge.untrusted.model_folders import check_model_folder, check_model_size

if TYPE_CHECKING:
    from acula_edge.encoders.checkpoints import PublicLayout

teachers: Registry[type[AudioEncoder]] = Registry("encoder", package="acula_edge.encoders.teachers")


class AudioEncoderConfig(PretrainedConfig):
    """Configuration of any encoder.

    Args:
        encoder: registered name of the teacher or student.
        frontend: values of the :class:`FrontendSpec` that the encoder expects; None for OPERA's.
        options: what that encoder's class takes besides.
    """

    model_type = "acula-edge-encoder"

    def __init__(
        self,
        encoder: str = "",
        frontend: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.encoder = encoder
        self.frontend = frontend or OPERA.to_dict()
        self.options = options or {}
        super().__init__(**kwargs)


class AudioEncoder(PreTrainedModel):
    """Base of every encoder; called itself, it makes the class that the configuration names.

    Attributes:
        embedding_dim: width D of the embedding.
        published_frontend: the front end that the public weights were trained with.
        min_frames, max_frames: fewest and most frames that the network can take; None for any number.
        channels_last: train with channels next to each other in memory. Depthwise convolutions gain a third of their
            time; torch 2.14 crashes on strided 1x1 convolutions of few channels, so it is not for every network.
        self_supervised: name of the objective that this architecture was made for; "" for none.
    """

    config_class = AudioEncoderConfig
    main_input_name = "mel"
    base_model_prefix = ""
    embedding_dim: int
    published_frontend: ClassVar[FrontendSpec] = OPERA
    min_frames: int = 1
    max_frames: int | None = None
    channels_last: ClassVar[bool] = False
    self_supervised: ClassVar[str] = ""

    def __new__(cls, config: AudioEncoderConfig | None = None, *args: Any, **kwargs: Any) -> AudioEncoder:
        """An instance of the class of ``config.encoder``; ``AutoModel`` knows only this one."""
        return super().__new__(encoder_class(config.encoder) if cls is AudioEncoder and config is not None else cls)

    def __init__(self, config: AudioEncoderConfig) -> None:
        super().__init__(config)
        self.frontend = FrontendSpec.from_dict(config.frontend)
        self.post_init()  # transformers 5 cannot load a folder without what this sets

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Backbones initialize themselves."""

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        """Embed spectrograms, or whatever the encoder's front end makes.

        Shape: mel [B, F, M] -> [B, D].
        """
        raise TypeError(f"{type(self).__name__} does not say how it embeds")

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """Same as :meth:`embed_mel`."""
        return self.embed_mel(mel)

    def check_frames(self, frames: int) -> None:
        """Refuse clips that are shorter or longer than the network's receptive layout allows."""
        if frames < self.min_frames:
            raise InputError(
                f"the clip is too short for {self.config.encoder}",
                given=f"{frames} frames",
                allowed=f"at least {self.min_frames} frames",
                remedy="repeat-pad it (acula_edge.audio.segment.repeat_pad)",
            )
        if self.max_frames is not None and frames > self.max_frames:
            raise InputError(
                f"the clip is too long for {self.config.encoder}",
                given=f"{frames} frames",
                allowed=f"at most {self.max_frames} frames",
                remedy="cut it into windows (data.window_s) and average their embeddings",
            )

    @torch.no_grad()
    def embed(self, wave: np.ndarray | torch.Tensor, sample_rate_hz: int) -> torch.Tensor:
        """Embed whole waveforms: one spectrogram per clip, no trimming or padding.

        Shape: wave [T] or [B, T] -> [B, D].

        Raises:
            AudioError: a clip is no sound (:func:`acula_edge.audio.samples.to_wave`), or the rate none of sound.
            InputError: a clip is too short for the front end or the network, or too long for it.
        """
        from acula_edge.frontend.torch import make_frontend

        array = as_array(wave.detach().cpu() if isinstance(wave, torch.Tensor) else wave)
        rows = array if array.ndim == 2 and len(array) else [array]
        rate_hz = self.frontend.sample_rate_hz
        array = np.stack([resample(to_wave(row), sample_rate_hz, rate_hz) for row in rows])
        parameter = next(self.parameters())
        mel = make_frontend(self.frontend).to(parameter.device)(torch.from_numpy(array).to(parameter.device))
        self.check_frames(mel.shape[1])
        return self.embed_mel(mel)

    @classmethod
    def frontend_for(cls, checkpoint: str | Path | None, options: dict[str, Any]) -> FrontendSpec:
        """The front end that the weights of `checkpoint` were trained with."""
        return cls.published_frontend

    @classmethod
    def build(cls, config: AudioEncoderConfig, checkpoint: str | Path | None = None) -> AudioEncoder:
        """Make the encoder, at random initialization or from its public weights."""
        encoder = cls(config)
        if checkpoint is not None:
            from acula_edge.encoders.checkpoints import load_public_checkpoint

            load_public_checkpoint(encoder, checkpoint)
        return encoder

    def public_layout(self) -> PublicLayout | None:
        """Which tensor of this encoder's public checkpoint is what; None if there is no such file."""
        return None

    def make_decoder(self) -> torch.nn.Module:
        """The decoder of a masked autoencoder over this encoder, at random initialization.

        Raises:
            InputError: this architecture has no masked form.
        """
        raise InputError(f"{self.config.encoder} has no masked autoencoder", allowed="opera-gt, audiomae")

    def masked_loss(self, mel: torch.Tensor, decoder: torch.nn.Module, noise: torch.Tensor) -> torch.Tensor:
        """Reconstruction loss of a masked autoencoder, per clip (SPEC section 1.5).

        Shape: mel [B, F, M], noise [B, L] in [0, 1) with L the number of patches (the smallest are kept) -> [B].
        """
        raise InputError(f"{self.config.encoder} has no masked autoencoder", allowed="opera-gt, audiomae")

    def patches(self, frames: int) -> int:
        """Number L of patches that a spectrogram of `frames` frames is cut into; for masked autoencoders."""
        raise InputError(f"{self.config.encoder} has no masked autoencoder", allowed="opera-gt, audiomae")

    def deployable(self) -> AudioEncoder:
        """The form that is exported: evaluation mode, training-time branches merged where there are any."""
        return self.eval()


AutoConfig.register(AudioEncoderConfig.model_type, AudioEncoderConfig, exist_ok=True)
AutoModel.register(AudioEncoderConfig, AudioEncoder, exist_ok=True)


def encoder_class(name: str) -> type[AudioEncoder]:
    """Class of a registered teacher or student.

    Raises:
        InputError: there is none of that name.
    """
    from acula_edge.encoders.students import students

    return students[name].build if name in students else teachers[name]


def make_encoder(
    name: str,
    *,
    frontend: FrontendSpec | None = None,
    checkpoint: str | Path | None = None,
    options: dict[str, Any] | None = None,
) -> AudioEncoder:
    """Build a registered teacher, at random initialization or from a public checkpoint.

    Args:
        frontend: what the encoder listens through; None for the one that its public weights were trained with.
        checkpoint: file, folder or Hugging Face id of the public weights, in whichever form that encoder is published.
        options: of that encoder's class.

    Raises:
        InputError: no such encoder, or the checkpoint is not one of its kind.
    """
    spec = frontend or frontend_for(name, checkpoint, options)
    config = AudioEncoderConfig(encoder=name, frontend=spec.to_dict(), options=options or {})
    return encoder_class(name).build(config, checkpoint)


def frontend_for(
    name: str, checkpoint: str | Path | None = None, options: dict[str, Any] | None = None
) -> FrontendSpec:
    """The front end that a registered teacher's public weights were trained with; arguments as :func:`make_encoder`."""
    return teachers[name].frontend_for(checkpoint, options or {})


def load_encoder(name: str | Path, checkpoint: str | Path | None = None) -> AudioEncoder:
    """Load an encoder: a registered name (with or without a public checkpoint), a saved folder, or a run.

    Args:
        name: ``"opera-ce"``, a folder with config.json and model.safetensors, or a run's folder.
        checkpoint: a public checkpoint, with a registered name; see :func:`make_encoder`.

    Raises:
        ArtifactError: there is no such encoder, or its folder lacks weights.
    """
    folder = Path(name)
    if (folder / "encoder" / "config.json").is_file():
        folder = folder / "encoder"
    if not (folder / "config.json").is_file():
        if str(name) in teachers:
            return make_encoder(str(name), checkpoint=checkpoint)
        raise ArtifactError(
            f"{name} is neither an encoder's name nor a folder with an encoder",
            allowed=[*teachers.names(), "a run's folder", "a folder with config.json and model.safetensors"],
        )
    check_model_folder(folder)
    kind = encoder_class(str(read_json(folder / "config.json").get("encoder", "")))
    try:
        check_model_size(folder, lambda: kind(kind.config_class.from_pretrained(folder)))
        encoder, report = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except AculaEdgeError:
        raise
    except Exception as error:  # what torch and transformers raise depends on what the files say
        given = next(iter(str(error).splitlines()), type(error).__name__)
        raise ArtifactError(f"{folder} cannot be loaded as an encoder", given=given) from error
    strange = sorted([*report["missing_keys"], *report["unexpected_keys"]])
    if strange:
        # transformers would go on with random values.
        raise ArtifactError(
            f"{folder} does not hold all of the encoder, or something else", given=f"{len(strange)}: {strange[0]}, ..."
        )
    damaged = [key for key, value in encoder.state_dict().items() if not torch.isfinite(value).all()]
    if damaged:
        raise ArtifactError(f"{folder} holds NaN or infinite weights", given=f"{len(damaged)}: {damaged[0]}, ...")
    return encoder.eval()
