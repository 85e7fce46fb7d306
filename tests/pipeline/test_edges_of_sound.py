"""A real model, float and INT8, on sounds at the edges of what sound is (docs/numerics.md)."""

from __future__ import annotations

import json

import numpy as np
import pytest

from acula_edge.runtime import load_bundle
from tests.numerics.sounds import accepted, brief
from tests.pipeline.conftest import WholeLine

RATE_HZ = 4000


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 44100])
def test_float_and_int8_give_finite_answers_and_judge_quality_alike(whole_line: WholeLine, rate_hz: int) -> None:
    by_precision = [load_bundle(whole_line.bundle, precision=precision) for precision in ("float", "int8")]
    short = {name: sound for name, sound in brief(rate_hz).items() if len(sound) * RATE_HZ >= rate_hz}
    for name, sound in (accepted(2 * rate_hz, rate_hz) | short).items():
        qualities = []
        for bundle in by_precision:
            answer = bundle.score(sound, rate_hz)
            json.dumps(answer, allow_nan=False)
            assert np.isfinite(bundle.embed(sound, rate_hz)).all(), name
            *_, last = bundle.stream(np.array_split(sound, 9), rate_hz)
            json.dumps(last.to_dict(), allow_nan=False)
            assert last.quality["measurable"] == answer["quality"]["measurable"], name
            qualities.append(answer["quality"])
        assert qualities[0] == qualities[1], name
