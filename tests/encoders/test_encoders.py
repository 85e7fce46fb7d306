"""What every encoder must do: give all its parameters a gradient, and come back from a folder as it was."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel

from acula_edge.encoders import AudioEncoder, load_encoder, make_encoder, make_student
from acula_edge.errors import ArtifactError, InputError
from acula_edge.frontend.spec import OPERA

OPERA_ENCODERS = [("opera-ct", {}), ("opera-ct", {"projection": True}), ("opera-ce", {}), ("opera-gt", {})]


@pytest.fixture
def folder():
    """Removed at once: pytest would keep hundreds of megabytes of weights for its next runs."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


@pytest.mark.parametrize(("name", "options"), OPERA_ENCODERS)
def test_every_parameter_receives_a_gradient(name, options):
    """A parameter without one stops training on several GPUs."""
    encoder = make_encoder(name, options=options).train()
    encoder.embed_mel(torch.rand(2, 64, 64)).sum().backward()
    trained = {name: parameter.grad for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert [name for name, gradient in trained.items() if gradient is None] == []


@pytest.mark.parametrize(("name", "options"), OPERA_ENCODERS)
def test_saved_encoder_comes_back_from_its_folder(folder, name, options):
    encoder = make_encoder(name, options=options).eval()
    encoder.save_pretrained(folder / "encoder")
    for again in (load_encoder(folder), AutoModel.from_pretrained(folder / "encoder")):
        assert type(again) is type(encoder)
        assert again.embedding_dim == encoder.embedding_dim
        torch.testing.assert_close(again.state_dict(), encoder.state_dict(), rtol=0, atol=0)


def test_transformers_chooses_the_class_that_a_configuration_names(folder):
    student = make_student("tiny", frontend=OPERA, embedding_dim=8)
    student.save_pretrained(folder)
    config = AutoConfig.from_pretrained(folder)
    assert config.encoder == "tiny"
    for again in (AutoModel.from_config(config), AudioEncoder(config), AudioEncoder.from_pretrained(folder)):
        assert type(again) is type(student)


def test_unknown_names_are_named(folder):
    with pytest.raises(ArtifactError, match="neither"):
        load_encoder("opera-xx")
    config = make_encoder("opera-ce").config
    config.encoder = "opera-xx"
    config.save_pretrained(folder)
    for load in (lambda: load_encoder(folder), lambda: AutoModel.from_config(config)):
        with pytest.raises(InputError, match="opera-xx"):
            load()
