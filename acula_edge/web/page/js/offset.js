/** The offset of a converter, as acula_edge/audio/offset.py defines it. */

import { roundHalfEven } from "./numbers.js";

const OFFSET_SHARE = 0.5;
const STEPS = 32768;

/** What is to be taken from a wave, in whole 16-bit steps; 0 where its mean is small beside what moves about it. */
export function offsetOf(wave) {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < wave.length; i++) {
    sum += wave[i];
    squares += wave[i] * wave[i];
  }
  const mean = sum / Math.max(1, wave.length);
  const moving = Math.max(0, squares / Math.max(1, wave.length) - mean * mean);
  return mean * mean > OFFSET_SHARE ** 2 * moving ? roundHalfEven(mean * STEPS) / STEPS : 0;
}

/** The wave itself where there is no offset. Shape: [T] -> [T]. */
export function withoutOffset(wave) {
  const offset = offsetOf(wave);
  return offset === 0 ? wave : wave.map((value) => value - offset);
}
