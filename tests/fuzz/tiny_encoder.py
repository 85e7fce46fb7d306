"""The smallest network that stands for an encoder with a public checkpoint: four by three weights and four biases."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from acula_edge.encoders.checkpoints import PublicLayout, load_public_checkpoint


class TinyEncoder(torch.nn.Module):
    """What reading a checkpoint asks of an encoder, without the libraries that encoders are built from."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(encoder="tiny")
        self.net = torch.nn.Linear(3, 4)

    def public_layout(self) -> PublicLayout:
        """Names in the file are the encoder's own."""
        return PublicLayout(public_name=str, unused=frozenset({"extra"}))


@functools.cache
def tiny_encoder() -> Any:
    """One for all inputs: a file that is taken only changes its weights."""
    logging.getLogger("acula_edge.encoders.checkpoints").setLevel(logging.ERROR)
    return TinyEncoder()


def load_into(path: Path) -> None:
    """Load a checkpoint; what was taken is finite."""
    encoder = tiny_encoder()
    load_public_checkpoint(encoder, path)
    assert all(torch.isfinite(value).all() for value in encoder.state_dict().values())
