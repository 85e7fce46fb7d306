/**
 * Band-limited resampling by any ratio, in pieces or at once.
 *
 * A Kaiser-windowed sinc with the response of soxr's "HQ" recipe, which the Python runtime uses: flat up to 0.9136 of
 * half the lower rate, more than 120 dB down from half the lower rate on. soxr chooses the window's beta by its own
 * stages; BETAS were fitted to its measured response, within 0.003 of it in the transition. Near half the rate even
 * that matters: spectrograms are scaled by their quietest band. tests/web holds the two to one another.
 */

import { roundHalfEven } from "./numbers.js";
import { offsetOf } from "./offset.js";

const PASSBAND = 0.9136;
/** By whole octaves from the higher rate down to the lower; without and with an interpolating stage. */
const BETAS = { whole: [13.35, 13.35, 14.0, 14.5, 14.8], fraction: [14.0, 14.0, 14.7, 15.1, 15.4] };
const BETA_PER_OCTAVE = -0.25;
const WINDOW_STEPS = 1 << 14;
// The beginning that tells whether there is an offset, which is put aside meanwhile: zeros lie before the sound and
// behind it, and the step would be heard as a click.
const BEGINNING_S = 0.25;

/** Resample a whole wave. Shape: [T] -> [floor(T * toHz / fromHz + 0.5)]; equal rates return the wave itself. */
export function resample(wave, fromHz, toHz) {
  if (fromHz === toHz) return wave;
  const resampler = new Resampler(fromHz, toHz);
  return concatenate([resampler.push(wave), resampler.flush()]);
}

/** Join waves. */
export function concatenate(waves) {
  const joined = new Float32Array(waves.reduce((total, wave) => total + wave.length, 0));
  let start = 0;
  for (const wave of waves) {
    joined.set(wave, start);
    start += wave.length;
  }
  return joined;
}

/** A resampler that remembers, so that pieces come out without seams; together as long as one whole. */
export class Resampler {
  constructor(fromHz, toHz) {
    this.fromHz = fromHz;
    this.toHz = toHz;
    const divisor = greatestDivisor(fromHz, toHz);
    this.up = toHz / divisor;
    this.down = fromHz / divisor;
    const scale = Math.min(1, toHz / fromHz);
    this.cutoff = (scale * (1 + PASSBAND)) / 4; // cycles per input sample, in the middle of the transition
    const octaves = Math.max(0, Math.log2(fromHz / toHz));
    const betas = this.up === 1 || this.down === 1 ? BETAS.whole : BETAS.fraction;
    const octave = Math.min(Math.floor(octaves), betas.length - 1);
    const beta = betas[octave] + BETA_PER_OCTAVE * (octaves - Math.floor(octaves));
    this.window = kaiserTable(beta);
    this.half = kaiserLength(beta) / ((1 - PASSBAND) * scale);
    this.reach = Math.ceil(this.half);
    this.phases = new Map();
    this.held = new Float32Array(this.reach); // zeros before the first sample
    this.heldStart = -this.reach;
    this.received = 0;
    this.produced = 0;
    this.early = new Float32Array(0);
    this.offset = null;
  }

  /** Take a piece in, give what can be computed so far. Shape: [T_i] -> [T'_i]. */
  push(wave) {
    if (this.fromHz === this.toHz) return wave;
    if (this.offset !== null) return this.#take(wave);
    this.early = concatenate([this.early, wave]);
    const beginning = roundHalfEven(BEGINNING_S * this.fromHz);
    return this.early.length < beginning ? new Float32Array(0) : this.#begin(beginning);
  }

  #begin(samples) {
    this.offset = offsetOf(this.early.subarray(0, samples));
    const early = this.early;
    this.early = new Float32Array(0);
    return this.#take(early);
  }

  #take(wave) {
    this.held = concatenate([this.held, this.offset === 0 ? wave : wave.map((value) => value - this.offset)]);
    this.received += wave.length;
    const last = this.heldStart + this.held.length - 1 - this.reach;
    return this.#produce(Math.max(this.produced, Math.floor(((last + 1) * this.up - 1) / this.down) + 1));
  }

  /** What is left once the last piece was taken in. */
  flush() {
    if (this.fromHz === this.toHz) return new Float32Array(0);
    const begun = this.offset === null ? this.#begin(this.early.length) : new Float32Array(0);
    this.held = concatenate([this.held, new Float32Array(2 * this.reach + 1)]);
    return concatenate([begun, this.#produce(Math.floor((this.received * this.up) / this.down + 0.5))]);
  }

  #produce(until) {
    const out = new Float32Array(Math.max(0, until - this.produced));
    for (let index = 0; index < out.length; index++) {
      const place = (this.produced + index) * this.down;
      const base = Math.floor(place / this.up);
      const taps = this.#taps(place - base * this.up);
      const first = base - this.reach - this.heldStart;
      let sum = 0;
      for (let tap = 0; tap < taps.length; tap++) sum += taps[tap] * this.held[first + tap];
      out[index] = sum + this.offset;
    }
    this.produced += out.length;
    const needed = Math.floor((this.produced * this.down) / this.up) - this.reach;
    if (needed > this.heldStart) {
      this.held = this.held.slice(needed - this.heldStart);
      this.heldStart = needed;
    }
    return out;
  }

  /** Weights of the input samples from -reach to reach around an output that lies `phase / up` after one. */
  #taps(phase) {
    let taps = this.phases.get(phase);
    if (taps === undefined) {
      taps = new Float64Array(2 * this.reach + 1);
      for (let tap = 0; tap < taps.length; tap++) {
        const time = tap - this.reach - phase / this.up;
        const angle = 2 * Math.PI * this.cutoff * time;
        const sinc = Math.abs(angle) < 1e-12 ? 1 : Math.sin(angle) / angle;
        taps[tap] = 2 * this.cutoff * sinc * lookUp(this.window, Math.abs(time) / this.half);
      }
      this.phases.set(phase, taps);
    }
    return taps;
  }
}

function greatestDivisor(a, b) {
  while (b) [a, b] = [b, a % b];
  return a;
}

/** Kaiser's window from its middle to its end. Shape: [WINDOW_STEPS + 2]. */
function kaiserTable(beta) {
  const inside = (step) => beta * Math.sqrt(Math.max(0, 1 - (step / WINDOW_STEPS) ** 2));
  return Float64Array.from({ length: WINDOW_STEPS + 2 }, (_, step) => bessel(inside(step)) / bessel(beta));
}

/** Half the length of a Kaiser-windowed sinc times the width of its transition, as a share of half the rate. */
function kaiserLength(beta) {
  return ((0.0007528358 - 1.577737e-5 * beta) * beta + 0.6248022) * beta + 0.06186902;
}

/** A table's value at `place` in [0, 1], between its steps. */
function lookUp(table, place) {
  if (place >= 1) return 0;
  const position = place * WINDOW_STEPS;
  const step = Math.floor(position);
  return table[step] + (position - step) * (table[step + 1] - table[step]);
}

/** Modified Bessel function of the first kind, order 0, by its series. */
function bessel(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-17; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
