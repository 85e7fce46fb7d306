"""python selftest.py: does this device compute what the bundle computed where it was made? Exit code 0 yes, 2 no."""

import hashlib
import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np

os.environ["ORT_DISABLE_TELEMETRY"] = os.environ.get("ORT_DISABLE_TELEMETRY") or "1"  # read while it is imported
import onnxruntime as ort  # noqa: E402

BUNDLE = (at if (at := Path(__file__).absolute()).with_name("bundle.json").exists() else at.resolve()).parent


def altered_files():
    """Names of files that are missing or have other bytes than when the bundle was written."""
    try:
        info = json.loads((BUNDLE / "bundle.json").read_bytes())
        hashes = {"bundle.json": info["sha256"], **info["files"]}
        data = {name: (BUNDLE / name).read_bytes() if (BUNDLE / name).is_file() else b"" for name in hashes}
        data["bundle.json"] = data["bundle.json"].replace(info["sha256"].encode(), b"0" * 64)  # its own hash, as zeros
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ["bundle.json"]
    return [name for name in hashes if hashlib.sha256(data[name]).hexdigest() != hashes[name]]


def check_model(file, waves, embeddings, scores, tolerance):
    """Run a model on the first waveform a hundred times, then on all; whether all is well, and a line about it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.x64quantprecision", "1")  # exact sums on x86 without VNNI
    session = ort.InferenceSession(str(BUNDLE / file), options, providers=["CPUExecutionProvider"])
    calls, ends = [], [time.perf_counter()]
    for wave in [waves[0]] * 100 + [*waves]:
        calls.append(session.run(["embedding", "scores"], {"waveform": wave[None]}))
        ends.append(time.perf_counter())
    ms, same = np.diff(ends) * 1e3, all(np.array_equal(*pair) for pair in zip(calls[0], calls[99], strict=True))
    found, answers = (np.concatenate(rows).astype(np.float64) for rows in zip(*calls[100:], strict=True))
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(embeddings.astype(np.float64), axis=1)
    cosine = (found * embeddings).sum(axis=1) / np.maximum(lengths, 1e-30)
    cosine[(found == embeddings).all(axis=1)] = 1
    error = (np.abs(answers - scores) / np.maximum(1, np.abs(scores))).max(axis=1, initial=0)
    passed = same and (cosine >= tolerance["cosine_min"]).all() and (error <= tolerance["score_max_abs"]).all()
    detail = f"{len(waves)} waveforms, cosine at least {cosine.min():.6f}, scores within {error.max():.1e}"
    return passed, f"{detail}; call 1 and 100 {'equal' if same else 'DIFFER'}: {ms[0]:.2f} ms, {ms[99]:.2f} ms"


altered = altered_files()
results = [("files", not altered, ", ".join(altered) or "as written")]
golden = {} if altered else np.load(BUNDLE / "selftest.npz")
header = json.loads(str(golden["header"])) if golden else {"models": {}}
for precision, file in header["models"].items():
    expected = golden[f"{precision}_embedding"], golden[f"{precision}_scores"], header["tolerances"][precision]
    results.append((file, *check_model(file, golden["pcm"].astype(np.float32) / 32768, *expected)))
for name, passed, detail in results:
    print(f"{name}: {'passed' if passed else 'FAILED'}, {detail}")
well = all(passed for _, passed, _ in results)
print(f"{BUNDLE.name} on {platform.machine()}, onnxruntime {ort.__version__}: {'passed' if well else 'FAILED'}")
sys.exit(0 if well else 2)
