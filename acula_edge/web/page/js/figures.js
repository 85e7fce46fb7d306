/** The figures of signal quality, as acula_edge/audio/quality.py defines them. */

import { meanOf, median, percentile, roundHalfEven } from "./numbers.js";
import { powerSpectra } from "./spectra.js";

const MIN_FRAMES = 8;
const MIN_BLOCKS = 4;
// Of bundles whose limits were written before they named it.
const CONTACT_DEPTH_DB = 35;
const [SNR_LOWEST_DB, SNR_HIGHEST_DB] = [-20, 80];

/**
 * Every figure of one recording by name, at the rate at which it was made; null where it is too short or too silent
 * for one. `analysis` holds the constants that bundle.json carries. Shape: wave [T] in [-1, 1], T > 0.
 */
export function measureQuality(wave, rateHz, analysis) {
  const mean = meanOf(wave);
  const shift = Math.fround(mean);
  const centered = wave.map((value) => value - shift);
  let [energy, top, bottom] = [0, -Infinity, Infinity];
  for (let i = 0; i < wave.length; i++) {
    energy += centered[i] * centered[i];
    if (wave[i] > top) top = wave[i];
    if (wave[i] < bottom) bottom = wave[i];
  }
  return {
    duration_s: wave.length / rateHz,
    level_dbfs: top > bottom && energy > 0 ? 10 * Math.log10(energy / wave.length) : null,
    peak: Math.max(top, -bottom),
    clipped: clippedShare(wave, top, bottom, analysis),
    dc_offset: Math.abs(mean),
    flat: flatShare(wave, rateHz, analysis),
    ...spectralFigures(centered, rateHz, analysis),
  };
}

function clippedShare(wave, top, bottom, { full_scale, plateau_steps, plateau_spread_steps }) {
  let [high, low] = [full_scale, -full_scale];
  if ((top - bottom) * 32768 >= plateau_spread_steps) {
    high = Math.min(top - plateau_steps / 32768, high);
    low = Math.max(bottom + plateau_steps / 32768, low);
  }
  [high, low] = [Math.fround(high), Math.fround(low)];
  let count = 0;
  for (let i = 0; i < wave.length; i++) {
    if (wave[i] >= high) count += 1;
    if (wave[i] <= low) count += 1;
  }
  return count / wave.length;
}

function flatShare(wave, rateHz, { flat_frame_s, flat_steps }) {
  let length = Math.max(2, roundHalfEven(flat_frame_s * rateHz));
  if (wave.length < length) length = wave.length;
  const count = Math.floor(wave.length / length);
  const least = Math.fround(flat_steps / 32768);
  let still = 0;
  for (let frame = 0; frame < count; frame++) {
    let [top, bottom] = [-Infinity, Infinity];
    for (let i = frame * length; i < (frame + 1) * length; i++) {
      if (wave[i] > top) top = wave[i];
      if (wave[i] < bottom) bottom = wave[i];
    }
    still += Number(Math.fround(top - bottom) < least);
  }
  return still / count;
}

function spectralFigures(centered, rateHz, analysis) {
  const figures = { bandwidth_hz: null, snr_db: null, contact_lost: null, handling: null };
  const frame = 2 ** Math.floor(Math.log2(Math.max(2, analysis.frame_s * rateHz)));
  if (Math.floor(centered.length / frame) < MIN_FRAMES) return figures;
  const binHz = rateHz / frame;
  const power = powerSpectra(centered, frame);
  figures.snr_db = signalToNoise(bandPower(power, binHz, analysis.band_hz), analysis);
  const blocks = blockMeans(power, analysis.block_frames);
  figures.bandwidth_hz = bandwidth(blocks, binHz, analysis);
  if (blocks.length >= MIN_BLOCKS) {
    const contact = bandPower(blocks, binHz, analysis.contact_band_hz);
    const usual = percentile(contact, analysis.loud_percentile) * 10 ** (-analysis.contact_drop_db / 10);
    const depthDb = analysis.contact_depth_db ?? CONTACT_DEPTH_DB;
    const loudest = contact.reduce((most, value) => Math.max(most, value), 0);
    const least = Math.max(usual, loudest * 10 ** (-depthDb / 10));
    figures.contact_lost = meanOf(contact.map((value) => Number(value < least)));
    const sound = bandPower(blocks, binHz, analysis.band_hz);
    const most = median(sound) * 10 ** (analysis.handling_rise_db / 10);
    figures.handling = meanOf(sound.map((value) => Number(value > most)));
  }
  return figures;
}

/** Shape: [N][bins] -> [N]. */
function bandPower(power, binHz, [lowHz, highHz]) {
  const [first, last] = [Math.ceil(lowHz / binHz), Math.floor(highHz / binHz)];
  return power.map((frame) => frame.subarray(first, last + 1).reduce((sum, value) => sum + value, 0));
}

/** Mean power of whole blocks of frames. Shape: [N][bins] -> [N / frames][bins]. */
function blockMeans(power, frames) {
  return Array.from({ length: Math.floor(power.length / frames) }, (_, block) => {
    const mean = new Float64Array(power[0].length);
    for (const frame of power.slice(block * frames, (block + 1) * frames)) {
      for (let bin = 0; bin < mean.length; bin++) mean[bin] += frame[bin] / frames;
    }
    return mean;
  });
}

function bandwidth(blocks, binHz, { band_hz, bandwidth_drop_db }) {
  const typical = blocks[0].map((_, bin) => median(blocks.map((block) => block[bin])));
  const strongest = typical.subarray(Math.ceil(band_hz[0] / binHz)).reduce((most, value) => Math.max(most, value), 0);
  if (strongest <= 0) return null;
  return typical.findLastIndex((value) => value >= strongest * 10 ** (-bandwidth_drop_db / 10)) * binHz;
}

function signalToNoise(band, { floor_percentile }) {
  const [floor, mean] = [percentile(band, floor_percentile), meanOf(band)];
  if (mean <= 0) return null;
  if (floor <= mean * 10 ** (-SNR_HIGHEST_DB / 10)) return SNR_HIGHEST_DB;
  const ratio = Math.max((mean - floor) / floor, 10 ** (SNR_LOWEST_DB / 10));
  return Math.max(SNR_LOWEST_DB, 10 * Math.log10(ratio));
}
