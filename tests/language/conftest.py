"""Tiny models, made once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.language.families import WORDS, make_model


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Folder of a family's model."""
    made: dict[str, str] = {}

    def find(family: str) -> str:
        if family not in made:
            made[family] = make_model(family, tmp_path_factory.mktemp(family))
        return made[family]

    return find


@pytest.fixture
def reports() -> list[str]:
    """Thirty distinct reports of 1 to 30 words, in no order of length."""
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(WORDS, length)) for length in generator.permutation(np.arange(1, 31))]
