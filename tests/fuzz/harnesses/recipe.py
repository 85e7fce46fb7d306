"""Recipes: a YAML file, and `--set` texts on top."""

from __future__ import annotations

import functools
from random import Random

from acula_edge.recipe import Recipe, load_recipe, override_recipe, recipe_from_dict
from tests.fuzz.harness import Harness, MutateBytes, refusing
from tests.fuzz.mutations import mutate_words
from tests.fuzz.sandbox import Sandbox

_SEEDS = (
    b"name: a\nseed: 3\ndata:\n  window_s: 2.0\n  split: {folds: 3, fold: 1, rule: folds}\n\0data.hop_s=1\0seed=4",
    b"data:\n  sources:\n    heart: {reader: manifest, root: x, options: {dataset: h}, required: false}\n",
    b"encoder: {name: mobilenet}\nfrontend: {sample_rate_hz: 4000, bands: 64}\nlanguage: {model: minilm}\n",
    b"align:\n  steps: 10\n  learning_rate: 1e-3\ndistill:\n  student: base\nquantize:\n  profile: cpu_x86\n",
    b"verify: {tasks: [C1]}\nreports: {writer: template}\nbenchmark: {threads: 1}\nruntime: {smoothing: {}}\n",
    b"a: &x [1, 2]\nb: [*x, *x]\n<<: {name: b}\n\0name=&a b",
    b"? [a]\n: b\n",
    b"seed: " + b"9" * 900,
    b"name: !!python/object/apply:os.system [touch ran]\n",
    b"a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\ndata: {sources: {s: {reader: r, options: {o: *c}}}}\n",
    b"\0name=text\0data.sources.phantom.options.subjects=8",
)
_WORDS = [
    b": ", b"\n", b"\n  ", b"- ", b"{", b"}", b"[", b"]", b",", b"&a ", b"*a", b"<<: ", b"? ", b"| ", b"> ", b"'", b'"',
    b"---\n", b"...\n", b"%YAML 1.1\n", b"%TAG ! tag:x:\n", b"!!python/object/apply:os.system [echo]", b"!!binary ",
    b"!!set ", b"!!omap ", b"!!timestamp 2020-13-40", b"2020-13-40", b"!!int x", b"!!float ",
    b"!<tag:yaml.org,2002:int> ", b"1_0", b"0x", b"0b1", b"1:60", b"9" * 5000, b"1e999", b".nan", b".inf", b"-.inf",
    b"~", b"null", b"yes", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\t", b"#", b"[" * 400,
    b"{a: " * 100, b"- " * 200, b"&a [*a]", b"a: &a [x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\nd: [*c,*c,*c]\n",
    b"name", b"seed", b"data", b"split", b"fold", b"sources", b"options", b"reader", b"frontend", b"encoder",
    b"language", b"reports", b"align", b"distill", b"quantize", b"verify", b"zero_shot", b"benchmark", b"runtime",
    b"window_s", b"max_length", b"gate", b"=", b".", b"\0data.window_s=", b"\0name=", b"\0a.b.c=1", b"\0.=",
    b"\0data..x=1",
]  # fmt: skip


def one_input(data: bytes, sandbox: Sandbox) -> None:
    """A file's bytes up to the first zero byte, then one text of `--set` up to each further one."""
    file, *texts = data.split(b"\0")
    path = sandbox.write("recipe.yaml", file)
    overrides = [text.decode("utf-8", "replace") for text in texts[:4]]
    with refusing():
        recipe = load_recipe(path, overrides=overrides)
        assert isinstance(recipe, Recipe)
        if len(data) % 4 == 0:  # what is taken can be written down and read again, as a run's recipe is
            assert recipe_from_dict(recipe.to_dict()) == recipe or "nan" in str(recipe)
    if overrides:
        with refusing():
            override_recipe(_plain(), overrides, ["data", "runtime"])


def seeds() -> list[bytes]:
    """Small recipes of every section."""
    return list(_SEEDS)


def mutate(data: bytes, random: Random, blind: MutateBytes, max_bytes: int) -> bytes:
    """Words and lines more often than bytes."""
    if random.random() < 0.4:
        return blind(data, max_bytes)
    return mutate_words(data, random, _WORDS, max_bytes)


@functools.cache
def _plain() -> Recipe:
    return Recipe()


HARNESS = Harness("recipes: YAML and --set", one_input, seeds, mutate, max_bytes=1024)
