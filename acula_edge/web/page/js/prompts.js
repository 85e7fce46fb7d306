/** Zero-shot prompts of a bundle (zero_shot.npz), scored as acula_edge/bundle/prompt_vectors.py does. */

import { PageError } from "./errors.js";
import { readNpz, row } from "./npz.js";

export const PROMPTS_FILE = "zero_shot.npz";
const SCHEMA = "acula-edge/zero-shot/1";

/** Read the file; the result's `answer` gives answers by task id about one embedding. */
export async function readPrompts(buffer) {
  const arrays = await readNpz(buffer, PROMPTS_FILE);
  const header = JSON.parse(arrays.get("header").data);
  if (header.schema !== SCHEMA) throw new PageError(`${PROMPTS_FILE} has the schema ${header.schema}, not ${SCHEMA}`);
  const tasks = header.tasks.map((task, number) => ({
    ...task,
    center: arrays.get(`center_${number}`).data,
    vectors: task.labels.map((_, i) => row(arrays.get(`vectors_${number}`), i)),
  }));
  const weight = arrays.get("weight");
  const answer = (embedding, measurable) => {
    const projected = project(embedding, weight);
    return Object.fromEntries(tasks.map((task) => [task.id, answerTask(task, projected, header.temperature, measurable)]));
  };
  return { name: header.prompts, answer };
}

/** Shape: [D], [D, K] -> [K]. */
function project(embedding, weight) {
  const [, width] = weight.shape;
  const projected = new Float64Array(width);
  embedding.forEach((value, i) => {
    for (let k = 0; k < width; k++) projected[k] += value * weight.data[i * width + k];
  });
  return projected;
}

function answerTask(task, projected, temperature, measurable) {
  const centered = projected.map((value, k) => value - task.center[k]);
  const length = Math.max(Math.hypot(...centered), 1e-12);
  const logits = task.vectors.map(
    (vector) => centered.reduce((sum, value, k) => sum + (value / length) * vector[k], 0) / temperature,
  );
  const highest = Math.max(...logits);
  const odds = logits.map((logit) => Math.exp(logit - highest));
  const sum = odds.reduce((total, value) => total + value, 0);
  const values = odds.map((value) => value / sum);
  const best = values.indexOf(Math.max(...values));
  const binary = task.labels.length === 2;
  return {
    name: task.name,
    kind: binary ? "binary" : "multiclass",
    score: binary ? values[1] : values[best],
    label: measurable ? task.labels[best] : null,
    scores: Object.fromEntries(task.labels.map((label, i) => [label, values[i]])),
  };
}
