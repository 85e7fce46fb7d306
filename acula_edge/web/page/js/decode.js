/** A file that was dropped here, made into a mono wave at its own rate. */

import { mixChannels } from "./channels.js";
import { PageError } from "./errors.js";
import { checkWave, isWav, readWav } from "./wav.js";

const OTHER_RATE_HZ = 48000;

/**
 * WAV is read by this page; every other format by the browser, which resamples to 48 kHz what tells no rate of its own.
 *
 * @returns {Promise<{wave: Float32Array, rateHz: number, warnings: string[], decoder: string}>}
 */
export async function decodeRecording(buffer, name) {
  if (buffer.byteLength === 0) throw new PageError(`${name} is an empty file`, "Copy it again from its source.");
  if (isWav(buffer)) {
    const sound = readWav(buffer, name);
    if (sound !== null) return { ...sound, decoder: "this page" };
  }
  const rateHz = flacRate(buffer) ?? OTHER_RATE_HZ;
  let decoded;
  try {
    decoded = await openContext(rateHz).decodeAudioData(buffer.slice(0));
  } catch (error) {
    throw new PageError(`${name} cannot be decoded: ${error.message}`, "Convert it to WAV, or copy it again if it is damaged.");
  }
  const channels = Array.from({ length: decoded.numberOfChannels }, (_, i) => restoreSteps(decoded.getChannelData(i)));
  const { wave, warnings } = mixChannels(channels);
  checkWave(wave, decoded.sampleRate, name);
  return { wave, rateHz: decoded.sampleRate, warnings, decoder: "the browser" };
}

/**
 * Sixteen-bit samples as every other decoder gives them, divided by 32768. Chromium divides those above zero by 32767:
 * 3e-5 of the signal, enough to lift the floor of a quiet spectrogram. Other samples stay as they are.
 */
export function restoreSteps(wave) {
  const steps = wave.map((value) => value * (value > 0 ? 32767 : 32768));
  const whole = steps.every((step) => Math.abs(step - Math.round(step)) < 0.01);
  return whole ? steps.map((step) => Math.round(step) / 32768) : wave;
}

/** Rate in the first block of a FLAC file; null of anything else. */
function flacRate(buffer) {
  if (buffer.byteLength < 21) return null;
  const bytes = new Uint8Array(buffer, 0, 21);
  if (String.fromCharCode(...bytes.subarray(0, 4)) !== "fLaC") return null;
  return (bytes[18] << 12) | (bytes[19] << 4) | (bytes[20] >> 4);
}

function openContext(rateHz) {
  try {
    return new OfflineAudioContext(1, 1, rateHz);
  } catch {
    return new OfflineAudioContext(1, 1, OTHER_RATE_HZ); // a rate that this browser does not decode at
  }
}
