/** Does this browser compute what the bundle computed where it was made? The checks of acula-edge selftest. */

import { PageError } from "./errors.js";
import { ENCODER_FILES } from "./model.js";
import { readNpz, row } from "./npz.js";
import { Stages } from "./stages.js";

const SELFTEST_FILE = "bundle/selftest.npz";
const FRONTEND_SELFTEST_FILE = "bundle/selftest-frontends.npz";
const SCHEMAS = ["acula-edge/selftest/1"];
const PCM_SCALE = 32768;
// Of a value in [0, 1]: what float32 in another order may change where only a pure tone is heard.
const MEL_TOLERANCE = 1e-3;

/**
 * Run one precision of the model over the golden waveforms that travel with the bundle.
 *
 * @returns {{passed: boolean, checks: {name: string, passed: boolean, detail: string, waveforms: object[]}[],
 *   stages: object[]}}
 */
export async function selfTest(site, model) {
  const golden = await readGolden(site);
  const { precision } = model;
  const stages = new Stages();
  const checks = [await checkModel(model, golden, stages)];
  for (const listener of model.listeners.values()) {
    if (listener !== model.own && site.has(FRONTEND_SELFTEST_FILE)) checks.push(await checkNative(site, listener));
  }
  return { precision, passed: checks.every((check) => check.passed), checks, stages: stages.summary() };
}

async function readGolden(site) {
  const arrays = await readNpz(await site.read(SELFTEST_FILE), SELFTEST_FILE);
  const header = JSON.parse(arrays.get("header").data);
  if (!SCHEMAS.includes(header.schema)) throw new PageError(`${SELFTEST_FILE} has the schema ${header.schema}`);
  return { header, arrays };
}

async function checkModel(model, { header, arrays }, stages) {
  const { precision, own } = model;
  const name = `${own.file} + ${ENCODER_FILES[precision]}`;
  const tolerance = header.tolerances[precision];
  if (tolerance === undefined) return { name, passed: false, detail: "the golden waveforms do not know it", waveforms: [] };
  const [pcm, embeddings, scores] = ["pcm", `${precision}_embedding`, `${precision}_scores`].map((key) => arrays.get(key));
  const waveforms = [];
  let first = null;
  for (const [index, title] of header.names.entries()) {
    const output = await own.run(toWave(row(pcm, index)));
    stages.add("front end", output.frontendMs);
    stages.add("encoder", output.encoderMs);
    first ??= output;
    waveforms.push({ name: title, ...compare(output, row(embeddings, index), row(scores, index), tolerance) });
  }
  const again = await own.run(toWave(row(pcm, 0)));
  if (!same(first.scores, again.scores) || !same(first.embedding, again.embedding)) {
    return { name, passed: false, detail: "the first call and the last, of the same sound, differ", waveforms };
  }
  const failed = waveforms.filter((entry) => !entry.passed).map((entry) => entry.name);
  if (failed.length) return { name, passed: false, detail: `differs on ${failed.join(", ")}`, waveforms };
  const cosine = Math.min(...waveforms.map((entry) => entry.cosine));
  const error = Math.max(...waveforms.map((entry) => entry.score_error));
  const detail = `${waveforms.length} waveforms, cosine at least ${cosine.toFixed(6)}, scores within ${error.toExponential(1)}`;
  return { name, passed: true, detail, waveforms };
}

async function checkNative(site, listener) {
  const arrays = await readNpz(await site.read(FRONTEND_SELFTEST_FILE), FRONTEND_SELFTEST_FILE);
  const [pcm, mels] = ["pcm", "mel"].map((key) => arrays.get(`${listener.file}/${key}`));
  let worst = 0;
  for (let index = 0; index < pcm.shape[0]; index++) {
    const { mel } = await listener.hear(toWave(row(pcm, index)));
    worst = row(mels, index).reduce((most, value, i) => worse(most, Math.abs(value - mel[i])), worst);
  }
  const detail = `${pcm.shape[0]} spectrograms, within ${worst.toExponential(1)}`;
  return { name: listener.file, passed: worst <= MEL_TOLERANCE, detail, waveforms: [] };
}

/** The larger of two errors; NaN as soon as one is. */
function worse(a, b) {
  return Number.isNaN(a) || Number.isNaN(b) ? NaN : Math.max(a, b);
}

/** Cosine of the embeddings, and the largest error of a score (relative where the score exceeds 1). */
export function compare(output, embedding, scores, tolerance) {
  let [product, found, expected] = [0, 0, 0];
  embedding.forEach((value, i) => {
    product += value * output.embedding[i];
    found += output.embedding[i] ** 2;
    expected += value ** 2;
  });
  const length = Math.sqrt(found * expected);
  const cosine = same(embedding, output.embedding) ? 1 : length > 0 ? product / length : 0;
  const error = scores.reduce((most, value, i) => worse(most, Math.abs(output.scores[i] - value) / Math.max(1, Math.abs(value))), 0);
  return { cosine, score_error: error, passed: cosine >= tolerance.cosine_min && error <= tolerance.score_max_abs };
}

function toWave(pcm) {
  return Float32Array.from(pcm, (value) => value / PCM_SCALE);
}

function same(a, b) {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
