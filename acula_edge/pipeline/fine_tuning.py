"""When post-training INT8 is not good enough: fine-tune the student in integers and take what is closer to float.

Whether it is good enough is asked of validation persons, with the recipe's own gate. Test persons are asked once, by
`verify`, about the one INT8 model that comes out of this: a gate that chose among models on the persons it judges would
pass too many. A task is asked about where it has as many validation persons as a subgroup needs to be reported: with
half a dozen the AUROC moves by more than a limit when two recordings change places. Without such tasks the likeness of
embeddings decides, of validation persons or, where there are none, on calibration windows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import torch
from msgspec import UNSET
from safetensors.torch import save_file

from acula_edge.bundle.json_files import plain
from acula_edge.bundle.layout import ENCODER_FILE, ENCODER_INT8_FILE, FRONTEND_FILE, MODEL_INT8_FILE
from acula_edge.bundle.schema import FineTuning, FineTuningRun, Judgement, Parity, Quantize
from acula_edge.data.manifest import Recording
from acula_edge.data.prepare import at_rate
from acula_edge.data.store import WaveStore
from acula_edge.distillation.quantization_aware import fine_tune
from acula_edge.distillation.teaching import windows_of
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import ArtifactError, InputError
from acula_edge.files import atomic_path, sha256_file, sha256_json
from acula_edge.pipeline.evaluation import model_embeddings
from acula_edge.probe.gate import check_gate
from acula_edge.probe.heads import Probes
from acula_edge.probe.tasks import Task
from acula_edge.probe.verify import verify_embeddings
from acula_edge.progress import notify
from acula_edge.quantize.export import merge_files
from acula_edge.quantize.graph import load_graph, save_graph
from acula_edge.quantize.heads import TaskHead
from acula_edge.quantize.insertion import embed
from acula_edge.quantize.parity import compare_rows
from acula_edge.quantize.profiles import profiles
from acula_edge.quantize.speed import Measure, guard_speed
from acula_edge.quantize.trainable import TrainableGraph
from acula_edge.run import Run
from acula_edge.training import forget
from acula_edge.untrusted.safetensors import open_safetensors
from acula_edge.untrusted.texts import parse_json

# What fine-tuning can mend: too few tasks or persons it cannot.
ACCURACY = ("max_mean_drop", "max_task_drop", "min_cosine", "refuse_inferior")
# Resamples for intervals that nothing here reads.
BOOTSTRAP = 20
# Windows on which a bundle compares a fine-tuned encoder with the float one.
PARITY_WINDOWS = 100
# What quantize.json says of the graph before fine-tuning.
BEFORE = ("equalization", "smoothing", "bias_correction", "mixed_precision", "sensitivity")
VALIDATION, CALIBRATION = "validation persons", "calibration windows"


@dataclass(frozen=True)
class Refinement:
    """Fine-tunes the INT8 model of a bundle that is being made, if the recipe wants it.

    Attributes:
        run: and its `student`; None where the encoder itself is exported.
        store: the run's recordings.
        float_embeddings: [R, D] of the float student, one row per recording.
        heads: of the bundle, fitted on them.
        tasks: that the gate asks about.
        gate: whether the limits were asked for; without them only ``quantize.aware: always`` fine-tunes.
        sample_rate_hz: of the student's front end.
        measure: times the fine-tuned encoder again; None leaves it unmeasured.
    """

    run: Run
    student: str | None
    store: WaveStore
    float_embeddings: np.ndarray
    heads: Sequence[TaskHead]
    tasks: Sequence[Task]
    sample_rate_hz: int
    gate: bool = True
    measure: Measure | None = None

    def __call__(self, folder: Path, quantized: Quantize) -> Quantize:
        """Put the better INT8 model into `folder`; returns how it came about.

        Raises:
            InputError: ``always``, and no student is exported.
        """
        settings = self.run.recipe.quantize
        if settings.aware == "never":
            return quantized
        before = self.foresee(folder, quantized.parity)
        facts = FineTuning(settings.aware, before, "not needed")
        if settings.aware == "auto" and before.passed:
            return msgspec.structs.replace(quantized, aware=facts)
        said = "; ".join(before.reasons)
        try:
            network = _trainable(folder, quantized.profile, self.student, self.gate or settings.aware == "always")
        except InputError as error:
            if settings.aware == "always":
                raise
            notify("post-training INT8 misses the limits on %s: %s. Not fine-tuned: %s", before.asked, said, error)
            facts = msgspec.structs.replace(facts, outcome="not possible", reason=str(error).splitlines()[0])
            return msgspec.structs.replace(quantized, aware=facts)
        assert self.student is not None
        if said:
            notify("post-training INT8 misses the limits on %s: %s. Fine-tuning in INT8", before.asked, said)
        training = msgspec.convert(tune(self.run, self.store, self.student, network), FineTuningRun)
        decibels = training.sqnr_db
        if decibels.after is not None and decibels.before is not None and decibels.after <= decibels.before:
            notify(
                "fine-tuning brought nothing (SQNR %.1f to %.1f dB); post-training INT8 stays",
                *(decibels.before, decibels.after),
            )
            facts = msgspec.structs.replace(facts, outcome="kept post-training", training=training)
            return msgspec.structs.replace(quantized, aware=facts)
        quantized = self._replace(folder, quantized, network.to_model())
        after = self.foresee(folder, quantized.parity)
        facts = msgspec.structs.replace(
            facts, outcome="fine-tuned", training=training, fine_tuned=after, measured_before=list(BEFORE)
        )
        verdict = "meets the limits" if after.passed else f"still misses the limits: {'; '.join(after.reasons)}"
        notify(
            "after %d epochs of fine-tuning INT8 %s (%s; SQNR %.1f to %.1f dB)",
            *(training.epochs, verdict, after.asked, decibels.before, decibels.after),
        )
        return msgspec.structs.replace(quantized, aware=facts)

    def foresee(self, folder: Path, parity: Parity) -> Judgement:
        """The gate's criteria of accuracy on validation persons, or on calibration windows where there are none."""
        recipe, store = self.run.recipe, self.store
        recordings = [replace(item, split=_split(item), splits={}) for item in store.recordings]
        subjects = {item.subject for item in recordings if item.split == "test"}
        if not subjects:
            judged = check_gate(_without_tasks(parity), recipe.verify.gate)
            return Judgement(CALIBRATION, 0, *_accuracy(judged), parity)
        int8 = model_embeddings(self.run, folder / MODEL_INT8_FILE, store, self.sample_rate_hz, ("val",))
        result = verify_embeddings(
            {"float_student": self.float_embeddings, "int8": int8},
            {"float_student": Probes(self.heads, {})},
            recordings,
            [task for task in self.tasks if _has_persons(task, recordings, recipe.verify.min_subgroup_subjects)],
            replace(recipe.verify, bootstrap=BOOTSTRAP, published_probe=False),
        )
        found = msgspec.convert(result["parity"]["int8_vs_student"], Parity)
        return Judgement(VALIDATION, len(subjects), *_accuracy(result["gate"]), found)

    def _replace(self, folder: Path, quantized: Quantize, encoder: onnx.ModelProto) -> Quantize:
        """Put another INT8 encoder of the same nodes in the place of the one that is there."""
        save_graph(encoder, folder / ENCODER_INT8_FILE)
        merge_files(folder / FRONTEND_FILE, folder / ENCODER_INT8_FILE, folder / MODEL_INT8_FILE)
        mels, whose = _compared_mels(self.run, folder, self.store, self.sample_rate_hz)
        reference = embed(load_graph(folder / ENCODER_FILE), mels)
        parity = msgspec.structs.replace(compare_rows(reference, embed(encoder, mels)), windows=whose)
        quantized = msgspec.structs.replace(quantized, parity=parity)
        if self.measure is None:
            return quantized
        again = guard_speed(folder, quantized.profile, quantized, _keep_plan, self.measure)
        if again.speed is UNSET or not again.speed.measured:
            return quantized
        return msgspec.structs.replace(quantized, speed=msgspec.structs.replace(again.speed, before=quantized.speed))


def tune(run: Run, store: WaveStore, student: str, network: TrainableGraph) -> dict[str, Any]:
    """Fine-tune `network` in place, or bring back what an earlier export of the same made of it; facts about it."""
    recipe, profile = run.recipe, network.profile.name
    key = sha256_json([
        network.fingerprint(), sha256_file(run.student_dir(student) / "model.safetensors"),
        sha256_file(run.encoder_dir / "model.safetensors"), store.key, [item.split for item in store.recordings],
        recipe.seed, asdict(recipe.distill), recipe.quantize.aware_epochs, recipe.quantize.aware_learning_rate,
        recipe.quantize.aware_teacher,
    ])  # fmt: skip
    kept = run.student_dir(student) / f"aware-{profile}.safetensors"
    facts = _load(kept, key, network)
    if facts is None:
        folder = run.checkpoints_dir / f"aware-{student}-{profile}-{key[:12]}"
        facts = fine_tune(run, store, student, network, folder)
        _save(kept, key, network, facts)
        forget(folder)
    run.record(f"aware-{student}-{profile}", student=student, profile=profile, **facts)
    return facts


def _trainable(folder: Path, profile: str, student: str | None, asked: bool) -> TrainableGraph:
    """The bundle's INT8 encoder, to be trained.

    Raises:
        InputError: why it is not, and what to do about it.
    """
    if student is None:
        raise InputError(
            "fine-tuning in INT8 is distillation, so it needs a student",
            given="--student none",
            remedy="export a student (--student NAME), or keep more nodes in float (quantize.keep_float)",
        )
    if not asked:
        raise InputError("--no-gate leaves INT8 as it is", remedy="export without it, or quantize.aware: always")
    return TrainableGraph(load_graph(folder / ENCODER_INT8_FILE), profiles[profile])


def _keep_plan(left_float: Mapping[str, str]) -> Quantize:
    raise InputError("a fine-tuned graph keeps its layers", given=left_float)


def _has_persons(task: Task, recordings: Sequence[Recording], fewest: int) -> bool:
    """Whether a task's test side holds at least `fewest` persons, of each class where there are two."""
    if task.evaluation != "held-out":
        return False
    rows, values = task.values(recordings, "test")
    subjects, targets = np.array([recordings[row].subject for row in rows]), np.array(values)
    if task.kind != "binary":
        return len(set(subjects)) >= fewest
    return all(len(set(subjects[targets == value])) >= fewest for value in (0, 1))


def _split(recording: Recording) -> str:
    """Validation persons take the place of test persons, who are not touched."""
    return {"val": "test", "train": "train"}.get(recording.split, "unused")


def _accuracy(judged: Mapping[str, Any]) -> tuple[bool, list[str]]:
    failed = [] if judged["passed"] else zip(judged["decided_by"], judged["reasons"], strict=True)
    reasons = [reason for name, reason in failed if name in ACCURACY]
    return not reasons, reasons


def _without_tasks(parity: Parity) -> dict[str, Any]:
    delta = {"int8_vs_student": {"delta": None}}
    return {"tasks": [], "summary": {"mean_delta": delta}, "parity": {"int8_vs_student": plain(parity)}}


def _compared_mels(run: Run, folder: Path, store: WaveStore, sample_rate_hz: int) -> tuple[list[np.ndarray], str]:
    """Spectrograms [1, F, M] of some windows of validation persons, else of training persons; and whose they are."""
    recipe = run.recipe
    store = at_rate(store, run, sample_rate_hz)
    of_split = {
        split: [row for row, r in enumerate(store.recordings) if r.split == split] for split in ("val", "train")
    }
    whose, rows = (VALIDATION, of_split["val"]) if of_split["val"] else ("training persons", of_split["train"])
    frontend = OrtEngine(folder / FRONTEND_FILE)
    chosen = rows[:: -(-len(rows) // PARITY_WINDOWS)]
    windows = [windows_of(store, row, recipe.data, store.sample_rate_hz)[0] for row in chosen]
    return [frontend.run({"waveform": window[None]})["mel"] for window in windows], whose


def _load(file: Path, key: str, network: TrainableGraph) -> dict[str, Any] | None:
    """Put kept weights into the network; None where there are none of this key."""
    if not file.is_file():
        return None
    with open_safetensors(file, "pt") as kept:
        metadata = kept.metadata() or {}
        if metadata.get("key") != key:
            return None
        weights = {name: kept.get_tensor(name) for name in kept.keys()}  # noqa: SIM118
    try:
        if not all(torch.isfinite(weight).all() for weight in weights.values()):
            raise ValueError("it holds NaN or infinite weights")
        network.load_state_dict(weights)
        return dict(parse_json(metadata["facts"]))
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        given = str(error).partition("\n")[0]
        raise ArtifactError(
            f"{file} cannot be read", given=given, remedy="delete it: the export fine-tunes again"
        ) from error


def _save(file: Path, key: str, network: TrainableGraph, facts: Mapping[str, Any]) -> None:
    with atomic_path(file) as temporary:
        save_file(network.state_dict(), temporary, metadata={"key": key, "facts": json.dumps(facts)})
