/** Waves into windows: trim, pad and cut as acula_edge/audio/segment.py does. */

import { PageError } from "./errors.js";
import { roundHalfEven } from "./numbers.js";
import { withoutOffset } from "./offset.js";

const TRIM_FRAME_S = 0.1;
const TRIM_HOP_S = 0.05;
const AMIN = 1e-10;

/**
 * First sample that trimming keeps, and the one after the last: leading and trailing frames more than `topDb` below
 * the loudest go.
 */
export function trimBounds(wave, topDb, frameLength, hopLength) {
  if (wave.length === 0) throw new PageError("a wave must have samples in it");
  const count = 1 + Math.floor(wave.length / hopLength);
  const power = new Float64Array(count);
  let loudest = 0;
  for (let frame = 0; frame < count; frame++) {
    const first = frame * hopLength - (frameLength >> 1);
    let sum = 0;
    for (let i = Math.max(0, first); i < Math.min(wave.length, first + frameLength); i++) {
      sum += Math.fround(wave[i] * wave[i]);
    }
    power[frame] = Math.max(sum / frameLength, AMIN);
    loudest = Math.max(loudest, power[frame]);
  }
  const loud = (value) => 10 * Math.log10(value / loudest) > -topDb;
  const start = power.findIndex(loud) * hopLength;
  const stop = Math.min(wave.length, (power.findLastIndex(loud) + 1) * hopLength);
  return start < stop ? [start, stop] : [0, wave.length];
}

/** Lengthen a wave by repetition: it lies at the end, repeats of it run up to its start. Shape: [T] -> [length]. */
export function repeatPad(wave, length) {
  if (wave.length === 0) throw new PageError("a wave must have samples in it");
  if (wave.length >= length) return wave;
  const padded = new Float32Array(length);
  const shift = wave.length - (length % wave.length);
  for (let i = 0; i < length; i++) padded[i] = wave[(i + shift) % wave.length];
  return padded;
}

/** Starts of the windows of `length` samples: `hop` apart, and one more that ends at the end. */
export function windowStarts(length, window, hop) {
  const last = Math.max(length, window) - window;
  const starts = [];
  for (let start = 0; start <= last; start += hop) starts.push(start);
  if (starts.at(-1) !== last) starts.push(last);
  return starts;
}

/**
 * The windows of a recording, as every stage embeds them, each without its offset.
 *
 * @returns {{start: number, stop: number, wave: Float32Array}[]} `start` and `stop` count samples of the untrimmed
 *   wave; a recording shorter than a window gives one, repeat-padded.
 */
export function recordingWindows(wave, rateHz, windowS, hopS, trimTopDb) {
  let [first, end] = [0, wave.length];
  if (trimTopDb !== null && trimTopDb !== undefined) {
    [first, end] = trimBounds(withoutOffset(wave), trimTopDb, roundHalfEven(TRIM_FRAME_S * rateHz), roundHalfEven(TRIM_HOP_S * rateHz));
  }
  const kept = wave.subarray(first, end);
  const window = roundHalfEven(windowS * rateHz);
  const padded = repeatPad(kept, window);
  return windowStarts(kept.length, window, roundHalfEven(hopS * rateHz)).map((start) => ({
    start: first + start,
    stop: Math.min(end, first + start + window),
    wave: withoutOffset(padded.slice(start, start + window)),
  }));
}
