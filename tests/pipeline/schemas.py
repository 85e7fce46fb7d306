"""JSON that others read: what ``verify.json``, ``benchmark.json``, ``manifest.json`` and ``bundle.json`` promise."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

NUMBER: Schema = {"type": "number"}
TEXT: Schema = {"type": "string", "minLength": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
POSITIVE: Schema = {"type": "number", "exclusiveMinimum": 0}
INTERVAL: Schema = {"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2}


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


VERDICT = one_of("identical", "non-inferior", "inconclusive", "inferior")
ROW = mapping(value=NUMBER, ci95=maybe(INTERVAL))
COMPARISON = mapping(
    delta=NUMBER, ci95=maybe(INTERVAL), p_noninferiority=maybe(NUMBER), margin=POSITIVE, verdict=VERDICT
)
PAIRS = ("int8_vs_student", "int8_vs_teacher")
SUBGROUP = mapping(
    column=TEXT,
    group=TEXT,
    n_test=COUNT,
    n_subjects=COUNT,
    float_student=NUMBER,
    int8=NUMBER,
    int8_vs_student=mapping(delta=NUMBER, ci95=maybe(INTERVAL)),
)
SUBGROUPS_TOO_SMALL = mapping(column=TEXT, groups=COUNT, n_test=COUNT, n_subjects=COUNT)

CUTOFFS = ("recall_at_1", "recall_at_5", "recall_at_10")
RECALLS = mapping(**dict.fromkeys(CUTOFFS, {"type": "number", "minimum": 0, "maximum": 1}))
FOUND = mapping(**dict.fromkeys(CUTOFFS, mapping(value=NUMBER, ci95=maybe(INTERVAL), shuffled=NUMBER)))

# A run with all three models: every row is there.
VERIFY = mapping(
    schema={"const": "acula-edge/verify/1"},
    tasks=listing(
        mapping(
            id=TEXT,
            name=TEXT,
            dataset=TEXT,
            metric=one_of("auroc", "mae"),
            protocol=TEXT,
            n_test=COUNT,
            n_subjects=COUNT,
            float_teacher=ROW,
            float_student=ROW,
            int8=ROW,
            int8_vs_student=COMPARISON,
            int8_vs_teacher=COMPARISON,
            ece_change=maybe(NUMBER),
            subgroups=listing(SUBGROUP),
            subgroups_too_small=listing(SUBGROUPS_TOO_SMALL),
            subgroup_comparisons=COUNT,
        ),
        least=1,
    ),
    summary=mapping(
        tasks_evaluated=listing(TEXT, least=1),
        tasks_missing=listing(mapping(id=TEXT, reason=TEXT)),
        means=mapping(float_teacher=NUMBER, float_student=NUMBER, int8=NUMBER),
        verdicts_holm=mapping(**{pair: each(mapping(p_adjusted=maybe(NUMBER), verdict=VERDICT)) for pair in PAIRS}),
        flip_rate=maybe({"type": "number", "minimum": 0, "maximum": 1}),
    ),
    zero_shot=mapping(
        prompts=TEXT,
        prompts_sha256=SHA256,
        in_bundle={"type": "boolean"},
        temperature=POSITIVE,
        language_model=TEXT,
        maps=each(TEXT),
        explained=maybe(NUMBER),
        tasks=listing(
            mapping(
                id=TEXT,
                metric={"const": "auroc"},
                float_teacher=ROW,
                float_student=ROW,
                int8=ROW,
                int8_vs_student=COMPARISON,
            ),
            least=1,
        ),
        tasks_missing=listing(mapping(id=TEXT, reason=TEXT)),
        retrieval=mapping(
            split={"const": "val"},
            scopes=listing(
                mapping(
                    dataset=maybe(TEXT),
                    n_recordings=COUNT,
                    n_subjects=COUNT,
                    n_reports=COUNT,
                    chance=RECALLS,
                    float_teacher=FOUND,
                    float_student=FOUND,
                    int8=FOUND,
                ),
            ),
        ),
    ),
    parity=mapping(
        onnx_vs_torch=mapping(cosine_mean=NUMBER, sqnr_db=maybe(NUMBER)),
        int8_vs_onnx=mapping(cosine_mean=NUMBER, sqnr_db=maybe(NUMBER)),
    ),
    gate=mapping(passed={"type": "boolean"}, reasons=listing(TEXT)),
)

BENCHMARK = mapping(
    schema={"const": "acula-edge/benchmark/1"},
    mode=one_of("smoke", "quick", "full"),
    environment=mapping(
        cpu=mapping(model=maybe(TEXT), flags=listing(TEXT), governor=maybe(TEXT), clock_mhz=maybe(POSITIVE)),
        gpu=listing(mapping(name=TEXT)),
        packages=each(maybe(TEXT)),
        onnxruntime_providers=listing(TEXT, least=1),
    ),
    samples_file=TEXT,
    measurements=listing(
        mapping(
            artifact=TEXT,
            provider=maybe(TEXT),
            precision=maybe(one_of("float32", "int8")),
            threads={"const": 1},
            stage=one_of("frontend", "encoder", "end_to_end"),
            p50_ms=POSITIVE,
            p90_ms=POSITIVE,
            p95_ms=POSITIVE,
            p99_ms=POSITIVE,
            n={"type": "integer", "minimum": 2},
            loops={"const": 2},
            cold_start_ms=maybe(POSITIVE),
            peak_rss_mb=maybe(POSITIVE),
            rtf=POSITIVE,
            # Null when not measured, never 0.
            energy_mj=maybe(POSITIVE),
        ),
        least=6,
    ),
    comparisons=listing(
        mapping(
            reference=TEXT,
            candidate=TEXT,
            speedup=POSITIVE,
            speedup_ci95=INTERVAL,
            accuracy=mapping(tasks=listing(mapping(id=TEXT, reference=ROW, candidate=ROW), least=1)),
        ),
        least=3,
    ),
)

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

BUNDLE = mapping(
    schema={"const": "acula-edge/bundle/1"},
    name=TEXT,
    student=maybe(TEXT),
    encoder=TEXT,
    profile=one_of("cpu_x86", "cpu_arm", "tensorrt"),
    disclaimer=TEXT,
    input=mapping(sample_rate_hz=COUNT, samples=COUNT, window_s=POSITIVE, hop_s=POSITIVE),
    embedding_dim=COUNT,
    zero_shot=maybe(mapping(file=TEXT, prompts=TEXT, prompts_sha256=SHA256, temperature=POSITIVE, tasks=listing(TEXT))),
    tasks=listing(
        mapping(
            id=TEXT,
            name=TEXT,
            kind=one_of("binary", "multiclass", "regression"),
            labels=listing(TEXT),
            threshold=maybe(NUMBER),
            start=COUNT,
            stop=COUNT,
        ),
        least=1,
    ),
    files=each(SHA256),
    sizes_bytes=each(COUNT),
    provenance=mapping(packages=each(maybe(TEXT)), recipe_sha256=SHA256, weights_sha256=SHA256),
)
