"""What is cut out of a stored recording of hours is what would be cut out of the whole."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from acula_edge.align import pairs
from acula_edge.align.augmentation import first_crop, random_crop
from acula_edge.align.pairs import Waves
from acula_edge.align.task import _middle
from acula_edge.data import store as stores
from acula_edge.data.fingerprint import fingerprint, fingerprint_pieces
from acula_edge.data.manifest import Recording
from acula_edge.data.store import StoredWave, WaveStore
from tests.load.test_long_recordings import peak_mb
from tests.tiny_bundle import make_sound

RATE_HZ = 4000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> WaveStore:
    folder = tmp_path_factory.mktemp("store")
    recordings = []
    for number, seconds in enumerate((0.3, 5.0, 400.0)):
        path = folder / f"{number}.wav"
        soundfile.write(path, make_sound(seconds, RATE_HZ, number), RATE_HZ, subtype="PCM_16")
        recordings.append(Recording(str(number), str(path), "s", "d", RATE_HZ, seconds))
    return WaveStore.build(recordings, RATE_HZ, folder / "cache")


def test_crops_of_stored_waves_are_those_of_whole_ones(store: WaveStore, monkeypatch: pytest.MonkeyPatch) -> None:
    waves = Waves(store)
    for index, whole in ((index, store[index]) for index in range(len(store))):
        with monkeypatch.context() as patch:
            patch.setattr(pairs, "WHOLE_SAMPLES", 0)
            sliced = waves[index]
        assert isinstance(sliced, StoredWave) and isinstance(waves[index], np.ndarray)
        assert len(sliced) == len(whole)
        for samples in (1, 1999, 8000):
            np.testing.assert_array_equal(first_crop(sliced, samples), first_crop(whole, samples))
            np.testing.assert_array_equal(_middle(sliced, samples), _middle(whole, samples))
            crops = [random_crop(wave, samples, np.random.default_rng(samples)) for wave in (sliced, whole)]
            np.testing.assert_array_equal(*crops)
        np.testing.assert_array_equal(sliced[100:50:-3], whole[100:50:-3])


def test_pieces_of_a_stored_wave_make_its_whole(store: WaveStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "BLOCK_SAMPLES", 7777)
    for index in range(len(store)):
        np.testing.assert_array_equal(np.concatenate(list(store.blocks(index))), store[index])
        found = fingerprint_pieces(lambda index=index: store.blocks(index), RATE_HZ)
        np.testing.assert_array_equal(found, fingerprint(store[index], RATE_HZ))


def test_a_crop_takes_the_memory_of_a_crop(store: WaveStore) -> None:
    wave = store.sliced(2)
    assert peak_mb(lambda: random_crop(wave, 32000, np.random.default_rng(0))) < 1 < peak_mb(lambda: store[2])
