"""Splits: whole persons, balanced, the same whatever else there is; and leaks that are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acula_edge.data.leaks import find_leaks
from acula_edge.data.manifest import Recording
from acula_edge.data.splits import assign_splits, deal_persons
from acula_edge.errors import ManifestError
from acula_edge.recipe import SplitConfig

STRATA = ("Present", "Absent", "Unknown")


def recording(subject: str, name: str, stratum: str = "", split: str = "", sha256: str = "", dataset: str = "d"):
    return Recording(name, f"/{name}", f"{dataset}/{subject}", dataset, 4000, 1.0, sha256, split, stratum)


def corpus(persons: Sequence[tuple[str, int]], dataset: str = "d") -> list[Recording]:
    """`persons`: stratum and number of recordings of each."""
    return [
        recording(f"p{number}", f"p{number}_{take}", stratum, dataset=dataset)
        for number, (stratum, takes) in enumerate(persons)
        for take in range(takes)
    ]


def sides(recordings: Sequence[Recording]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    for one in recordings:
        found[one.split].add(one.subject)
    return found


persons_strategy = st.lists(st.tuples(st.sampled_from(STRATA), st.integers(1, 4)), min_size=6, max_size=60)
configs = st.integers(2, 6).flatmap(
    lambda folds: st.builds(
        SplitConfig, st.just(folds), st.integers(0, folds - 1), st.floats(0, 0.49), st.integers(0, 2**31)
    )
)
checked = settings(max_examples=30, deadline=None, derandomize=True)


@checked
@given(persons_strategy, configs)
def test_persons_are_whole_and_everyone_has_a_place(persons: list[tuple[str, int]], config: SplitConfig) -> None:
    given_order = corpus(persons)
    split = assign_splits(given_order, config)
    assert [one.key for one in split] == [one.key for one in given_order]
    assert find_leaks(split) == []
    found = sides(split)
    assert sum(map(len, found.values())) == len(persons)
    assert found["test"] and found["train"]


@checked
@given(persons_strategy, configs)
def test_splits_are_balanced(persons: list[tuple[str, int]], config: SplitConfig) -> None:
    split = assign_splits(corpus(persons), config)
    stratum_of = {one.subject: one.stratum for one in split}
    size = Counter(stratum_of.values())
    found = sides(split)
    # One person more or less than the exact share: of the test set and of the validation set, in all and per stratum.
    assert abs(len(found["test"]) - len(persons) / config.folds) < 1
    rest = len(persons) - len(found["test"])
    assert abs(len(found["val"]) - config.val_fraction * rest) <= 0.5 + 1e-6
    for stratum, members in size.items():
        tested = sum(stratum_of[subject] == stratum for subject in found["test"])
        validated = sum(stratum_of[subject] == stratum for subject in found["val"])
        assert abs(tested - members / config.folds) < 1
        assert abs(validated - config.val_fraction * (members - tested)) <= 1 + 1e-6


@checked
@given(persons_strategy, configs, st.randoms(use_true_random=False))
def test_order_does_not_matter(persons: list[tuple[str, int]], config: SplitConfig, random) -> None:
    recordings = corpus(persons)
    shuffled = list(recordings)
    random.shuffle(shuffled)
    assert sides(assign_splits(recordings, config)) == sides(assign_splits(shuffled, config))


@checked
@given(persons_strategy, persons_strategy, configs)
def test_another_data_set_changes_nothing(persons, others, config: SplitConfig) -> None:
    alone = assign_splits(corpus(persons), config)
    both = assign_splits([*corpus(others, "another"), *corpus(persons), *corpus(others, "zoo")], config)
    assert [one for one in both if one.dataset == "d"] == alone


@checked
@given(persons_strategy, st.integers(2, 6), st.integers(0, 1000))
def test_every_person_is_tested_in_exactly_one_fold(persons: list[tuple[str, int]], folds: int, seed: int) -> None:
    tested = Counter(
        subject
        for fold in range(folds)
        for subject in sides(assign_splits(corpus(persons), SplitConfig(folds, fold, 0.1, seed)))["test"]
    )
    assert set(tested.values()) == {1} and len(tested) == len(persons)


def test_seeds_give_other_splits() -> None:
    recordings = corpus([("Absent", 1)] * 40)
    tested = {frozenset(sides(assign_splits(recordings, SplitConfig(seed=seed)))["test"]) for seed in range(5)}
    assert len(tested) == 5


def test_the_dealing_never_changes() -> None:
    """Splits made by another version or machine stay what they were; these are a record, not a derivation."""
    recordings = corpus([("Present", 2), ("Absent", 1)] * 6)
    found = sides(assign_splits(recordings, SplitConfig(folds=4, fold=1, val_fraction=0.2, seed=3)))
    assert found["test"] == {"d/p0", "d/p7", "d/p9"}
    assert found["val"] == {"d/p5", "d/p8"}


def test_a_person_counts_by_the_most_frequent_stratum() -> None:
    mixed = [recording("p", f"p{n}", stratum) for n, stratum in enumerate(("b", "a", "b"))]
    tied = [recording("q", f"q{n}", stratum) for n, stratum in enumerate(("b", "a"))]
    # Strata are dealt by name: were p and q of one stratum, they could not both be in fold 0 of these.
    others = [recording(f"a{n}", f"a{n}", "a") for n in range(3)] + [recording(f"b{n}", f"b{n}", "b") for n in range(3)]
    for seed in range(5):
        counts = Counter()
        found = sides(assign_splits([*mixed, *tied, *others], SplitConfig(2, 0, 0.0, seed)))
        for subject in found["test"]:
            name = subject.removeprefix("d/")
            counts[{"p": "b", "q": "a"}.get(name, name[0])] += 1
        assert counts == {"a": 2, "b": 2}


def test_given_splits_are_kept() -> None:
    given_splits = [recording(f"g{n}", f"g{n}", split=split) for n, split in enumerate(("test", "train", "val"))]
    dealt = corpus([("Absent", 1)] * 10, "another")
    split = assign_splits([*given_splits, *dealt], SplitConfig())
    assert split[:3] == given_splits
    assert all(one.split for one in split)


def test_a_data_set_that_is_split_in_part_is_an_error() -> None:
    recordings = [*corpus([("", 1)] * 5), recording("x", "x", split="train")]
    with pytest.raises(ManifestError, match="some recordings of d come with a split and some without"):
        assign_splits(recordings, SplitConfig())


@pytest.mark.parametrize("persons", [1, 2, 4])
def test_too_few_persons_are_an_error(persons: int) -> None:
    recordings = corpus([("Absent", 3)] * persons)
    with pytest.raises(ManifestError, match="too few persons for 5 folds") as caught:
        assign_splits(recordings, SplitConfig(folds=5))
    assert caught.value.given == persons
    if persons > 1:
        assert caught.value.remedy == f"--set data.split.folds={persons}"
        assert find_leaks(assign_splits(recordings, SplitConfig(folds=persons))) == []


def test_deal_persons_is_what_assign_splits_uses() -> None:
    recordings = corpus([("Absent", 2), ("Present", 1)] * 5)
    dealt = deal_persons("d", recordings, SplitConfig())
    assert {one.subject: one.split for one in assign_splits(recordings, SplitConfig())} == dealt


def test_a_person_on_two_sides_is_a_leak() -> None:
    leaks = find_leaks([recording("p", "a", split="train"), recording("p", "b", split="test")])
    assert leaks == ["the person d/p is in test and train"]
    assert find_leaks([recording("p", "a", split="val"), recording("p", "b")]) == [
        "the person d/p is in no split and val"
    ]


def test_equal_files_on_two_sides_are_a_leak_even_over_data_sets() -> None:
    equal = [
        recording("p", "a", split="train", sha256="1f"),
        recording("q", "b", split="test", sha256="1f", dataset="e"),
        recording("r", "c", split="val", sha256="2f"),
    ]
    assert find_leaks(equal) == ["equal files are in test and train: d/a, e/b"]


def test_equal_files_on_one_side_and_unknown_hashes_are_no_leak() -> None:
    fine = [
        recording("p", "a", split="train", sha256="1f"),
        recording("q", "b", split="train", sha256="1f"),
        recording("r", "c", split="test"),
        recording("s", "d", split="train"),
    ]
    assert find_leaks(fine) == [] and find_leaks([]) == []
