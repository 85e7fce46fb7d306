"""What a language model is asked: the instructions, which users may edit, and one recording's facts in words."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from acula_edge.clinical_text.draws import Draws
from acula_edge.clinical_text.facts import Facts, Value, format_quantity
from acula_edge.clinical_text.vocabulary import load_vocabulary
from acula_edge.clinical_text.writer import Job
from acula_edge.errors import InputError
from acula_edge.limits import MAX_YAML_BYTES
from acula_edge.untrusted.texts import read_text

FILE = Path(__file__).with_name("prompt.txt")
_OPENING = re.compile(r"^(?:(?:clinical )?report|sure[^:]*|here (?:is|are)[^:]*):\s*", re.IGNORECASE)


@cache
def load_prompt(given: str | None = None) -> str:
    """The instructions: a file's text, or those that ship.

    Raises:
        InputError: there is no such file, or nothing in it.
    """
    path = FILE if given is None else Path(given).expanduser()
    try:
        text = read_text(path, MAX_YAML_BYTES).strip()
    except (OSError, ValueError) as error:
        raise InputError(f"reports.prompt: {path} cannot be read", given=error) from error
    if not text:
        raise InputError(f"reports.prompt: {path} is empty")
    return text


def list_facts(facts: Facts, key: str) -> str:
    """The facts in words, one a line, in an order that `key` decides, so that variants of a report differ."""
    kinds = load_vocabulary().kinds
    lines = []
    for name, value in facts.items():
        kind = kinds[name]
        label = (f"{kind.of.replace('_', ' ')}: " if kind.of else "") + name.removeprefix(f"{kind.of}_").replace(
            "_", " "
        )
        lines.append(f"- {label}: {_say(value, kind.decimals, kind.unit)}")
    return "\n".join(Draws(key).ordered(lines))


def write_messages(job: Job, prompt: str, seed: int) -> list[dict[str, str]]:
    """The chat that asks for one report: roles and contents. It holds facts, never the recording's id."""
    request = "Facts:\n" + list_facts(job.facts, f"{seed}/{job.recording}/{job.variant}")
    messages = [{"role": "system", "content": prompt}, {"role": "user", "content": request}]
    if job.reasons:
        messages += [
            {"role": "assistant", "content": job.rejected[:1000]},
            {
                "role": "user",
                "content": "This report is not faithful to the facts:\n"
                + "\n".join(f"- {reason}" for reason in job.reasons[:12])
                + "\nWrite it again and mend that. Answer with the report alone.",
            },
        ]
    return messages


def tidy_answer(text: str) -> str:
    """A model's answer as one line: without thoughts in tags, headings, quotation marks."""
    text = re.sub(r"<think>.*?</think>", " ", text, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text.replace("**", "")).strip().strip("\"'`").strip()
    return _OPENING.sub("", text).strip("\"'` ")


def _say(value: Value, decimals: int, unit: str) -> str:
    if isinstance(value, tuple):
        return ", ".join(value).replace("covid_19", "COVID-19") or "none"
    if isinstance(value, (int, float)):
        return f"{format_quantity(float(value), decimals)} {unit}".strip()
    return str(value)
