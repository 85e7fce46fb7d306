/** A whole recording: quality, windows, scores; the answers of Bundle.score in acula_edge/runtime/bundle.py. */

import { PageError } from "./errors.js";
import { assessQuality } from "./quality.js";
import { resample } from "./resample.js";
import { describeScores, meanRow, poolWindows } from "./scores.js";
import { recordingWindows } from "./windows.js";

/**
 * @param model see model.js
 * @param {{wave: Float32Array, rateHz: number}} sound
 * @param {{limits: object, prompts: object|null, stages: import("./stages.js").Stages, onWindow?: Function}} options
 * @returns tasks, quality, zero_shot and, per window, where it lies, its scores and its spectrogram.
 */
export async function scoreRecording(model, sound, { limits, prompts, stages, onWindow = () => {} }) {
  const { input, tasks } = model.bundle;
  const listener = model.listener(sound.rateHz);
  const quality = stages.measure("signal quality", () => assessQuality(sound.wave, sound.rateHz, limits));
  const wave = sound.rateHz === listener.rateHz
    ? sound.wave
    : stages.measure("resampling", () => resample(sound.wave, sound.rateHz, listener.rateHz));
  if (wave.length === 0) throw new PageError(`the sound is too short: it holds no samples at ${listener.rateHz} Hz`);
  const cut = () => {
    const windowS = listener.windowSamples / listener.rateHz;
    return recordingWindows(wave, listener.rateHz, windowS, input.hop_s, input.trim_top_db);
  };
  const pieces = stages.measure("cutting windows", cut);
  const windows = [];
  for (const piece of pieces) {
    const output = await listener.run(piece.wave);
    stages.add("front end, a window", output.frontendMs);
    stages.add("encoder, a window", output.encoderMs);
    windows.push({
      startS: piece.start / listener.rateHz,
      stopS: piece.stop / listener.rateHz,
      durationS: listener.windowSamples / listener.rateHz,
      ...output,
    });
    await onWindow(windows.length, pieces.length);
  }
  const pooled = poolWindows(windows.map((window) => window.scores), tasks);
  return {
    tasks: describeScores(pooled, tasks, quality.measurable),
    quality,
    zero_shot: prompts?.answer(meanRow(windows.map((window) => window.embedding)), quality.measurable) ?? null,
    windows,
    resampledTo: sound.rateHz === listener.rateHz ? null : listener.rateHz,
  };
}
