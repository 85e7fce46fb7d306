/** How long the stages of the work took. */

import { median } from "./numbers.js";

export class Stages {
  constructor() {
    this.samples = new Map();
  }

  /** Take down one time. */
  add(stage, milliseconds) {
    if (!this.samples.has(stage)) this.samples.set(stage, []);
    this.samples.get(stage).push(milliseconds);
  }

  /** Do `work` and take down its time. */
  measure(stage, work) {
    const started = performance.now();
    const result = work();
    this.add(stage, performance.now() - started);
    return result;
  }

  /** Per stage, in the order in which they first came: the median, and of how many. */
  summary() {
    return [...this.samples].map(([stage, times]) => ({ stage, p50_ms: median(times), n: times.length }));
  }
}
