"""Patches, masking and error of masked autoencoders, each by hand on a small grid."""

from __future__ import annotations

import torch

from acula_edge.encoders.masked import keep_smallest, patchify, reconstruction_error, take


def test_patches_run_over_time_first_and_keep_their_rows():
    mel = torch.arange(4 * 6).reshape(1, 4, 6)
    patches = patchify(mel, 2)
    assert patches.shape == (1, 6, 4)
    assert patches[0, 1].tolist() == [2, 3, 8, 9]
    assert patches[0, 3].tolist() == [12, 13, 18, 19]


def test_rank_puts_every_token_back_in_its_place():
    noise = torch.tensor([[0.9, 0.1, 0.5, 0.3]])
    tokens = torch.tensor([[[10.0], [11.0], [12.0], [13.0]]])
    kept, rank = keep_smallest(noise, keep=2)
    assert take(tokens, kept).flatten().tolist() == [11, 13]
    assert (rank >= 2).tolist() == [[True, False, True, False]]
    with_masks = torch.cat([take(tokens, kept), torch.zeros(1, 2, 1)], dim=1)
    assert take(with_masks, rank).flatten().tolist() == [0, 11, 0, 13]


def test_only_masked_patches_count():
    predicted, target = torch.zeros(2, 3, 4), torch.ones(2, 3, 4)
    target[:, 2] = 100
    masked = torch.tensor([[True, True, False], [True, False, False]])
    assert reconstruction_error(predicted, target, masked).tolist() == [1, 1]
