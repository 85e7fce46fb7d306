"""OPERA-CE against reference numbers of the published architecture with hash-filled weights."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from acula_edge.encoders import load_encoder, make_encoder
from acula_edge.encoders.checkpoints import load_public_checkpoint
from acula_edge.errors import ArtifactError, InputError

# Outputs of the reference implementation (mean, standard deviation, norms, first values) for input [2, F, 64].
GOLDEN = {
    63: {"first8": [0.16517576575279236, 0.007584430743008852, 0.12615814805030823, -0.05745593085885048,
                    -0.06749148666858673, 0.04329850152134895, -0.06053069606423378, -0.08654149621725082],
         "std": 0.07440849773218394, "norms": (2.440037465794294, 2.8749773359735507)},
}  # fmt: skip


def hash01(count: int, j: int) -> np.ndarray:
    """The reference recipe's hash, uniform in [0, 1)."""
    mask = np.uint64(0xFFFFFFFF)
    i = np.arange(count, dtype=np.uint64)
    h = (i * np.uint64(2654435761) + np.uint64((j * 2246822519 + 374761393) % 2**32)) & mask
    h ^= h >> np.uint64(15)
    h = h * np.uint64(2246822519) & mask
    h ^= h >> np.uint64(13)
    h = h * np.uint64(3266489917) & mask
    h ^= h >> np.uint64(16)
    return h.astype(np.float64) / 2**32


def public_layout() -> dict[str, torch.Tensor]:
    """A checkpoint in the public layout, filled by the reference recipe."""
    encoder = make_encoder("opera-ce")
    state = encoder.state_dict()
    shapes: dict[str, tuple[int, ...]] = {}
    back = public_keys(encoder)
    for public, own in back.items():
        shapes[public] = tuple(state[own].shape)
    shapes |= {"g.weight": (512, 1280), "g.bias": (512,), "layer_norm.weight": (512,), "layer_norm.bias": (512,),
               "linear.weight": (512, 512)}  # fmt: skip
    tensors = {}
    for j, key in enumerate(sorted(shapes)):
        shape = shapes[key]
        u = 2 * hash01(int(np.prod(shape)), j) - 1
        if key.endswith("num_batches_tracked"):
            tensors[key] = torch.tensor(0)
            continue
        if key.endswith("running_mean"):
            values = np.zeros(shape)
        elif key.endswith("running_var"):
            values = np.full(shape, 0.3)
        elif len(shape) == 1:
            values = 1 + 0.1 * u if key.endswith("weight") else 0.02 * u
        else:
            values = np.sqrt(3 / np.prod(shape[1:])) * u
        tensors[key] = torch.from_numpy(values.reshape(shape).astype(np.float32))
    return tensors


def public_keys(encoder) -> dict[str, str]:
    """Public name -> own name, for every tensor of the encoder."""
    stages = [f"{s}.{b}" for s, n in enumerate((1, 2, 2, 3, 3, 4, 1)) for b in range(n)]
    suffixes = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    parts = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_se_reduce", "_se_expand", "_project_conv", "_bn2")
    candidates = [f"encoder.cnn1.{s}" for s in suffixes]
    candidates += [
        f"encoder.efficientnet.{p}.{s}" for p in ("_conv_stem", "_conv_head", "_bn0", "_bn1") for s in suffixes
    ]
    for number in range(len(stages)):
        candidates += [
            f"encoder.efficientnet._blocks.{number}.{p}.{s}" for p in (parts if number else parts[2:]) for s in suffixes
        ]
    state = encoder.state_dict()
    return {c: encoder.public_name(c) for c in candidates if encoder.public_name(c) in state}


def test_public_checkpoint_gives_the_reference_embedding(tmp_path):
    file = tmp_path / "encoder-operaCE.ckpt"
    torch.save({"state_dict": public_layout()}, file)
    encoder = load_encoder("opera-ce", checkpoint=file).eval()
    for frames, golden in GOLDEN.items():
        mel = torch.from_numpy(hash01(2 * frames * 64, 999983).astype(np.float32)).reshape(2, frames, 64)
        with torch.no_grad():
            embedding = encoder.embed_mel(mel)
        assert embedding.shape == (2, 1280)
        np.testing.assert_allclose(embedding[0, :8], golden["first8"], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(embedding.norm(dim=1), golden["norms"], rtol=1e-4)
        assert float(embedding.std(correction=0)) == pytest.approx(golden["std"], rel=1e-3)


@pytest.mark.parametrize("damage", ["missing", "shape", "nan"])
def test_a_checkpoint_of_something_else_is_refused(tmp_path, damage):
    tensors = public_layout()
    key = "encoder.cnn1.weight"
    if damage == "missing":
        del tensors[key]
    elif damage == "shape":
        tensors[key] = tensors[key][:, :, :2]
    else:
        tensors[key][0, 0, 0, 0] = float("nan")
    file = tmp_path / "c.ckpt"
    torch.save(tensors, file)
    with pytest.raises(ArtifactError, match=re.escape(str(file))):
        load_public_checkpoint(make_encoder("opera-ce"), file)


def test_a_checkpoint_that_runs_code_is_refused(tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    file = tmp_path / "evil.ckpt"
    torch.save({"state_dict": {"x": Payload()}}, file)
    with pytest.raises(ArtifactError, match="run code"):
        load_public_checkpoint(make_encoder("opera-ce"), file)
    assert not (tmp_path / "owned").exists()


def test_saved_encoder_loads_from_its_folder(tmp_path):
    encoder = make_encoder("opera-ce").eval()
    encoder.save_pretrained(tmp_path / "encoder")
    again = load_encoder(tmp_path)
    mel = torch.rand(1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(again.embed_mel(mel), encoder.embed_mel(mel))


def test_short_clips_and_unknown_names_are_named():
    with pytest.raises(InputError, match="too short"):
        make_encoder("opera-ce").embed(np.zeros(16000, np.float32), 16000)
    with pytest.raises(ArtifactError, match="neither"):
        load_encoder("opera-xx")
