"""What the loader of public checkpoints takes, and what it refuses; on OPERA-CE, the smallest."""

from __future__ import annotations

import logging
import re

import pytest
import torch
from safetensors.torch import save_file

from acula_edge.align.self_supervised import Cola
from acula_edge.encoders import make_encoder
from acula_edge.encoders.checkpoints import load_public_checkpoint, load_public_head
from acula_edge.errors import ArtifactError, InputError
from tests.encoders.conftest import public_tensors

ENCODER = "opera-ce"
WEIGHT = "encoder.cnn1.weight"
HEAD = ("g.weight", "g.bias", "layer_norm.weight", "layer_norm.bias", "linear.weight")


@pytest.fixture(scope="module")
def tensors():
    return public_tensors(ENCODER)


@pytest.fixture(scope="module")
def blank():
    """An encoder to load into."""
    return make_encoder(ENCODER)


@pytest.mark.parametrize("form", ["bare", "state_dict", "audio_model_state_dict", "model", "safetensors"])
def test_every_published_form_is_read(tmp_path, tensors, blank, form, caplog):
    file = tmp_path / ("weights.safetensors" if form == "safetensors" else "weights.ckpt")
    if form == "safetensors":
        save_file(tensors, file)
    else:
        torch.save(tensors if form == "bare" else {"epoch": 3, form: tensors, "optimizer_state_dict": {}}, file)
    with torch.no_grad():
        blank.stem.weight.zero_()
    with caplog.at_level(logging.WARNING):
        load_public_checkpoint(blank, file)
    torch.testing.assert_close(blank.stem.weight.detach(), tensors[WEIGHT])
    assert "not the published file" in caplog.text


def test_the_head_comes_whole_or_not_at_all(tmp_path, tensors, blank):
    head, file = Cola(blank), tmp_path / "c.ckpt"
    torch.save(tensors, file)
    assert load_public_head(head, blank, file)
    torch.testing.assert_close(head.bilinear.weight.detach(), tensors["linear.weight"])

    torch.save({name: tensor for name, tensor in tensors.items() if name not in HEAD}, file)
    load_public_checkpoint(blank, file)
    assert not load_public_head(head, blank, file)

    torch.save({name: tensor for name, tensor in tensors.items() if name != "g.bias"}, file)
    for refuse in (lambda: load_public_checkpoint(blank, file), lambda: load_public_head(head, blank, file)):
        with pytest.raises(ArtifactError, match="1 missing: g.bias"):
            refuse()


def test_a_head_of_other_sizes_is_named(tmp_path, tensors, blank):
    file = tmp_path / "c.ckpt"
    torch.save(tensors | {"g.weight": torch.zeros(512, 768)}, file)
    with pytest.raises(ArtifactError, match="1 of another shape: g.weight"):
        load_public_head(Cola(blank), blank, file)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ({WEIGHT: None}, f"1 missing: {WEIGHT}"),
        ({WEIGHT: torch.zeros(3, 1, 2, 2)}, f"1 of another shape: {WEIGHT}"),
        ({WEIGHT: torch.full((3, 1, 3, 3), float("nan"))}, "NaN or infinite weights"),
        ({"encoder.cnn2.weight": torch.zeros(1)}, "1 unexpected: encoder.cnn2.weight"),
        ({"epoch": 3}, "something else than tensors\n  given:   epoch"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, tensors, blank, damage, named):
    file = tmp_path / "c.ckpt"
    torch.save({name: value for name, value in (tensors | damage).items() if value is not None}, file)
    with pytest.raises(ArtifactError, match=re.escape(named)) as refusal:
        load_public_checkpoint(blank, file)
    assert str(file) in str(refusal.value)


def test_another_encoders_file_is_refused(tmp_path, tensors):
    file = tmp_path / "c.ckpt"
    torch.save(tensors, file)
    with pytest.raises(ArtifactError, match="does not hold the encoder opera-gt"):
        make_encoder("opera-gt", checkpoint=file)


def test_files_that_cannot_be_read_are_named(tmp_path, blank):
    with pytest.raises(ArtifactError, match="there is no checkpoint"):
        load_public_checkpoint(blank, tmp_path / "missing.ckpt")
    with pytest.raises(ArtifactError, match="is a folder"):
        load_public_checkpoint(blank, tmp_path)
    for name in ("broken.safetensors", "broken.ckpt"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 half a file")
        with pytest.raises(ArtifactError, match=rf"{name} cannot be read"):
            load_public_checkpoint(blank, tmp_path / name)
    torch.save({}, tmp_path / "empty.ckpt")
    with pytest.raises(ArtifactError, match="no tensors"):
        load_public_checkpoint(blank, tmp_path / "empty.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(ArtifactError, match="no dictionary of tensors"):
        load_public_checkpoint(blank, tmp_path / "list.ckpt")


def test_a_checkpoint_that_runs_code_is_refused(tmp_path, blank):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    file = tmp_path / "evil.ckpt"
    torch.save({"state_dict": {"x": Payload()}}, file)
    with pytest.raises(ArtifactError, match="run code"):
        load_public_checkpoint(blank, file)
    assert not (tmp_path / "owned").exists()


def test_encoders_without_a_public_file_are_named(tmp_path):
    with pytest.raises(InputError, match="mobilenet has no public checkpoint"):
        make_encoder("mobilenet", checkpoint=tmp_path / "c.ckpt")
