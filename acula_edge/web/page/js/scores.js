/** From the model's score columns to answers per task, as acula_edge/runtime/answers.py gives them. */

const EPSILON = 1e-7;

/** Undo sigmoid and softmax of one window's scores, so that windows can be averaged. Shape: [K] -> [K]. */
export function toLinear(scores, tasks) {
  const linear = Float64Array.from(scores);
  for (const task of tasks) {
    for (let i = task.start; i < task.stop; i++) {
      if (task.kind === "binary") {
        const share = Math.min(Math.max(linear[i], EPSILON), 1 - EPSILON);
        linear[i] = Math.log(share) - Math.log1p(-share);
      } else if (task.kind === "multiclass") {
        linear[i] = Math.log(Math.max(linear[i], EPSILON));
      }
    }
  }
  return linear;
}

/** Inverse of toLinear. Shape: [K] -> [K]. */
export function fromLinear(linear, tasks) {
  const scores = Float64Array.from(linear);
  for (const task of tasks) {
    const block = scores.subarray(task.start, task.stop);
    if (task.kind === "binary") {
      block[0] = 1 / (1 + Math.exp(-block[0]));
    } else if (task.kind === "multiclass") {
      const highest = Math.max(...block);
      let sum = 0;
      for (let i = 0; i < block.length; i++) sum += block[i] = Math.exp(block[i] - highest);
      for (let i = 0; i < block.length; i++) block[i] /= sum;
    }
  }
  return scores;
}

/** Mean of rows, one at a time; over measurable ones only once there is one. */
export class RunningMean {
  constructor() {
    this.total = null;
    this.count = 0;
    this.measurable = false;
  }

  /** Take one row in, return the mean so far. */
  add(row, measurable) {
    if (measurable && !this.measurable) {
      this.measurable = true;
      this.total = null;
      this.count = 0;
    }
    if (measurable || !this.measurable) {
      this.total = Float64Array.from(row, (value, i) => value + (this.total?.[i] ?? 0));
      this.count += 1;
    }
    return this.total.map((value) => value / this.count);
  }
}

/** Scores of a recording from those of its windows. Shape: [N][K] -> [K]. */
export function poolWindows(windows, tasks) {
  return fromLinear(meanRow(windows.map((scores) => toLinear(scores, tasks))), tasks);
}

/** Mean of rows. Shape: [N][K] -> [K]. */
export function meanRow(rows) {
  const mean = new Float64Array(rows[0].length);
  for (const row of rows) for (let i = 0; i < mean.length; i++) mean[i] += row[i];
  return mean.map((value) => value / rows.length);
}

/** Answers by task id. Where `measurable` is false nothing is decided. Shape: pooled [K]. */
export function describeScores(pooled, tasks, measurable) {
  const answers = {};
  for (const task of tasks) {
    const values = [...pooled.slice(task.start, task.stop)];
    const answer = { name: task.name, kind: task.kind, score: values[0], label: null };
    if (task.kind === "binary") {
      const threshold = task.threshold ?? null;
      const decided = measurable && threshold !== null;
      const above = decided && values[0] >= threshold;
      Object.assign(answer, { threshold, above: decided ? above : null, label: decided ? task.labels[Number(above)] : null });
    } else if (task.kind === "multiclass") {
      const best = values.indexOf(Math.max(...values));
      const scores = Object.fromEntries(task.labels.map((label, i) => [label, values[i]]));
      Object.assign(answer, { score: values[best], label: measurable ? task.labels[best] : null, scores });
    } else {
      Object.assign(answer, { score: measurable ? values[0] : null, unit: task.unit ?? "" });
    }
    answers[task.id] = answer;
  }
  return answers;
}
