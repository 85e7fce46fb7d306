"""The alignment task: what a batch costs in memory or how many share it must not change what it teaches."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from acula_edge.align.augmentation import draw_masks, first_crop, mask_spectrogram, vary_gain
from acula_edge.align.monitors import Monitors, probe_r2
from acula_edge.align.pairs import Pairs
from acula_edge.align.task import AlignmentTask
from acula_edge.data.manifest import Recording
from acula_edge.encoders.base import AudioEncoder, AudioEncoderConfig, make_encoder
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.processes import rank, start
from acula_edge.recipe import AlignConfig
from acula_edge.training import Optimization, fit
from acula_edge.training.batches import assign
from acula_edge.training.normalization import synchronized
from tests.group import run_together

SPEC = FrontendSpec(sample_rate_hz=4000, n_fft=256, hop_length=128, n_mels=64, fmin_hz=25, fmax_hz=2000)
OBJECTIVES = {"regression": 1.0, "infonce": 1.0, "cka-debiased": 0.5}


class Plain(AudioEncoder):
    """Two layers and dropout, nothing that mixes clips."""

    def __init__(self) -> None:
        super().__init__(AudioEncoderConfig(encoder="plain", frontend=SPEC.to_dict()))
        self.embedding_dim = 24
        self.network = nn.Sequential(nn.Linear(64, 32), nn.GELU(), nn.Dropout(0.3), nn.Linear(32, 24))

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        return self.network(mel).mean(1)


class Tones:
    """A store of tones whose pitch is what reports tell."""

    sample_rate_hz = 4000

    def __init__(self, count: int) -> None:
        self.recordings = [Recording(f"r{i}", f"r{i}.wav", f"s{i}", "tones", 4000, 2.56) for i in range(count)]

    def samples(self, index: int) -> int:
        return 10240

    def __getitem__(self, index: int) -> np.ndarray:
        t = np.arange(10240) / 4000
        noise = np.random.default_rng(index).standard_normal(len(t))
        return (0.2 * np.sin(2 * np.pi * (150 + 90 * (index % 8)) * t) + 0.02 * noise).astype(np.float32)


def make_task(encoder: AudioEncoder | None = None, count: int = 32, **changes) -> AlignmentTask:
    torch.manual_seed(0)
    encoder = encoder or Plain()
    pitch = np.arange(count) % 8
    text = np.random.default_rng(0).standard_normal((8, 6)).astype(np.float32)[pitch]
    findings = np.eye(8, dtype=np.float32)[pitch]
    pairs = Pairs(np.arange(count), text, np.zeros(count, int), pitch, np.arange(count), findings)
    config = AlignConfig(**{"objectives": OBJECTIVES, "crop_s": 1.0, "batch_size": 8, "device": "cpu", **changes})
    return AlignmentTask(encoder, Tones(count), pairs, pairs, config, 10240)


def in_double(task: AlignmentTask) -> AlignmentTask:
    """Differences in double precision are differences in what is computed."""
    listen = task._spectrograms
    task._spectrograms = lambda crops, device: listen(crops, device).double()
    task.train_pairs = copy.copy(task.train_pairs)
    object.__setattr__(task.train_pairs, "text", task.train_pairs.text.astype(np.float64))
    for kept in [head._start[0] for head in task.heads().values() if hasattr(head, "_start")]:
        kept.double()
    frontend = task.frontend
    task.double()
    frontend.float()
    return task


def loss_and_gradients(task: nn.Module, rank: int = 0, processes: int = 1):
    owner = getattr(task, "module", task)
    task.train()
    assignment = assign(np.arange(8) * 3, (0, 0, 0), rank, processes)
    torch.manual_seed(assignment.seed)
    loss, parts = task(assignment, owner.load(assignment))
    loss.backward()
    gradients = {name: p.grad.clone() for name, p in owner.named_parameters() if p.grad is not None}
    return float(loss.detach()), parts, gradients


@pytest.mark.parametrize("micro_batch", [3, 8, 16])
def test_gradient_caching_gives_the_loss_and_gradients_of_the_whole_batch(micro_batch):
    changes = {"self_supervised": {"cola": 0.5, "preserve": 1.0}}
    encoder = Plain()
    encoder.network[2].p = 0.0  # which units drop depends on how the batch is cut
    whole = loss_and_gradients(in_double(make_task(copy.deepcopy(encoder), **changes)))
    parts = loss_and_gradients(in_double(make_task(copy.deepcopy(encoder), micro_batch=micro_batch, **changes)))
    assert parts[1].keys() == {*OBJECTIVES, "cola", "preserve"}
    assert parts[0] == pytest.approx(whole[0], rel=1e-6)
    assert parts[2].keys() == whole[2].keys()
    for name, gradient in whole[2].items():
        torch.testing.assert_close(parts[2][name], gradient, rtol=1e-5, atol=1e-8)


def test_gradient_caching_updates_running_statistics_once_and_repeats_dropout():
    def statistics(micro_batch):
        torch.manual_seed(0)
        encoder = make_encoder("mobilenet", frontend=SPEC, options={"variant": "mobilenetv4_conv_small_035"})
        task = make_task(encoder, micro_batch=micro_batch, crop_s=2.0)
        loss_and_gradients(task)
        return encoder.norm.running_mean, encoder.norm.momentum

    cached, momentum = statistics(8)
    plain, _ = statistics(None)
    torch.testing.assert_close(cached, plain)
    assert momentum == 0.1
    task = make_task(micro_batch=4)  # with dropout in the encoder: a backward pass of other masks would be caught
    assert all(bool(torch.isfinite(g).all()) for g in loss_and_gradients(task)[2].values())


def _shared_task(kind: str) -> AlignmentTask:
    torch.manual_seed(0)
    if kind == "batch normalization":
        encoder = make_encoder("mobilenet", frontend=SPEC, options={"variant": "mobilenetv4_conv_small_035"})
    else:
        encoder = Plain()
        encoder.network[2].p = 0.0
    changes = {"micro_batch": 2} if kind == "gradient caching" else {}
    return make_task(encoder, crop_s=2.0, self_supervised={"cola": 0.5, "preserve": 1.0}, **changes)


def take_share(kind: str, folder: str) -> None:
    """What one of two processes computes of the shared batch; runs in processes of its own."""
    torch.set_num_threads(1)
    start(cpu=True)
    task = in_double(_shared_task(kind))
    wrapped = nn.parallel.DistributedDataParallel(task)
    with synchronized(task):
        torch.save(loss_and_gradients(wrapped, rank(), 2), Path(folder) / f"{rank()}.pt")


@pytest.mark.parametrize("kind", ["plain", "batch normalization", "gradient caching"])
def test_two_processes_with_half_the_batch_each_compute_what_one_does_with_all(kind, tmp_path):
    loss, parts, gradients = loss_and_gradients(in_double(_shared_task(kind)))
    code = f"from tests.align.test_alignment_task import take_share; take_share({kind!r}, {str(tmp_path)!r})"
    for ended in run_together(code):
        assert ended.returncode == 0, ended.stderr
    for number in range(2):
        shared_loss, shared_parts, shared = torch.load(tmp_path / f"{number}.pt", weights_only=True)
        assert shared_loss == pytest.approx(loss, rel=1e-5)
        assert shared_parts == pytest.approx(parts, rel=1e-5)
        assert shared.keys() == gradients.keys()
        for name, gradient in gradients.items():
            scale = float(gradient.abs().max()) + 1e-9
            np.testing.assert_allclose(shared[name] / scale, gradient / scale, atol=1e-5, err_msg=name)


def test_aligning_lowers_the_loss_and_says_how_far_the_encoder_has_moved(tmp_path):
    task = make_task(augment=False, batch_size=16)
    rows = []
    settings = Optimization(epochs=12, batch_size=16, learning_rate=5e-3, weight_decay=0.0, device="cpu")
    fit(task, settings, tmp_path, log=lambda **row: rows.append(row))
    assert rows[-1]["loss"] < rows[0]["loss"] * 0.8
    assert rows[-1]["val_mrr"] > rows[0]["val_mrr"]
    assert 0 < rows[-1]["cka_to_start"] < rows[0]["cka_to_start"] <= 1.0001
    assert rows[-1]["probe_drift"] == pytest.approx(rows[-1]["val_probe_r2"] - rows[0]["val_probe_r2"], abs=0.5)


def test_self_supervision_alone_trains_no_head_for_reports():
    task = make_task(objectives={}, self_supervised={"cola": 1.0})
    _, parts, gradients = loss_and_gradients(task)
    assert parts.keys() == {"cola"}
    assert gradients.keys() == {name for name, _ in task.named_parameters()}  # none is left without a gradient


def test_preservation_costs_nothing_at_the_start_and_something_after_a_step():
    encoder = Plain()
    encoder.network[2].p = 0.0
    task = make_task(encoder, self_supervised={"preserve": 1.0})
    assert loss_and_gradients(task)[1]["preserve"] == pytest.approx(0, abs=1e-9)
    with torch.no_grad():
        encoder.network[3].weight.mul_(-1)
    assert loss_and_gradients(task)[1]["preserve"] > 0.5
    assert not any("_start" in name for name in task.state_dict())


def test_masks_belong_to_the_clip_and_cover_part_of_it():
    mel = torch.rand(6, 100, 64, generator=torch.Generator().manual_seed(0))
    draws = draw_masks([np.random.default_rng([1, clip]) for clip in range(6)])
    masked = mask_spectrogram(mel, draws)
    alone = mask_spectrogram(mel[2:3], draw_masks([np.random.default_rng([1, 2])]))
    torch.testing.assert_close(masked[2:3], alone)
    level = masked / mel
    share = (level - level.median()).abs().gt(0.3).float().mean()
    assert 0.02 < float(share) < 0.6
    unscaled = mask_spectrogram(mel, draws, scale=False)
    torch.testing.assert_close(unscaled * draws.level[:, None, None], masked)
    narrow = mask_spectrogram(torch.rand(2, 5, 1), draw_masks([np.random.default_rng(i) for i in range(2)]))
    assert bool(torch.isfinite(narrow).all())


def test_gain_varies_where_a_front_end_keeps_the_level():
    draws = draw_masks([np.random.default_rng(clip) for clip in range(64)])
    gains_db = 20 * torch.log10(vary_gain(torch.ones(64, 1), draws))
    assert -6 <= float(gains_db.min()) < -4 and 4 < float(gains_db.max()) <= 6


def test_the_published_crop_is_the_beginning_with_zeros_behind():
    np.testing.assert_array_equal(first_crop(np.arange(1, 4, dtype=np.float32), 5), [1, 2, 3, 0, 0])
    np.testing.assert_array_equal(first_crop(np.arange(9, dtype=np.float32), 2), [0, 1])


def test_the_probe_knows_what_is_readable_in_new_persons_only():
    generator = np.random.default_rng(0)
    targets = generator.standard_normal((90, 3))
    readable = np.c_[targets @ generator.standard_normal((3, 20)), generator.standard_normal((90, 4))]
    subjects = np.arange(90) // 3
    assert probe_r2(readable, targets, subjects, ridge=1e-3) > 0.9
    assert probe_r2(generator.standard_normal((90, 20)), targets, subjects) < 0.1
    # A code for the person predicts that person's targets, and nothing about others.
    personal = np.repeat(generator.standard_normal((30, 3)), 3, axis=0)
    identity = np.eye(30)[subjects] + 0.01 * generator.standard_normal((90, 30))
    assert probe_r2(identity, personal, subjects) < 0.1
    assert probe_r2(identity, personal, np.arange(90)) > 0.8


def test_the_closed_form_probe_equals_refitting_without_each_person():
    generator = np.random.default_rng(1)
    x, y = generator.standard_normal((24, 5)), generator.standard_normal((24, 2))
    subjects = np.arange(24) // 4
    z, t = (x - x.mean(0)) / (x.std(0) + 1e-8), y - y.mean(0)
    diagonal = np.trace(z @ z.T) / 24
    penalty = 0.1 * diagonal
    z = np.c_[z, np.full(24, np.sqrt(1e3 * diagonal))]
    residual = 0.0
    for subject in range(6):
        out = subjects == subject
        w = np.linalg.solve(z[~out].T @ z[~out] + penalty * np.eye(6), z[~out].T @ t[~out])
        residual += ((t[out] - z[out] @ w) ** 2).sum()
    assert probe_r2(x, y, subjects) == pytest.approx(1 - residual / (t**2).sum(), abs=1e-8)


def test_monitors_say_one_where_nothing_has_moved():
    embeddings = np.random.default_rng(0).standard_normal((40, 8))
    pairs = Pairs(np.arange(40), embeddings[:, :2], np.zeros(40, int), np.arange(40), np.arange(40), np.ones((40, 0)))
    monitors = Monitors()
    monitors.begin(embeddings, pairs)
    figures = monitors.compare(embeddings, pairs)
    assert figures["cka_to_start"] == pytest.approx(1, abs=1e-5)
    assert figures["probe_drift"] == 0
    assert monitors.compare(np.ones((40, 8)) + 1e-6 * embeddings, pairs)["effective_rank"] < 9


def test_half_precision_trains_and_leaves_full_precision_weights(tmp_path):
    task = make_task(batch_size=16, micro_batch=8, self_supervised={"cola": 0.1, "preserve": 0.1})
    rows = []
    settings = Optimization(
        epochs=2, batch_size=16, learning_rate=1e-3, weight_decay=0.0, device="cpu", precision="bf16", ema_decay=0.5
    )
    fit(task, settings, tmp_path, log=lambda **row: rows.append(row))
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert {value.dtype for value in task.encoder.state_dict().values()} == {torch.float32}
