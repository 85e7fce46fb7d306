/** WAV files, at the rate at which they were made. */

import { mixChannels } from "./channels.js";
import { PageError } from "./errors.js";
import { peakOf } from "./numbers.js";

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;
// What programs that write to a pipe leave for a length that they do not know, give or take the header's length.
const PLACEHOLDERS = [0x7f000000, 0x80000000, 0x100000000];
const NEAR_PLACEHOLDER = 1 << 16;
// Some recorders count the header into the length of the data: a few bytes missing are not a broken file.
const TOLERATED_LOSS = 0.01;
// Lossy formats overshoot full scale a little; integers that were only cast to float overshoot it a lot.
const FLOAT_LIMIT = 8;

const SAMPLES = {
  "1/8": (view, at) => (view.getUint8(at) - 128) / 128,
  "1/16": (view, at) => view.getInt16(at, true) / 32768,
  "1/24": (view, at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 65536) / 8388608,
  "1/32": (view, at) => view.getInt32(at, true) / 2147483648,
  "3/32": (view, at) => view.getFloat32(at, true),
  "3/64": (view, at) => view.getFloat64(at, true),
};

/** Whether a file begins as a WAV file does. */
export function isWav(buffer) {
  return buffer.byteLength >= 12 && tag(new DataView(buffer), 0) === "RIFF" && tag(new DataView(buffer), 8) === "WAVE";
}

/**
 * @returns {{wave: Float32Array, rateHz: number, warnings: string[]}|null} the mean of the channels in [-1, 1]; null where the samples are
 *   coded in a way that is not read here (A-law, ADPCM, ...).
 */
export function readWav(buffer, name = "this file") {
  const view = new DataView(buffer);
  let format = null;
  for (let at = 12; at + 8 <= buffer.byteLength; ) {
    const [kind, length, body] = [tag(view, at), view.getUint32(at + 4, true), at + 8];
    if (kind === "fmt " && body + 16 <= buffer.byteLength) format = readFormat(view, body, length);
    if (kind === "data") {
      if (format === null) throw new PageError(`${name} has samples before it says what they are`);
      return readData(view, body, length, format, name);
    }
    at = body + length + (length % 2);
  }
  throw new PageError(`${name} holds no samples`, "Copy it again from its source.");
}

function readFormat(view, at, length) {
  let code = view.getUint16(at, true);
  if (code === EXTENSIBLE && length >= 26) code = view.getUint16(at + 24, true);
  return {
    code,
    channels: view.getUint16(at + 2, true),
    rateHz: view.getUint32(at + 4, true),
    bits: view.getUint16(at + 14, true),
  };
}

function readData(view, start, declared, { code, channels, rateHz, bits }, name) {
  const read = SAMPLES[`${code}/${bits}`];
  if (read === undefined || (code !== PCM && code !== FLOAT)) return null;
  const width = bits / 8;
  const present = view.byteLength - start;
  const behind = declared < present ? bytesBehind(view, start + declared) : 0;
  const placeholder = PLACEHOLDERS.some((length) => Math.abs(declared - length) <= NEAR_PLACEHOLDER);
  const known = !(declared === 0 && behind > 0) && !(placeholder && (behind > 0 || declared > present));
  if (known && present < declared * (1 - TOLERATED_LOSS)) {
    const kept = Math.round((100 * present) / declared);
    throw new PageError(`${name} is broken off: ${kept} % of the samples that its header promises`, "Copy it again.");
  }
  const frames = Math.floor((known ? Math.min(declared, present) : present) / (width * channels));
  const waves = Array.from({ length: channels }, (_, channel) =>
    Float32Array.from({ length: frames || 0 }, (_, frame) => read(view, start + (frame * channels + channel) * width)));
  waves.forEach((wave) => checkWave(wave, rateHz, name));
  const { wave, warnings } = mixChannels(waves);
  checkWave(wave, rateHz, name);
  if (known && behind > TOLERATED_LOSS * declared) {
    const heardS = (frames / rateHz).toPrecision(3);
    warnings.push(`${behind} bytes lie behind the ${heardS} s that its header tells of and are not heard`);
  }
  return { wave, rateHz, warnings };
}

/** Bytes from `at` on that belong to no chunk and are not all zero. */
function bytesBehind(view, at) {
  const isChunk = (place) =>
    place + 8 <= view.byteLength &&
    [0, 1, 2, 3].every((i) => view.getUint8(place + i) >= 0x20 && view.getUint8(place + i) < 0x7f) &&
    place + 8 + view.getUint32(place + 4, true) <= view.byteLength;
  if (at % 2 && !isChunk(at)) at += 1;
  while (isChunk(at)) {
    at += 8 + view.getUint32(at + 4, true);
    if (at % 2 && !isChunk(at)) at += 1;
  }
  for (let i = at; i < view.byteLength; i++) if (view.getUint8(i) !== 0) return view.byteLength - at;
  return 0;
}

/** Refuse what is no sound. */
export function checkWave(wave, rateHz, name) {
  if (wave.length === 0) throw new PageError(`${name} holds no samples`, "Copy it again from its source.");
  if (!(rateHz >= 100 && rateHz <= 1_000_000)) throw new PageError(`${name} has a rate that sound cannot have: ${rateHz} Hz`);
  const peak = peakOf(wave);
  if (!Number.isFinite(peak)) throw new PageError(`${name} holds NaN or infinity`, "Record or convert it again.");
  if (peak > FLOAT_LIMIT) {
    throw new PageError(
      `${name} holds float samples far beyond [-1, 1] (a peak of ${peak.toPrecision(3)})`,
      "Divide by the integers' full scale (32768 for 16 bits) before writing it as float.",
    );
  }
}

function tag(view, at) {
  return String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));
}
