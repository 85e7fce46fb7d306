"""Facts as numbers: what a probe is asked, and the control that reads no words."""

from __future__ import annotations

import numpy as np

from acula_edge.clinical_text.fact_vectors import fact_columns, fact_vectors
from acula_edge.clinical_text.facts import Facts

FACTS: list[Facts] = [
    {"murmur": "present", "murmur_grade": "2", "fev1": 2.0},
    {"murmur": "absent", "fev1": 4.0},
    {"murmur": "unknown", "diagnosis": ("asthma", "COPD")},
    {"murmur": "present", "diagnosis": ()},
]


def test_a_probe_is_asked_only_of_those_of_whom_something_is_stated() -> None:
    columns = fact_columns(FACTS)
    # diagnosis=COPD, =asthma, =none, murmur=absent, =present, =unknown, murmur_grade=2; quantities are not asked.
    np.testing.assert_array_equal(
        columns,
        [
            [np.nan, np.nan, np.nan, 0, 1, 0, 1],
            [np.nan, np.nan, np.nan, 1, 0, 0, np.nan],
            [1, 1, 0, 0, 0, 1, np.nan],
            [0, 0, 1, 0, 1, 0, np.nan],
        ],
    )


def test_vectors_state_what_is_missing_as_nothing_and_quantities_by_their_spread() -> None:
    vectors = fact_vectors(FACTS)
    assert vectors.dtype == np.float32 and np.isfinite(vectors).all()
    quantity = vectors[:, 3]  # "fev1" among the names in order
    np.testing.assert_allclose(quantity, [-1, 1, 0, 0])
    assert vectors.shape == (4, 8)
    assert fact_vectors([{}, {}]).shape == (2, 1)
