"""Which student? AUROC after the same distillation against latency and size of its INT8 file, beside OPERA-CE.

    python benchmarks/student_frontier.py --run runs/clean --out runs/trials --epochs 8

Every candidate learns the same teacher by the same schedule and goes through the product's export and INT8.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from distillation_trial import Trial, add_options, run_all

from acula_edge.encoders.students import StudentKind, from_timm, repvgg, separable, students


def _kind(backbone: Callable[[], Any], patch: int = 1) -> StudentKind:
    return StudentKind("candidate", "", backbone, patch)


# Of the recipe's 48: a third of the optimizer steps of the teacher that the students learn from.
OPERA_CE_EPOCHS = 16

BASE = students["base"]
TRIALS = (
    Trial("base", "RepVGG 80-160-256, 2x2 patches", BASE),
    Trial("base-narrow", "RepVGG 64-128-192, 2x2 patches", _kind(repvgg((64, 128, 192), (2, 3, 2), 32, 2), 2)),
    Trial("base-patch4", "RepVGG 96-192, 4x4 patches", _kind(repvgg((96, 192), (3, 3), 64, 4), 4)),
    Trial("base-32-bands", "base, 32 bands", BASE, frontend={"n_mels": 32}),
    Trial("base-hop-256", "base, hop of 256 samples", BASE, frontend={"hop_length": 256}),
    Trial(
        "tiny-separable",
        "depthwise 64-128-192, 2x2 patches",
        _kind(separable([(64, 2, 1), (128, 4, 2), (192, 2, 2)], 32, 2), 2),
    ),
    Trial("tiny-dense", "RepVGG 32-64-96, 2x2 patches", _kind(repvgg((32, 64, 96), (1, 2, 1), 16, 2), 2)),
    Trial("large-32", "RepVGG 128-256-512, 2x2 patches", _kind(repvgg((128, 256, 512), (2, 4, 1), 64, 2), 2)),
    Trial("mobilenetv2-035", "MobileNetV2 x0.35", _kind(from_timm("mobilenetv2_035"))),
    Trial("mobilenetv2-050", "MobileNetV2 x0.5", _kind(from_timm("mobilenetv2_050"))),
    Trial("mobileone-s0", "MobileOne-S0", _kind(from_timm("mobileone_s0"))),
    Trial("mobilenetv4-small", "MobileNetV4-conv-small", _kind(from_timm("mobilenetv4_conv_small"))),
    Trial("resnet10t", "ResNet-10-T", _kind(from_timm("resnet10t"))),
    Trial("repvgg-a0", "RepVGG-A0", _kind(from_timm("repvgg_a0"))),
    Trial("efficientnet-lite0", "EfficientNet-lite0", _kind(from_timm("efficientnet_lite0"))),
    Trial("opera-ce-taught", "OPERA-CE's network, taught", _kind(from_timm("efficientnet_b0"))),
    Trial("opera-ce", "OPERA-CE, aligned itself", BASE, aligned="opera-ce", align={"epochs": OPERA_CE_EPOCHS}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    options = parser.parse_args()
    run_all(TRIALS, options)


if __name__ == "__main__":
    main()
