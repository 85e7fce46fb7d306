"""From one hidden state per token to one vector per report."""

from __future__ import annotations

import torch


def pool(hidden: torch.Tensor, lengths: torch.Tensor, pooling: str) -> torch.Tensor:
    """Pool hidden states of reports that are padded on the right.

    Args:
        hidden: float32 [B, T, W].
        lengths: tokens of each report without padding, int64 [B], each at least 1.
        pooling: ``"mean"`` over a report's own tokens (SPEC section 1.3 averages over padding as well, which makes a
            vector depend on its batch), its ``"last"`` token, or its first, which is ``"cls"`` in encoders.

    Returns:
        [B, W]
    """
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last":
        return hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1]
    own = torch.arange(hidden.shape[1], device=hidden.device) < lengths.unsqueeze(1)
    return (hidden * own.unsqueeze(-1)).sum(1) / lengths.unsqueeze(1)
