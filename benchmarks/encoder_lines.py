"""Does every encoder go the whole line? Public checkpoint, 50 steps, a kill and a resume, float and INT8 export.

    python benchmarks/encoder_lines.py --out runs/lines
    python benchmarks/encoder_lines.py --encoders opera-ce,ast --steps 50 --json lines.json

No public weights are needed: checkpoint files of the published layouts are made on the spot, with the published shapes
and random contents (OPERA's by the recipe of the golden numbers, the others by their libraries). Training is on a small
phantom corpus through the command line, killed with SIGKILL on the way and resumed; the encoder itself is exported,
without a student. Losses are means of the first and the last whole epoch. What is seen here is that everything works
and that files agree with one another; random weights say nothing about how well INT8 serves trained ones.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


@dataclass(frozen=True)
class Line:
    """One encoder's way: which recipe, and what makes it fit on two cores.

    Attributes:
        window_s: shorter than the recipe's where the architecture allows it.
        settings: further overrides.
    """

    recipe: str
    window_s: float
    settings: tuple[str, ...] = field(default=())


LINES = {
    "opera-ct": Line("opera-ct", 4.08),
    "opera-ce": Line("opera-ce", 4.08),
    "opera-gt": Line("opera-gt", 2.04),
    "audiomae": Line("audiomae", 2.56, ("encoder.options={frames: 256}",)),
    "ast": Line("ast", 1.28, ("encoder.options={frames: 128}",)),
    "clap": Line("clap", 4.08),
    "hubert": Line("huggingface", 2.04),
    "whisper": Line("huggingface", 2.04),
}


def make_checkpoint(name: str, folder: Path) -> Path:
    """A checkpoint of the public layout and sizes, with random contents; returns what ``encoder.checkpoint`` names."""
    import transformers

    from acula_edge.encoders import make_encoder
    from tests.encoders.conftest import public_tensors

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    if name.startswith("opera"):
        torch.save({"epoch": 3, "state_dict": public_tensors(name)}, folder / "encoder.ckpt")
        return folder / "encoder.ckpt"
    if name == "audiomae":
        encoder = make_encoder(name)
        layout = encoder.public_layout()
        assert layout is not None
        state = encoder.state_dict()
        file = folder / "pretrained.pth"
        torch.save({"model": {layout.public_name(key): value for key, value in state.items()}}, file)
        return file
    models: dict[str, Any] = {
        "ast": lambda: transformers.ASTForAudioClassification(transformers.ASTConfig()),
        "clap": lambda: transformers.ClapModel(transformers.ClapConfig()),
        "hubert": lambda: transformers.HubertModel(transformers.HubertConfig()),
        # whisper-tiny's sizes
        "whisper": lambda: transformers.WhisperModel(
            transformers.WhisperConfig(d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536)
        ),
    }
    models[name]().save_pretrained(folder / name)
    return folder / name


def run_line(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Take one encoder the whole way; returns what was seen."""
    line, place = LINES[name], options.out / name
    shutil.rmtree(place, ignore_errors=True)
    checkpoint = make_checkpoint(name, place / "public")
    run = place / "run"
    settings = [
        f"encoder.checkpoint={checkpoint}", f"data.window_s={line.window_s}", "data.hop_s=20",
        "data.split.val_fraction=0.15", "data.sources.phantom.reader=phantom",
        f"data.sources.phantom.options.subjects={options.subjects}",
        f"align.batch_size={options.batch}", "align.micro_batch=null", "align.epochs=1000", "align.precision=fp32",
        f"align.max_steps={options.steps}", "align.learning_rate=1.0e-4", "align.patience=null",
        "align.save_every_s=600",
        "quantize.calibration_windows=16", "benchmark.mode=smoke", "verify.bootstrap=200", *line.settings,
    ]  # fmt: skip
    train = ["train", line.recipe, *(part for text in settings for part in ("--set", text)), "--out", str(run)]
    begun = time.monotonic()
    killed_at = kill_at_step(train, run, options.steps // 2, place / "train.log")
    command(["train", "--out", str(run), "--resume"], place / "resume.log")
    trained_s = time.monotonic() - begun
    rows = [json.loads(text) for text in (run / "metrics.jsonl").read_text().splitlines()]
    # The steps asked for may end within an epoch, and a mean over few batches says little.
    whole = [row for row in rows if row["step"] == row["epoch"] * rows[0]["step"]]
    command(["export", str(run), "--int8", "--student", "none", "--no-gate"], place / "export.log")
    bundle = run / "export" / "encoder-cpu_x86"
    facts, verify = json.loads((bundle / "bundle.json").read_text()), json.loads((bundle / "verify.json").read_text())
    shutil.rmtree(place / "public")
    return {
        "parameters_m": round(facts["parameters"] / 1e6, 1),
        "steps": rows[-1]["step"],
        "killed_at": killed_at,
        "loss_first": rows[0]["loss"],
        "loss_last": whole[-1]["loss"],
        "train_s": round(trained_s),
        "parity": verify["parity"],
        "summary": verify["summary"],
    }


def kill_at_step(arguments: list[str], run: Path, step: int, log: Path) -> int:
    """Start training and kill it once its kept state has come as far as `step`; returns where it was."""
    with open(log, "w", encoding="utf-8") as file:
        process = subprocess.Popen([sys.executable, "-m", "acula_edge", *arguments], stdout=file, stderr=file)
        state = run / "checkpoints" / "align" / "state.json"
        while process.poll() is None:
            if state.is_file() and json.loads(state.read_text())["step"] >= step:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                return int(json.loads(state.read_text())["step"])
            time.sleep(0.2)
    raise SystemExit(f"training ended before step {step}, see {log}")


def command(arguments: list[str], log: Path) -> None:
    with open(log, "w", encoding="utf-8") as file:
        done = subprocess.run([sys.executable, "-m", "acula_edge", *arguments], stdout=file, stderr=file, check=False)
    if done.returncode:
        raise SystemExit(f"acula-edge {arguments[0]} ended with {done.returncode}, see {log}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", default=",".join(LINES))
    parser.add_argument("--out", type=Path, default=Path("runs/lines"))
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--subjects", type=int, default=24, help="persons of the phantom corpus")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    found = {}
    for name in options.encoders.split(","):
        found[name] = run_line(name, options)
        print(name, json.dumps(found[name]), flush=True)
    table = Table("encoder", "steps (killed at)", "loss, first to last epoch", "float cosine", "INT8 cosine")
    for name, row in found.items():
        parity = row["parity"]
        table.add_row(
            name, f"{row['steps']} ({row['killed_at']})", f"{row['loss_first']:.3f} -> {row['loss_last']:.3f}",
            f"{parity['onnx_vs_torch']['cosine_min']:.6f}", f"{parity['int8_vs_student']['cosine_mean']:.4f}",
        )  # fmt: skip
    Console().print(table)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
