"""How many clips per second does an alignment step take, against the published way of doing it?

    python benchmarks/align_throughput.py
    python benchmarks/align_throughput.py --device cuda --language medgemma-4b --batch 24 --pairs 10 --json FILE

Same encoder, same batch, one optimizer step each, in turn (A B A B). Three ways:

* published: the frozen language model reads the batch's reports anew in every step, padded to 128 tokens; the encoder
  hears every clip twice, once for its self-supervised loss and once for the alignment; both heads are trained (SPEC
  sections 1.3 to 1.6).
* cached: what ``acula-edge train`` does with the encoder's published recipe; report embeddings come from the cache, and
  self-supervision stays (for a masked autoencoder that is a pass over the 30 % of patches that are kept, for COLA a
  second crop).
* reports alone: regression and InfoNCE to the cached target, one pass, no self-supervision.

``--language medgemma-4b`` is a randomly initialized text model of MedGemma-4B's sizes, which costs what the gated
weights cost (``--layers`` builds fewer of its 34, where there is no GPU for all); ``minilm`` is the embedded one;
anything else is a folder or a Hugging Face id. Peak memory is of a process of its own per way: allocated on the GPU,
resident on the CPU. Quote figures from an idle machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from acula_edge.align.objectives import Batch, objectives
from acula_edge.align.pairs import Pairs
from acula_edge.align.task import AlignmentTask
from acula_edge.benchmarking.environment import describe_environment
from acula_edge.data.manifest import Recording
from acula_edge.encoders.base import AudioEncoder, make_encoder
from acula_edge.files import write_json
from acula_edge.recipe import AlignConfig, LanguageConfig
from acula_edge.training.batches import assign

WAYS = ("published", "cached", "reports alone")
REPORT = (
    "A loud holosystolic murmur of grade three, harsh in quality and plateau in shape, is heard best at the mitral "
    "valve and also at the tricuspid and pulmonary valves; no diastolic murmur is heard. The outcome is abnormal."
)
TOKENS = 128
# google/medgemma-4b-pt's text model (SPEC section 1.2: width 2560, 34 layers, 8 heads, 4 of keys and values, of 256).
MEDGEMMA = {
    "hidden_size": 2560, "num_hidden_layers": 34, "num_attention_heads": 8, "num_key_value_heads": 4,
    "head_dim": 256, "intermediate_size": 10240, "vocab_size": 262208,
}  # fmt: skip


class Noise:
    """A store of noise: what is heard does not change what a step costs."""

    sample_rate_hz = 16000

    def __init__(self, count: int) -> None:
        generator = np.random.default_rng(0)
        self.waves = generator.standard_normal((count, 10 * self.sample_rate_hz)).astype(np.float32) * 0.1
        self.recordings = [Recording(f"r{i}", f"r{i}.wav", f"s{i}", "noise", 16000, 10.0) for i in range(count)]

    def __getitem__(self, index: int) -> np.ndarray:
        return self.waves[index]


class Reader(nn.Module):
    """The frozen language model as the published training runs it."""

    def __init__(self, name: str, layers: int, device: torch.device) -> None:
        super().__init__()
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        if name == "medgemma-4b":
            from transformers import Gemma3TextConfig, Gemma3TextModel

            with torch.device(device):
                sizes = {**MEDGEMMA, "num_hidden_layers": layers}
                self.model: Any = Gemma3TextModel(Gemma3TextConfig(**sizes)).to(dtype)
            self.tokenize: Callable[[list[str]], dict[str, torch.Tensor]] = lambda reports: {
                "input_ids": torch.randint(1, 1000, (len(reports), TOKENS)),
                "attention_mask": torch.ones(len(reports), TOKENS, dtype=torch.long),
            }
        else:
            from acula_edge.language.loading import load_language_model

            tokenizer, self.model = load_language_model(LanguageConfig(model=name), device)
            self.tokenize = lambda reports: tokenizer(
                reports, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
            )
        self.model.to(device).eval().requires_grad_(False)
        self.width = int(self.model.config.hidden_size)

    @torch.no_grad()
    def forward(self, reports: list[str]) -> torch.Tensor:
        tokens = {
            name: value.to(next(self.model.parameters()).device) for name, value in self.tokenize(reports).items()
        }
        return self.model(**tokens).last_hidden_state.mean(1).float()


def make_pairs(count: int, width: int) -> Pairs:
    text = np.random.default_rng(1).standard_normal((count, width)).astype(np.float32)
    numbers = np.arange(count)
    return Pairs(numbers, text, np.zeros(count, int), numbers, numbers)


def make_task(encoder: AudioEncoder, batch: int, width: int, config: AlignConfig) -> AlignmentTask:
    samples = encoder.frontend.samples(8.1875)
    return AlignmentTask(encoder, Noise(batch), make_pairs(batch, width), make_pairs(0, width), config, samples)  # type: ignore[arg-type]


class Step:
    """One optimizer step of one way; called, it returns when the step is done."""

    def __init__(self, way: str, options: argparse.Namespace, encoder_name: str) -> None:
        torch.manual_seed(0)
        self.device = torch.device(options.device)
        self.precision = options.precision
        encoder = make_encoder(encoder_name)
        self.reader = Reader(options.language, options.layers, self.device) if way == "published" else None
        own = {encoder.self_supervised: 1.0}
        if way == "reports alone":
            config, width = AlignConfig(augment=False, batch_size=options.batch), 16
        else:
            # As published, also in that the first seconds of a recording are taken.
            width = self.reader.width if self.reader is not None else options.text_width
            config = AlignConfig(
                objectives={"cka": 1.0}, self_supervised=own, text_target="projected", crop="first", augment=False,
                batch_size=options.batch,
            )  # fmt: skip
        self.task = make_task(encoder, options.batch, width, config).to(self.device).train()
        self.optimizer = torch.optim.AdamW(self.task.parameters(), lr=1e-5, weight_decay=1e-2)
        self.assignment = assign(np.arange(options.batch), (0, 0, 0), 0, 1)

    def __call__(self) -> None:
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"):
            crops = self.task.load(self.assignment)
            loss = self.published(crops) if self.reader is not None else self.task(self.assignment, crops)[0]
        loss.backward()
        nn.utils.clip_grad_norm_(self.task.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def published(self, crops: Any) -> torch.Tensor:
        """Language model, self-supervised pass and embedding pass, one after the other."""
        task, encoder = self.task, self.task.encoder
        assert self.reader is not None
        text = self.reader([REPORT] * len(self.assignment.items))
        mel = task.frontend(crops.wave.to(self.device))
        first = mel[: len(text)]
        embedding = encoder.embed_mel(first)
        total = torch.zeros((), device=self.device)
        for name, head in task.heads().items():
            if head.views == 2:
                total = total + head.batch_loss([embedding, encoder.embed_mel(mel[len(text) :])])
            else:
                total = total + head.clip_losses(encoder, first, embedding, crops.noise[name].to(self.device)).mean()
        assert task.audio_head is not None and task.text_head is not None
        numbers = torch.arange(len(text), device=self.device)
        batch = Batch(torch.zeros_like(numbers), numbers, 0.1)
        return total + objectives["released-covariance"](task.audio_head(embedding), task.text_head(text), batch)


def measure(options: argparse.Namespace, encoder: str) -> dict[str, Any]:
    """Clips per second of every way, and ratios to the published one over pairs run in turn."""
    steps = {way: Step(way, options, encoder) for way in WAYS}
    for step in steps.values():
        step()
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(options.pairs):
        for way, step in steps.items():
            begun = time.perf_counter()
            step()
            seconds[way].append(time.perf_counter() - begun)
    published = np.array(seconds["published"])
    return {
        way: {
            "clips_per_s": options.batch / float(np.median(values)),
            "times_published": float(np.median(published / np.array(values))),
            "range": [float(np.min(published / np.array(values))), float(np.max(published / np.array(values)))],
            "peak_mb": peak_memory(options, encoder, way),
        }
        for way, values in seconds.items()
    }


def peak_memory(options: argparse.Namespace, encoder: str, way: str) -> float:
    """Peak memory of two steps in a process of their own, in MB."""
    command = [sys.executable, __file__, *sys.argv[1:], "--peak", encoder, way]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def peak_resident_mb() -> float:
    """Peak resident memory of this process; getrusage would count what its parent had when it was started."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", default="opera-gt,opera-ct,opera-ce")
    parser.add_argument("--language", default="minilm", help="medgemma-4b, minilm, a folder or a Hugging Face id")
    parser.add_argument("--layers", type=int, default=34, help="layers of medgemma-4b that are built")
    parser.add_argument("--batch", type=int, default=4, help="clips per step; published are 24")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--text-width", type=int, default=2560, help="width of cached report embeddings")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--peak", nargs=2, metavar=("ENCODER", "WAY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.peak:
        step = Step(options.peak[1], options, options.peak[0])
        step()
        step()
        on_gpu = step.device.type == "cuda"
        print(json.dumps(torch.cuda.max_memory_allocated() / 2**20 if on_gpu else peak_resident_mb()))
        return
    found = {encoder: measure(options, encoder) for encoder in options.encoders.split(",")}
    title = f"alignment step, batch {options.batch}, {options.language}, {options.device}, {options.precision}"
    table = Table("encoder", "way", "clips/s", "times published", "range", "peak MB", title=title)
    for encoder, ways in found.items():
        for way, row in ways.items():
            low, high = row["range"]
            table.add_row(
                encoder, way, f"{row['clips_per_s']:.2f}", f"{row['times_published']:.2f}", f"{low:.2f}-{high:.2f}",
                f"{row['peak_mb']:.0f}",
            )  # fmt: skip
    Console().print(table)
    if options.json:
        settings = {name: value for name, value in vars(options).items() if name not in ("json", "peak")}
        facts = {"schema": "acula-edge/align-throughput/1", "environment": describe_environment(), "settings": settings}
        write_json(options.json, {**facts, "encoders": found})


if __name__ == "__main__":
    main()
