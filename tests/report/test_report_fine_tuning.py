"""What the report says of post-training INT8 and of fine-tuning."""

from __future__ import annotations

from typing import Any

import pytest

from acula_edge.bundle.schema import Bundle as BundleFacts
from acula_edge.bundle.schema import Quantize
from acula_edge.reporting.document import Heading, Notice, Text
from acula_edge.reporting.evidence import Bundle
from acula_edge.reporting.sections.quantization import quantization_blocks
from tests.complete import complete

REASON = "AUROC of task C1 falls by 0.0500, 0.03 allowed"
BEFORE = {"asked": "validation persons", "n_subjects": 19, "passed": False, "reasons": [REASON]}
GOOD = {**BEFORE, "passed": True, "reasons": []}
MISSED = {"outcome": "fine-tuned", "post_training": BEFORE, "fine_tuned": BEFORE}
TRAINING = {"epochs": 4, "sqnr_db": {"before": 9.04, "after": 21.96}}


def said(aware: dict[str, Any] | None) -> list[Text | Notice]:
    facts = complete(BundleFacts, {})
    quantize = complete(Quantize, {} if aware is None else {"aware": aware})
    blocks = quantization_blocks(Bundle("base-cpu_x86", facts, quantize=quantize))
    start = next((n for n, block in enumerate(blocks) if block == Heading("Fine-tuning")), None)
    if start is None:
        return []
    stop = blocks.index(Heading("Audit"))
    return [block for block in blocks[start + 1 : stop] if isinstance(block, (Text, Notice))]


def test_success_names_the_reason_the_epochs_and_who_was_asked() -> None:
    aware = {"outcome": "fine-tuned", "post_training": BEFORE, "training": TRAINING, "fine_tuned": GOOD}
    first, second = said(aware)
    assert isinstance(first, Text) and REASON in first.text and "19 validation persons" in first.text
    assert "4\N{NO-BREAK SPACE}epochs" in first.text and "9.0" in first.text and "22.0" in first.text
    assert "now meets its limits" in first.text and "no test person" in first.text
    assert "fine-tuned weights" in second.text


@pytest.mark.parametrize(
    ("aware", "word"),
    [
        (
            {"outcome": "fine-tuned", "post_training": BEFORE, "training": TRAINING, "fine_tuned": BEFORE},
            "still misses",
        ),
        ({"outcome": "kept post-training", "post_training": BEFORE, "training": TRAINING}, "was kept"),
        ({"outcome": "not possible", "post_training": BEFORE, "reason": "it needs a student"}, "needs a student"),
    ],
)
def test_what_is_not_good_is_not_to_be_overlooked(aware: dict[str, Any], word: str) -> None:
    notice = said(aware)[0]
    assert isinstance(notice, Notice) and word in notice.text and REASON in notice.text


def test_nothing_is_made_of_what_was_not_needed_or_not_asked() -> None:
    (text,) = said({"outcome": "not needed", "post_training": GOOD})
    assert isinstance(text, Text) and "met its limits" in text.text and "Nothing was fine-tuned" in text.text
    assert said(None) == []
