"""A noun with its descriptions: "a harsh, low-pitched holosystolic murmur of grade III/VI, loudest at this site"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from acula_edge.clinical_text.draws import Draws
from acula_edge.clinical_text.facts import Wording

Noun = tuple[str, str]
"""A noun and its number, see :attr:`acula_edge.clinical_text.facts.Wording.nouns`."""


@dataclass(frozen=True)
class Description:
    """Words of one description, and where they may stand (see :class:`acula_edge.clinical_text.facts.FactKind`)."""

    words: Wording
    last: bool = False
    final: bool = False


class NounPhrase:
    """A finding and what is known of it."""

    def __init__(self, words: Wording, described: Sequence[Description]) -> None:
        self.words, self.described = words, described

    def put(self, frame: str, noun: Noun, draws: Draws) -> str:
        """The frame with the whole phrase in it."""
        before: list[str] = []
        last: list[str] = []
        after: list[str] = []
        final: list[str] = []
        for item in draws.ordered(self.described):
            adjectives = item.words.adjective
            # Adjectives are drawn twice as often: three phrases after a noun read badly.
            number = draws.below(2 * len(adjectives) + len(item.words.after))
            if number < 2 * len(adjectives):
                (last if item.last else before).append(adjectives[number % len(adjectives)])
            else:
                (final if item.final else after).append(item.words.after[number - 2 * len(adjectives)])
        bare = " ".join([", ".join(before), *last, noun[0]]).strip()
        tail = join(after, "and")
        bare = ", ".join([f"{bare} {tail}".strip(), *final])
        if final and not frame.endswith("}"):
            bare += ","
        return agree(frame, noun, bare)

    def predicate(self, frame: str, noun: Noun, draws: Draws) -> str:
        """The frame with the descriptions as a list of their own."""
        said: list[str] = []
        final: list[str] = []
        for item in draws.ordered(self.described):
            (final if item.final else said).append(draws.one_of([*item.words.adjective, *item.words.after]))
        return agree(frame.replace("{x}", join([*said, *final], "and")), noun)


def agree(frame: str, noun: Noun, phrase: str | None = None) -> str:
    """The frame with its noun, verbs and articles in the noun's number."""
    text, number = noun
    plural = number == "many"
    phrase = text if phrase is None else phrase
    return (
        frame.replace("{np}", with_article(phrase, number))
        .replace("{bare}", phrase)
        .replace("{article noun}", with_article(text, number))
        .replace("{noun}", text)
        .replace("@it", "they" if plural else "it")
        .replace("@is", "are" if plural else "is")
    )


def with_article(phrase: str, number: str) -> str:
    """The phrase with its indefinite article, where its number has one."""
    if number != "one":
        return phrase
    return f"{'an' if phrase[:1].casefold() in 'aeiou' else 'a'} {phrase}"


def join(items: Sequence[str], word: str) -> str:
    """Items in a row, the last after `word`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word} {items[-1]}"
