"""Batch normalization: its statistics over all processes while training, and plain averages once it is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.distributed.nn.functional import all_reduce

from acula_edge.errors import InputError
from acula_edge.processes import world_size


def _layers(model: nn.Module) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


@torch.no_grad()
def refresh_statistics(model: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Recompute batch normalization's running statistics as plain averages over clean inputs, weights unchanged.

    The averages left by training lag behind the weights and saw masked crops; with few hundred recordings some clips
    then leave the range that the network was trained on by a factor of a thousand.

    One process may do so alone, in the midst of training: what it sees is not shared with the others
    (:func:`synchronized`), who do not wait for it here.
    """
    layers = _layers(model)
    momenta = [layer.momentum for layer in layers]
    shared = [layer.__dict__.pop("forward", None) for layer in layers]
    model.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    seen = 0
    try:
        for batch in batches if layers else ():
            model(batch)
            seen += 1
        if layers and not seen:
            raise InputError("there are no inputs to refresh normalization statistics on")
    finally:
        for layer, momentum, forward in zip(layers, momenta, shared, strict=True):
            layer.momentum = momentum
            if forward is not None:
                layer.forward = forward
    model.eval()


@contextmanager
def synchronized(model: nn.Module) -> Iterator[None]:
    """Take batch normalization's statistics over all processes' shares of a batch, on any device.

    torch's own SyncBatchNorm works on CUDA only. The layers keep their parameters, names and classes: each gets a
    method of its own, for as long as this lasts.
    """
    layers = _layers(model) if world_size() > 1 else []
    for layer in layers:
        layer.forward = partial(_forward, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _forward(layer: Any, x: torch.Tensor) -> Any:
    if not layer.training:
        return type(layer).forward(layer, x)
    normalized = _normalize(layer, x)
    # timm's layers carry dropout and activation inside.
    return layer.act(layer.drop(normalized)) if hasattr(layer, "act") else normalized


def _normalize(layer: Any, x: torch.Tensor) -> torch.Tensor:
    axes = [axis for axis in range(x.ndim) if axis != 1]
    precise = x if x.dtype == torch.float64 else x.float()
    count = x.numel() // x.shape[1] * world_size()
    mean = all_reduce(precise.mean(axes)) / world_size()
    shape = [1, -1] + [1] * (x.ndim - 2)
    variance = all_reduce((precise - mean.view(shape)).square().mean(axes)) / world_size()
    if layer.track_running_stats:
        with torch.no_grad():
            layer.num_batches_tracked += 1
            momentum = layer.momentum if layer.momentum is not None else 1 / float(layer.num_batches_tracked)
            layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), momentum)
            layer.running_var.lerp_((variance * count / max(1, count - 1)).to(layer.running_var.dtype), momentum)
    normalized = (precise - mean.view(shape)) * torch.rsqrt(variance.view(shape) + layer.eps)
    if layer.weight is not None:
        normalized = normalized * layer.weight.view(shape) + layer.bias.view(shape)
    result: torch.Tensor = normalized.to(x.dtype)
    return result


@contextmanager
def frozen_statistics(model: nn.Module) -> Iterator[None]:
    """Running statistics stay as they are: for a forward pass that repeats an earlier one."""
    layers = _layers(model)
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
