"""What ``manifest.json`` of a run promises to those who read it."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

NUMBER: Schema = {"type": "number"}
TEXT: Schema = {"type": "string", "minLength": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
POSITIVE: Schema = {"type": "number", "exclusiveMinimum": 0}


def maybe(schema: Schema) -> Schema:
    """The same, or null: not measured, does not exist."""
    return {"anyOf": [schema, {"type": "null"}]}


def mapping(**properties: Schema) -> Schema:
    """An object that has all of these keys, and may have more."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def listing(items: Schema, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least}


def each(values: Schema) -> Schema:
    """An object with any keys."""
    return {"type": "object", "additionalProperties": values}


def one_of(*values: Any) -> Schema:
    return {"enum": list(values)}


_STAGE = mapping(finished={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$"})

MANIFEST = mapping(
    schema={"const": "acula-edge/run/1"},
    recipe_sha256=SHA256,
    provenance=mapping(python=TEXT, platform=TEXT, packages=each(maybe(TEXT))),
    stages={
        **mapping(
            data=mapping(
                recordings=COUNT,
                subjects=COUNT,
                hours=POSITIVE,
                set_aside=COUNT,
                datasets=each(mapping(splits=each(mapping(recordings=COUNT, subjects=COUNT, hours=POSITIVE)))),
                guard=mapping(
                    policy=mapping(
                        include_evaluation_subjects=one_of(True, False),
                        near_duplicates=one_of(True, False),
                        max_bit_error=POSITIVE,
                    ),
                    evaluated=mapping(val=COUNT, test=COUNT),
                    compared=COUNT,
                    too_little=COUNT,
                    withheld=each(mapping(recordings=COUNT, persons=COUNT)),
                    datasets=each(COUNT),
                    recordings=listing(
                        mapping(recording=TEXT, reason=TEXT, of={"type": "string"}, bit_error=maybe(NUMBER))
                    ),
                ),
            ),
            align=mapping(sha256=SHA256, epochs=COUNT, steps=COUNT, seconds=NUMBER),
            **{"distill-tiny": mapping(student=TEXT, sha256=SHA256, teacher_sha256=SHA256, parameters=COUNT)},
        ),
        "additionalProperties": _STAGE,
    },
)
