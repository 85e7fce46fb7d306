"""What the JSON files of a bundle say: one structure per file, which writers fill and readers get.

A field is null where a number does not exist, never 0. A field that may be absent (:data:`UNSET`) belongs to something
that was not done, or not asked for. The published JSON Schema is made from these (:func:`describe_schema`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from acula_edge.bundle.schema.acceptance_json import Acceptance as Acceptance
from acula_edge.bundle.schema.acceptance_json import Change as Change
from acula_edge.bundle.schema.acceptance_json import Result as Result
from acula_edge.bundle.schema.audit_json import Audit as Audit
from acula_edge.bundle.schema.audit_json import Finding as Finding
from acula_edge.bundle.schema.audit_json import Footprint as Footprint
from acula_edge.bundle.schema.base import CalibrationSet as CalibrationSet
from acula_edge.bundle.schema.base import Column as Column
from acula_edge.bundle.schema.base import Count as Count
from acula_edge.bundle.schema.base import File as File
from acula_edge.bundle.schema.base import Interval as Interval
from acula_edge.bundle.schema.base import Kind as Kind
from acula_edge.bundle.schema.base import Metric as Metric
from acula_edge.bundle.schema.base import Parities as Parities
from acula_edge.bundle.schema.base import Parity as Parity
from acula_edge.bundle.schema.base import Positive as Positive
from acula_edge.bundle.schema.base import Precision as Precision
from acula_edge.bundle.schema.base import Profile as Profile
from acula_edge.bundle.schema.base import SampleRate as SampleRate
from acula_edge.bundle.schema.base import Samples as Samples
from acula_edge.bundle.schema.base import Seconds as Seconds
from acula_edge.bundle.schema.base import Sha256 as Sha256
from acula_edge.bundle.schema.base import Share as Share
from acula_edge.bundle.schema.base import SizeRatios as SizeRatios
from acula_edge.bundle.schema.base import Struct as Struct
from acula_edge.bundle.schema.base import Text as Text
from acula_edge.bundle.schema.base import Texts as Texts
from acula_edge.bundle.schema.base import ValueInterval as ValueInterval
from acula_edge.bundle.schema.base import Verdict as Verdict
from acula_edge.bundle.schema.base import is_plain_name as is_plain_name
from acula_edge.bundle.schema.benchmark_json import Accuracy as Accuracy
from acula_edge.bundle.schema.benchmark_json import AccuracyOfPair as AccuracyOfPair
from acula_edge.bundle.schema.benchmark_json import BeforeAfterReading as BeforeAfterReading
from acula_edge.bundle.schema.benchmark_json import Benchmark as Benchmark
from acula_edge.bundle.schema.benchmark_json import Cpu as Cpu
from acula_edge.bundle.schema.benchmark_json import Environment as Environment
from acula_edge.bundle.schema.benchmark_json import Measurement as Measurement
from acula_edge.bundle.schema.benchmark_json import PairAccuracy as PairAccuracy
from acula_edge.bundle.schema.benchmark_json import PairMeasurement as PairMeasurement
from acula_edge.bundle.schema.benchmark_json import TaskAccuracy as TaskAccuracy
from acula_edge.bundle.schema.bundle_json import Bundle as Bundle
from acula_edge.bundle.schema.bundle_json import DataSet as DataSet
from acula_edge.bundle.schema.bundle_json import FrontEnd as FrontEnd
from acula_edge.bundle.schema.bundle_json import Input as Input
from acula_edge.bundle.schema.bundle_json import Mel as Mel
from acula_edge.bundle.schema.bundle_json import NativeFrontEnd as NativeFrontEnd
from acula_edge.bundle.schema.bundle_json import PcmFrontEnd as PcmFrontEnd
from acula_edge.bundle.schema.bundle_json import Program as Program
from acula_edge.bundle.schema.bundle_json import Prompts as Prompts
from acula_edge.bundle.schema.bundle_json import Provenance as Provenance
from acula_edge.bundle.schema.bundle_json import QuantizationSummary as QuantizationSummary
from acula_edge.bundle.schema.bundle_json import ScoredTask as ScoredTask
from acula_edge.bundle.schema.bundle_json import StreamFrontEnd as StreamFrontEnd
from acula_edge.bundle.schema.quantize_json import BeforeAfter as BeforeAfter
from acula_edge.bundle.schema.quantize_json import BiasCorrection as BiasCorrection
from acula_edge.bundle.schema.quantize_json import Equalization as Equalization
from acula_edge.bundle.schema.quantize_json import FineTuning as FineTuning
from acula_edge.bundle.schema.quantize_json import FineTuningRun as FineTuningRun
from acula_edge.bundle.schema.quantize_json import FitAndJudge as FitAndJudge
from acula_edge.bundle.schema.quantize_json import FloatNode as FloatNode
from acula_edge.bundle.schema.quantize_json import Judgement as Judgement
from acula_edge.bundle.schema.quantize_json import LayerSensitivity as LayerSensitivity
from acula_edge.bundle.schema.quantize_json import Loss as Loss
from acula_edge.bundle.schema.quantize_json import MixedPrecision as MixedPrecision
from acula_edge.bundle.schema.quantize_json import Nodes as Nodes
from acula_edge.bundle.schema.quantize_json import PrecisionStep as PrecisionStep
from acula_edge.bundle.schema.quantize_json import Quantize as Quantize
from acula_edge.bundle.schema.quantize_json import Sensitivity as Sensitivity
from acula_edge.bundle.schema.quantize_json import Smoothing as Smoothing
from acula_edge.bundle.schema.quantize_json import Speed as Speed
from acula_edge.bundle.schema.quantize_json import SpeedTrial as SpeedTrial
from acula_edge.bundle.schema.verify_json import AdjustedVerdict as AdjustedVerdict
from acula_edge.bundle.schema.verify_json import AdjustedVerdicts as AdjustedVerdicts
from acula_edge.bundle.schema.verify_json import Chances as Chances
from acula_edge.bundle.schema.verify_json import Comparison as Comparison
from acula_edge.bundle.schema.verify_json import Criterion as Criterion
from acula_edge.bundle.schema.verify_json import Difference as Difference
from acula_edge.bundle.schema.verify_json import Gate as Gate
from acula_edge.bundle.schema.verify_json import Leak as Leak
from acula_edge.bundle.schema.verify_json import MeanDelta as MeanDelta
from acula_edge.bundle.schema.verify_json import MeanDeltas as MeanDeltas
from acula_edge.bundle.schema.verify_json import Means as Means
from acula_edge.bundle.schema.verify_json import MeansBySet as MeansBySet
from acula_edge.bundle.schema.verify_json import MeansOfSet as MeansOfSet
from acula_edge.bundle.schema.verify_json import Method as Method
from acula_edge.bundle.schema.verify_json import MissingTask as MissingTask
from acula_edge.bundle.schema.verify_json import PublishedFigure as PublishedFigure
from acula_edge.bundle.schema.verify_json import PublishedProbe as PublishedProbe
from acula_edge.bundle.schema.verify_json import Recall as Recall
from acula_edge.bundle.schema.verify_json import Recalls as Recalls
from acula_edge.bundle.schema.verify_json import RelativeChanges as RelativeChanges
from acula_edge.bundle.schema.verify_json import RetrainedProbe as RetrainedProbe
from acula_edge.bundle.schema.verify_json import Retrieval as Retrieval
from acula_edge.bundle.schema.verify_json import RetrievalScope as RetrievalScope
from acula_edge.bundle.schema.verify_json import Row as Row
from acula_edge.bundle.schema.verify_json import SmallSubgroups as SmallSubgroups
from acula_edge.bundle.schema.verify_json import Split as Split
from acula_edge.bundle.schema.verify_json import Subgroup as Subgroup
from acula_edge.bundle.schema.verify_json import Summary as Summary
from acula_edge.bundle.schema.verify_json import TaskEvaluation as TaskEvaluation
from acula_edge.bundle.schema.verify_json import Verify as Verify
from acula_edge.bundle.schema.verify_json import ZeroShot as ZeroShot

FILES: dict[str, type[File]] = {
    "bundle.json": Bundle,
    "quantize.json": Quantize,
    "audit.json": Audit,
    "verify.json": Verify,
    "benchmark.json": Benchmark,
    "acceptance.json": Acceptance,
}
"""The structure of every JSON file whose content others read."""


def describe_schema(kind: type[File]) -> dict[str, Any]:
    """The JSON Schema of a file."""
    schema: dict[str, Any] = msgspec.json.schema(kind)
    return schema
