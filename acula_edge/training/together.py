"""Several processes, one batch: every process embeds its share and sees the embeddings of all."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed

from acula_edge.processes import rank, world_size


def gather_batch(share: torch.Tensor) -> torch.Tensor:
    """Rows of all processes, in the order of their numbers, with gradients to this process's own.

    Meant for a loss that every process computes alike from the whole batch. The gradient of a share is multiplied by
    the number of processes, since DistributedDataParallel then averages parameter gradients, which would divide by it.

    Shape: [B / processes, ...] -> [B, ...].
    """
    return share if world_size() == 1 else _Gather.apply(share)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, share: torch.Tensor) -> torch.Tensor:
        ctx.rows = len(share)
        parts = [torch.empty_like(share) for _ in range(world_size())]
        distributed.all_gather(parts, share.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        start = rank() * ctx.rows
        return gradient[start : start + ctx.rows] * world_size()
