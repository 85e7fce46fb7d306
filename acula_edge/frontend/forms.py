"""The two torch forms of a front end: any length for training and evaluation, one fixed length for export."""

from __future__ import annotations

from torch import nn

from acula_edge.frontend.graph import GraphLogMel
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.frontend.torch_mel import LogMel


def make_frontend(spec: FrontendSpec) -> nn.Module:
    """The front end for training and evaluation, on any device.

    Shape of the module: wave [B, T] -> mel [B, F, M].
    """
    return LogMel(spec)


def graph_frontend(spec: FrontendSpec, samples: int) -> nn.Module:
    """The front end of clips of T = `samples`, in operators that every engine has.

    Shape of the module: wave [B, T] -> mel [B, F, M].

    Raises:
        InputError: `samples` is not positive.
    """
    return GraphLogMel(spec, samples).eval()
