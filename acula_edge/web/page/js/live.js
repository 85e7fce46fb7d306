/** Sound that arrives in pieces: one answer per hop, as Bundle.stream in acula_edge/runtime/bundle.py gives them. */

import { withoutOffset } from "./offset.js";
import { assessQuality } from "./quality.js";
import { concatenate, Resampler } from "./resample.js";
import { describeScores, fromLinear, RunningMean, toLinear } from "./scores.js";
import { repeatPad } from "./windows.js";

/** The last window of a stream, given out every hop. */
export class StreamWindows {
  constructor(windowSamples, hopSamples) {
    this.window = windowSamples;
    this.hop = hopSamples;
    this.held = new Float32Array(0);
    this.total = 0;
    this.seen = 0;
    this.nextStop = windowSamples;
  }

  /** Take samples in; the windows that became full, oldest first. */
  push(wave) {
    this.held = concatenate([this.held, wave]);
    this.total += wave.length;
    const full = [];
    while (this.total >= this.nextStop) {
      full.push(this.#cut(this.nextStop - this.window, this.nextStop, false));
      this.nextStop += this.hop;
    }
    const start = this.total - this.held.length;
    const needed = Math.max(0, Math.min(this.nextStop, this.total) - this.window);
    if (needed > start) this.held = this.held.slice(needed - start);
    return full;
  }

  /** The stream has ended: one more window, aligned to its end, if samples came since the last. */
  end() {
    return this.total > this.seen ? [this.#cut(Math.max(0, this.total - this.window), this.total, true)] : [];
  }

  #cut(start, stop, final) {
    const first = start - (this.total - this.held.length);
    this.seen = stop;
    return { start, stop, wave: this.held.slice(first, first + stop - start), final };
  }
}

/** Scores a stream. */
export class LiveScorer {
  /**
   * @param model see model.js
   * @param {number} rateHz of the pieces
   * @param {number} hopS seconds between two answers
   */
  constructor(model, rateHz, hopS, { limits, prompts, stages }) {
    this.model = model;
    this.listener = model.listener(rateHz);
    this.resampler = new Resampler(rateHz, this.listener.rateHz);
    this.windows = new StreamWindows(this.listener.windowSamples, Math.round(hopS * this.listener.rateHz));
    this.mean = new RunningMean();
    this.promptMean = new RunningMean();
    this.options = { limits, prompts, stages };
    this.count = 0;
    this.spentMs = 0;
  }

  /** Take one piece in; an answer per window that it filled. */
  async push(wave) {
    const started = performance.now();
    const pieces = this.windows.push(this.resampler.push(wave));
    this.spentMs += performance.now() - started;
    return this.#answer(pieces);
  }

  /** The stream has ended. */
  async end() {
    const pieces = this.windows.push(this.resampler.flush());
    return this.#answer([...pieces, ...this.windows.end()]);
  }

  /** Seconds until the next answer. */
  get waitS() {
    return Math.max(0, this.windows.nextStop - this.windows.total) / this.listener.rateHz;
  }

  async #answer(pieces) {
    const updates = [];
    for (const piece of pieces) updates.push(await this.#score(piece));
    return updates;
  }

  async #score(piece) {
    const { tasks } = this.model.bundle;
    const { limits, prompts, stages } = this.options;
    const { rateHz, windowSamples } = this.listener;
    const started = performance.now();
    const quality = stages.measure("signal quality", () => assessQuality(piece.wave, rateHz, limits));
    const output = await this.listener.run(withoutOffset(repeatPad(piece.wave, windowSamples)));
    stages.add("front end, a window", output.frontendMs);
    stages.add("encoder, a window", output.encoderMs);
    const linear = toLinear(output.scores, tasks);
    const together = fromLinear(this.mean.add(linear, quality.measurable), tasks);
    const mean = this.promptMean.add(output.embedding, quality.measurable);
    this.count += 1;
    const computeMs = performance.now() - started;
    this.spentMs += computeMs;
    stages.add("one answer", computeMs);
    return {
      window: { startS: piece.start / rateHz, stopS: piece.stop / rateHz, durationS: windowSamples / rateHz, ...output },
      tasks: describeScores(fromLinear(linear, tasks), tasks, quality.measurable),
      recording: describeScores(together, tasks, this.mean.measurable),
      recording_zero_shot: prompts?.answer(mean, this.promptMean.measurable) ?? null,
      quality,
      windows: this.count,
      final: piece.final,
      compute_ms: computeMs,
      real_time_factor: (this.spentMs / 1e3) * (rateHz / piece.stop),
    };
  }
}
