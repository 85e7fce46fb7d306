"""OPERA-CE against reference numbers of the published network with hash-filled weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from acula_edge.encoders import make_encoder
from acula_edge.errors import InputError
from tests.encoders.conftest import GOLDEN, assert_golden, spectrogram

ENCODER = "opera-ce"


@pytest.mark.parametrize("frames", [63, 251])
def test_embedding_is_the_published_networks(encoder, frames):
    with torch.no_grad():
        assert_golden(encoder.embed_mel(spectrogram(frames)), GOLDEN[f"ce_T{frames}"])


def test_short_clips_are_named():
    with pytest.raises(InputError, match="too short"):
        make_encoder(ENCODER).embed(np.zeros(16000, np.float32), 16000)
